"""Gemma 3: the image stretched to a square. With pan and scan, an elongated image is also read in crops along its
longer side.
"""

import math
from typing import Any

import torch
from PIL import Image
from torch import nn

from ..reading import (
    Lvlm,
    Place,
    Reading,
    Trace,
    check_token_count,
    columns_of,
    encode_question,
    grid_places,
    resampling_name,
)


class Gemma3:
    """Reads an image as k x k tokens (such as 16 x 16), each the mean of several encoder patches (such as 4 x 4)."""

    name = "Gemma 3"
    model_types = ("gemma3",)

    def unsupported_reason(self, config: Any) -> str | None:
        """Return why a config of one of these model types is not supported, or None if it is supported."""
        return None

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
        if crops == 0:
            frame = overview.framed("image", k, k)
            return Reading(inputs, (frame,), image_columns, prompt_columns, steps, tuple(grid_places(0, k, k)))

        across, down = (crops, 1) if image.width >= image.height else (1, crops)
        # All crops have the same size, rounded up; the last may be a few pixels short and is stretched to match.
        crop_width, crop_height = math.ceil(image.width / across), math.ceil(image.height / down)
        joined = Trace.of(image).cropped(0, 0, across * crop_width, down * crop_height)
        detail = joined.resized(across * width, down * height)
        frames = (detail.framed("detail", down * k, across * k), overview.framed("overview", k, k))
        tiles = image_columns[k * k :].view(down, across, k, k)
        patch_columns = torch.cat([tiles.transpose(1, 2).reshape(-1), image_columns[: k * k]])
        places = [
            Place(0, 1 + row // k * across + col // k, row % k, col % k)
            for row in range(down * k)
            for col in range(across * k)
        ] + grid_places(0, k, k)
        steps += f"; plus {crops} crops along the longer side, each {steps}"
        return Reading(inputs, frames, patch_columns, prompt_columns, steps, tuple(places))

    def decoder(self, model: Lvlm) -> nn.Module:
        """Return the language model up to and including its final norm, without the LM head."""
        return model.model.language_model

    def layers(self, model: Lvlm) -> nn.ModuleList:
        """Return the language model's layers, first to last."""
        return model.model.language_model.layers
