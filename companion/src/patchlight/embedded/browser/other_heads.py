"""Exports the heads that a model has besides its main one, each in a folder of its own next to it.

fastrm-paper  the same architecture, trained exactly by the paper's recipe
fastrm-plus   FastRM+: the token's attention over the patches as further features. To the logit of patch j it adds
              `sum_f w_f log(a_fj + epsilon)`, where a_fj is the attention of the position that predicted the token to
              patch j in layer and attention head f. The reader of the graph computes this sum: `attention_logits` [T, P].

The page loads these heads on first use, so the manifest lists their files apart from the model's.
"""

import hashlib
import json
import shutil
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors.torch import load_file

from ...head.export import head_facts, head_revision
from ...head.fastrm import FACTS_FILE, WEIGHTS_FILE, FastRM, HeadFacts
from ...head.folded import BLOB_FILE, GRAPH_FILE, fold, write_head_weights, write_map_graph

PAPER, PLUS = "fastrm-paper", "fastrm-plus"
OTHER_HEADS = (PAPER, PLUS)
EPSILON = 1e-6
"""Keeps the logarithm finite where the attention is 0."""
_ATTENTION_WEIGHTS = "attention.weight"


class PlusHead(NamedTuple):
    """A FastRM+ head: the part that reads hidden states, and the weights [L * h] of the attention rows, all of the first
    layer, then all of the next.
    """

    head: FastRM
    weights: np.ndarray

    def attention_logits(self, rows: np.ndarray) -> np.ndarray:
        """Return what attention adds to the logits [..., P], given rows [..., L * h, P] after the softmax."""
        return np.tensordot(np.log(rows.astype(np.float64) + EPSILON), self.weights, axes=(-2, 0))


def read_plus_head(folder: Path) -> PlusHead:
    """Load a FastRM+ head. Raises ValueError if the folder has another kind of head."""
    content = json.loads((folder / FACTS_FILE).read_text())
    if content.get("features") != "attention":
        raise ValueError(f"{folder} is not a FastRM+ head: its features are {content.get('features')!r}")
    known = {field.name for field in fields(HeadFacts)}
    facts = HeadFacts(**{name: value for name, value in content.items() if name in known and name != "features"})
    parameters = load_file(folder / WEIGHTS_FILE)
    weights = parameters.pop(_ATTENTION_WEIGHTS)
    head = FastRM(facts.hidden_size, facts, rank=facts.rank)
    head.load_state_dict(parameters)
    return PlusHead(head.eval(), weights.double().flatten().numpy())


@torch.no_grad()
def export_other_heads(hf_folder: Path, out_folder: Path, *, hidden_size: int, attention_rows: int) -> dict[str, Any]:
    """Export those of OTHER_HEADS that `hf_folder` has, and return their entries in the manifest, by name. Removes the
    files of those that it no longer has.

    attention_rows: layers times attention heads. Raises ValueError if a head was trained for other states or another
    number of rows.
    """
    entries: dict[str, Any] = {}
    for name in OTHER_HEADS:
        folder, out = hf_folder / name, out_folder / "head" / name
        # Of an earlier export.
        shutil.rmtree(out, ignore_errors=True)
        if not (folder / FACTS_FILE).is_file():
            continue
        attention: dict[str, Any] = {}
        if name == PLUS:
            head, weights = read_plus_head(folder)
            _check_fit(head.facts, hidden_size)
            if len(weights) != attention_rows:
                raise ValueError(f"{folder} has {len(weights)} attention weights, the model {attention_rows} rows")
            attention = {"attention": {"weights": weights.tolist(), "epsilon": EPSILON}}
        else:
            head = FastRM.from_pretrained(folder, hidden_size=hidden_size, stage="post_norm")
        write_map_graph(out, hidden_size, head.rank, reads_attention=name == PLUS)
        write_head_weights(out / BLOB_FILE, fold(head))
        files = {role: f"head/{name}/{file}" for role, file in (("graph", GRAPH_FILE), ("weights", BLOB_FILE))}
        entries[name] = {
            **files,
            **head_facts(head, head_revision(folder)),
            **attention,
            "files": {path: _file_facts(out_folder / path) for path in files.values()},
        }
    return entries


def _check_fit(facts: HeadFacts, hidden_size: int) -> None:
    if (facts.hidden_size, facts.stage) != (hidden_size, "post_norm"):
        raise ValueError(
            f"head {facts.name} expects {facts.stage} hidden states of size {facts.hidden_size}, the model returns "
            f"post_norm states of size {hidden_size}"
        )


def _file_facts(path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
