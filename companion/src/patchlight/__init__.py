"""Patchlight's Python package: serves vision-language models to the page, explains their answers, and trains heads that
produce explanations quickly.

The public API is `from patchlight import FastRM, LVLM`. Both names are imported lazily, so `import patchlight` does not
load torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .head.fastrm import FastRM
    from .lvlm import LVLM

__all__ = ["LVLM", "FastRM"]

_MODULES = {"FastRM": ".head.fastrm", "LVLM": ".lvlm"}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name], __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
