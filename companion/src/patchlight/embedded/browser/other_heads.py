"""Exports the heads that a model has besides its main one, each in a folder of its own next to it.

fastrm-paper  the same architecture, trained with the paper's loss
fastrm-plus   FastRM+, which also reads attention. Its graph has `attention_logits` [T, P] as another input: the reader
              reduces a token's attention rows to what `AttentionFeatures` adds to the logits, with the weights and the
              epsilon that the manifest has.

The page loads these heads on first use, so the manifest lists their files apart from the model's.
"""

import hashlib
import shutil
from pathlib import Path
from typing import Any

import torch

from ...head.export import head_facts, head_revision
from ...head.fastrm import ATTENTION_EPSILON, FACTS_FILE, AttentionFeatures, FastRM
from ...head.folded import BLOB_FILE, GRAPH_FILE, fold, write_head_weights, write_map_graph
from ...models.model_files import weight_files, weights_identity

PAPER, PLUS = "fastrm-paper", "fastrm-plus"
OTHER_HEADS = (PAPER, PLUS)


def read_plus_head(hf_folder: Path) -> tuple[FastRM, AttentionFeatures] | None:
    """Load a model's FastRM+ head and its part that reads attention; None if it has none.

    Raises ValueError if the folder has another kind of head, and the errors of `FastRM.from_pretrained`.
    """
    folder = hf_folder / PLUS
    if not (folder / FACTS_FILE).is_file():
        return None
    head = FastRM.from_pretrained(folder, stage="post_norm", attention=True)
    if head.attention is None:
        raise ValueError(f"{folder} is not a FastRM+ head: it reads hidden states only")
    _check_model(head, folder, hf_folder)
    return head, head.attention


@torch.no_grad()
def export_other_heads(hf_folder: Path, out_folder: Path, *, hidden_size: int, attention_rows: int) -> dict[str, Any]:
    """Export those of OTHER_HEADS that `hf_folder` has, and return their entries in the manifest, by name. Removes the
    files of those that it no longer has.

    attention_rows: layers times attention heads. Raises ValueError if a head was trained for other states or another
    number of rows.
    """
    for name in OTHER_HEADS:
        shutil.rmtree(out_folder / "head" / name, ignore_errors=True)
    entries: dict[str, Any] = {}
    if (hf_folder / PAPER / FACTS_FILE).is_file():
        paper = FastRM.from_pretrained(hf_folder / PAPER, stage="post_norm")
        _check_model(paper, hf_folder / PAPER, hf_folder)
        entries[PAPER] = _export(PAPER, paper, hf_folder, out_folder, hidden_size)
    if (plus := read_plus_head(hf_folder)) is not None:
        head, attention = plus
        weights = attention.weight.tolist()
        if len(weights) != attention_rows:
            raise ValueError(
                f"{hf_folder / PLUS} has {len(weights)} attention weights, the model has {attention_rows} rows"
            )
        entry = _export(PLUS, head, hf_folder, out_folder, hidden_size)
        entries[PLUS] = entry | {"attention": {"weights": weights, "epsilon": ATTENTION_EPSILON}}
    return entries


def _check_model(head: FastRM, folder: Path, hf_folder: Path) -> None:
    """Raise ValueError if a head was trained on other weights than the model's, as one left by an earlier build was."""
    own = head.facts.model_weights
    if own is not None and own != weights_identity(weight_files(hf_folder)):
        raise ValueError(f"{folder} was trained on other weights than those in {hf_folder}: train it again")


def _export(name: str, head: FastRM, hf_folder: Path, out_folder: Path, hidden_size: int) -> dict[str, Any]:
    if head.hidden_size != hidden_size:
        raise ValueError(f"head {name} expects hidden size {head.hidden_size}, the model has {hidden_size}")
    out = out_folder / "head" / name
    write_map_graph(out, hidden_size, head.rank, reads_attention=head.attention is not None)
    write_head_weights(out / BLOB_FILE, fold(head))
    files = {role: f"head/{name}/{file}" for role, file in (("graph", GRAPH_FILE), ("weights", BLOB_FILE))}
    return {
        **files,
        **head_facts(head, head_revision(hf_folder / name)),
        "files": {path: _file_facts(out_folder / path) for path in files.values()},
    }


def _file_facts(path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
