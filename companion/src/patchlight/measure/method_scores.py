"""How well maps find an object whose patches are known, how alike two maps are, and how sure of either one may be."""

from typing import NamedTuple

import numpy as np
import torch
from scipy.stats import rankdata

from ..head.scores import labels_of

RESAMPLES = 2000
TOP_SHARE = 0.1


class Ratio(NamedTuple):
    """Of n tokens: the figure is sum(over) / sum(under), [n] each. A mean has `under` 1 everywhere."""

    over: np.ndarray
    under: np.ndarray


class Estimate(NamedTuple):
    """value with its 95 % interval, and the value of each resample [RESAMPLES], for differences of two estimates."""

    value: float
    low: float
    high: float
    draws: np.ndarray

    def minus(self, other: "Estimate") -> "Estimate":
        """Of two figures on the same tokens and resamples."""
        return _estimate(self.value - other.value, self.draws - other.draws)


def pointing(maps: torch.Tensor, masks: torch.Tensor) -> Ratio:
    """Share of maps [n, P] whose maximum lies on the object [n, P]; where several patches share it, their share."""
    highest = maps >= maps.amax(1, keepdim=True)
    return _mean((highest & masks).sum(1) / highest.sum(1))


def mass_inside(maps: torch.Tensor, masks: torch.Tensor) -> Ratio:
    """Share of the map's sum that lies on the object; of an empty map, the object's share of the patches."""
    total = maps.sum(1)
    inside = (maps * masks).sum(1) / total.clamp(min=torch.finfo(maps.dtype).tiny)
    return _mean(torch.where(total > 0, inside, masks.float().mean(1)))


def iou(found: torch.Tensor, masks: torch.Tensor) -> Ratio:
    """Mean over tokens of intersection over union of binarised maps and objects."""
    return _mean((found & masks).sum(1) / (found | masks).sum(1).clamp(min=1))


def f1(found: torch.Tensor, wanted: torch.Tensor) -> Ratio:
    """Of the patches of all maps together."""
    both = (found & wanted).sum(1)
    return Ratio(2.0 * both.numpy(), (found.sum(1) + wanted.sum(1)).double().numpy())


def spearman(maps: torch.Tensor, others: torch.Tensor) -> Ratio:
    """Mean over tokens of the rank correlation, ties at their mean rank; 0 where a map is the same everywhere."""
    a, b = (rankdata(part.numpy(), axis=1) for part in (maps, others))
    a, b = a - a.mean(1, keepdims=True), b - b.mean(1, keepdims=True)
    norm = np.sqrt((a**2).sum(1) * (b**2).sum(1))
    return Ratio(np.divide((a * b).sum(1), norm, out=np.zeros(len(a)), where=norm > 0), np.ones(len(a)))


def top_iou(maps: torch.Tensor, others: torch.Tensor, share: float = TOP_SHARE) -> Ratio:
    """Mean over tokens of intersection over union of the `share` of patches that each map ranks highest."""
    count = round(share * maps.shape[1])
    tops = []
    for part in (maps, others):
        top = torch.zeros_like(part, dtype=torch.bool)
        tops.append(top.scatter_(1, part.topk(count, dim=1).indices, True))
    return iou(tops[0], tops[1])


def binarised(maps: torch.Tensor, *, share: float | None = None, threshold: float | None = None) -> torch.Tensor:
    """[n, P] bool: at or above `share` of the map's maximum, or `threshold` of probabilities. An empty map has none."""
    if threshold is not None:
        return maps >= threshold
    if share is None:
        raise ValueError("neither a share of the maximum nor a threshold: want one of them")
    return labels_of(maps, share).bool() & (maps.amax(1, keepdim=True) > 0)


class Bootstrap:
    """Resamples whole scenes, whose tokens are not independent; the same resamples for all that it estimates."""

    def __init__(self, scenes: np.ndarray, *, resamples: int = RESAMPLES, seed: int = 0):
        """scenes [n]: the scene of each token that will be scored."""
        self._scene_of, self._places = np.unique(scenes, return_inverse=True)
        count = len(self._scene_of)
        draws = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=resamples)
        self._times = draws.astype(np.float64)

    def estimate(self, ratio: Ratio, rows: np.ndarray | None = None) -> Estimate:
        """rows [n] bool: these tokens alone."""
        over, under = (np.asarray(part, np.float64) for part in ratio)
        if rows is not None:
            over, under = over * rows, under * rows
        sums = [np.bincount(self._places, part, len(self._scene_of)) for part in (over, under)]
        totals = [self._times @ part for part in sums]
        draws = np.divide(totals[0], totals[1], out=np.full(len(self._times), np.nan), where=totals[1] > 0)
        whole = sums[1].sum()
        return _estimate(float(sums[0].sum() / whole) if whole > 0 else float("nan"), draws)


def _mean(values: torch.Tensor) -> Ratio:
    return Ratio(values.double().numpy(), np.ones(len(values)))


def _estimate(value: float, draws: np.ndarray) -> Estimate:
    if np.isnan(draws).all():
        return Estimate(value, float("nan"), float("nan"), draws)
    low, high = np.nanpercentile(draws, [2.5, 97.5])
    return Estimate(value, float(low), float(high), draws)
