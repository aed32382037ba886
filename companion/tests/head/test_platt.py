"""Tests Platt scaling against slow, independent fits, and that a calibrated head is exactly the scaled one."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file, save_file
from scipy.optimize import minimize
from scipy.special import expit, log1p

from patchlight.head.fastrm import FastRM, HeadFacts, paper_logits
from patchlight.head.folded import fold, write_head_graph, write_head_weights
from patchlight.head.platt import Platt, calibrated, fit_platt
from patchlight.head.scores import NotFinite

FACTS = HeadFacts(hidden_size=48, stage="post_norm", teacher="t", model="m", model_revision="r")


def sampled(
    count: int, scale: float, offset: float, seed: int, spread: float = 2.0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return logits, and labels that are 1 with probability sigmoid(scale * logit + offset)."""
    random = torch.Generator().manual_seed(seed)
    logits = spread * torch.randn(count, generator=random)
    return logits, (torch.rand(count, generator=random) < (scale * logits + offset).sigmoid()).float()


def cross_entropy(weights: np.ndarray, z: np.ndarray, labels: np.ndarray) -> float:
    positive, negative = labels.sum(), (1 - labels).sum()
    targets = np.where(labels == 1, (positive + 1) / (positive + 2), 1 / (negative + 2))
    margin = weights[0] * z + weights[1]
    return float(np.mean(np.maximum(margin, 0) - targets * margin + log1p(np.exp(-np.abs(margin)))))


@pytest.mark.parametrize(("scale", "offset", "spread"), [(0.7, -2.0, 2.0), (3.0, 0.5, 1.0), (0.02, -1.0, 200.0)])
def test_the_fit_equals_a_slow_search(scale: float, offset: float, spread: float):
    logits, labels = sampled(4000, scale, offset, 0, spread)
    fitted = fit_platt(logits, labels)
    z, y = logits.double().numpy(), labels.double().numpy()
    slow = minimize(
        lambda w: cross_entropy(np.array([w[0] / spread, w[1]]), z, y),
        [0.0, 0.0],
        method="Nelder-Mead",
        options={"xatol": 1e-9, "fatol": 1e-14, "maxiter": 4000},
    )
    # Nelder-Mead stops where the loss no longer changes in float64, about 1e-7 from the minimum.
    assert fitted.scale == pytest.approx(slow.x[0] / spread, rel=1e-5)
    assert fitted.offset == pytest.approx(slow.x[1], rel=1e-5)
    # With 4,000 labels, the fit is near what the labels were drawn with.
    assert fitted.scale == pytest.approx(scale, rel=0.15)
    assert fitted.offset == pytest.approx(offset, abs=0.2)


def test_the_mean_probability_is_the_share_of_labels():
    logits, labels = sampled(5000, 0.4, -3.0, 1, 4.0)
    scale, offset = fit_platt(logits + 70, labels)
    # Exact for the smoothed targets, which are 1 / 5002 away from the labels at most.
    assert expit(scale * (logits + 70).double() + offset).mean().item() == pytest.approx(labels.mean().item(), abs=1e-3)


def test_labels_that_a_threshold_separates_have_a_finite_fit():
    logits = torch.linspace(-5, 5, 200)
    scale, offset = fit_platt(logits, (logits > 1).float())
    assert 1 < scale < 1e4
    assert -offset / scale == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("labels", [torch.zeros(50), torch.ones(50)])
def test_labels_of_one_kind_have_a_finite_fit(labels: torch.Tensor):
    fitted = fit_platt(torch.randn(50, generator=torch.Generator().manual_seed(0)), labels)
    assert np.isfinite(fitted).all()
    assert (fitted.offset > 0) == bool(labels[0])


def test_maps_are_never_turned_upside_down():
    logits, labels = sampled(3000, 1.0, -1.0, 2)
    scale, offset = fit_platt(-logits, labels)
    assert 0 < scale < 1e-5
    assert expit(offset) == pytest.approx(labels.mean().item(), abs=1e-3)


def test_logits_that_are_not_finite_are_refused():
    with pytest.raises(NotFinite):
        fit_platt(torch.tensor([0.0, torch.inf]), torch.tensor([0.0, 1.0]))


@pytest.mark.parametrize("rank", [None, 12])
def test_a_calibrated_head_is_the_scaled_one_in_all_forms(rank: int | None, tmp_path: Path):
    torch.manual_seed(0)
    head = FastRM(48, FACTS, rank=rank)
    queries, patches = torch.randn(5, 48), torch.randn(9, 48)
    platt = Platt(6.5, -1.75)
    with torch.no_grad():
        head.query.weight *= 5
        expected = platt.scale * head.double().logits(queries.double(), patches.double()) + platt.offset
        head.float()
        once = calibrated(head, platt)
        assert head.offset == 0  # the head that is copied stays as it was
        # float32 sums over 48 terms; the logits reach 10.
        torch.testing.assert_close(once.logits(queries, patches).double(), expected, atol=1e-4, rtol=1e-5)
        torch.testing.assert_close(paper_logits(once, queries, patches).double(), expected, atol=1e-4, rtol=1e-5)
        twice = calibrated(once, Platt(0.5, 2.0))
        torch.testing.assert_close(twice.logits(queries, patches).double(), expected / 2 + 2, atol=1e-4, rtol=1e-5)
    folded = fold(once)
    plain = [torch.nn.functional.layer_norm(part.double(), (48,)).numpy() for part in (queries, patches)]
    logits = plain[0] @ folded.M @ plain[1].T + plain[1] @ folded.v + (plain[0] @ folded.w)[:, None] + folded.s
    np.testing.assert_allclose(logits, expected.numpy(), atol=1e-5)
    # The page's graph, with the file that it loads.
    write_head_graph(tmp_path, 48, rank)
    write_head_weights(tmp_path / "fastrm.bin", folded)
    norm, runtime = (
        onnxruntime.InferenceSession(tmp_path / name, providers=["CPUExecutionProvider"])
        for name in ("fastrm-norm.onnx", "fastrm.onnx")
    )
    [normalised] = norm.run(None, {"patch_states": patches.numpy()})
    [actual] = runtime.run(None, {"query_states": queries.numpy(), "patch_states": normalised})
    # Factors in fp16: relative errors of up to 2^-11 each, of logits with a standard deviation of about 4.
    np.testing.assert_allclose(np.asarray(actual), expected.sigmoid().numpy(), atol=4e-3)


def test_the_offset_is_stored_only_with_a_calibrated_head(tmp_path: Path):
    head = FastRM(48, FACTS)
    head.save_pretrained(tmp_path / "plain")
    assert "offset" not in load_file(tmp_path / "plain" / "head.safetensors")
    assert FastRM.from_pretrained(tmp_path / "plain").offset == 0
    other = calibrated(head, Platt(2.0, 0.625))
    other.save_pretrained(tmp_path / "calibrated")
    loaded = FastRM.from_pretrained(tmp_path / "calibrated")
    assert loaded.offset == 0.625
    queries, patches = torch.randn(2, 48), torch.randn(4, 48)
    with torch.no_grad():
        assert torch.equal(loaded(queries, patches), other(queries, patches))
    weights = load_file(tmp_path / "calibrated" / "head.safetensors")
    for wrong, message in ((torch.tensor([1.0, 2.0]), "offset is unexpected"), (torch.tensor(torch.nan), "not finite")):
        save_file({**weights, "offset": wrong}, tmp_path / "calibrated" / "head.safetensors")
        with pytest.raises(ValueError, match=message):
            FastRM.from_pretrained(tmp_path / "calibrated")
