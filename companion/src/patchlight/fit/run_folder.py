"""The folder of a run of `fit`: what was put in, and folders that appear only when they are complete."""

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..head.collection import label_facts, model_facts
from ..head.labels import manifest_name
from ..head.whole_files import write_text
from ..head.work_folder import MANIFEST_FILE
from ..models.loading import Loaded
from .options import LabelOptions
from .pictures import PictureSet, differences
from .reservoir import JOURNAL_FILE

PICTURES_FILE = "pictures.json"


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """Yield an empty folder that takes the place of `folder` at the end."""
    temporary = folder.with_name(f".{folder.name}")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    yield temporary
    shutil.rmtree(folder, ignore_errors=True)
    temporary.rename(folder)


def remove(folder: Path) -> None:
    """Remove a folder. A process that is killed in the middle leaves nothing under its name; see `sweep`."""
    folder.rename(_removed(folder))
    sweep(folder)


def sweep(folder: Path) -> None:
    """Remove what is left of a folder that a killed process was removing."""
    shutil.rmtree(_removed(folder), ignore_errors=True)


def _removed(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}-removed")


def check_origin(folder: Path) -> None:
    """Refuse labels without a manifest. Raises ValueError."""
    if (folder / JOURNAL_FILE).exists() and not (folder / MANIFEST_FILE).exists():
        raise ValueError(
            f"{folder} holds labels but no {MANIFEST_FILE}, so it is unknown what they were made from: delete the folder, "
            "or use another one with --out"
        )


def manifest_of(loaded: Loaded, pictures: PictureSet, options: LabelOptions) -> Mapping[str, Any]:
    """Describe everything that determines the labels. Two runs with the same description have the same labels.

    The space on disk is not among it: a run continues with more or less.
    """
    return {
        "formatVersion": 2,
        **model_facts(loaded),
        **label_facts(options.answers, loaded),
        "option method": manifest_name(options.teacher),
        **{f"option {name}": value for name, value in asdict(options).items() if name not in ("disk_bytes", "teacher")},
        "pictures": len(pictures.pictures),
        "questionsSha256": hashlib.sha256(
            json.dumps([[picture.sha256, *picture.asked] for picture in pictures.pictures]).encode()
        ).hexdigest(),
    }


def check_pictures(folder: Path, pictures: PictureSet) -> None:
    """Write the pictures' hashes, or refuse to continue a run with others."""
    path = folder / PICTURES_FILE
    now = {picture.name: picture.sha256 for picture in pictures.pictures}
    if path.exists() and (reason := differences(json.loads(path.read_text()), now)) is not None:
        raise ValueError(
            f"{folder} was started with other inputs ({reason}): to resume, use the same pictures; to start again, use "
            f"another folder or delete this one"
        )
    folder.mkdir(parents=True, exist_ok=True)
    # ASCII, because the names of files need not be UTF-8.
    write_text(path, json.dumps(now, indent=1) + "\n")
