"""Exports the head for the page when the server starts. Each file's URL contains its hash."""

from pathlib import Path
from typing import NamedTuple

from ..head.export import export_head
from ..head.fastrm import FACTS_FILE, FastRM
from .schemas import HeadFacts, HeadFile, HeadFiles


class ServedHead(NamedTuple):
    """An exported head.

    facts: the head's description in the API. trained_on: name of the model whose hidden states the head was trained on.
    files: path and SHA-256 by file name.
    """

    facts: HeadFacts
    trained_on: str
    files: dict[str, tuple[Path, str]]


def default_head_folder(model: str) -> Path | None:
    """Return the folder `fastrm` in the model's folder, or None if there is no head in it."""
    folder = Path(model) / "fastrm"
    return folder if (folder / FACTS_FILE).is_file() else None


def serve_head(head_folder: Path, out: Path, *, hidden_size: int) -> ServedHead:
    """Export a head to `out` and describe it for the API.

    Raises ValueError if the head was trained for another hidden size or stage.
    """
    FastRM.from_pretrained(head_folder, hidden_size=hidden_size, stage="post_norm")
    manifest = export_head(head_folder, out)
    exported = {role: HeadFile(**file) for role, file in manifest["files"].items()}
    # The URL contains the hash, so a cached file of another head is never used for this one.
    addressed = {
        role: HeadFile(path=f"head/{f.path}?sha256={f.sha256}", bytes=f.bytes, sha256=f.sha256)
        for role, f in exported.items()
    }
    facts = HeadFacts(
        name=manifest["name"],
        revision=manifest["revision"],
        stage=manifest["stage"],
        teacher=manifest["teacher"],
        labelling_threshold=manifest["labellingThreshold"],
        classification_threshold=manifest["classificationThreshold"],
        hidden_size=manifest["hiddenSize"],
        files=HeadFiles(graph=addressed["graph"], norm_graph=addressed["normGraph"], weights=addressed["weights"]),
    )
    return ServedHead(facts, manifest["model"], {f.path: (out / f.path, f.sha256) for f in exported.values()})
