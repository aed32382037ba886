"""The pictures that a head is fitted on: those of a folder, or those that a data set asks about."""

import os
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random
from typing import NamedTuple

from PIL import Image

from ..head.datasets import DataOptions, read_samples
from ..head.input_hashes import file_sha256

MIN_PICTURES = 30
_NAMED = 3


class Picture(NamedTuple):
    """A picture file. asked: the questions about it; empty if they are to be made. sha256: of the file."""

    name: str
    path: Path
    sha256: str
    asked: tuple[str, ...] = ()


class PictureSet(NamedTuple):
    """Pictures in the order in which they are labelled. left_out: number of files that are not used, by reason."""

    pictures: list[Picture]
    left_out: dict[str, int]


def folder_pictures(folder: Path) -> list[Picture]:
    """Return the pictures in a folder and its subfolders. sha256 is empty.

    A file is a picture if Pillow reads files with its ending; whether it can be read shows when it is opened. Raises
    ValueError if there are none.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder: pass a folder of pictures")
    Image.init()
    endings = set(Image.registered_extensions())
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in endings and _is_shown(path, folder))
    if not paths:
        raise ValueError(f"{folder} has no pictures: pass a folder of JPEG, PNG, WebP or other picture files")
    return [Picture(path.relative_to(folder).as_posix(), path, "") for path in paths]


def data_pictures(data: DataOptions) -> list[Picture]:
    """Return the pictures of a data set with their questions, in the order of the data set. sha256 is empty."""
    asked: dict[Path, list[str]] = {}
    for sample in read_samples(data):
        asked.setdefault(sample.image, []).append(sample.question)
    if not asked:
        raise ValueError(f"{data.questions} contains no samples")
    common = Path(os.path.commonpath([path.parent for path in asked]))
    return [
        Picture(path.relative_to(common).as_posix(), path, "", tuple(dict.fromkeys(questions)))
        for path, questions in asked.items()
    ]


def choose(
    pictures: Iterable[Picture],
    *,
    seed: int,
    most: int | None = None,
    on_read: Callable[[], object] = lambda: None,
) -> PictureSet:
    """Hash the pictures, leave out copies and files that cannot be read, and put the rest in a random order.

    most: number of pictures to choose. on_read: called for each file. Raises ValueError if too few are left.
    """
    if most is not None and most < MIN_PICTURES:
        raise ValueError(
            f"--pictures {most} is too few: a head needs at least {MIN_PICTURES} pictures, and hundreds to be of use"
        )
    chosen: dict[str, Picture] = {}
    left_out: Counter[str] = Counter()
    for picture in pictures:
        on_read()
        try:
            sha256 = file_sha256(picture.path)
        except FileNotFoundError:
            left_out["the file is missing"] += 1
            continue
        except OSError as error:
            left_out[f"the file cannot be read ({error.strerror})"] += 1
            continue
        if sha256 in chosen:
            left_out["a copy of another picture"] += 1
            first = chosen[sha256]
            asked = tuple(dict.fromkeys((*first.asked, *picture.asked)))
            chosen[sha256] = first._replace(asked=asked)
            continue
        chosen[sha256] = picture._replace(sha256=sha256)
    order = sorted(chosen.values())
    Random(seed).shuffle(order)
    order = order[:most]
    if len(order) < MIN_PICTURES:
        raise ValueError(
            f"found {len(order)} different pictures, but a head needs at least {MIN_PICTURES}, and hundreds to be of use: "
            "pass more"
        )
    return PictureSet(order, dict(left_out))


def differences(before: dict[str, str], now: dict[str, str]) -> str | None:
    """Say how two sets of pictures, SHA-256 by name, differ; None if they do not."""
    groups = {
        "new": [name for name in now if name not in before],
        "missing": [name for name in before if name not in now],
        "changed": [name for name in now if name in before and before[name] != now[name]],
    }
    parts = [f"{len(names)} {word} ({_some(names)})" for word, names in groups.items() if names]
    return f"pictures: {', '.join(parts)}" if parts else None


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _is_shown(path: Path, folder: Path) -> bool:
    return path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
