"""Scores predicted maps against labels at every classification threshold."""

from typing import NamedTuple

import torch

STEPS = 101
THRESHOLDS = torch.linspace(0, 1, STEPS)


class NotFinite(ValueError):
    """A prediction, a loss or a hidden state is NaN or infinite."""

    @property
    def sentence(self) -> str:
        """The message as a sentence."""
        text = str(self)
        return f"{text[:1].upper()}{text[1:]}."


class HeadCounts(NamedTuple):
    """Patch counts of t maps, int64.

    true_positive and false_positive `[t, 101]`: the patches correctly and wrongly predicted relevant at each threshold.
    positive and total `[t]`: patches labelled relevant, and all patches.
    """

    true_positive: torch.Tensor
    false_positive: torch.Tensor
    positive: torch.Tensor
    total: torch.Tensor

    def summed(self) -> "HeadCounts":
        """Return the sums over all maps, `[1, 101]` and `[1]`."""
        return HeadCounts(*(part.sum(0, keepdim=True) for part in self))


class HeadCurve(NamedTuple):
    """Scores `[101]`, one per classification threshold."""

    accuracy: torch.Tensor
    precision: torch.Tensor
    recall: torch.Tensor
    f1: torch.Tensor


def labels_of(relevancy: torch.Tensor, threshold: float) -> torch.Tensor:
    """Turn relevancy `[t, p]` into labels `[t, p]`: 1 for patches with at least `threshold` times their map's maximum
    (FastRM paper, equation 1), else 0.
    """
    return (relevancy >= threshold * relevancy.amax(-1, keepdim=True)).float()


def count(
    predicted: torch.Tensor, relevancy: torch.Tensor, labelling_threshold: float, mask: torch.Tensor | None = None
) -> HeadCounts:
    """Compare predictions `[t, p]`, from 0 to 1, with the labels of `relevancy` `[t, p]`, and count the patches.

    mask `[t, p]` is False on padding. Raises NotFinite if a prediction is NaN.
    """
    if predicted.isnan().any():
        raise NotFinite("the head's probabilities are not finite")
    labels = labels_of(relevancy, labelling_threshold).bool()
    mask = torch.ones_like(labels) if mask is None else mask
    step = (predicted.clamp(0, 1) * (STEPS - 1)).floor().long()
    cell = step + STEPS * torch.arange(len(step), device=step.device)[:, None]

    def at_least(chosen: torch.Tensor) -> torch.Tensor:
        counts = torch.bincount(cell[chosen], minlength=len(step) * STEPS).view(-1, STEPS)
        return counts.flip(1).cumsum(1).flip(1)

    return HeadCounts(at_least(labels & mask), at_least(~labels & mask), (labels & mask).sum(1), mask.sum(1))


def curve_of(counts: HeadCounts) -> HeadCurve:
    """Return the scores micro-averaged over all patches of all maps."""
    tp, fp, positive, total = (part.double()[0] for part in counts.summed())
    precision = tp / (tp + fp).clamp(min=1)
    recall = tp / positive.clamp(min=1)
    f1 = 2 * tp / (tp + fp + positive).clamp(min=1)
    return HeadCurve((total - positive - fp + tp) / total, precision, recall, f1)


def best_threshold(curve: HeadCurve) -> float:
    """Return the threshold with the highest F1, excluding 0 and 1, at which all patches or no patches would be
    relevant.
    """
    return min(max(int(curve.f1.argmax()), 1), STEPS - 2) / (STEPS - 1)
