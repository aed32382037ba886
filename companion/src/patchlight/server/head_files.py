"""The head as the page runs it: exported when the server starts, named by what is in it."""

from pathlib import Path
from typing import NamedTuple

from ..head.export import export_head
from ..head.fastrm import FACTS_FILE, FastRM
from .schemas import HeadFacts, HeadFile, HeadFiles


class ServedHead(NamedTuple):
    """facts: as the page is told them; trained_on: the model that its states came from; files: path and SHA-256 by the
    name that each is asked for.
    """

    facts: HeadFacts
    trained_on: str
    files: dict[str, tuple[Path, str]]


def default_head_folder(model: str) -> Path | None:
    """`fastrm` inside the model's folder, where there is one."""
    folder = Path(model) / "fastrm"
    return folder if (folder / FACTS_FILE).is_file() else None


def serve_head(head_folder: Path, out: Path, *, hidden_size: int) -> ServedHead:
    """Graphs and folded weights into `out`. A head for another hidden size or stage is refused, both named."""
    FastRM.from_pretrained(head_folder, hidden_size=hidden_size, stage="post_norm")
    manifest = export_head(head_folder, out)
    found = {role: HeadFile(**file) for role, file in manifest["files"].items()}
    # The content in the address: what was kept of another head is never taken for this one.
    listed = {
        role: HeadFile(path=f"head/{f.path}?sha256={f.sha256}", bytes=f.bytes, sha256=f.sha256)
        for role, f in found.items()
    }
    facts = HeadFacts(
        name=manifest["name"],
        revision=manifest["revision"],
        stage=manifest["stage"],
        teacher=manifest["teacher"],
        labelling_threshold=manifest["labellingThreshold"],
        classification_threshold=manifest["classificationThreshold"],
        hidden_size=manifest["hiddenSize"],
        files=HeadFiles(graph=listed["graph"], norm_graph=listed["normGraph"], weights=listed["weights"]),
    )
    return ServedHead(facts, manifest["model"], {f.path: (out / f.path, f.sha256) for f in found.values()})
