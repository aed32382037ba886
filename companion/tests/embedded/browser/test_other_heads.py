"""Compares the exported heads with PyTorch, and checks what the manifest says about them."""

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import save_file

from patchlight.embedded.browser.other_heads import export_other_heads
from patchlight.head.export import write_browser_files
from patchlight.head.fastrm import FastRM, HeadFacts

D, ROWS, PATCHES, TOKENS = 64, 8, 17, 3
FACTS = HeadFacts(hidden_size=D, stage="post_norm", teacher="Chefer relevancy, exact", model="m", model_revision="0")


def save_head(folder: Path, *, seed: int, rank: int | None = None, facts: HeadFacts = FACTS) -> FastRM:
    torch.manual_seed(seed)
    head = FastRM(facts.hidden_size, rank=rank)
    with torch.no_grad():
        head.query.weight *= 6
        head.norm.bias.normal_(0, 0.3)
    head.save_pretrained(folder, facts)
    return head.eval()


def save_plus_head(folder: Path, *, seed: int, rows: int = ROWS, facts: HeadFacts = FACTS) -> FastRM:
    states = save_head(folder, seed=seed, facts=facts)
    head = FastRM(facts.hidden_size, attention_rows=rows)
    weights = torch.randn(rows) / 3
    head.load_state_dict({**states.state_dict(), "attention.weight": weights - weights.mean()})
    head.save_pretrained(folder, facts)
    return head.eval()


def export(hf: Path, out: Path, rows: int = ROWS) -> dict:
    write_browser_files(save_head(hf / "fastrm", seed=0), None, out / "head")
    return export_other_heads(hf, out, hidden_size=D, attention_rows=rows)


def probabilities(out: Path, entry: dict, queries: torch.Tensor, patches: torch.Tensor, **further: np.ndarray):
    """Run the graphs as the page does: the norm is that of the main head."""
    norm = onnxruntime.InferenceSession(out / "head" / "fastrm-norm.onnx", providers=["CPUExecutionProvider"])
    graph = onnxruntime.InferenceSession(out / entry["graph"], providers=["CPUExecutionProvider"])
    normalised = np.asarray(norm.run(None, {"patch_states": patches.numpy()})[0])
    feed = {"query_states": queries.numpy(), "patch_states": normalised, **further}
    return np.asarray(graph.run(None, feed)[0])


def states() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(5)
    return torch.randn(TOKENS, D), torch.randn(PATCHES, D)


def test_heads_of_other_weights_are_refused(tmp_path: Path):
    hf = tmp_path / "hf"
    save_head(hf / "fastrm-paper", seed=1, facts=replace(FACTS, model_weights="0" * 64))
    save_file({"weight": torch.ones(1)}, hf / "model.safetensors")
    with pytest.raises(ValueError, match="fastrm-paper was trained on other weights than those in"):
        export(hf, tmp_path / "out")


def test_a_model_without_other_heads_has_no_entries(tmp_path: Path):
    assert export(tmp_path / "hf", tmp_path / "out") == {}
    assert sorted(path.name for path in (tmp_path / "out" / "head").iterdir()) == [
        "fastrm-norm.onnx",
        "fastrm.bin",
        "fastrm.onnx",
    ]


def test_a_head_that_the_model_no_longer_has_is_removed(tmp_path: Path):
    save_head(tmp_path / "hf" / "fastrm-paper", seed=1)
    export(tmp_path / "hf", tmp_path / "out")
    assert (tmp_path / "out" / "head" / "fastrm-paper" / "fastrm.bin").exists()
    shutil.rmtree(tmp_path / "hf" / "fastrm-paper")
    assert export(tmp_path / "hf", tmp_path / "out") == {}
    assert not (tmp_path / "out" / "head" / "fastrm-paper").exists()


