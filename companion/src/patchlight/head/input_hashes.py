"""Hashes of input files. They tell whether a resumed run still has the inputs of the first one."""

import hashlib
from collections.abc import Sequence
from pathlib import Path


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, 64 hex digits. Raises OSError if it cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def files_sha256(paths: Sequence[Path]) -> str:
    """Return one SHA-256 over the contents of files; over their names too if there are several."""
    if len(paths) == 1:
        return file_sha256(paths[0])
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path.name}\0{file_sha256(path)}\n".encode())
    return digest.hexdigest()


def image_sha256(path: Path) -> str | None:
    """Return the SHA-256 of an image file, or None if it cannot be read."""
    try:
        return file_sha256(path)
    except OSError:
        return None
