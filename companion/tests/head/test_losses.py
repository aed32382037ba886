"""Tests the losses against plain formulas."""

import pytest
import torch

from patchlight.head.losses import LOSSES, Loss, loss_of


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


@pytest.mark.parametrize("loss", LOSSES)
def test_losses_equal_the_plain_formulas(loss: Loss):
    random = torch.Generator().manual_seed(0)
    parts = [
        (torch.randn(n, p, generator=random), torch.rand(n, p, generator=random) ** 3) for n, p in ((2, 5), (3, 9))
    ]
    parts[0][1][0, 2] = 0  # a patch without relevancy adds nothing to the divergence
    bce, kl = plain(parts, 0.3)
    expected = {"bce": bce, "kl": kl, "bce+kl": bce + kl}[loss]
    assert loss_of(parts, loss, 0.3).item() == pytest.approx(expected, rel=1e-5)


def test_divergence_ignores_the_scale_of_a_map_and_the_level_of_the_logits():
    logits, relevancy = torch.randn(2, 6), torch.rand(2, 6)
    one, other = loss_of([(logits, relevancy)], "kl", 0.3), loss_of([(logits + 3, relevancy * 7)], "kl", 0.3)
    torch.testing.assert_close(one, other)
