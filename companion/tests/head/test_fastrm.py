"""Compares the forms of the head: computed in the paper's order or in the cheaper order, folded in float64, and stored
as fp16 ONNX.

The tests compare probabilities, since those are the head's output. Query weights are scaled up so that logits have a
standard deviation of about 2, where the sigmoid is neither saturated nor nearly linear.
"""

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file, save_file

from patchlight.head.fastrm import FastRM, HeadFacts, WrongHead, paper_logits
from patchlight.head.folded import fold, round_folded, write_head_graph, write_head_weights
from patchlight.models.identity import Identity
from patchlight.models.loading import LoadOptions, load
from tests.helpers.paths import EMBEDDED

FACTS = HeadFacts(
    hidden_size=192, stage="post_norm", teacher="none, random weights", model="random", model_revision="0"
)
WIDTHS = [192, 1024, pytest.param(4096, marks=pytest.mark.slow)]


class Case(NamedTuple):
    """A random head with hidden states: queries `[5, d]`, patches `[40, d]`."""

    head: FastRM
    queries: torch.Tensor
    patches: torch.Tensor


def make_case(d: int, rank: int | None = None) -> Case:
    torch.manual_seed(d)
    head = FastRM(d, rank=rank).eval()
    with torch.no_grad():
        head.norm.weight.uniform_(0.5, 1.5)
        head.norm.bias.normal_(0, 0.3)
        head.query.weight *= 6
    # Columns differ widely in scale, as they do in real hidden states.
    spread = torch.logspace(-1, 1, d)[torch.randperm(d)]
    return Case(head, torch.randn(5, d) * spread, torch.randn(40, d) * spread)


def reference(case: Case) -> np.ndarray:
    """Return the probabilities of the paper's form in float64."""
    with torch.no_grad():
        double = FastRM(case.head.hidden_size, rank=case.head.rank).double()
        double.load_state_dict(case.head.state_dict())
        return paper_logits(double, case.queries.double(), case.patches.double()).sigmoid().numpy()


def plain_norm(states: torch.Tensor) -> np.ndarray:
    return torch.nn.functional.layer_norm(states.double(), states.shape[-1:]).numpy()


def run(session: onnxruntime.InferenceSession, feed: dict[str, np.ndarray]) -> list[np.ndarray]:
    return [np.asarray(output) for output in session.run(None, feed)]


def largest_error(actual: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(actual - expected).max())


@pytest.mark.parametrize("d", WIDTHS)
def test_cheap_order_equals_the_paper_s(d: int):
    case = make_case(d)
    expected = reference(case)
    assert expected.std() > 0.2
    with torch.no_grad():
        error = largest_error(case.head(case.queries, case.patches).numpy(), expected)
    # Rounding error of float32 sums over d terms.
    assert error < 1e-5


@pytest.mark.parametrize("d", WIDTHS)
def test_folding_in_float64_changes_nothing(d: int):
    case = make_case(d)
    folded = fold(case.head)
    M, v, w, s = folded.M, folded.v, folded.w, folded.s
    n_q, n = plain_norm(case.queries), plain_norm(case.patches)
    logits = n_q @ M @ n.T + n @ v + (n_q @ w)[:, None] + s
    assert largest_error(1 / (1 + np.exp(-logits)), reference(case)) < 1e-12


@pytest.mark.parametrize("d", WIDTHS)
def test_fp16_storage_in_the_runtime_stays_within_a_thousandth(d: int, tmp_path: Path):
    case = make_case(d)
    write_head_graph(tmp_path, d)
    write_head_weights(tmp_path / "fastrm.bin", fold(case.head))
    norm = onnxruntime.InferenceSession(tmp_path / "fastrm-norm.onnx", providers=["CPUExecutionProvider"])
    head = onnxruntime.InferenceSession(tmp_path / "fastrm.onnx", providers=["CPUExecutionProvider"])
    [patches] = run(norm, {"patch_states": case.patches.numpy()})
    assert largest_error(patches, plain_norm(case.patches)) < 1e-5
    expected = reference(case)
    [batch] = run(head, {"query_states": case.queries.numpy(), "patch_states": patches})
    # Each entry of M has a relative error of up to 2^-11 with random sign. A logit with standard deviation 2 is then
    # off by about 2^-11 * 2 / sqrt(3), its probability by a quarter of that. The tolerance is over five times as much.
    assert largest_error(batch, expected) < 1e-3
    for t in range(len(case.queries)):
        [one] = run(head, {"query_states": case.queries[t : t + 1].numpy(), "patch_states": patches})
        # A single row and a batch use different kernels, which may change the order of summation.
        assert largest_error(one, batch[t : t + 1]) < 1e-5


