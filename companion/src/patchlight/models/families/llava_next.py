"""LLaVA-NeXT (LLaVA-1.6): the whole image, plus the image enlarged and split into tiles. Patches that are only padding
are removed after encoding.
"""

from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from transformers.image_processing_utils import get_patch_output_size, select_best_resolution
from transformers.image_utils import ChannelDimension
from transformers.models.llava_next.modeling_llava_next import unpad_image

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
from ..sizes import side as side_of
from .base import BaseFamily
from .llava import PROMPT, unsupported_tower


class LlavaNext(BaseFamily):
    """Image tokens: the overview's patches, then the joined tiles row by row, with a newline token after each row."""

    name = "LLaVA-NeXT"
    model_types = ("llava_next",)

    def unsupported_reason(self, config: Any) -> str | None:
        """Return why a config of one of these model types is not supported, or None if it is supported."""
        full = config.vision_feature_select_strategy == "full"
        if full and config.vision_config.model_type == "clip_vision_model":
            return "vision_feature_select_strategy 'full' adds a class token to each tile, which shifts its rows"
        return unsupported_tower(config)

    def read(self, model: Lvlm, processor: Any, image: Image.Image, question: str) -> Reading:
        """Read the image as `detail` (the joined tiles without padding) and `overview` (the whole image).

        An image so elongated that unpadding removes all tile patches is read as one frame, `image`.
        """
        inputs = encode_question(processor, image, question, image_token=processor.image_token, fallback_prompt=PROMPT)
        image_columns, prompt_columns = columns_of(inputs, model.config.image_token_id)
        resizer = processor.image_processor
        side = _tile_px(resizer)
        k = self.patches_per_side(model, processor, side)
        height, width = select_best_resolution((image.height, image.width), resizer.image_grid_pinpoints)
        down, across = height // side, width // side

        # Apply the model's own unpadding to patch numbers instead of features.
        numbers = torch.arange(down * k * across * k).view(1, down * k, across * k)
        unpadded = unpad_image(numbers, (image.height, image.width))[0]
        rows, cols = self.shrunk_grid(model, unpadded.shape[0], unpadded.shape[1], k)
        expected = k * k + rows * (cols + 1)
        what = f"an image of {rows} x {cols} patches and an overview of {k} x {k}"
        check_token_count(len(image_columns), expected, what)
        overview = Trace.of(image).resized(side, side)
        filter_name = resampling_name(resizer.resample)
        if rows == 0 or cols == 0:
            steps = f"stretched to {side} x {side} px ({filter_name})"
            columns, places = image_columns[: k * k], tuple(grid_places(0, k, k))
            return Reading(inputs, (overview.framed("image", k, k),), columns, prompt_columns, steps, places)

        # Patches are side / k pixels apart: 384 / 27 for SigLIP, whose encoder leaves 6 px of each tile unread.
        pitch = side / k
        top, left = divmod(int(unpadded[0, 0]), across * k)
        covered_height, covered_width = (count * pitch for count in unpadded.shape)
        rect = _padded(image, height, width).part(left * pitch, top * pitch, covered_width, covered_height)
        frames = (
            Frame("detail", rect, rows, cols, round(covered_width), round(covered_height)),
            overview.framed("overview", k, k),
        )
        lines = image_columns[k * k :].view(rows, cols + 1)
        patch_columns = torch.cat([lines[:, :cols].reshape(-1), image_columns[: k * k]])
        kept = unpadded[_nearest(unpadded.shape[0], rows)][:, _nearest(unpadded.shape[1], cols)]
        places = [_place(int(number), k, across) for number in kept.flatten()] + grid_places(0, k, k)
        steps = (
            f"fitted into {width} x {height} px ({filter_name}), padded, split into {across} x {down} tiles of "
            f"{side} px; plus the whole image stretched to {side} x {side} px"
        )
        return Reading(inputs, frames, patch_columns, prompt_columns, steps, tuple(places))

    def patches_per_side(self, model: Lvlm, processor: Any, tile_px: int) -> int:
        """Return the number of patches along one side of a tile."""
        return tile_px // side_of(processor.patch_size, "patch_size of the processor")

    def shrunk_grid(self, model: Lvlm, rows: int, cols: int, k: int) -> tuple[int, int]:
        """Return the grid to which the model resizes the unpadded features; k is the number of patches per side."""
        return rows, cols


def _nearest(count: int, kept: int) -> Tensor:
    """For each of `kept` evenly spaced positions, the nearest of `count`; [kept] int64."""
    return ((torch.arange(kept) + 0.5) * count / max(kept, 1)).long()


def _tile_px(resizer: Any) -> int:
    """Return the side of a tile in pixels: the crop height, or the resized height if tiles are not cropped.

    Raises ValueError if the processor would change the size of a tile when resizing it.
    """
    side = resizer.crop_size["height"] if resizer.crop_size else resizer.size.get("height")
    edge = resizer.size.get("shortest_edge") or resizer.size.get("height")
    if side != edge:
        raise ValueError(f"the processor cuts tiles of {side} px but resizes them to {edge} px; both must be equal")
    return side


def _padded(image: Image.Image, height: int, width: int) -> Trace:
    # `get_patch_output_size` only uses the array's shape.
    shape = np.broadcast_to(np.uint8(0), (3, image.height, image.width))
    fitted_height, fitted_width = get_patch_output_size(shape, (height, width), ChannelDimension.FIRST)
    x, y = (width - fitted_width) // 2, (height - fitted_height) // 2
    return Trace.of(image).resized(fitted_width, fitted_height).cropped(-x, -y, width, height)


def _place(number: int, k: int, across: int) -> Place:
    """Place of patch `number`, counting row by row over the joined tiles of k x k patches; tile 0 is the overview."""
    row, col = divmod(number, across * k)
    return Place(0, 1 + row // k * across + col // k, row % k, col % k)
