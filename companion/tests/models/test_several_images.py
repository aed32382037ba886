"""Compares readings of two images with the models: which pixels of which image each patch depends on."""

import numpy as np
import pytest
import torch
from PIL import Image

from patchlight.models.language_model import decoder_arguments, decoder_of
from patchlight.models.reading import Reading
from patchlight.models.several_images import read_images
from tests.helpers.tiny_models import KINDS, Tiny, tiny

QUESTION = "What is it?"
SIZES = ((400, 180), (150, 300))
# Their processors split a single image into tiles, but not one of several; or they have no template for a prompt.
ONE_IMAGE = {"llava-onevision", "llava-onevision-resized", "paligemma", "paligemma2"}


def noise(width: int, height: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(60, 200, (height, width, 3), dtype=np.uint8)


PIXELS = [noise(*size, seed) for seed, size in enumerate(SIZES)]


def read(lvlm: Tiny, pixels: list[np.ndarray]) -> Reading:
    return read_images(lvlm.family, lvlm.model, lvlm.processor, [Image.fromarray(part) for part in pixels], QUESTION)


def patch_embeddings(lvlm: Tiny, reading: Reading) -> torch.Tensor:
    embeds = decoder_arguments(lvlm.model, decoder_of(lvlm.model), reading.inputs)["inputs_embeds"]
    return embeds[0, reading.patch_columns]


@pytest.mark.parametrize("kind", KINDS)
def test_a_marked_square_changes_the_patch_of_its_image(kind: str) -> None:
    lvlm = tiny(kind, local=True)
    if kind in ONE_IMAGE:
        with pytest.raises(ValueError, match=r"one of several images in another way|one image per question"):
            read(lvlm, PIXELS)
        return
    reading = read(lvlm, PIXELS)
    before = patch_embeddings(lvlm, reading)
    assert len(before) == sum(frame.rows * frame.cols for frame in reading.frames) == len(reading.places)
    start = 0
    for frame in reading.frames:
        cells = frame.rows * frame.cols
        assert {place.image for place in reading.places[start : start + cells]} == {frame.image}
        row, col = frame.rows // 2, frame.cols // 3
        rect = frame.patch(row, col)
        left, top, right, bottom = (
            round(edge)
            for edge in (
                rect.x + rect.width * 0.2,
                rect.y + rect.height * 0.2,
                rect.x + rect.width * 0.8,
                rect.y + rect.height * 0.8,
            )
        )
        marked = [part.copy() for part in PIXELS]
        marked[frame.image][top:bottom, left:right] = 255 * (PIXELS[frame.image][top:bottom, left:right] < 128)
        change = (patch_embeddings(lvlm, read(lvlm, marked)) - before).norm(dim=1)
        assert divmod(int(change[start : start + cells].argmax()), frame.cols) == (row, col)
        others = [n for n, place in enumerate(reading.places) if place.image != frame.image]
        assert change[others].count_nonzero() == 0
        start += cells
    assert [frame.image for frame in reading.frames] == sorted(frame.image for frame in reading.frames)
    assert {frame.image for frame in reading.frames} == {0, 1}


@pytest.mark.parametrize("kind", ["qwen2.5-vl", "pixtral", "smolvlm"])
def test_the_columns_are_those_of_images_and_text(kind: str) -> None:
    lvlm = tiny(kind)
    one, two = read(lvlm, PIXELS[:1]), read(lvlm, PIXELS)
    ids = lambda reading: reading.inputs["input_ids"][0, reading.prompt_columns].tolist()  # noqa: E731
    question = lvlm.processor.tokenizer(QUESTION, add_special_tokens=False)["input_ids"]
    text = ids(two)
    assert any(text[at : at + len(question)] == question for at in range(len(text)))
    assert set(ids(one)) <= set(text)
    assert not set(two.patch_columns.tolist()) & set(two.prompt_columns.tolist())


def test_one_image_is_read_by_the_family() -> None:
    lvlm = tiny("qwen2.5-vl")
    alone = lvlm.family.read(lvlm.model, lvlm.processor, Image.fromarray(PIXELS[0]), QUESTION)
    assert read(lvlm, PIXELS[:1]).frames == alone.frames


def test_no_image_is_refused() -> None:
    with pytest.raises(ValueError, match="has no image"):
        read(tiny("qwen2.5-vl"), [])
