"""Tests the losses against plain formulas."""

import numpy as np
import pytest
import torch

from patchlight.head.ablation import Ablation
from patchlight.head.losses import MAP_LOSSES, WITHOUT_LEVEL, Loss, loss_of, pearson_of


def plain(parts: list[tuple[torch.Tensor, torch.Tensor]], threshold: float) -> tuple[float, float]:
    entropies, divergences = [], []
    for logits, relevancy in parts:
        for row, scores in zip(logits.double(), relevancy.double(), strict=True):
            p, q = scores / scores.sum(), row.exp() / row.exp().sum()
            divergences.append(float(sum(a * (a / b).log() for a, b in zip(p, q, strict=True) if a > 0)))
            for value, score in zip(row, scores, strict=True):
                probability = 1 / (1 + (-value).exp())
                is_relevant = score >= threshold * scores.max()
                entropies.append(-float((probability if is_relevant else 1 - probability).log()))
    return sum(entropies) / len(entropies), sum(divergences) / len(divergences)


@pytest.mark.parametrize("weight", [1.0, 4.0])
@pytest.mark.parametrize("loss", MAP_LOSSES)
def test_losses_equal_the_plain_formulas(loss: Loss, weight: float):
    random = torch.Generator().manual_seed(0)
    parts = [
        (torch.randn(n, p, generator=random), torch.rand(n, p, generator=random) ** 3) for n, p in ((2, 5), (3, 9))
    ]
    parts[0][1][0, 2] = 0  # a patch without relevancy adds nothing to the divergence
    bce, kl = plain(parts, 0.3)
    # The weight is that of the cross-entropy beside the divergence, and nothing alone.
    expected = {"bce": bce, "kl": kl, "bce+kl": weight * bce + kl}[loss]
    assert loss_of(parts, loss, 0.3, bce_weight=weight).item() == pytest.approx(expected, rel=1e-5)


def test_divergence_ignores_the_scale_of_a_map_and_the_level_of_the_logits():
    logits, relevancy = torch.randn(2, 6), torch.rand(2, 6)
    one, other = loss_of([(logits, relevancy)], "kl", 0.3), loss_of([(logits + 3, relevancy * 7)], "kl", 0.3)
    torch.testing.assert_close(one, other)


def measured(tokens: int, patches: int, seed: int) -> tuple[torch.Tensor, Ablation]:
    """Return logits, and random masks for each token, with falls that the logits explain in part."""
    random = torch.Generator().manual_seed(seed)
    logits = torch.randn(tokens, patches, generator=random)
    masks = torch.rand(tokens, 32, patches, generator=random) < 0.5
    falls = torch.einsum("nkp,np->nk", masks.float(), logits.softmax(1))
    return logits, Ablation(masks, 3 * falls + torch.randn(tokens, 32, generator=random) / 2)


def test_pearson_is_one_minus_the_mean_correlation_over_tokens_of_pictures_of_any_size():
    parts = [measured(2, 5, 0), measured(3, 9, 1)]
    plain_values = []
    for logits, (masks, deltas) in parts:
        for row, bits, falls in zip(logits.double().numpy(), masks.numpy(), deltas.double().numpy(), strict=True):
            share = np.exp(row) / np.exp(row).sum()
            predicted = [sum(value for value, barred in zip(share, mask, strict=True) if barred) for mask in bits]
            plain_values.append(np.corrcoef(predicted, falls)[0, 1])
    assert max(plain_values) - min(plain_values) > 0.1
    # float32 sums of at most nine values.
    assert pearson_of(parts).item() == pytest.approx(1 - np.mean(plain_values), abs=1e-5)


def test_pearson_ignores_the_level_of_the_logits_and_the_scale_of_the_falls():
    logits, (masks, deltas) = measured(4, 7, 2)
    one, other = (
        pearson_of([(logits, Ablation(masks, deltas))]),
        pearson_of([(logits - 50, Ablation(masks, 9 * deltas + 2))]),
    )
    torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)
    assert set(WITHOUT_LEVEL) == {"kl", "pearson"}


def test_tokens_that_lose_the_same_under_all_masks_are_left_out_of_pearson():
    logits, (masks, deltas) = measured(4, 7, 3)
    expected = pearson_of([(logits[:2], Ablation(masks[:2], deltas[:2]))])
    deltas[2], deltas[3] = 0.7, 0.0
    deltas[3, 4] = torch.nan
    logits.requires_grad_()
    loss = pearson_of([(logits, Ablation(masks, deltas))])
    torch.testing.assert_close(loss, expected)
    (gradient,) = torch.autograd.grad(loss, logits)
    assert gradient[:2].abs().amin() > 0
    assert (gradient[2:] == 0).all()
    (gradient,) = torch.autograd.grad(pearson_of([(logits, Ablation(masks, torch.ones(4, 32)))]), logits)
    assert (gradient == 0).all()


@pytest.mark.parametrize("level", [0.0, 1e4])
def test_pearson_has_finite_gradients_for_maps_that_predict_nothing(level: float):
    """The same number of patches is barred in each mask, so a map without differences predicts the same fall."""
    _, (_, deltas) = measured(1, 8, 4)
    masks = torch.stack([torch.randperm(8) < 4 for _ in range(32)])[None]
    logits = torch.full((1, 8), level).requires_grad_()
    loss = pearson_of([(logits, Ablation(masks, deltas))])
    (gradient,) = torch.autograd.grad(loss, logits)
    assert loss.item() == pytest.approx(1, abs=0.05)
    assert gradient.isfinite().all()


def test_pearson_cannot_be_computed_from_maps():
    with pytest.raises(ValueError, match="needs the masks of ablation samples"):
        loss_of([], "pearson", 0.3)
