"""PaliGemma and PaliGemma 2: the image stretched to a square. Image and question see each other in both directions;
only the answer is causal.
"""

import math
from typing import Any

from PIL import Image

from ..reading import Lvlm, Reading, Trace, check_token_count, columns_of, encode_question, grid_places, resampling_name
from .base import BaseFamily

_PROMPT = "<image>{question}"


class PaliGemma(BaseFamily):
    """Reads an image as k x k tokens. It has no chat template: the question is the prompt."""

    name = "PaliGemma"
    model_types = ("paligemma",)

    def read(self, model: Lvlm, processor: Any, image: Image.Image, question: str) -> Reading:
        """Read the image as one frame, `image`."""
        inputs = encode_question(processor, image, question, image_token=processor.image_token, fallback_prompt=_PROMPT)
        # They are for training.
        inputs.pop("labels", None)
        image_columns, prompt_columns = columns_of(inputs, model.config.image_token_id)
        k = math.isqrt(processor.image_seq_length)
        check_token_count(len(image_columns), k * k, f"an image of {k} x {k} patches")
        size, filter_name = processor.image_processor.size, resampling_name(processor.image_processor.resample)
        frame = Trace.of(image).resized(size["width"], size["height"]).framed("image", k, k)
        steps = f"stretched to {frame.width_px} x {frame.height_px} px ({filter_name})"
        places = tuple(grid_places(0, k, k))
        # Type 0 is the prefix, whose tokens see all of it; with that type, answer tokens would see later ones.
        return Reading(inputs, (frame,), image_columns, prompt_columns, steps, places, answer_type=1)
