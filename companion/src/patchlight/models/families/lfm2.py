"""LFM2-VL: a large image in square tiles, row by row, then as a whole; a smaller one once, at close to its size."""

from typing import Any

from PIL import Image
from torch import Tensor

from ..reading import Lvlm, Reading, Trace, check_token_count, columns_of, encode_question, resampling_name
from .base import BaseFamily
from .tiles import Grid, joined_tiles, whole_image


class Lfm2Vl(BaseFamily):
    """Pools blocks of encoder patches (such as 2 x 2) to one token each."""

    name = "LFM2-VL"
    model_types = ("lfm2_vl",)

    def read(self, model: Lvlm, processor: Any, image: Image.Image, question: str) -> Reading:
        """Read the image as `detail` (the joined tiles) and `overview`, or as `image` alone if it is not split."""
        inputs = encode_question(processor, image, question, image_token=processor.image_token)
        image_columns, prompt_columns = columns_of(inputs, model.config.image_token_id)
        resizer = processor.image_processor
        patch, pool = resizer.encoder_patch_size, resizer.downsample_factor
        # Encoder patches per tile, [tiles, 2]: rows and columns.
        shapes: list[list[int]] = inputs["spatial_shapes"].tolist()
        grids = _split(image_columns, [(rows // pool, cols // pool) for rows, cols in shapes])
        whole_rows, whole_cols = shapes[-1]
        overview = Trace.of(image).resized(whole_cols * patch, whole_rows * patch)
        filter_name = resampling_name(resizer.resample)
        steps = f"stretched to {overview.width} x {overview.height} px ({filter_name})"
        if len(grids) == 1:
            frames, patch_columns, places = whole_image(overview, grids[0])
            return Reading(inputs, frames, patch_columns, prompt_columns, steps, places)
        has_overview = resizer.use_thumbnail
        tiles = grids[:-1] if has_overview else grids
        down, across = resizer.tile_grid(image.height, image.width)
        if across * down != len(tiles):
            raise ValueError(f"the image processor made {len(tiles)} tiles, expected {across} x {down}")
        width, height = across * resizer.tile_size, down * resizer.tile_size
        detail = Trace.of(image).resized(width, height)
        frames, patch_columns, places = joined_tiles(
            detail, tiles, across, (overview, grids[-1]) if has_overview else None
        )
        tiled = f"stretched to {width} x {height} px ({filter_name}), split into {across} x {down} tiles"
        steps = f"{tiled}; plus the whole image {steps}" if has_overview else tiled
        return Reading(inputs, frames, patch_columns, prompt_columns, steps, places)


def _split(columns: Tensor, shapes: list[tuple[int, int]]) -> list[Grid]:
    """Split the columns of all image tokens into the tiles' grids."""
    counts = [rows * cols for rows, cols in shapes]
    check_token_count(len(columns), sum(counts), f"{len(shapes)} tiles of {', '.join(map(str, counts))} patches")
    parts = columns.split(counts)
    return [Grid(part, rows, cols, tile) for tile, (part, (rows, cols)) in enumerate(zip(parts, shapes, strict=True))]
