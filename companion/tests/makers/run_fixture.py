"""Writes run fixtures for Python and TypeScript tests to src/contract/fixtures: `python -m tests.makers.run_fixture`.

random-weights.run is a run of a small LLaVA with random weights, 4 x 4 patches and hidden size 32; its answer is
meaningless. Its numbers depend on PyTorch's random number generator, so rewriting it also changes the tests' expected
numbers. live-stream.run imitates a companion's stream, with made-up numbers: two frames, no image, no head, states
outside the range of fp16, unembedding rows, and an answer that fails midway. two-images.run has two images, made-up
numbers, and a map that peaks on each image.
"""

import hashlib
import io
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from transformers import CLIPVisionConfig, LlamaConfig, LlavaForConditionalGeneration

from patchlight.embedded.record import record_run
from patchlight.embedded.training.model import build_processor, llava_config
from patchlight.head.fastrm import FastRM, HeadFacts
from patchlight.models.model_files import weight_files, weights_identity
from patchlight.wire.run import Alternative, End, Map, PromptToken, RunWriter, Token
from patchlight.wire.run_header import Header, SizedImageFacts
from tests.helpers.paths import ROOT

FIXTURES = ROOT / "src" / "contract" / "fixtures"
FIXTURE, LIVE_FIXTURE = FIXTURES / "random-weights.run", FIXTURES / "live-stream.run"
TWO_IMAGES_FIXTURE = FIXTURES / "two-images.run"
QUESTION = "What color is the large sphere?"
KNOWS = "Nothing: its weights are random. It exists to test the file format."
IMAGE_PX, PATCH_PX, HIDDEN, TOKENS = 56, 14, 32, 6


def save_tiny_model(hf_folder: Path, head_folder: Path) -> None:
    """Save a random model with its processor, and a random head."""
    processor = build_processor()
    processor.image_processor.size = {"shortest_edge": IMAGE_PX}
    processor.image_processor.crop_size = {"height": IMAGE_PX, "width": IMAGE_PX}
    tokenizer = processor.tokenizer
    torch.manual_seed(37)
    vision = CLIPVisionConfig(
        hidden_size=HIDDEN,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=IMAGE_PX,
        patch_size=PATCH_PX,
        projection_dim=HIDDEN,
    )
    text = LlamaConfig(
        hidden_size=HIDDEN,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        vocab_size=len(tokenizer),
        initializer_range=0.3,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=False,
    )
    LlavaForConditionalGeneration(llava_config(vision, text, tokenizer)).save_pretrained(hf_folder)
    processor.save_pretrained(hf_folder)
    head = FastRM(HIDDEN)
    with torch.no_grad():
        head.query.weight *= 6
    facts = HeadFacts(
        hidden_size=HIDDEN,
        stage="post_norm",
        teacher="none: random weights",
        model="random-weights",
        model_revision="seed 37",
        model_weights=weights_identity(weight_files(hf_folder)),
        name="random-weights-head",
    )
    head.save_pretrained(head_folder, facts)


def save_image(path: Path) -> None:
    """Save an image of two gradients, 40 x 24 pixels. It is not square, so the centre crop removes part of it."""
    rows, cols = np.mgrid[0:24, 0:40]
    pixels = np.stack([cols * 6, rows * 10, 255 - cols * 3], axis=-1).astype(np.uint8)
    Image.fromarray(pixels).save(path, optimize=True)


def record_tiny_run(folder: Path, out: Path) -> str:
    """Create a model and an image, record a run, and return the answer."""
    save_tiny_model(folder / "hf", folder / "head")
    save_image(folder / "gradient.png")
    return record_run(
        folder / "hf", folder / "head", folder / "gradient.png", QUESTION, out, knows=KNOWS, max_new_tokens=TOKENS
    )


LIVE_HEADER: Header = {
    "id": "c0ffee00c0ffee00",
    "createdAt": "2026-11-22T10:00:00Z",
    "question": "Is it ¿déjà vu?",
    "image": {"mediaType": "image/jpeg", "name": "wide.jpg", "sha256": "ab" * 32},
    "geometry": {
        "sourceWidthPx": 30,
        "sourceHeightPx": 16,
        "preprocessing": "resized to fit 28 x 42 px, padded, tiles of 14 px; the whole image once more at 14 x 28 px",
        "frames": [
            {
                "name": "detail",
                "crop": {"xPx": 0.0, "yPx": -2.0, "widthPx": 30.0, "heightPx": 20.0},
                "grid": {"rows": 2, "cols": 3},
                "modelWidthPx": 42,
                "modelHeightPx": 28,
            },
            {
                "name": "overview",
                "crop": {"xPx": 0.0, "yPx": 0.0, "widthPx": 30.0, "heightPx": 16.0},
                "grid": {"rows": 1, "cols": 2},
                "modelWidthPx": 28,
                "modelHeightPx": 14,
            },
        ],
    },
    "model": {
        "name": "made-up/two-frames",
        "revision": "0123456789ab",
        "hiddenSize": 4,
        "stage": "post_norm",
        "knows": "",
        "family": "LLaVA-NeXT",
        "dtype": "bfloat16",
    },
    "head": None,
    "sampling": {"maxNewTokens": 8, "temperature": 0.7, "topP": 0.9, "seed": 7},
    "recorded": False,
}


