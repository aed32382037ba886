"""Idefics3 and SmolVLM: the image in tiles, row by row, then as a whole. A text marker before each tile names its row
and column.
"""

import math
import re
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from ..reading import (
    Frame,
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

_TILE = re.compile(r"<row_(\d+)_col_(\d+)>")


class Idefics:
    """Pools each tile to k x k tokens by pixel shuffle. An image too small to be split is read once, as a whole."""

    name = "Idefics3 / SmolVLM"
    model_types = ("idefics3", "smolvlm")

    def unsupported_reason(self, config: Any) -> str | None:
        """Return why a config of one of these model types is not supported, or None if it is supported."""
        return None

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
        if len(runs) == 1:
            frame = overview.framed("image", k, k)
            steps = f"stretched to {side} x {side} px ({filter_name})"
            return Reading(inputs, (frame,), image_columns, prompt_columns, steps, tuple(grid_places(0, k, k)))

        down, across = _tile_grid(processor.tokenizer, inputs["input_ids"][0], runs)
        if len(runs) != down * across + 1:
            raise ValueError(f"the prompt has {len(runs)} tiles, expected {down} x {across} and an overview")
        detail = Trace.of(image).resized(across * side, down * side)
        frames: tuple[Frame, ...] = (
            detail.framed("detail", down * k, across * k),
            overview.framed("overview", k, k),
        )
        tiles = torch.stack(runs[:-1]).view(down, across, k, k)
        patch_columns = torch.cat([tiles.transpose(1, 2).reshape(-1), runs[-1]])
        places = [
            Place(0, row // k * across + col // k, row % k, col % k)
            for row in range(down * k)
            for col in range(across * k)
        ] + grid_places(down * across, k, k)
        steps = (
            f"stretched to {detail.width} x {detail.height} px ({filter_name}), split into {across} x {down} tiles of "
            f"{side} px; plus the whole image stretched to {side} x {side} px"
        )
        return Reading(inputs, frames, patch_columns, prompt_columns, steps, tuple(places))

    def decoder(self, model: Lvlm) -> nn.Module:
        """Return the language model up to and including its final norm, without the LM head."""
        return model.model.text_model

    def layers(self, model: Lvlm) -> nn.ModuleList:
        """Return the language model's layers, first to last."""
        return model.model.text_model.layers


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
