"""Sizes in configs, which are a number, a pair, or a mapping with a height and a width."""

from collections.abc import Mapping, Sequence
from typing import Any

_PAIRS = ("internvl_vision",)
_SIZES = ("patch_size", "image_size", "temporal_patch_size")


def height_width(size: Any) -> tuple[int, int]:
    """Return height and width. Raises ValueError if `size` is not a size."""
    match size:
        case bool():
            pass
        case int():
            return size, size
        case float() if size.is_integer():
            return int(size), int(size)
        case Mapping() if "height" in size and "width" in size:
            return int(size["height"]), int(size["width"])
        case Sequence() if len(size) in (1, 2) and not isinstance(size, str):
            return int(size[0]), int(size[-1])
        case _ if hasattr(size, "height") and hasattr(size, "width"):
            return int(size.height), int(size.width)
    raise ValueError(f"expected a number, or a height and a width, got {size!r}")


def side(size: Any, what: str) -> int:
    """Return the side of a square size. Raises ValueError, naming `what`, if it is no size or not square."""
    try:
        height, width = height_width(size)
    except ValueError as error:
        raise ValueError(f"{what} cannot be read: {error}") from None
    if height != width:
        raise ValueError(f"{what} is {height} x {width}, but only squares are supported")
    if height < 1:
        raise ValueError(f"{what} is {height}, expected at least 1")
    return height


def simplify_sizes(config: Any) -> None:
    """Replace square sizes in a model's vision config by numbers, the only form that most of transformers' towers can
    compute with; InternVL's needs pairs. Raises ValueError if one is not square, or not a size.
    """
    vision: Any = getattr(config, "vision_config", None)
    for name in _SIZES:
        if hasattr(vision, name):
            number = side(getattr(vision, name), f"{name} of the vision tower")
            setattr(vision, name, (number, number) if vision.model_type in _PAIRS else number)