@pytest.mark.parametrize(("rank", "factors"), [(24, 2), (96, 1), (150, 1)])
def test_a_head_of_lower_rank_equals_the_paper_s_form_in_the_runtime(rank: int, factors: int, tmp_path: Path):
    case = make_case(192, rank)
    expected = reference(case)
    with torch.no_grad():
        assert largest_error(case.head(case.queries, case.patches).numpy(), expected) < 1e-5
    folded = fold(case.head)
    assert len(folded.factors) == factors
    write_head_graph(tmp_path, 192, rank)
    blob = tmp_path / "fastrm.bin"
    write_head_weights(blob, folded)
    # A head below half the width keeps its factors, because they are smaller than their product.
    assert blob.stat().st_size == 2 * min(2 * rank * 192, 192 * 192) + 4 * (2 * 192 + 2)
    norm = onnxruntime.InferenceSession(tmp_path / "fastrm-norm.onnx", providers=["CPUExecutionProvider"])
    runtime = onnxruntime.InferenceSession(tmp_path / "fastrm.onnx", providers=["CPUExecutionProvider"])
    [patches] = run(norm, {"patch_states": case.patches.numpy()})
    [actual] = run(runtime, {"query_states": case.queries.numpy(), "patch_states": patches})
    # Two roundings instead of one; the tolerance of one is derived above.
    assert largest_error(actual, expected) < 2e-3


def test_the_rank_is_saved_with_the_facts(tmp_path: Path):
    case = make_case(192, 24)
    case.head.save_pretrained(tmp_path, FACTS)
    loaded = FastRM.from_pretrained(tmp_path)
    assert (loaded.rank, loaded.facts.rank) == (24, 24)
    with torch.no_grad():
        assert torch.equal(loaded(case.queries, case.patches), case.head(case.queries, case.patches))
    full = make_case(192)
    full.head.save_pretrained(tmp_path / "full", FACTS)
    assert "rank" not in json.loads((tmp_path / "full" / "head.json").read_text())
    with pytest.raises(ValueError, match="rank is 192: it must be at least 1 and below the hidden size 192"):
        FastRM(192, rank=192)


def test_scaling_keeps_small_weights_out_of_fp16_subnormals():
    case = make_case(192)
    with torch.no_grad():
        case.head.query.weight *= 1e-6
    M = fold(case.head).M
    stored = round_folded(fold(case.head))
    restored = stored.factors[0].astype(np.float64) * stored.scale
    assert np.abs(M).max() < 2**-14
    assert np.linalg.norm(restored - M) / np.linalg.norm(M) < 2**-11
    assert np.isfinite(stored.factors[0]).all()


def test_samples_may_have_different_patches():
    head = make_case(192).head
    queries, patches = torch.randn(3, 192), torch.randn(3, 7, 192)
    with torch.no_grad():
        together = head(queries[:, None], patches)[:, 0]
        for k in range(3):
            torch.testing.assert_close(together[k], head(queries[k : k + 1], patches[k])[0], rtol=0, atol=1e-6)


def test_a_loaded_head_equals_the_saved_one(tmp_path: Path):
    case = make_case(192)
    case.head.save_pretrained(tmp_path, FACTS)
    loaded = FastRM.from_pretrained(tmp_path, hidden_size=192, stage="post_norm")
    assert loaded.facts == FACTS
    with torch.no_grad():
        assert torch.equal(loaded(case.queries, case.patches), case.head(case.queries, case.patches))


