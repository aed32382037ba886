"""Gemma 3: the image stretched to a square. With pan and scan, an elongated image is also read in crops along its
longer side.
"""

import math
from typing import Any

from PIL import Image

from ..reading import (
    Lvlm,
    Reading,
    Trace,
    check_token_count,
    columns_of,
    encode_question,
    resampling_name,
)
from .base import BaseFamily
from .tiles import Grid, joined_tiles, whole_image


class Gemma3(BaseFamily):
    """Reads an image as k x k tokens (such as 16 x 16), each the mean of several encoder patches (such as 4 x 4)."""

    name = "Gemma 3"
    model_types = ("gemma3",)

    def read(self, model: Lvlm, processor: Any, image: Image.Image, question: str) -> Reading:
        """Read the image as one frame, `image`, or, with crops, as `detail` (the joined crops) and `overview`."""
        inputs = encode_question(processor, image, question, image_token=processor.image_token)
        image_columns, prompt_columns = columns_of(inputs, model.config.image_token_id)
        images = inputs["pixel_values"].shape[0]
        k = math.isqrt(processor.image_seq_length)
        check_token_count(len(image_columns), images * k * k, f"{images} images of {k} x {k} patches")
        resizer = processor.image_processor
        width, height = resizer.size["width"], resizer.size["height"]
        overview = Trace.of(image).resized(width, height)
        steps = f"stretched to {width} x {height} px ({resampling_name(resizer.resample)})"
        crops = images - 1
        grids = [Grid(columns, k, k, tile) for tile, columns in enumerate(image_columns.split(k * k))]
        if crops == 0:
            frames, patch_columns, places = whole_image(overview, grids[0])
            return Reading(inputs, frames, patch_columns, prompt_columns, steps, places)

        across, down = (crops, 1) if image.width >= image.height else (1, crops)
        # All crops have the same size, rounded up; the last may be a few pixels short and is stretched to match.
        crop_width, crop_height = math.ceil(image.width / across), math.ceil(image.height / down)
        joined = Trace.of(image).cropped(0, 0, across * crop_width, down * crop_height)
        detail = joined.resized(across * width, down * height)
        frames, patch_columns, places = joined_tiles(detail, grids[1:], across, (overview, grids[0]))
        steps += f"; plus {crops} crops along the longer side, each {steps}"
        return Reading(inputs, frames, patch_columns, prompt_columns, steps, places)
