"""Any other model that transformers loads for images and text.

Nothing is assumed about how it reads an image. The columns are those of the image token; the grid comes from
`image_grid_thw`, or from the tiles and their shape; where the tiles are in the image is measured (`measured.py`). When
the model is loaded, `check_columns` paints parts of an image and compares which tokens change.
"""

import inspect
import math
from typing import Any

from PIL import Image
from torch import Tensor

from ..language_model import cross_attention_layers, decoder_of
from ..reading import Lvlm, Reading, Rect, Trace, check_token_count, columns_of, encode_question, grid_places
from ..sizes import height_width
from .base import BaseFamily
from .measured import Tile, measured_tiles, position_image
from .painting import check_columns
from .tiles import Grid, TiledColumns, joined_tiles, whole_image

_NOT_GENERATING = ("git", "kosmos-2", "pix2struct", "udop", "vision-encoder-decoder", "diffusion_gemma")


class Generic(BaseFamily):
    """A model of a type that has no family of its own."""

    def __init__(self, model_type: str):
        self.name, self.model_types = f"{model_type} (generic)", (model_type,)

    def unsupported_reason(self, config: Any) -> str | None:
        """Return why a config of this model type is not supported, or None if it may be."""
        if config.model_type in _NOT_GENERATING:
            return f"a {config.model_type} model does not continue a prompt that contains the image"
        if getattr(config, "is_encoder_decoder", False):
            return f"a {config.model_type} model has an encoder and a decoder, and reads the image by cross attention"
        if getattr(config, "vision_config", None) is None:
            return f"the config of a {config.model_type} model has no vision_config"
        return None

    def read(self, model: Lvlm, processor: Any, image: Image.Image, question: str) -> Reading:
        """Read the image as `image`, or as `detail` and `overview` if it is split into tiles."""
        token = image_token(model, processor)
        inputs = encode_question(processor, image, question, image_token=token[1])
        image_columns, prompt_columns = columns_of(inputs, token[0])
        if len(image_columns) == 0:
            raise ValueError(f"the prompt has no image token ({token[1]!r}, {token[0]})")
        if "image_grid_thw" in inputs:
            tiled, steps = _from_grid(inputs, processor.image_processor, image, image_columns)
        else:
            again = encode_question(processor, position_image(*image.size), question, image_token=token[1])
            tiles = measured_tiles(again, processor.image_processor, *image.size)
            check_token_count(len(columns_of(again, token[0])[0]), len(image_columns), "an image of this size")
            patch = getattr(model.config.vision_config, "patch_size", None)
            tiles = [tile.trimmed(*height_width(patch)) if patch else tile for tile in tiles]
            tiled, steps = from_tiles(tiles, image, image_columns)
        known = inspect.signature(model.model.forward).parameters
        for name in [name for name in inputs if name not in known]:
            # Counts that only the processor needs.
            del inputs[name]
        return Reading(inputs, tiled.frames, tiled.columns, prompt_columns, steps, tiled.places)

    def check(self, model: Lvlm, processor: Any) -> None:
        """Check on two images that the columns are where `read` says. Raises ValueError, also if `read` fails."""
        if crossing := cross_attention_layers(decoder_of(model)):
            raise ValueError(
                f"it reads the image by cross attention (in {len(crossing)} layers), so its prompt has no patches"
            )
        for size in ((320, 240), (200, 360)):
            check_columns(self, model, processor, size)


def image_token(model: Lvlm, processor: Any) -> tuple[int, str]:
    """Return the id and the text of the token that stands for a piece of an image. Raises ValueError if unknown."""
    config = model.config
    ids = [getattr(config, name, None) for name in ("image_token_id", "image_token_index")]
    number = next(
        (int(value) for value in [*ids, getattr(processor, "image_token_id", None)] if value is not None), None
    )
    if number is None:
        raise ValueError(f"the config of a {config.model_type} model names no image token (image_token_id)")
    text = getattr(processor, "image_token", None) or processor.tokenizer.convert_ids_to_tokens(number)
    return number, str(text)


