"""Exports the head for the page when the server starts. Each file's URL contains its hash."""

from pathlib import Path
from typing import NamedTuple

from ..head.export import write_head
from ..head.fastrm import FACTS_FILE, FastRM, describe_match, read_text_head
from ..models.loading import Loaded
from .schemas import HeadFacts, HeadFile, HeadFiles, TrainedOn


class ServedHead(NamedTuple):
    """An exported head.

    facts: the head's description in the API. training: a sentence that compares the model that the head was trained on
    with the loaded one. files: path and SHA-256 by file name. without_text: why a text output in its folder is not
    served.
    """

    facts: HeadFacts
    training: str
    without_text: str | None
    files: dict[str, tuple[Path, str]]


def default_head_folder(model: str) -> Path | None:
    """Return the folder `fastrm` in the model's folder, or None if there is no head in it."""
    folder = Path(model) / "fastrm"
    return folder if (folder / FACTS_FILE).is_file() else None


def serve_head(head_folder: Path, out: Path, model: Loaded, *, force: bool = False) -> ServedHead:
    """Export a head to `out` and describe it for the API.

    Raises ValueError if the head was trained for another hidden size or stage, or, unless `force` is set, on another
    model.
    """
    head = FastRM.from_pretrained(head_folder, model=model, force=force)
    assert head.match is not None
    text, without_text = None, None
    try:
        text = read_text_head(head_folder)
    except (OSError, ValueError) as problem:
        without_text = str(problem)
    manifest = write_head(head, text, head_folder, out)
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
        trained_on=TrainedOn(**manifest["trainedOn"]),
        match=head.match,
        files=HeadFiles(
            graph=addressed["graph"],
            norm_graph=addressed["normGraph"],
            weights=addressed["weights"],
            text_weights=addressed.get("textWeights"),
        ),
    )
    training = describe_match(head.facts, head.match, model)
    return ServedHead(facts, training, without_text, {f.path: (out / f.path, f.sha256) for f in exported.values()})
