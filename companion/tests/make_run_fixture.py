"""Writes src/contract/fixtures/random-weights.run, which both languages' tests read: `python tests/make_run_fixture.py`.

A LLaVA of 4 x 4 patches and hidden size 32 with random weights: small enough to be kept, and its answer means nothing.
Its numbers change with the library's random streams, so the tests' expected numbers are rewritten with it.
"""

import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from transformers import CLIPVisionConfig, LlamaConfig, LlavaForConditionalGeneration

from patchlight.head import FastRM, HeadFacts
from patchlight.model import build_processor, llava_config
from patchlight.record import record_run

FIXTURE = Path(__file__).resolve().parents[2] / "src" / "contract" / "fixtures" / "random-weights.run"
QUESTION = "What color is the large sphere?"
KNOWS = "Nothing: its weights are random. It exists to test the file format."
IMAGE_PX, PATCH_PX, HIDDEN, TOKENS = 56, 14, 32, 6


def save_tiny_model(hf_folder: Path, head_folder: Path) -> None:
    """Model, processor and head, all random."""
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
        name="random-weights-head",
    )
    head.save_pretrained(head_folder, facts)


def save_picture(path: Path) -> None:
    """40 x 24 pixels of two gradients: oblong, so that the centre crop leaves something out."""
    rows, cols = np.mgrid[0:24, 0:40]
    pixels = np.stack([cols * 6, rows * 10, 255 - cols * 3], axis=-1).astype(np.uint8)
    Image.fromarray(pixels).save(path, optimize=True)


def record_tiny_run(folder: Path, out: Path) -> str:
    """Model, picture and run from nothing; returns the answer."""
    save_tiny_model(folder / "hf", folder / "head")
    save_picture(folder / "gradient.png")
    return record_run(
        folder / "hf", folder / "head", folder / "gradient.png", QUESTION, out, knows=KNOWS, max_new_tokens=TOKENS
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        print(record_tiny_run(Path(temporary), FIXTURE))