@pytest.mark.parametrize("rank", [None, 16])
def test_the_paper_s_head_gives_its_own_probabilities_whatever_its_rank(tmp_path: Path, rank: int | None):
    head = save_head(tmp_path / "hf" / "fastrm-paper", seed=1, rank=rank)
    entries = export(tmp_path / "hf", tmp_path / "out")
    assert list(entries) == ["fastrm-paper"]
    queries, patches = states()
    with torch.no_grad():
        expected = head(queries, patches).numpy()
    actual = probabilities(tmp_path / "out", entries["fastrm-paper"], queries, patches)
    assert expected.std() > 0.2
    # The folded matrix is stored in fp16; the tolerance is derived in head/test_fastrm.py.
    assert np.abs(actual - expected).max() < 1e-3


def test_fastrm_plus_adds_the_weighted_logarithms_of_its_attention(tmp_path: Path):
    head = save_plus_head(tmp_path / "hf" / "fastrm-plus", seed=2)
    [entry] = export(tmp_path / "hf", tmp_path / "out").values()
    queries, patches = states()
    # Half of the attention on the patches, and none on the first.
    rows = np.random.default_rng(0).dirichlet(np.ones(PATCHES), (TOKENS, ROWS)) / 2
    rows[..., 0] = 0
    # As the page reduces the rows, from the manifest alone.
    weights, epsilon = entry["attention"]["weights"], entry["attention"]["epsilon"]
    logits = np.tensordot(np.log(rows + epsilon), weights, axes=(-2, 0)).astype(np.float32)
    with torch.no_grad():
        expected = head(queries, patches, attention=torch.from_numpy(rows)).numpy()
    actual = probabilities(tmp_path / "out", entry, queries, patches, attention_logits=logits)
    assert expected.std() > 0.2
    assert np.abs(actual - expected).max() < 1e-3


def test_each_head_lists_its_own_files_with_their_hashes_and_facts(tmp_path: Path):
    save_head(tmp_path / "hf" / "fastrm-paper", seed=1)
    save_plus_head(tmp_path / "hf" / "fastrm-plus", seed=2)
    entries = export(tmp_path / "hf", tmp_path / "out")
    assert list(entries) == ["fastrm-paper", "fastrm-plus"]
    for name, entry in entries.items():
        assert entry["graph"] == f"head/{name}/fastrm.onnx"
        assert entry["weights"] == f"head/{name}/fastrm.bin"
        assert set(entry["files"]) == {entry["graph"], entry["weights"]}
        for path, facts in entry["files"].items():
            content = (tmp_path / "out" / path).read_bytes()
            assert facts == {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
        weights = (tmp_path / "hf" / name / "head.safetensors").read_bytes()
        assert entry["revision"] == hashlib.sha256(weights).hexdigest()[:12]
        assert (entry["stage"], entry["hiddenSize"], entry["classificationThreshold"]) == ("post_norm", D, 0.4)


def test_heads_that_do_not_fit_the_model_are_refused_with_both_numbers(tmp_path: Path):
    plus = tmp_path / "hf" / "fastrm-plus"
    save_plus_head(plus, seed=2, rows=6)
    with pytest.raises(ValueError, match="has 6 attention weights, the model has 8 rows"):
        export(tmp_path / "hf", tmp_path / "out")
    save_plus_head(plus, seed=2, facts=replace(FACTS, stage="pre_norm"))
    with pytest.raises(ValueError, match="expects pre_norm hidden states, the model returns post_norm"):
        export(tmp_path / "hf", tmp_path / "out")
    save_plus_head(plus, seed=2, facts=replace(FACTS, hidden_size=32))
    with pytest.raises(ValueError, match="head fastrm-plus expects hidden size 32, the model has 64"):
        export(tmp_path / "hf", tmp_path / "out")
    save_head(plus, seed=2)
    with pytest.raises(ValueError, match="is not a FastRM\\+ head: it reads hidden states only"):
        export(tmp_path / "hf", tmp_path / "out")
