"""Checks at startup that a calibration file belongs to the loaded model and head, and describes it for the page."""

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

from ..calibration.file import CALIBRATION_FILE
from ..calibration.reader import read_calibration
from .schemas import CalibrationFile, HeadFacts


class ServedCalibration(NamedTuple):
    """A calibration file, its SHA-256, and the facts that the API returns about it."""

    facts: CalibrationFile
    path: Path
    sha256: str


def default_calibration(head_folder: Path) -> Path | None:
    """Return the path of `calibration.arrow` next to the head's folder, or None if there is no such file."""
    path = head_folder.parent / CALIBRATION_FILE
    return path if path.is_file() else None


def serve_calibration(path: Path, *, model: str, revision: str, head: HeadFacts | None) -> ServedCalibration:
    """Check a calibration file and describe it for the API.

    Raises ValueError if the page could not read it (docs/calibration.md) or if it belongs to another model or head.
    """
    calibration = read_calibration(path).facts
    its_model, its_head = calibration["model"], calibration["head"]
    revisions = {its_model["revision"], *its_model.get("sameAs", [])}
    if its_model["name"] != model or revision not in revisions:
        raise ValueError(f"{path} belongs to model {_label(its_model)}, but this model is {model} ({revision})")
    expected = None if head is None else {"name": head.name, "revision": head.revision}
    if expected != {name: its_head[name] for name in ("name", "revision")}:
        actual = "no head is loaded" if expected is None else f"this head is {_label(expected)}"
        raise ValueError(f"{path} belongs to head {_label(its_head)}, but {actual}")
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    # The URL contains the hash, so a cached copy of another calibration is never used for this one.
    address = f"calibration?sha256={digest}"
    facts = CalibrationFile(path=address, bytes=len(content), sha256=digest, n=calibration["n"])
    return ServedCalibration(facts, path, digest)


def _label(subject: dict[str, Any]) -> str:
    return f"{subject['name']} ({subject['revision']})"