def test_a_head_for_other_hidden_states_is_refused(tmp_path: Path):
    make_case(192).head.save_pretrained(tmp_path, FACTS)
    with pytest.raises(ValueError, match=r"expects post_norm hidden states, the model returns pre_norm"):
        FastRM.from_pretrained(tmp_path, stage="pre_norm")
    with pytest.raises(ValueError, match=r"expects hidden size 192, the model has 256"):
        FastRM.from_pretrained(tmp_path, hidden_size=256)


def test_one_token_s_states_give_its_map_as_in_the_paper_s_snippet():
    case = make_case(192)
    with torch.no_grad():
        expected = case.head(case.queries, case.patches)
        for query, row in zip(case.queries, expected, strict=True):
            hidden_states = torch.cat([case.patches, query[None]])
            relevancy_map = case.head(hidden_states)
            assert relevancy_map.shape == (40,)
            # The order of summation differs between one row and several.
            torch.testing.assert_close(relevancy_map, row, rtol=0, atol=1e-6)


def test_patches_may_be_selected_from_the_complete_sequence():
    case = make_case(192)
    columns = torch.arange(40).flip(0) * 2 + 3
    sequence = torch.randn(2, 90, 192)
    sequence[:, columns] = case.patches
    sequence[:, -1] = case.queries[:2]
    with torch.no_grad():
        maps = case.head(sequence, patch_columns=columns)
        torch.testing.assert_close(maps, case.head(case.queries[:2], case.patches), rtol=0, atol=1e-6)


def test_states_of_the_wrong_shape_are_refused():
    head = make_case(192).head
    with pytest.raises(ValueError, match="hidden states have width 256, the head expects 192"):
        head(torch.randn(41, 256))
    with pytest.raises(ValueError, match=r"hidden states have shape \[192\], expected \[\.\.\., P \+ 1, 192\]"):
        head(torch.randn(192))
    with pytest.raises(ValueError, match="an untrained head has no facts"):
        _ = head.facts


def save_head(folder: Path) -> dict[str, torch.Tensor]:
    make_case(192).head.save_pretrained(folder, FACTS)
    return load_file(folder / "head.safetensors")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("missing", r"key\.bias is missing"),
        ("unexpected", r"more is unexpected"),
        ("shape", r"query\.weight has shape \[192, 100\] instead of \[192, 192\]"),
        ("nan", r"NaN or infinite, in 1 tensor \(norm\.weight\)"),
    ],
)
def test_weights_that_are_not_a_head_s_are_refused_by_name(change: str, message: str, tmp_path: Path):
    weights = save_head(tmp_path)
    if change == "missing":
        del weights["key.bias"]
    elif change == "unexpected":
        weights["more"] = torch.zeros(1)
    elif change == "shape":
        weights["query.weight"] = weights["query.weight"][:, :100].contiguous()
    else:
        weights["norm.weight"][7] = float("nan")
    save_file(weights, tmp_path / "head.safetensors")
    with pytest.raises(ValueError, match=message):
        FastRM.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not JSON"),
        ("[]", "expected an object"),
        ('{"hidden_size": 192}', "stage is missing, teacher is missing"),
        (json.dumps({**asdict(FACTS), "tempo": 3}), "tempo is unknown"),
        ("version https://git-lfs.github.com/spec/v1\nsize 9\n", "Git LFS pointer"),
    ],
)
def test_an_invalid_description_of_a_head_is_refused(content: str, message: str, tmp_path: Path):
    save_head(tmp_path)
    (tmp_path / "head.json").write_text(content)
    with pytest.raises((ValueError, OSError), match=message):
        FastRM.from_pretrained(tmp_path)


def test_a_head_s_incomplete_files_are_named(tmp_path: Path):
    save_head(tmp_path)
    weights = tmp_path / "head.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(OSError, match=r"head\.safetensors is incomplete"):
        FastRM.from_pretrained(tmp_path)
    with pytest.raises(
        OSError, match=r"there is no .*head\.json: pass a folder that `patchlight fit` or `patchlight train` wrote"
    ):
        FastRM.from_pretrained(tmp_path / "nowhere")


