"""LLaVA-OneVision: tiles like LLaVA-NeXT's, but if there are many, their joined features are resized to fewer."""

import math
from typing import Any

from ..reading import Lvlm
from ..sizes import side
from .llava_next import LlavaNext


class LlavaOnevision(LlavaNext):
    """With `anyres_max_9`, the joined tiles have as many tokens as nine tiles, give or take."""

    name = "LLaVA-OneVision"
    model_types = ("llava_onevision",)

    def patches_per_side(self, model: Lvlm, processor: Any, tile_px: int) -> int:
        """Return the number of patches along one side of a tile."""
        vision = model.config.vision_config
        return side(vision.image_size, "image_size") // side(vision.patch_size, "patch_size")

    def shrunk_grid(self, model: Lvlm, rows: int, cols: int, k: int) -> tuple[int, int]:
        """Return the grid to which the model resizes the unpadded features; k is the number of patches per side."""
        tiles = int(model.config.vision_aspect_ratio.removeprefix("anyres_max_"))
        ratio = math.sqrt(rows * cols / (tiles * k * k))
        return (int(rows // ratio), int(cols // ratio)) if ratio > 1.1 else (rows, cols)
