"""Idefics3 and SmolVLM: the image in tiles, row by row, then as a whole. A text marker before each tile names its row
and column.
"""

import math
import re
from typing import Any

from PIL import Image
from torch import Tensor

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

_TILE = re.compile(r"<row_(\d+)_col_(\d+)>")


class Idefics(BaseFamily):
    """Pools each tile to k x k tokens by pixel shuffle. An image too small to be split is read once, as a whole."""

    name = "Idefics3 / SmolVLM"
    model_types = ("idefics3", "smolvlm")

    def read(self, model: Lvlm, processor: Any, image: Image.Image, question: str) -> Reading:
        """Read the image as `detail` (the joined tiles) and `overview`, or as `image` alone if it is not split."""
        inputs = encode_question(processor, image, question, image_token=processor.image_token)
        image_columns, prompt_columns = columns_of(inputs, model.config.image_token_id)
        runs = _runs(image_columns)
        k = math.isqrt(processor.image_seq_len)
        for run in runs:
            check_token_count(len(run), k * k, f"a tile of {k} x {k} patches")
        tile_count = inputs["pixel_values"].shape[1]
        check_token_count(len(image_columns), tile_count * k * k, f"{tile_count} tiles of {k} x {k} patches")
        resizer = processor.image_processor
        side, filter_name = resizer.max_image_size["longest_edge"], resampling_name(resizer.resample)
        overview = Trace.of(image).resized(side, side)
        grids = [Grid(run, k, k, tile) for tile, run in enumerate(runs)]
        if len(runs) == 1:
            frames, patch_columns, places = whole_image(overview, grids[0])
            steps = f"stretched to {side} x {side} px ({filter_name})"
            return Reading(inputs, frames, patch_columns, prompt_columns, steps, places)

        down, across = _tile_grid(processor.tokenizer, inputs["input_ids"][0], runs)
        if len(runs) != down * across + 1:
            raise ValueError(f"the prompt has {len(runs)} tiles, expected {down} x {across} and an overview")
        detail = Trace.of(image).resized(across * side, down * side)
        frames, patch_columns, places = joined_tiles(detail, grids[:-1], across, (overview, grids[-1]))
        steps = (
            f"stretched to {detail.width} x {detail.height} px ({filter_name}), split into {across} x {down} tiles of "
            f"{side} px; plus the whole image stretched to {side} x {side} px"
        )
        return Reading(inputs, frames, patch_columns, prompt_columns, steps, places)


def _runs(columns: Tensor) -> list[Tensor]:
    """Split columns into contiguous runs: one per tile, because a marker precedes each tile."""
    breaks = (columns.diff() > 1).nonzero()[:, 0] + 1
    return list(columns.tensor_split(breaks.tolist()))


def _tile_grid(tokenizer: Any, ids: Tensor, runs: list[Tensor]) -> tuple[int, int]:
    """Return the rows and columns of the tile grid, read from the marker before the last tile: `<row_2_col_3>`.

    Only the tokens distinguish 2 x 3 tiles from 3 x 2, because the pixel arrays have the same shape.
    """
    gap = ids[int(runs[-3][-1]) + 1 if len(runs) > 2 else 0 : int(runs[-2][0])]
    markers = _TILE.findall(tokenizer.decode(gap, skip_special_tokens=False))
    if not markers:
        raise ValueError("the prompt does not name its tiles: expected markers such as <row_1_col_1>")
    row, col = markers[-1]
    return int(row), int(col)
