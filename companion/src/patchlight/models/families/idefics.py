"""Idefics3 and SmolVLM: the picture in tiles, row by row, then whole; text between them says which tile comes."""

import math
import re
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from ..reading import Frame, Lvlm, Place, Reading, Trace, ask, columns_of, expect_tokens, grid_places, resampling_name

_TILE = re.compile(r"<row_(\d+)_col_(\d+)>")


class Idefics:
    """Each tile is pooled to k x k tokens (pixel shuffle). A picture too small to be cut is read once, whole."""

    name = "Idefics3 / SmolVLM"
    model_types = ("idefics3", "smolvlm")

    def refusal(self, config: Any) -> str | None:
        """Why a config of one of these model types does not work, or None."""
        return None

    def read(self, model: Lvlm, processor: Any, image: Image.Image, question: str) -> Reading:
        """Frames `detail`, the joined tiles, and `overview`; or `image` alone where the picture was not cut."""
        inputs = ask(processor, image, question, image_token=processor.image_token)
        image_columns, prompt_columns = columns_of(inputs, model.config.image_token_id)
        runs = _runs(image_columns)
        k = math.isqrt(processor.image_seq_len)
        for run in runs:
            expect_tokens(len(run), k * k, f"each tile of {k} x {k} patches")
        expect_tokens(len(image_columns), inputs["pixel_values"].shape[1] * k * k, "the number of tiles")
        resizer = processor.image_processor
        side, filter_name = resizer.max_image_size["longest_edge"], resampling_name(resizer.resample)
        overview = Trace.of(image).resized(side, side)
        if len(runs) == 1:
            frame = overview.framed("image", k, k)
            words = f"stretched to {side} x {side} px ({filter_name})"
            return Reading(inputs, (frame,), image_columns, prompt_columns, words, tuple(grid_places(0, k, k)))

        down, across = _last_tile(processor.tokenizer, inputs["input_ids"][0], runs)
        expect_tokens(len(runs), down * across + 1, f"{down} x {across} tiles and an overview")
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
        words = (
            f"stretched to {detail.width} x {detail.height} px ({filter_name}), read in {across} x {down} tiles of "
            f"{side} px; and once more whole, stretched to {side} x {side} px"
        )
        return Reading(inputs, frames, patch_columns, prompt_columns, words, tuple(places))

    def decoder(self, model: Lvlm) -> nn.Module:
        """The language model without its vocabulary layer; its output has passed the final norm."""
        return model.model.text_model

    def layers(self, model: Lvlm) -> nn.ModuleList:
        """The language model's layers, first to last."""
        return model.model.text_model.layers


def _runs(columns: Tensor) -> list[Tensor]:
    """Columns in stretches without a gap: one a tile, since a marker stands before each."""
    breaks = (columns.diff() > 1).nonzero()[:, 0] + 1
    return list(columns.tensor_split(breaks.tolist()))


def _last_tile(tokenizer: Any, ids: Tensor, runs: list[Tensor]) -> tuple[int, int]:
    """Rows and columns of tiles, from the marker before the last of them: `<row_2_col_3>`.

    It is read from the tokens because tiles in 2 x 3 and in 3 x 2 have the same pixels' shape.
    """
    gap = ids[int(runs[-3][-1]) + 1 if len(runs) > 2 else 0 : int(runs[-2][0])]
    marks = _TILE.findall(tokenizer.decode(gap, skip_special_tokens=False))
    if not marks:
        raise ValueError("the prompt does not say which tile is which: want markers such as <row_1_col_1>")
    row, col = marks[-1]
    return int(row), int(col)