def from_tiles(tiles: list[Tile], image: Image.Image, columns: Tensor) -> tuple[TiledColumns, str]:
    """Assign columns to tiles of equal numbers of tokens, and join the tiles. Raises ValueError if that is impossible."""
    share, rest = divmod(len(columns), len(tiles))
    if rest:
        raise ValueError(
            f"the prompt has {len(columns)} image tokens for {len(tiles)} tiles, expected the same number for each"
        )
    grids = [_grid(part, tile, at) for at, (part, tile) in enumerate(zip(columns.split(share), tiles, strict=True))]
    if len(tiles) == 1:
        return whole_image(_trace(tiles[0]), grids[0]), f"{_size(tiles[0])} px"
    views = [at for at, tile in enumerate(tiles) if _shows_all(tile.covers, image)]
    parts = [at for at in range(len(tiles)) if at not in views]
    if len(views) > 1 or not parts:
        raise ValueError(f"{len(views)} of the {len(tiles)} tiles show the whole image, expected at most one")
    xs = _starts([tiles[at].covers.x for at in parts], tiles[parts[0]].covers.width)
    ys = _starts([tiles[at].covers.y for at in parts], tiles[parts[0]].covers.height)
    if len(xs) * len(ys) != len(parts):
        raise ValueError(f"the {len(parts)} tiles form no grid: they start at {len(xs)} columns and {len(ys)} rows")
    order = sorted(parts, key=lambda at: (_nearest(ys, tiles[at].covers.y), _nearest(xs, tiles[at].covers.x)))
    first, last = tiles[order[0]].covers, tiles[order[-1]].covers
    size = (len(xs) * tiles[order[0]].width, len(ys) * tiles[order[0]].height)
    union = Rect(first.x, first.y, last.x + last.width - first.x, last.y + last.height - first.y)
    overview = (_trace(tiles[views[0]]), grids[views[0]]) if views else None
    steps = f"{len(xs)} x {len(ys)} tiles of {_size(tiles[order[0]])} px"
    if views:
        steps += f"; plus the whole image in {_size(tiles[views[0]])} px"
    return joined_tiles(Trace(*size, union), [grids[at] for at in order], len(xs), overview), steps


def _from_grid(inputs: Any, resizer: Any, image: Image.Image, columns: Tensor) -> tuple[TiledColumns, str]:
    """Read the grid of encoder patches, several of which may be one token."""
    times, encoder_rows, encoder_cols = inputs["image_grid_thw"][0].tolist()
    merge = getattr(resizer, "merge_size", None) or math.isqrt(encoder_rows * encoder_cols // len(columns))
    rows, cols, patch = encoder_rows // merge, encoder_cols // merge, getattr(resizer, "patch_size", 1)
    check_token_count(len(columns), times * rows * cols, f"an image of {rows} x {cols} patches")
    trace = Trace.of(image).resized(encoder_cols * patch, encoder_rows * patch)
    frames = (trace.framed("image", rows, cols),)
    steps = f"stretched to {trace.width} x {trace.height} px, {merge} x {merge} encoder patches per token"
    return TiledColumns(frames, columns, tuple(grid_places(0, rows, cols))), steps


def _grid(columns: Tensor, tile: Tile, at: int) -> Grid:
    rows = round(math.sqrt(len(columns) * tile.height / tile.width))
    cols = len(columns) // max(rows, 1)
    if rows * cols != len(columns) or abs(cols / rows - tile.width / tile.height) > 0.5 / rows:
        raise ValueError(
            f"{len(columns)} image tokens are no grid of the shape of a tile of {_size(tile)} px: the model pools patches "
            "in another way"
        )
    return Grid(columns, rows, cols, at)


def _shows_all(covers: Rect, image: Image.Image) -> bool:
    """Whether a tile shows the whole image, but for a remainder that the encoder does not read."""
    return covers[:2] == (0, 0) and covers.width > 0.9 * image.width and covers.height > 0.9 * image.height


def _starts(values: list[float], length: float) -> list[float]:
    """Return the distinct values, where those within a tenth of `length` are one."""
    distinct: list[float] = []
    for value in sorted(values):
        if not distinct or value - distinct[-1] > length / 10:
            distinct.append(value)
    return distinct


def _nearest(starts: list[float], value: float) -> int:
    return min(range(len(starts)), key=lambda at: abs(starts[at] - value))


def _trace(tile: Tile) -> Trace:
    return Trace(tile.width, tile.height, tile.covers)


def _size(tile: Tile) -> str:
    return f"{tile.width} x {tile.height}"
