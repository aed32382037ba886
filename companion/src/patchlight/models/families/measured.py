"""What an image processor does to an image, measured: an image whose colours are positions goes through it.

Red grows from left to right and green from top to bottom, and blue is full, so a straight line through the columns and
rows of an output gives the rectangle of the source that it covers. Padding has another blue.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from ..reading import Rect


class Tile(NamedTuple):
    """One array that the encoder receives: its size in model pixels, and the rectangle of the source that it covers."""

    width: int
    height: int
    covers: Rect

    def trimmed(self, patch_height: int, patch_width: int) -> "Tile":
        """Leave out the remainder on the right and at the bottom that is smaller than a patch; encoders drop it."""
        width, height = self.width - self.width % patch_width, self.height - self.height % patch_height
        if (width, height) == (self.width, self.height) or not width or not height:
            return self
        x, y, across, down = self.covers
        return Tile(width, height, Rect(x, y, across * width / self.width, down * height / self.height))


class NotTraced(ValueError):
    """The pixels that an image processor returns are not those of a cropped, padded or stretched image."""


def position_image(width: int, height: int) -> Image.Image:
    """Return an image of this size whose colours are the positions of its pixels."""
    red = np.rint(255 * (np.arange(width) + 0.5) / width)
    green = np.rint(255 * (np.arange(height) + 0.5) / height)
    pixels = np.full((height, width, 3), 255, dtype=np.uint8)
    pixels[..., 0], pixels[..., 1] = red[None], green[:, None]
    return Image.fromarray(pixels)


def measured_tiles(inputs: Mapping[str, Any], resizer: Any, width: int, height: int) -> list[Tile]:
    """Return the tiles of `position_image(width, height)` in the order of the encoder.

    inputs: what the processor returned for that image. Raises NotTraced if its pixels are not RGB tiles, or not those
    of an image that was only cropped, padded, stretched and normalised.
    """
    values = inputs.get("pixel_values")
    if values is None or values.ndim not in (4, 5) or values.shape[-3] != 3:
        shape = None if values is None else list(values.shape)
        raise NotTraced(f"the image processor returns pixel_values {shape}, expected [tiles, 3, height, width]")
    tiles = values.float().numpy().reshape(-1, *values.shape[-3:])
    return [_measured(_colours(tile, resizer), width, height) for tile in tiles]


def _colours(tile: np.ndarray, resizer: Any) -> np.ndarray:
    """Undo normalising and rescaling: [3, h, w] from 0 to 1."""
    if getattr(resizer, "do_normalize", False):
        mean, std = (np.reshape(part, (-1, 1, 1)) for part in (resizer.image_mean, resizer.image_std))
        tile = tile * std + mean
    scale = resizer.rescale_factor if getattr(resizer, "do_rescale", False) else 1.0
    return tile / (scale * 255)


def _measured(colours: np.ndarray, width: int, height: int) -> Tile:
    red, green, blue = colours
    inside = (abs(blue - 1) < 0.02) & (np.minimum(red, green) < 0.999)
    rows, cols = (np.nonzero(inside.any(axis))[0] for axis in (1, 0))
    if len(rows) < 2 or len(cols) < 2:
        raise NotTraced("an array that the image processor returns does not show the image")
    block = slice(rows[0], rows[-1] + 1), slice(cols[0], cols[-1] + 1)
    x, step_x = _line(cols[0], red[block].mean(0), width)
    y, step_y = _line(rows[0], green[block].mean(1), height)
    tile_height, tile_width = colours.shape[1:]
    covers = Rect(x, y, step_x * tile_width, step_y * tile_height)
    return Tile(tile_width, tile_height, _snapped(covers, step_x, step_y, width, height))


def _line(first: int, shares: np.ndarray, length: int) -> tuple[float, float]:
    """Fit source position = start + step * column to positions given as shares of `length`; `first` is their column.

    Raises NotTraced if they are not on a line. The outermost ones, which resizing distorts, do not count.
    """
    at, positions = np.arange(len(shares)) + first + 0.5, shares * length
    inner = slice(1, -1) if len(shares) > 6 else slice(None)
    step, start = (float(value) for value in np.polyfit(at[inner], positions[inner], 1))
    # Two steps of an 8-bit colour, and what resizing rounds.
    if abs(start + step * at - positions)[inner].max() > 2 / 255 * length + step or step <= 0:
        raise NotTraced("the image processor does more than crop, pad and stretch the image")
    return start, step


def _snapped(rect: Rect, step_x: float, step_y: float, width: int, height: int) -> Rect:
    """Move edges that are within 1.5 model pixels of the image's to them: the measurement has 8 bits."""

    def snap(edge: float, length: int, step: float) -> float:
        tolerance = 1.5 * abs(step) + length / 255
        return next((float(target) for target in (0, length) if abs(edge - target) <= tolerance), edge)

    left, right = snap(rect.x, width, step_x), snap(rect.x + rect.width, width, step_x)
    top, bottom = snap(rect.y, height, step_y), snap(rect.y + rect.height, height, step_y)
    return Rect(left, top, right - left, bottom - top)
