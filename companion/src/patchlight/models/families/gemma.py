"""Gemma 3: the picture stretched to a square; where pan and scan is on, an oblong one again in crops along its length."""

import math
from typing import Any

import torch
from PIL import Image
from torch import nn

from ..reading import Lvlm, Place, Reading, Trace, ask, columns_of, expect_tokens, grid_places, resampling_name


class Gemma3:
    """k x k tokens a picture, each the mean of several encoder patches (16 x 16 of 4 x 4)."""

    name = "Gemma 3"
    model_types = ("gemma3",)

    def refusal(self, config: Any) -> str | None:
        """Why a config of one of these model types does not work, or None."""
        return None

    def read(self, model: Lvlm, processor: Any, image: Image.Image, question: str) -> Reading:
        """One frame, `image`; with crops, `detail` (the crops joined) and `overview` (the whole)."""
        inputs = ask(processor, image, question, image_token=processor.image_token)
        image_columns, prompt_columns = columns_of(inputs, model.config.image_token_id)
        pictures = inputs["pixel_values"].shape[0]
        k = math.isqrt(processor.image_seq_length)
        expect_tokens(len(image_columns), pictures * k * k, f"{pictures} times {k} x {k} patches")
        resizer = processor.image_processor
        width, height = resizer.size["width"], resizer.size["height"]
        overview = Trace.of(image).resized(width, height)
        words = f"stretched to {width} x {height} px ({resampling_name(resizer.resample)})"
        crops = pictures - 1
        if crops == 0:
            frame = overview.framed("image", k, k)
            return Reading(inputs, (frame,), image_columns, prompt_columns, words, tuple(grid_places(0, k, k)))

        across, down = (crops, 1) if image.width >= image.height else (1, crops)
        # Crops are of one size, rounded up: the last may lack a few pixels, and is stretched that much more.
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
        words += f"; and in {crops} crops along its length, each {words}"
        return Reading(inputs, frames, patch_columns, prompt_columns, words, tuple(places))

    def decoder(self, model: Lvlm) -> nn.Module:
        """The language model without its vocabulary layer; its output has passed the final norm."""
        return model.model.language_model

    def layers(self, model: Lvlm) -> nn.ModuleList:
        """The language model's layers, first to last."""
        return model.model.language_model.layers
