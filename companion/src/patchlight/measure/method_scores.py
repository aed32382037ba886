"""Scores maps against an object's known patches and against other maps, with bootstrap intervals."""

from typing import NamedTuple

import numpy as np
import torch
from scipy.stats import rankdata

from ..head.scores import labels_of

RESAMPLES = 2000
TOP_SHARE = 0.1


class Ratio(NamedTuple):
    """A figure over n tokens, sum(over) / sum(under) with [n] each; for a mean, `under` is 1 everywhere."""

    over: np.ndarray
    under: np.ndarray


class Estimate(NamedTuple):
    """A value with its 95 % interval; `draws` [RESAMPLES] has the value of each resample, for paired differences."""

    value: float
    low: float
    high: float
    draws: np.ndarray

    def minus(self, other: "Estimate") -> "Estimate":
        """Estimate the difference from another figure on the same tokens and resamples."""
        return _estimate(self.value - other.value, self.draws - other.draws)


def pointing(maps: torch.Tensor, masks: torch.Tensor) -> Ratio:
    """Pointing game: the share of maps [n, P] whose maximum is on the object (masks [n, P] bool).

    If several patches share the maximum, a map counts by the share of them on the object.
    """
    highest = maps >= maps.amax(1, keepdim=True)
    return _mean((highest & masks).sum(1) / highest.sum(1))


def mass_inside(maps: torch.Tensor, masks: torch.Tensor) -> Ratio:
    """Mean share of a map's sum that is on the object; for an empty map, the object's share of the patches."""
    total = maps.sum(1)
    inside = (maps * masks).sum(1) / total.clamp(min=torch.finfo(maps.dtype).tiny)
    return _mean(torch.where(total > 0, inside, masks.float().mean(1)))


def iou(selected: torch.Tensor, masks: torch.Tensor) -> Ratio:
    """Mean over tokens of the intersection over union of binarised maps and objects, both [n, P] bool."""
    return _mean((selected & masks).sum(1) / (selected | masks).sum(1).clamp(min=1))


def f1(selected: torch.Tensor, labels: torch.Tensor) -> Ratio:
    """F1 of binarised maps against labels, both [n, P] bool, over the patches of all maps together."""
    both = (selected & labels).sum(1)
    return Ratio(2.0 * both.numpy(), (selected.sum(1) + labels.sum(1)).double().numpy())


def spearman(maps: torch.Tensor, others: torch.Tensor) -> Ratio:
    """Mean over tokens of Spearman's rank correlation, with mean ranks for ties; 0 if a map is constant."""
    a, b = (rankdata(part.numpy(), axis=1) for part in (maps, others))
    a, b = a - a.mean(1, keepdims=True), b - b.mean(1, keepdims=True)
    norm = np.sqrt((a**2).sum(1) * (b**2).sum(1))
    return Ratio(np.divide((a * b).sum(1), norm, out=np.zeros(len(a)), where=norm > 0), np.ones(len(a)))


def top_iou(maps: torch.Tensor, others: torch.Tensor, share: float = TOP_SHARE) -> Ratio:
    """Mean over tokens of the intersection over union of each map's highest-ranked `share` of patches."""
    count = round(share * maps.shape[1])
    tops = []
    for part in (maps, others):
        top = torch.zeros_like(part, dtype=torch.bool)
        tops.append(top.scatter_(1, part.topk(count, dim=1).indices, True))
    return iou(tops[0], tops[1])


def binarised(maps: torch.Tensor, *, share: float | None = None, threshold: float | None = None) -> torch.Tensor:
    """Binarise maps [n, P] at `share` of their maximum, or at the probability `threshold`.

    With `share`, an empty map selects no patch. Raises ValueError if neither is given.
    """
    if threshold is not None:
        return maps >= threshold
    if share is None:
        raise ValueError("expected a share of the maximum or a threshold, got neither")
    return labels_of(maps, share).bool() & (maps.amax(1, keepdim=True) > 0)


class Bootstrap:
    """Bootstrap over scenes, because tokens of a scene are not independent; all estimates share the same resamples."""

    def __init__(self, scenes: np.ndarray, *, resamples: int = RESAMPLES, seed: int = 0):
        """Draw the resamples. scenes [n]: the scene of each token."""
        self._scene_of, self._places = np.unique(scenes, return_inverse=True)
        count = len(self._scene_of)
        draws = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=resamples)
        self._times = draws.astype(np.float64)

    def estimate(self, ratio: Ratio, rows: np.ndarray | None = None) -> Estimate:
        """Estimate a figure, using only the tokens `rows` [n] bool if given; NaN if there are none."""
        over, under = (np.asarray(part, np.float64) for part in ratio)
        if rows is not None:
            over, under = over * rows, under * rows
        sums = [np.bincount(self._places, part, len(self._scene_of)) for part in (over, under)]
        totals = [self._times @ part for part in sums]
        draws = np.divide(totals[0], totals[1], out=np.full(len(self._times), np.nan), where=totals[1] > 0)
        total = sums[1].sum()
        return _estimate(float(sums[0].sum() / total) if total > 0 else float("nan"), draws)


def _mean(values: torch.Tensor) -> Ratio:
    return Ratio(values.double().numpy(), np.ones(len(values)))


def _estimate(value: float, draws: np.ndarray) -> Estimate:
    if np.isnan(draws).all():
        return Estimate(value, float("nan"), float("nan"), draws)
    low, high = np.nanpercentile(draws, [2.5, 97.5])
    return Estimate(value, float(low), float(high), draws)
