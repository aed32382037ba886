"""A question about several images, for any family.

A family reads one image. Each image is read alone first, which gives its frames and which of its image tokens are
patches; then all of them are encoded in one prompt, where the tokens of each image follow those of the one before, in
the same order. The check below refuses models that read an image differently when there are others.
"""

from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from transformers import BatchFeature

from .families.generic import image_token
from .families.registry import Family
from .reading import Lvlm, Reading, columns_of, encode_images


def read_images(family: Family, model: Lvlm, processor: Any, images: Sequence[Image.Image], question: str) -> Reading:
    """Build the model inputs for upright images, in order, and a question about them.

    The frames of the k-th image have `image == k`. Raises ValueError if that is impossible, as when the model was made
    for one image, or reads one of several in another way than a single one.
    """
    if not images:
        raise ValueError("the question has no image")
    if len(images) == 1:
        return family.read(model, processor, images[0], question)
    if processor.chat_template is None:
        raise ValueError(f"{family.name} has no chat template, so it reads one image per question: {len(images)} given")
    number, text = image_token(model, processor)
    alone = [family.read(model, processor, image, question) for image in images]
    encoded = encode_images(processor, images, question, image_token=text)
    # The family leaves out what only the processor needs.
    inputs = BatchFeature({name: value for name, value in encoded.items() if name in alone[0].inputs})
    columns, prompt_columns = columns_of(inputs, number)
    own = [columns_of(reading.inputs, number)[0] for reading in alone]
    counts = [len(part) for part in own]
    if sum(counts) != len(columns):
        raise ValueError(
            f"{family.name} reads one of several images in another way than a single one ({len(columns)} image tokens "
            f"together, {' + '.join(map(str, counts))} alone): ask about one image at a time"
        )
    parts = zip(columns.split(counts), own, alone, strict=True)
    return Reading(
        inputs,
        tuple(frame._replace(image=at) for at, reading in enumerate(alone) for frame in reading.frames),
        torch.cat([part[torch.searchsorted(before, reading.patch_columns)] for part, before, reading in parts]),
        _without(prompt_columns, inputs, alone, number),
        _preprocessing(alone),
        tuple(place._replace(image=at) for at, reading in enumerate(alone) for place in reading.places),
        alone[0].answer_type,
    )


def _without(columns: Tensor, inputs: BatchFeature, alone: Sequence[Reading], image_id: int) -> Tensor:
    """Leave out what the family does not count as text of the prompt, such as the tokens between Pixtral's rows."""
    left_out: set[int] = set()
    for reading in alone:
        _, text = columns_of(reading.inputs, image_id)
        rest = text[~torch.isin(text, reading.prompt_columns)]
        left_out |= set(reading.inputs["input_ids"][0, rest].tolist())
    ids = inputs["input_ids"][0, columns]
    return columns[~torch.isin(ids, torch.tensor(sorted(left_out), dtype=ids.dtype))]


def _preprocessing(alone: Sequence[Reading]) -> str:
    steps = [reading.preprocessing for reading in alone]
    if len(set(steps)) == 1:
        return f"each image {steps[0]}"
    return "; ".join(f"image {at}: {step}" for at, step in enumerate(steps, 1))
