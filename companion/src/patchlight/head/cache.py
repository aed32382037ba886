"""The cache folder of fitted heads, where `patchlight fit` puts them and `patchlight serve` finds them by model.

`~/.cache/patchlight/heads`; `XDG_CACHE_HOME` moves `~/.cache`, and `PATCHLIGHT_HEADS` the whole folder.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ..models.identity import Identified, match_model
from .fastrm import FACTS_FILE, FastRM, read_head_facts

VARIABLE = "PATCHLIGHT_HEADS"


class CachedHead(NamedTuple):
    """The newest head of a model in the cache. folder: None if there is none. damaged: why other entries cannot be used,
    each with its path.
    """

    folder: Path | None
    damaged: list[str]


def heads_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the cache folder of heads."""
    if chosen := environment.get(VARIABLE):
        return Path(chosen).expanduser()
    # The specification of XDG says to ignore paths that are not absolute.
    base = Path(environment.get("XDG_CACHE_HOME") or "")
    return (base if base.is_absolute() else Path.home() / ".cache") / "patchlight" / "heads"


def entry_folder(model: Identified, heads: Path) -> Path:
    """Return the folder for a model's head: its name, and the start of its weights' identity or of its revision."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "--", model.name).strip(".-") or "model"
    return heads / f"{name}-{(model.weights or model.revision)[:12]}"


def find_head(model: Identified, heads: Path) -> CachedHead:
    """Find the newest head in the cache that was trained on this model. Heads of other models are passed over."""
    entries = sorted(heads.glob(f"*/{FACTS_FILE}"), key=_modified, reverse=True)
    damaged: list[str] = []
    for entry in entries:
        try:
            if match_model(read_head_facts(entry.parent).trained_on, model) != "same":
                continue
            FastRM.from_pretrained(entry.parent)
        except (OSError, ValueError, TypeError) as error:
            damaged.append(f"{entry.parent}: {error}")
            continue
        return CachedHead(entry.parent, damaged)
    return CachedHead(None, damaged)


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
