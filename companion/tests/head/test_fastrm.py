"""The head's forms against each other: the paper's order, the cheap order, folded in float64, stored in fp16, in ONNX.

Probabilities are compared, since they are what is read. Logits here have a deviation of about 2 (the query weights are
scaled up), so that the sigmoid is neither flat nor all but linear.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnxruntime
import pytest
import torch

from patchlight.head.fastrm import FastRM, HeadFacts, paper_logits
from patchlight.head.folded import fold, round_folded, write_head_graph, write_head_weights

FACTS = HeadFacts(
    hidden_size=192, stage="post_norm", teacher="none, random weights", model="random", model_revision="0"
)
WIDTHS = [192, 1024, pytest.param(4096, marks=pytest.mark.slow)]


class Case(NamedTuple):
    """A random head with states: queries [5, d], patches [40, d]."""

    head: FastRM
    queries: torch.Tensor
    patches: torch.Tensor


def make_case(d: int) -> Case:
    torch.manual_seed(d)
    head = FastRM(d).eval()
    with torch.no_grad():
        head.norm.weight.uniform_(0.5, 1.5)
        head.norm.bias.normal_(0, 0.3)
        head.query.weight *= 6
    # Columns of very different size, as real hidden states have them.
    spread = torch.logspace(-1, 1, d)[torch.randperm(d)]
    return Case(head, torch.randn(5, d) * spread, torch.randn(40, d) * spread)


def reference(case: Case) -> np.ndarray:
    """The paper's form in float64."""
    with torch.no_grad():
        double = FastRM(case.head.hidden_size).double()
        double.load_state_dict(case.head.state_dict())
        return paper_logits(double, case.queries.double(), case.patches.double()).sigmoid().numpy()


def plain_norm(states: torch.Tensor) -> np.ndarray:
    return torch.nn.functional.layer_norm(states.double(), states.shape[-1:]).numpy()


def run(session: onnxruntime.InferenceSession, feed: dict[str, np.ndarray]) -> list[np.ndarray]:
    return [np.asarray(output) for output in session.run(None, feed)]


def largest_error(found: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.abs(found - wanted).max())


@pytest.mark.parametrize("d", WIDTHS)
def test_cheap_order_equals_the_papers(d: int):
    case = make_case(d)
    wanted = reference(case)
    assert wanted.std() > 0.2
    with torch.no_grad():
        error = largest_error(case.head(case.queries, case.patches).numpy(), wanted)
    # float32 sums over d terms.
    assert error < 1e-5


@pytest.mark.parametrize("d", WIDTHS)
def test_folding_in_float64_changes_nothing(d: int):
    case = make_case(d)
    M, v, w, s = fold(case.head)
    n_q, n = plain_norm(case.queries), plain_norm(case.patches)
    logits = n_q @ M @ n.T + n @ v + (n_q @ w)[:, None] + s
    assert largest_error(1 / (1 + np.exp(-logits)), reference(case)) < 1e-12


@pytest.mark.parametrize("d", WIDTHS)
def test_fp16_storage_in_the_runtime_stays_within_a_thousandth(d: int, tmp_path: Path):
    case = make_case(d)
    write_head_graph(tmp_path, d)
    write_head_weights(tmp_path, fold(case.head))
    norm = onnxruntime.InferenceSession(tmp_path / "fastrm-norm.onnx", providers=["CPUExecutionProvider"])
    head = onnxruntime.InferenceSession(tmp_path / "fastrm.onnx", providers=["CPUExecutionProvider"])
    [patches] = run(norm, {"patch_states": case.patches.numpy()})
    assert largest_error(patches, plain_norm(case.patches)) < 1e-5
    wanted = reference(case)
    [batch] = run(head, {"query_states": case.queries.numpy(), "patch_states": patches})
    # Each of M's entries is off by up to 2^-11 of itself; the errors' signs are random, so a logit of deviation 2 is off
    # by about 2^-11 * 2 / sqrt(3) and its probability by a quarter of that. Five deviations of it.
    assert largest_error(batch, wanted) < 1e-3
    for t in range(len(case.queries)):
        [one] = run(head, {"query_states": case.queries[t : t + 1].numpy(), "patch_states": patches})
        # Other kernels serve one row than many; same numbers but for the order of sums.
        assert largest_error(one, batch[t : t + 1]) < 1e-5


def test_small_weights_do_not_fall_into_fp16s_subnormals():
    case = make_case(192)
    with torch.no_grad():
        case.head.query.weight *= 1e-6
    M = fold(case.head).M
    stored = round_folded(fold(case.head))
    restored = stored.M16.astype(np.float64) * stored.scale
    assert np.abs(M).max() < 2**-14
    assert np.linalg.norm(restored - M) / np.linalg.norm(M) < 2**-11
    assert np.isfinite(stored.M16).all()


def test_each_sample_may_have_its_own_patches():
    head = make_case(192).head
    queries, patches = torch.randn(3, 192), torch.randn(3, 7, 192)
    with torch.no_grad():
        together = head(queries[:, None], patches)[:, 0]
        for k in range(3):
            torch.testing.assert_close(together[k], head(queries[k : k + 1], patches[k])[0], rtol=0, atol=1e-6)


def test_a_saved_head_gives_the_same_numbers_again(tmp_path: Path):
    case = make_case(192)
    case.head.save_pretrained(tmp_path, FACTS)
    again = FastRM.from_pretrained(tmp_path, hidden_size=192, stage="post_norm")
    assert again.facts == FACTS
    with torch.no_grad():
        assert torch.equal(again(case.queries, case.patches), case.head(case.queries, case.patches))


def test_a_head_for_other_hidden_states_is_refused_by_name(tmp_path: Path):
    make_case(192).head.save_pretrained(tmp_path, FACTS)
    with pytest.raises(ValueError, match=r"reads post_norm hidden states, the model gives pre_norm"):
        FastRM.from_pretrained(tmp_path, stage="pre_norm")
    with pytest.raises(ValueError, match=r"reads hidden size 192, the model gives 256"):
        FastRM.from_pretrained(tmp_path, hidden_size=256)


def test_one_token_s_states_give_its_map_as_in_the_papers_snippet():
    case = make_case(192)
    with torch.no_grad():
        wanted = case.head(case.queries, case.patches)
        for query, row in zip(case.queries, wanted, strict=True):
            hidden_states = torch.cat([case.patches, query[None]])
            relevancy_map = case.head(hidden_states)
            assert relevancy_map.shape == (40,)
            # one row's products and many rows' are summed in different orders
            torch.testing.assert_close(relevancy_map, row, rtol=0, atol=1e-6)


def test_patches_may_be_picked_from_the_whole_sequence():
    case = make_case(192)
    columns = torch.arange(40).flip(0) * 2 + 3
    sequence = torch.randn(2, 90, 192)
    sequence[:, columns] = case.patches
    sequence[:, -1] = case.queries[:2]
    with torch.no_grad():
        found = case.head(sequence, patch_columns=columns)
        torch.testing.assert_close(found, case.head(case.queries[:2], case.patches), rtol=0, atol=1e-6)


def test_states_that_do_not_fit_are_refused_with_their_numbers():
    head = make_case(192).head
    with pytest.raises(ValueError, match="hidden states are 256 wide, the head reads 192"):
        head(torch.randn(41, 256))
    with pytest.raises(ValueError, match=r"hidden states \[192\]: want the patches' rows"):
        head(torch.randn(192))
    with pytest.raises(ValueError, match="a fresh head has no facts"):
        _ = head.facts
