"""Check a reading against the model itself: paint a part of an image, and see which image tokens change most."""

from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image

from ..language_model import decoder_arguments, decoder_of
from ..reading import Frame, Lvlm, Reading

_QUESTION = "What is it?"
# Cells to paint, as shares of the grid's height and width.
_CELLS = ((0.1, 0.1), (0.1, 0.9), (0.5, 0.5), (0.9, 0.1), (0.9, 0.9), (0.3, 0.7))


class _Reader(Protocol):
    def read(self, model: Lvlm, processor: Any, image: Image.Image, question: str) -> Reading: ...


def check_columns(family: _Reader, model: Lvlm, processor: Any, size: tuple[int, int]) -> None:
    """Paint cells of an image one by one, and check that the token of that cell changes more than any other.

    Raises ValueError if that is so for fewer than five of six cells: the tokens do not follow the image's grid in the
    order that the family's reading states.
    """
    pixels = np.random.default_rng(0).integers(96, 160, (size[1], size[0], 3), dtype=np.uint8)
    before, reading = _embeddings(family, model, processor, pixels)
    frame, wrong = reading.frames[0], []
    for down, right in _CELLS:
        row, col = int(down * frame.rows), int(right * frame.cols)
        if (painted := _painted(pixels, frame, row, col)) is None:
            continue
        after, _ = _embeddings(family, model, processor, painted)
        change = (after - before).float().norm(dim=-1)[: frame.rows * frame.cols]
        if divmod(int(change.argmax()), frame.cols) != (row, col):
            wrong.append((row, col))
    if len(wrong) > 1:
        raise ValueError(
            f"painting a cell of the image changes other image tokens most ({len(wrong)} of {len(_CELLS)} cells of a grid "
            f"of {frame.rows} x {frame.cols}): the model's image tokens do not stand for the cells of a grid"
        )


def _embeddings(family: _Reader, model: Lvlm, processor: Any, pixels: np.ndarray) -> tuple[torch.Tensor, Reading]:
    """Return the embeddings [P, d] that the language model receives for the patches, and the reading."""
    reading = family.read(model, processor, Image.fromarray(pixels), _QUESTION)
    embeds = decoder_arguments(model, decoder_of(model), reading.inputs)["inputs_embeds"]
    return embeds[0, reading.patch_columns.to(embeds.device)], reading


def _painted(pixels: np.ndarray, frame: Frame, row: int, col: int) -> np.ndarray | None:
    """Paint the inner part of a cell black and white; None if the cell is outside the image."""
    rect = frame.patch(row, col)
    left, top = (round(start + share * 0.15) for start, share in ((rect.x, rect.width), (rect.y, rect.height)))
    right, bottom = (round(start + share * 0.85) for start, share in ((rect.x, rect.width), (rect.y, rect.height)))
    left, top, right, bottom = max(left, 0), max(top, 0), min(right, pixels.shape[1]), min(bottom, pixels.shape[0])
    if right <= left or bottom <= top:
        return None
    painted = pixels.copy()
    painted[top:bottom, left:right] = 0
    painted[top:bottom, left : (left + right) // 2] = 255
    return painted
