"""The calibration as it is served: checked, when the server starts, to be of this model and this head."""

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

from ..calibration.file import CALIBRATION_FILE, read_facts
from .schemas import CalibrationFile, HeadFacts


class ServedCalibration(NamedTuple):
    """facts: as the page is told of it; path and its SHA-256."""

    facts: CalibrationFile
    path: Path
    sha256: str


def default_calibration(head_folder: Path) -> Path | None:
    """`calibration.arrow` beside the head's folder, where there is one."""
    path = head_folder.parent / CALIBRATION_FILE
    return path if path.is_file() else None


def serve_calibration(path: Path, *, model: str, revision: str, head: HeadFacts | None) -> ServedCalibration:
    """Raises ValueError where it is no calibration (docs/calibration.md), or one of another model or head: both named."""
    said = read_facts(path)
    calibrated, calibrated_head = said["model"], said["head"]
    known = {calibrated["revision"], *calibrated.get("sameAs", [])}
    if calibrated["name"] != model or revision not in known:
        raise ValueError(f"{path} is of model {_named(calibrated)}; this one is {model} ({revision})")
    ours = None if head is None else {"name": head.name, "revision": head.revision}
    if ours != {name: calibrated_head[name] for name in ("name", "revision")}:
        found = "there is no head" if ours is None else f"this one is {_named(ours)}"
        raise ValueError(f"{path} is of head {_named(calibrated_head)}; {found}")
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    # The content in the address: what was kept of another calibration is never taken for this one.
    address = f"calibration?sha256={digest}"
    facts = CalibrationFile(path=address, bytes=len(content), sha256=digest, n=said["n"])
    return ServedCalibration(facts, path, digest)


def _named(what: dict[str, Any]) -> str:
    return f"{what['name']} ({what['revision']})"
