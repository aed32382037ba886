"""InternVL: the image stretched to tiles of one size, row by row, then as a whole."""

import math
from typing import Any

from PIL import Image
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import get_optimal_tiled_canvas

from ..reading import Lvlm, Reading, Trace, check_token_count, columns_of, encode_question, resampling_name
from ..sizes import height_width
from .base import BaseFamily
from .tiles import Grid, joined_tiles, whole_image


class InternVl(BaseFamily):
    """Pools each tile to k x k tokens by pixel shuffle. An image of one tile is read once, as a whole."""

    name = "InternVL"
    model_types = ("internvl",)

    def read(self, model: Lvlm, processor: Any, image: Image.Image, question: str) -> Reading:
        """Read the image as `detail` (the joined tiles) and `overview`, or as `image` alone if it is not split."""
        inputs = encode_question(processor, image, question, image_token=processor.image_token)
        image_columns, prompt_columns = columns_of(inputs, model.config.image_token_id)
        resizer, count = processor.image_processor, inputs["pixel_values"].shape[0]
        k = math.isqrt(processor.image_seq_length)
        check_token_count(len(image_columns), count * k * k, f"{count} tiles of {k} x {k} patches")
        height, width = height_width(resizer.size)
        grids = [Grid(columns, k, k, tile) for tile, columns in enumerate(image_columns.split(k * k))]
        overview, filter_name = Trace.of(image).resized(width, height), resampling_name(resizer.resample)
        steps = f"stretched to {width} x {height} px ({filter_name})"
        if count == 1:
            frames, patch_columns, places = whole_image(overview, grids[0])
            return Reading(inputs, frames, patch_columns, prompt_columns, steps, places)
        # The thumbnail follows the tiles.
        size, fewest, most = (image.height, image.width), resizer.min_patches, resizer.max_patches
        across, down = get_optimal_tiled_canvas(size, (height, width), fewest, most)
        if across * down != count - 1:
            raise ValueError(
                f"the image processor made {count - 1} tiles, expected {across} x {down} for {image.width} x "
                f"{image.height} px"
            )
        detail = Trace.of(image).resized(across * width, down * height)
        frames, patch_columns, places = joined_tiles(detail, grids[:-1], across, (overview, grids[-1]))
        steps = (
            f"stretched to {detail.width} x {detail.height} px ({filter_name}), split into {across} x {down} tiles; "
            f"plus the whole image {steps}"
        )
        return Reading(inputs, frames, patch_columns, prompt_columns, steps, places)
