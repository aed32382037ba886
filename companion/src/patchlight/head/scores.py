"""How well predicted maps say which patches are relevant, at every classification threshold."""

from typing import NamedTuple

import torch

STEPS = 101
THRESHOLDS = torch.linspace(0, 1, STEPS)


class HeadCounts(NamedTuple):
    """Patches of t maps, a map and a threshold at a time: [t, 101] int64 predicted relevant, and [t] in all.

    true_positive and false_positive at each threshold; positive and total patches, which no threshold changes.
    """

    true_positive: torch.Tensor
    false_positive: torch.Tensor
    positive: torch.Tensor
    total: torch.Tensor

    def summed(self) -> "HeadCounts":
        """All maps as one: every patch counts the same."""
        return HeadCounts(*(part.sum(0, keepdim=True) for part in self))


class HeadCurve(NamedTuple):
    """Figures over classification thresholds, [101] each, for one way of predicting maps."""

    accuracy: torch.Tensor
    precision: torch.Tensor
    recall: torch.Tensor
    f1: torch.Tensor


def labels_of(relevancy: torch.Tensor, threshold: float) -> torch.Tensor:
    """[t, p] relevancy to labels: 1 where a patch has at least `threshold` of its map's maximum (paper, equation 1)."""
    return (relevancy >= threshold * relevancy.amax(-1, keepdim=True)).float()


def count(
    predicted: torch.Tensor, relevancy: torch.Tensor, labelling_threshold: float, mask: torch.Tensor | None = None
) -> HeadCounts:
    """Predicted [t, p] in 0..1 against labels from `relevancy`; mask [t, p] is False on what is no patch."""
    labels = labels_of(relevancy, labelling_threshold).bool()
    mask = torch.ones_like(labels) if mask is None else mask
    step = (predicted.clamp(0, 1) * (STEPS - 1)).floor().long()
    cell = step + STEPS * torch.arange(len(step), device=step.device)[:, None]

    def at_least(chosen: torch.Tensor) -> torch.Tensor:
        found = torch.bincount(cell[chosen], minlength=len(step) * STEPS).view(-1, STEPS)
        return found.flip(1).cumsum(1).flip(1)

    return HeadCounts(at_least(labels & mask), at_least(~labels & mask), (labels & mask).sum(1), mask.sum(1))


def curve_of(counts: HeadCounts) -> HeadCurve:
    """Micro-averaged over all patches of all maps."""
    tp, fp, positive, total = (part.double()[0] for part in counts.summed())
    precision = tp / (tp + fp).clamp(min=1)
    recall = tp / positive.clamp(min=1)
    f1 = 2 * tp / (tp + fp + positive).clamp(min=1)
    return HeadCurve((total - positive - fp + tp) / total, precision, recall, f1)


def measure(
    predicted: torch.Tensor, relevancy: torch.Tensor, labelling_threshold: float, mask: torch.Tensor | None = None
) -> HeadCurve:
    """`curve_of` what `count` finds."""
    return curve_of(count(predicted, relevancy, labelling_threshold, mask))


def best_threshold(curve: HeadCurve) -> float:
    """Where F1 is highest; never 0 or 1, which would read everything or nothing."""
    return min(max(int(curve.f1.argmax()), 1), STEPS - 2) / (STEPS - 1)
