"""Gemma 4: the image at its aspect ratio, with one token per block of encoder patches (such as 3 x 3)."""

from typing import Any

from PIL import Image

from ..reading import Lvlm, Reading, Trace, check_token_count, columns_of, encode_question, grid_places, resampling_name
from .base import BaseFamily


class Gemma4(BaseFamily):
    """Both sides are rounded down to whole tokens, so the image is stretched slightly."""

    name = "Gemma 4"
    model_types = ("gemma4",)

    def read(self, model: Lvlm, processor: Any, image: Image.Image, question: str) -> Reading:
        """Read the image as one frame, `image`: the whole image in pooled patches."""
        inputs = encode_question(processor, image, question, image_token=processor.image_token)
        # A count that only the processor needs.
        inputs.pop("num_soft_tokens_per_image", None)
        image_columns, prompt_columns = columns_of(inputs, model.config.image_token_id)
        resizer = processor.image_processor
        # The positions (x, y) of encoder patches; those of padding are -1.
        encoder_cols, encoder_rows = (inputs["image_position_ids"][0].amax(0) + 1).tolist()
        pool, patch = resizer.pooling_kernel_size, resizer.patch_size
        rows, cols = encoder_rows // pool, encoder_cols // pool
        check_token_count(len(image_columns), rows * cols, f"an image of {rows} x {cols} patches")
        trace = Trace.of(image).resized(encoder_cols * patch, encoder_rows * patch)
        steps = (
            f"stretched to {trace.width} x {trace.height} px ({resampling_name(resizer.resample)}), {pool} x {pool} "
            f"encoder patches of {patch} px per token"
        )
        places = tuple(grid_places(0, rows, cols))
        return Reading(inputs, (trace.framed("image", rows, cols),), image_columns, prompt_columns, steps, places)