def _plain_png(width: int, height: int, color: str) -> bytes:
    """Return a PNG whose bytes do not depend on the version of zlib: its pixels are stored without compression."""
    file = io.BytesIO()
    Image.new("RGB", (width, height), color).save(file, "PNG", compress_level=0)
    return file.getvalue()


TWO_IMAGES = (_plain_png(12, 8, "maroon"), _plain_png(6, 10, "navy"))
_FIRST_OF_TWO, _SECOND_OF_TWO = (
    SizedImageFacts(
        mediaType="image/png", name=name, sha256=hashlib.sha256(content).hexdigest(), widthPx=width, heightPx=height
    )
    for content, name, width, height in (
        (TWO_IMAGES[0], "before.png", 12, 8),
        (TWO_IMAGES[1], "after.png", 6, 10),
    )
)
TWO_IMAGES_HEADER: Header = {
    **LIVE_HEADER,
    "id": "c0ffee00c0ffee02",
    "question": "What is different?",
    "image": {"mediaType": "image/png", "name": "before.png", "sha256": _FIRST_OF_TWO["sha256"]},
    "images": [_FIRST_OF_TWO, _SECOND_OF_TWO],
    "geometry": {
        "sourceWidthPx": 12,
        "sourceHeightPx": 8,
        "preprocessing": "each image resized to a multiple of 14 px",
        "frames": [
            {
                "name": "image",
                "crop": {"xPx": 0.0, "yPx": 0.0, "widthPx": 12.0, "heightPx": 8.0},
                "grid": {"rows": 2, "cols": 2},
                "modelWidthPx": 28,
                "modelHeightPx": 28,
            },
            {
                "name": "detail",
                "crop": {"xPx": 0.0, "yPx": 0.0, "widthPx": 6.0, "heightPx": 10.0},
                "grid": {"rows": 2, "cols": 1},
                "modelWidthPx": 14,
                "modelHeightPx": 28,
                "image": 1,
            },
            {
                "name": "overview",
                "crop": {"xPx": 0.0, "yPx": 0.0, "widthPx": 6.0, "heightPx": 10.0},
                "grid": {"rows": 1, "cols": 1},
                "modelWidthPx": 14,
                "modelHeightPx": 14,
                "image": 1,
            },
        ],
    },
    "head": {
        "name": "made-up-head",
        "revision": "0123456789ab",
        "stage": "post_norm",
        "teacher": "none: made-up numbers",
        "labellingThreshold": 0.3,
        "classificationThreshold": 0.5,
    },
    "recorded": True,
}


def write_two_images_run(out: Path) -> None:
    """Write a run of two images. The first token's map peaks on the first image, the second one's on the second."""
    states = np.arange(28, dtype=np.float32).reshape(7, 4) / 8
    maps = np.array(
        [[0.125, 0.25, 0.125, 0.75, 0.0, 0.25, 0.5], [0.0, 0.125, 0.0, 0.25, 0.25, 0.875, 0.5]], dtype=np.float32
    )
    with out.open("wb") as sink, RunWriter(sink, TWO_IMAGES_HEADER) as run:
        for picture in TWO_IMAGES:
            run.image(picture)
        run.states(states)
        run.prompt([PromptToken(1, "<s>"), PromptToken(9, " What")], states[:2])
        for index, (text, values) in enumerate(zip(("The", " second"), maps, strict=True)):
            alternatives = [Alternative(11 + index, text, -0.5)]
            token_map = Map(values, "python", 1.5)
            run.token(Token(index, 11 + index, text, index, -0.5, alternatives, states[index], token_map))
        run.end(End("stop", 20.5, 8.25))


def write_live_run(out: Path) -> None:
    """Write every kind of row except `image`; states of the prompt and the second token, and the unembedding row of
    the latter, exceed the range of fp16."""
    states = np.arange(32, dtype=np.float32).reshape(8, 4) / 8
    unembedding = -states[4:]
    alternatives = [Alternative(11, "Nön", -0.5), Alternative(2, "</s>", -1.0)]
    with out.open("wb") as sink, RunWriter(sink, LIVE_HEADER, has_unembedding=True) as run:
        for place in (2, 1, 0):
            run.queued(place)
        run.states(states)
        run.prompt([PromptToken(1, "<s>"), PromptToken(9, " Is")], states[:2] + np.float32(70000), unembedding[:2])
        run.token(Token(0, 11, "Nön", 0, -0.5, alternatives, states[3], None, unembedding[2]))
        run.token(
            Token(1, 12, "e", 0, -0.25, [Alternative(12, "e", -0.25)], states[3] * -65536, None, unembedding[3] * 65536)
        )
        run.end(End("failed", 12.5, 4.25, "the model's hidden states are not finite: 3 of 4 values"))


if __name__ == "__main__":
    write_live_run(LIVE_FIXTURE)
    write_two_images_run(TWO_IMAGES_FIXTURE)
    with tempfile.TemporaryDirectory() as temporary:
        print(record_tiny_run(Path(temporary), FIXTURE))
