"""Pixtral's vision tower, in Mistral 3 and LLaVA: the image scaled to fit, with one token per patch or block of patches,
and a break token after each row.
"""

from typing import Any

from PIL import Image

from ..reading import Lvlm, Reading, Trace, check_token_count, columns_of, encode_question, grid_places, resampling_name
from .base import BaseFamily


class Pixtral(BaseFamily):
    """The grid follows the image's aspect ratio; both sides are rounded up to whole tokens."""

    name = "Mistral 3 / Pixtral"
    model_types = ("mistral3", "mistral_large4")

    def read(self, model: Lvlm, processor: Any, image: Image.Image, question: str) -> Reading:
        """Read the image as one frame, `image`."""
        reading = read_pixtral(model, processor, image, question)
        if len(reading.patch_columns) == 1:
            # transformers drops the dimension of tokens if it is 1, and fails.
            pitch = processor.patch_size * processor.spatial_merge_size
            raise ValueError(
                f"the image has {image.width} x {image.height} px, which is one token; {self.name} needs at least two: "
                f"use an image with a side of more than {pitch} px"
            )
        return reading


def read_pixtral(model: Lvlm, processor: Any, image: Image.Image, question: str) -> Reading:
    """Read an image with Pixtral's processor as one frame, `image`."""
    longest = processor.image_processor.size.get("longest_edge")
    if longest and min(image.size) * longest < max(image.size):
        raise ValueError(
            f"the image has {image.width} x {image.height} px; scaled to at most {longest} px, it would be thinner than "
            "one pixel: crop it"
        )
    inputs = encode_question(processor, image, question, image_token=processor.image_token)
    image_columns, prompt_columns = columns_of(inputs, model.config.image_token_id)
    height, width = (int(side) for side in inputs["image_sizes"][0])
    pitch = processor.patch_size * processor.spatial_merge_size
    rows, cols = height // pitch, width // pitch
    check_token_count(len(image_columns), rows * cols, f"an image of {rows} x {cols} patches")
    # The break tokens are neither patches nor part of the question.
    breaks = inputs["input_ids"][0, prompt_columns] == processor.image_break_token_id
    frame = Trace.of(image).resized(width, height).framed("image", rows, cols)
    steps = (
        f"stretched to {width} x {height} px ({resampling_name(processor.image_processor.resample)}), {pitch} x {pitch} "
        "px per token"
    )
    return Reading(inputs, (frame,), image_columns, prompt_columns[~breaks], steps, tuple(grid_places(0, rows, cols)))