def test_a_description_written_before_weights_had_an_identity_is_read(tmp_path: Path):
    save_head(tmp_path)
    stored = json.loads((tmp_path / "head.json").read_text())
    del stored["model_weights"]
    (tmp_path / "head.json").write_text(json.dumps(stored))
    assert FastRM.from_pretrained(tmp_path).facts.trained_on == Identity("random", "0", None)


def test_the_embedded_model_s_head_was_trained_on_it():
    loaded = load(LoadOptions(model=str(EMBEDDED), device="cpu"))
    assert FastRM.from_pretrained(EMBEDDED / "fastrm", model=loaded).match == "same"


def test_a_head_of_other_weights_under_the_same_name_is_refused_unless_forced(tmp_path: Path):
    folder = tmp_path / EMBEDDED.name
    shutil.copytree(EMBEDDED, folder)
    weights = load_file(folder / "model.safetensors")
    weights["language_model.lm_head.weight"] *= 2
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    loaded = load(LoadOptions(model=str(folder), device="cpu"))
    with pytest.raises(WrongHead, match=r"trained on other weights of the same name, patchlight-scenes \(6cbd97bf7205"):
        FastRM.from_pretrained(folder / "fastrm", model=loaded)
    assert FastRM.from_pretrained(folder / "fastrm", model=loaded, force=True).match == "other"


def test_fastrm_plus_adds_the_weighted_logarithms_of_attention_rows(tmp_path: Path):
    d, rows, patches = 192, 6, 40
    plain = make_case(d)
    head = FastRM(d, attention_rows=rows).eval()
    head.load_state_dict({**plain.head.state_dict(), "attention.weight": torch.randn(rows)})
    attention = torch.rand(5, rows, patches) / patches
    attention[:, :, 3] = 0  # no attention at all
    assert head.attention is not None
    expected = reference(plain)
    for t in range(5):
        for j in range(patches):
            logit = np.log(expected[t, j] / (1 - expected[t, j]))
            for f in range(rows):
                logit += float(head.attention.weight[f]) * np.log(float(attention[t, f, j]) + 1e-6)
            expected[t, j] = 1 / (1 + np.exp(-logit))
    head.save_pretrained(tmp_path, FACTS)
    with pytest.raises(ValueError, match=r"head fastrm is a FastRM\+, which needs each token's attention rows"):
        FastRM.from_pretrained(tmp_path)
    loaded = FastRM.from_pretrained(tmp_path, attention=True)
    with torch.no_grad():
        # Rounding error of float32 sums over d terms.
        assert largest_error(loaded(plain.queries, plain.patches, attention=attention).numpy(), expected) < 1e-5
    assert loaded.facts.features == "attention"
    with pytest.raises(ValueError, match="this head needs the tokens' attention rows"):
        loaded(plain.queries, plain.patches)
    with pytest.raises(ValueError, match="5 attention rows per token, the head expects 6"):
        loaded(plain.queries, plain.patches, attention=attention[:, :5])
    with pytest.raises(ValueError, match="this head reads no attention"):
        plain.head(plain.queries, plain.patches, attention=attention)
    with pytest.raises(ValueError, match=r"FastRM\+ takes query_states"):
        loaded(plain.queries)


def test_an_untrained_fastrm_plus_equals_the_plain_head():
    case = make_case(192)
    head = FastRM(192, attention_rows=4).eval()
    head.load_state_dict(case.head.state_dict(), strict=False)
    with torch.no_grad():
        maps = head(case.queries, case.patches, attention=torch.rand(5, 4, 40))
        assert torch.equal(maps, case.head(case.queries, case.patches))


def test_facts_of_a_plain_head_do_not_mention_its_features(tmp_path: Path):
    FastRM(192).save_pretrained(tmp_path, FACTS)
    assert "features" not in json.loads((tmp_path / "head.json").read_text())
