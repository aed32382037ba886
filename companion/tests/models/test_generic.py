"""Compare the generic family with the families that have code of their own, and read models that only it reads."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import (
    AyaVisionConfig,
    AyaVisionForConditionalGeneration,
    Cohere2Config,
    GotOcr2ImageProcessorPil,
    Idefics2Config,
    Idefics2ForConditionalGeneration,
    Idefics2ImageProcessorPil,
    Idefics2Processor,
    MistralConfig,
    SiglipVisionConfig,
)
from transformers.models.aya_vision.processing_aya_vision import AyaVisionProcessor

from patchlight.embedded.training.vocabulary import token_id
from patchlight.models.decoding import Step, decode
from patchlight.models.families.generic import Generic
from patchlight.models.families.measured import NotTraced, measured_tiles, position_image
from patchlight.models.families.painting import check_columns
from patchlight.models.families.registry import UnsupportedFamily, family_of
from patchlight.models.loading import LoadOptions, load
from patchlight.models.reading import Rect
from patchlight.models.sampling import Sampling
from tests.helpers.tiny_models import Tiny, save, tiny
from tests.helpers.tiny_parts import (
    IDEFICS_TEMPLATE,
    LLAVA_TEMPLATE,
    PATCH_PX,
    TILE_PX,
    byte_tokenizer,
    text_options,
    vision_options,
)

SIZES = [(400, 180), (180, 400), (333, 222), (97, 131)]
READ_ALIKE = ["llava", "vip-llava", "llava-siglip-gemma", "llava-padded-qwen2", "qwen2.5-vl", "qwen2-vl", "idefics3"]
READ_ALIKE += ["smolvlm", "gemma3", "gemma3-crops", "qwen3-vl", "glm-4v", "internvl", "mistral3", "pixtral"]


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(7).integers(60, 200, (height, width, 3), dtype=np.uint8))


def generic(lvlm: Tiny) -> Generic:
    return Generic(lvlm.model.config.model_type)


def aya() -> Tiny:
    """Tiles, then the whole image, each with a marker of text before it, as in InternVL; no family of its own."""
    extra = [
        "<image>",
        "<|START_OF_IMG|>",
        "<|END_OF_IMG|>",
        "<|IMG_PATCH|>",
        "<|IMG_LINE_BREAK|>",
        "TILE",
        "TILE_GLOBAL",
    ]
    tokenizer = byte_tokenizer(extra)
    config = AyaVisionConfig(
        vision_config=SiglipVisionConfig(**vision_options(), vision_use_head=False),
        text_config=Cohere2Config(**text_options(tokenizer)),
        image_token_index=token_id(tokenizer, "<|IMG_PATCH|>"),
        tie_word_embeddings=False,
    )
    resizer = GotOcr2ImageProcessorPil(size={"height": TILE_PX, "width": TILE_PX}, max_patches=6)
    processor = AyaVisionProcessor(
        resizer,
        tokenizer,
        patch_size=PATCH_PX,
        img_size=TILE_PX,
        downsample_factor=2,
        chat_template=LLAVA_TEMPLATE,
    )
    return finished(AyaVisionForConditionalGeneration(config), processor)


def idefics2() -> Tiny:
    """A perceiver makes 16 tokens of any image, which look like a grid of 4 x 4 but are none."""
    tokenizer = byte_tokenizer(["<fake_token_around_image>", "<image>", "<end_of_utterance>"])
    config = Idefics2Config(
        vision_config={**vision_options(), "model_type": "idefics2_vision"},
        perceiver_config={
            "hidden_size": 32,
            "resampler_n_latents": 16,
            "resampler_depth": 1,
            "resampler_n_heads": 2,
            "resampler_head_dim": 16,
            "num_key_value_heads": 2,
        },
        text_config=MistralConfig(**text_options(tokenizer), head_dim=8),
        image_token_id=token_id(tokenizer, "<image>"),
    )
    resizer = Idefics2ImageProcessorPil(
        size={"shortest_edge": TILE_PX, "longest_edge": TILE_PX}, do_image_splitting=False
    )
    processor = Idefics2Processor(resizer, tokenizer, image_seq_len=16, chat_template=IDEFICS_TEMPLATE)
    return finished(Idefics2ForConditionalGeneration(config), processor)


def finished(model: Any, processor: Any) -> Tiny:
    torch.manual_seed(0)
    model.eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() > 1 and "norm" not in name:
                weight.normal_(0, 0.2)
        model.lm_head.weight[:60] = 0
    model.generation_config.eos_token_id = processor.tokenizer.eos_token_id
    return Tiny(model, processor, family_of(model.config))


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("kind", READ_ALIKE)
def test_the_generic_family_reads_like_the_family_itself(kind: str, size: tuple[int, int]) -> None:
    lvlm, image = tiny(kind), noise(*size)
    expected = lvlm.family.read(lvlm.model, lvlm.processor, image, "What is it?")
    actual = generic(lvlm).read(lvlm.model, lvlm.processor, image, "What is it?")
    assert torch.equal(actual.patch_columns, expected.patch_columns)
    assert torch.equal(actual.inputs["input_ids"], expected.inputs["input_ids"])
    assert actual.places == expected.places
    for one, other in zip(actual.frames, expected.frames, strict=True):
        assert (one.name, one.rows, one.cols) == (other.name, other.rows, other.cols)
        # Measured from 8-bit colours: within one model pixel, and one colour step across the image.
        across, down = other.crop.width / other.width_px, other.crop.height / other.height_px
        for difference, pixel, length in zip(
            np.subtract(one.crop, other.crop), (across, down) * 2, (size[0], size[1]) * 2, strict=True
        ):
            assert abs(difference) <= pixel + length / 255


@pytest.mark.parametrize("kind", READ_ALIKE)
def test_painted_cells_confirm_the_columns(kind: str) -> None:
    lvlm = tiny(kind)
    generic(lvlm).check(lvlm.model, lvlm.processor)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("llava-full", "17 image tokens are no grid of the shape of a tile"),
        ("llava-next", "image tokens are no grid of the shape of a tile"),
        ("llava-onevision", "image tokens for .* tiles, expected the same number for each"),
        ("paligemma", "has no chat template"),
        ("gemma4", r"returns pixel_values \[1, 630, 48\], expected \[tiles, 3, height, width\]"),
        ("lfm2-vl", r"returns pixel_values \[., 64, 588\], expected"),
    ],
)
def test_what_is_no_grid_is_refused_with_the_reason(kind: str, reason: str) -> None:
    lvlm = tiny(kind)
    with pytest.raises(ValueError, match=reason):
        generic(lvlm).check(lvlm.model, lvlm.processor)


def test_a_reading_in_another_order_than_the_model_s_is_refused() -> None:
    lvlm = tiny("llava")

    class Mirrored:
        def read(self, model: Any, processor: Any, image: Image.Image, question: str) -> Any:
            reading = lvlm.family.read(model, processor, image, question)
            return reading._replace(patch_columns=reading.patch_columns.flip(0))

    check_columns(lvlm.family, lvlm.model, lvlm.processor, (320, 240))
    with pytest.raises(ValueError, match=r"painting a cell .* \(6 of 6 cells of a grid of 4 x 4\)"):
        check_columns(Mirrored(), lvlm.model, lvlm.processor, (320, 240))


def test_tokens_that_only_look_like_a_grid_are_refused() -> None:
    lvlm = idefics2()
    assert isinstance(lvlm.family, Generic)
    reading = lvlm.family.read(lvlm.model, lvlm.processor, noise(200, 200), "What is it?")
    assert reading.frames[0].rows == 4
    with pytest.raises(ValueError, match="the model's image tokens do not stand for the cells of a grid"):
        lvlm.family.check(lvlm.model, lvlm.processor)


@pytest.mark.parametrize("make", [aya])
def test_a_model_of_no_family_loads_answers_and_is_checked(make: Callable[[], Tiny], tmp_path: Path) -> None:
    save(make(), tmp_path)
    loaded = load(LoadOptions(model=str(tmp_path), device="cpu"))
    assert loaded.family.name == "aya_vision (generic)"
    reading = loaded.family.read(loaded.model, loaded.processor, noise(400, 180), "What is it?")
    assert [(frame.name, frame.rows, frame.cols) for frame in reading.frames] == [("detail", 2, 4), ("overview", 2, 2)]
    assert [frame.crop for frame in reading.frames] == [(0, 0, 400, 180)] * 2
    steps = [step for step in decode(loaded.model, reading, Sampling(max_new_tokens=4)) if isinstance(step, Step)]
    assert steps


def test_a_model_whose_columns_are_unknown_is_refused_when_it_is_loaded(tmp_path: Path) -> None:
    save(idefics2(), tmp_path)
    with pytest.raises(UnsupportedFamily, match=r"idefics2 \(generic\) model not supported: painting a cell"):
        load(LoadOptions(model=str(tmp_path), device="cpu"))


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_processor_that_distorts_the_image_is_refused(size: tuple[int, int]) -> None:
    lvlm = tiny("llava")
    inputs = lvlm.processor.image_processor(images=[position_image(*size)], return_tensors="pt")
    resizer = lvlm.processor.image_processor
    [tile] = measured_tiles(inputs, resizer, *size)
    assert tile.covers.width <= size[0] + 1
    assert isinstance(tile.covers, Rect)
    inputs["pixel_values"] = inputs["pixel_values"].flip(-1)
    with pytest.raises(NotTraced, match="more than crop, pad and stretch"):
        measured_tiles(inputs, resizer, *size)
    inputs["pixel_values"] = torch.zeros_like(inputs["pixel_values"])
    with pytest.raises(NotTraced, match="does not show the image"):
        measured_tiles(inputs, resizer, *size)
