"""Sizes in configs, which are a number, a pair, or a mapping with a height and a width."""

from collections.abc import Mapping, Sequence
from typing import Any

_SIZES = ("patch_size", "image_size", "temporal_patch_size")


def height_width(size: Any) -> tuple[int, int]:
    """Return height and width. Raises ValueError if `size` is not a size."""
    match size:
        case bool():
            pass
        case int():
            return size, size
        case Mapping() if "height" in size and "width" in size:
            return int(size["height"]), int(size["width"])
        case Sequence() if len(size) in (1, 2) and not isinstance(size, str):
            return int(size[0]), int(size[-1])
        case _ if hasattr(size, "height") and hasattr(size, "width"):
            return int(size.height), int(size.width)
    raise ValueError(f"expected a number, or a height and a width, got {size!r}")


def side(size: Any, what: str) -> int:
    """Return the side of a square size. Raises ValueError, naming `what`, if it is not square."""
    height, width = height_width(size)
    if height != width:
        raise ValueError(f"{what} is {height} x {width}, but only squares are supported")
    return height


def simplify_sizes(config: Any) -> None:
    """Replace square sizes in a model's vision config by numbers, the only form that transformers' towers can compute
    with. Raises ValueError if one is not square.
    """
    vision = getattr(config, "vision_config", None)
    for name in _SIZES:
        value = getattr(vision, name, None)
        if value is not None and not isinstance(value, int):
            setattr(vision, name, side(value, f"{name} of the vision tower"))
