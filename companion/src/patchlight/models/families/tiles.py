"""Tiles: parts of an enlarged image that the encoder reads one by one, next to the image as a whole."""

from typing import NamedTuple

import torch
from torch import Tensor

from ..reading import Frame, Place, Trace, grid_places


class TiledColumns(NamedTuple):
    """Frames with the columns [P] and the places of their patches, in the order of a `Reading`."""

    frames: tuple[Frame, ...]
    columns: Tensor
    places: tuple[Place, ...]


class Grid(NamedTuple):
    """One tile: its image tokens' columns [rows * cols], row-major, and its index in the order of the encoder."""

    columns: Tensor
    rows: int
    cols: int
    tile: int


def whole_image(trace: Trace, grid: Grid) -> TiledColumns:
    """Return an image that is read once, as a whole, in one frame."""
    places = tuple(grid_places(grid.tile, grid.rows, grid.cols))
    return TiledColumns((trace.framed("image", grid.rows, grid.cols),), grid.columns, places)


def joined_tiles(
    detail: Trace, tiles: list[Grid], across: int, overview: tuple[Trace, Grid] | None = None
) -> TiledColumns:
    """Join tiles of equal size, in row-major order with `across` per row, to one frame.

    With an overview, the frames are `detail` and `overview`; without, there is one frame, `image`.
    """
    down, (rows, cols) = len(tiles) // across, tiles[0][1:3]
    stacked = torch.stack([tile.columns for tile in tiles]).view(down, across, rows, cols)
    columns = stacked.transpose(1, 2).reshape(-1)
    places = [
        Place(0, tiles[row // rows * across + col // cols].tile, row % rows, col % cols)
        for row in range(down * rows)
        for col in range(across * cols)
    ]
    if overview is None:
        return TiledColumns((detail.framed("image", down * rows, across * cols),), columns, tuple(places))
    trace, grid = overview
    return TiledColumns(
        (detail.framed("detail", down * rows, across * cols), trace.framed("overview", grid.rows, grid.cols)),
        torch.cat([columns, grid.columns]),
        (*places, *grid_places(grid.tile, grid.rows, grid.cols)),
    )
