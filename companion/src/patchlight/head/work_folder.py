"""Claims an output folder for one piece of work: a manifest of everything that determines the results, and a lock.

A later run with the same manifest resumes the work. With another manifest it is refused, so that a folder never mixes
two questions files, two models or two methods.
"""

import json
import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from .shards import Rank
from .whole_files import write_json

MANIFEST_FILE = "manifest.json"
_SHOWN_DIFFERENCES = 6
_LABELS = {
    "model": "name of the model",
    "modelRevision": "revision of the model",
    "questions": "name of the questions file",
    "questionsSha256": "SHA-256 of the questions",
    "annotations": "name of the annotations file",
    "annotationsSha256": "SHA-256 of the annotations",
    "samples": "number of samples",
    "modelWeights": "weights of the model",
    "dtype": "--dtype",
    "labelPrecision": "number format of the labels",
    "pictures": "number of pictures",
    "method": "--teacher",
    "option method": "--teacher",
    "option questions": "--per-picture",
    "option written": "questions that the model writes",
    "option max_new_tokens": "--max-new-tokens",
    "option suffix": "--suffix",
    "option precision": "--label-precision",
    "option held_share": "share of held-out pictures",
    "option seed": "--seed",
}


@contextmanager
def claimed(folder: Path, manifest: Mapping[str, Any], rank: Rank | None = None) -> Iterator[None]:
    """Hold a folder for this work. Writes the manifest, or checks that the existing one is the same.

    Raises ValueError, naming the fields that differ, if the folder belongs to other work, or if another process is
    working in it.
    """
    with locked(folder, rank):
        _claim(folder, manifest)
        yield


@contextmanager
def locked(folder: Path, rank: Rank | None = None) -> Iterator[None]:
    """Hold a folder's lock, one per rank. The lock of a process that was killed counts for nothing.

    Raises ValueError if the folder is in use: by a process of the same rank, or by a job with another number of
    processes.
    """
    rank = rank or Rank()
    folder.mkdir(parents=True, exist_ok=True)
    own = folder / f".lock-{rank.rank}-of-{rank.ranks}"
    with _held(own, folder):
        for other in folder.glob(".lock-*-of-*"):
            if not other.name.endswith(f"-of-{rank.ranks}"):
                with _held(other, folder):
                    pass
        yield


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read a folder's manifest. Raises ValueError if there is none or it is damaged."""
    path = folder / MANIFEST_FILE
    if not path.exists():
        raise ValueError(
            f"{folder} has no {MANIFEST_FILE}: pass a folder written by `patchlight collect` or `patchlight evaluate`"
        )
    try:
        manifest = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(
            f"{path} is damaged ({error}): start again in another folder, because it is unknown what this one holds"
        ) from None
    if not isinstance(manifest, dict):
        raise ValueError(f"{path} holds no JSON object: pass a folder that patchlight wrote")
    return manifest


@contextmanager
def _held(path: Path, folder: Path) -> Iterator[None]:
    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise ValueError(
            f"{folder} is in use by {_owner(path)}: wait until it has finished, stop it, or use another folder"
        ) from None
    try:
        # Windows lets nobody write to a locked file or remove it.
        with suppress(OSError):
            started = time.strftime("%Y-%m-%d %H:%M:%S")
            path.write_text(f"process {os.getpid()} on {socket.gethostname()}, started {started}")
        yield
    finally:
        # Removed while it is held: filelock refuses a lock on a file that has lost its name.
        with suppress(OSError):
            path.unlink()
        lock.release()


def _owner(path: Path) -> str:
    try:
        return path.read_text().strip() or "another process"
    except OSError:
        return "another process"


def _claim(folder: Path, manifest: Mapping[str, Any]) -> None:
    path = folder / MANIFEST_FILE
    if not path.exists():
        _refuse_shards_of_unknown_origin(folder)
        write_json(path, manifest)
        return
    existing, expected = read_manifest(folder), json.loads(json.dumps(manifest))
    names = [name for name in {**existing, **expected} if existing.get(name) != expected.get(name)]
    if "formatVersion" in names:
        raise ValueError(
            f"{folder} was started by another version of patchlight (format {existing.get('formatVersion')}, this "
            f"version writes {expected.get('formatVersion')}): use another folder"
        )
    if names:
        shown = "; ".join(
            f"{_LABELS.get(name, name)}: {_shown(existing.get(name))}, now {_shown(expected.get(name))}"
            for name in names[:_SHOWN_DIFFERENCES]
        )
        more = f"; and {len(names) - _SHOWN_DIFFERENCES} more" if len(names) > _SHOWN_DIFFERENCES else ""
        raise ValueError(
            f"{folder} was started with other inputs or options ({shown}{more}): to resume, use the same inputs and "
            "options; to start again, use another folder"
        )


def _refuse_shards_of_unknown_origin(folder: Path) -> None:
    shards = [*folder.glob("[0-9][0-9][0-9][0-9][0-9].*"), *folder.glob("parts/[0-9][0-9][0-9][0-9][0-9].*")]
    if shards:
        raise ValueError(
            f"{folder} holds {len(shards)} shards but no {MANIFEST_FILE}, so it is unknown what they were made from: "
            "use another folder"
        )


def _shown(value: Any) -> str:
    """Show a value; of a SHA-256, only the first digits."""
    is_digest = isinstance(value, str) and len(value) == 64 and set(value) <= set("0123456789abcdef")
    return value[:12] if is_digest else repr(value)
