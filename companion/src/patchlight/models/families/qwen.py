"""Qwen2-VL, Qwen2.5-VL, Qwen3-VL and GLM-4V: the image at close to its original size, with one token per 2 x 2 encoder
patches.
"""

from typing import Any

from PIL import Image

from ..reading import Lvlm, Reading, Trace, check_token_count, columns_of, encode_question, grid_places, resampling_name
from .base import BaseFamily


class QwenVl(BaseFamily):
    """The grid follows the image's aspect ratio. Both sides are rounded to whole tokens, so the image is stretched
    slightly.
    """

    def __init__(self, name: str, *model_types: str):
        self.name, self.model_types = name, model_types

    def read(self, model: Lvlm, processor: Any, image: Image.Image, question: str) -> Reading:
        """Read the image as one frame, `image`: the whole image in merged patches."""
        inputs = encode_question(processor, image, question, image_token=processor.image_token)
        image_columns, prompt_columns = columns_of(inputs, model.config.image_token_id)
        resizer = processor.image_processor
        _, encoder_rows, encoder_cols = inputs["image_grid_thw"][0].tolist()
        merge, patch = resizer.merge_size, resizer.patch_size
        rows, cols = encoder_rows // merge, encoder_cols // merge
        trace = Trace.of(image).resized(encoder_cols * patch, encoder_rows * patch)
        check_token_count(len(image_columns), rows * cols, f"an image of {rows} x {cols} patches")
        steps = (
            f"stretched to {trace.width} x {trace.height} px ({resampling_name(resizer.resample)}), "
            f"{merge} x {merge} encoder patches of {patch} px per token"
        )
        places = tuple(grid_places(0, rows, cols))
        return Reading(inputs, (trace.framed("image", rows, cols),), image_columns, prompt_columns, steps, places)
