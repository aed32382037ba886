"""Exports a head for the browser: two weight-free graphs, the folded weights, and a manifest.

fastrm-norm.onnx  patch_states [P, d] -> normalised [P, d]
fastrm.onnx       query_states [T, d], patch_states [P, d] normalised -> probabilities [T, P]
fastrm.bin        external data of the second graph
fastrm-text.bin   the same for the head's text output, if it has one: prompt states take the place of patch states
manifest.json     the head's facts (in camelCase, for the page), and the size and SHA-256 of each file
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from .fastrm import WEIGHTS_FILE, FastRM, HeadFacts, read_text_head
from .folded import (
    BLOB_FILE,
    GRAPH_FILE,
    NORM_GRAPH_FILE,
    TEXT_BLOB_FILE,
    fold,
    write_head_graph,
    write_head_weights,
)

MANIFEST_FILE = "manifest.json"
_FILES = {"graph": GRAPH_FILE, "normGraph": NORM_GRAPH_FILE, "weights": BLOB_FILE, "textWeights": TEXT_BLOB_FILE}


def export_head(head_folder: Path, out: Path) -> dict[str, Any]:
    """Export a trained head to `out` and return its manifest. Paths in the manifest's `files` are relative to `out`."""
    head = FastRM.from_pretrained(head_folder)
    return write_head(head, read_text_head(head_folder), head_folder, out)


def write_head(head: FastRM, text: FastRM | None, head_folder: Path, out: Path) -> dict[str, Any]:
    """Export a head and its text output, loaded from `head_folder`, as `export_head` does."""
    files = {}
    for role, name in write_browser_files(head, text, out).items():
        content = (out / name).read_bytes()
        files[role] = {"path": name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    manifest = {
        **head_facts(head, head_revision(head_folder)),
        "model": head.facts.model,
        "modelRevision": head.facts.model_revision,
        **({"modelWeights": head.facts.model_weights} if head.facts.model_weights else {}),
        "files": files,
    }
    (out / MANIFEST_FILE).write_text(json.dumps({"formatVersion": 1, **manifest}, indent=2, ensure_ascii=False) + "\n")
    return manifest


def write_browser_files(head: FastRM, text: FastRM | None, out: Path) -> dict[str, str]:
    """Write the graphs and weights of a head and its text output, and return the files' names by role."""
    write_head_graph(out, head.hidden_size, head.rank)
    write_head_weights(out / BLOB_FILE, fold(head))
    if text is None:
        (out / TEXT_BLOB_FILE).unlink(missing_ok=True)
        return {role: name for role, name in _FILES.items() if role != "textWeights"}
    write_head_weights(out / TEXT_BLOB_FILE, fold(text))
    return dict(_FILES)


def head_facts(head: FastRM, revision: str) -> dict[str, Any]:
    """Return the facts that the page shows about a head and checks before running it.

    `trainedOn` and `match` are only present if the head was loaded for a model.
    """
    facts = head.facts
    loaded = {} if head.match is None else {"trainedOn": trained_on(facts), "match": head.match}
    return {
        "name": facts.name,
        "revision": revision,
        "stage": facts.stage,
        "teacher": facts.teacher,
        "labellingThreshold": facts.labelling_threshold,
        "classificationThreshold": facts.classification_threshold,
        "hiddenSize": facts.hidden_size,
        **loaded,
    }


def trained_on(facts: HeadFacts) -> dict[str, str]:
    """Return the name and the revision of the model that the head was trained on."""
    return {"name": facts.model, "revision": facts.model_revision}


def head_revision(head_folder: Path) -> str:
    """Return the first 12 hex digits of the SHA-256 of the head's weights."""
    return hashlib.sha256((head_folder / WEIGHTS_FILE).read_bytes()).hexdigest()[:12]
