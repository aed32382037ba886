"""Scores maps against an object's known patches and against other maps."""

import torch

from ..bootstrap import Ratio
from ..head.map_scores import peak_hits, rank_correlation
from ..head.scores import labels_of

TOP_SHARE = 0.1


def pointing(maps: torch.Tensor, masks: torch.Tensor) -> Ratio:
    """Pointing game: the share of maps [n, P] whose maximum is on the object (masks [n, P] bool).

    If several patches share the maximum, the map counts as the fraction of them that is on the object.
    """
    return _mean(peak_hits(maps, masks))


def mass_inside(maps: torch.Tensor, masks: torch.Tensor) -> Ratio:
    """Mean share of a map's sum that is on the object; for an empty map, the object's share of the patches."""
    total = maps.sum(1)
    inside = (maps * masks).sum(1) / total.clamp(min=torch.finfo(maps.dtype).tiny)
    return _mean(torch.where(total > 0, inside, masks.float().mean(1)))


def iou(selected: torch.Tensor, masks: torch.Tensor) -> Ratio:
    """Intersection over union of binarised maps and objects, both [n, P] bool; mean over tokens."""
    return _mean((selected & masks).sum(1) / (selected | masks).sum(1).clamp(min=1))


def f1(selected: torch.Tensor, labels: torch.Tensor) -> Ratio:
    """F1 of binarised maps against labels, both [n, P] bool, pooled over the patches of all maps."""
    both = (selected & labels).sum(1)
    return Ratio(2.0 * both.numpy(), (selected.sum(1) + labels.sum(1)).double().numpy())


def spearman(maps: torch.Tensor, others: torch.Tensor) -> Ratio:
    """Spearman's rank correlation, mean over tokens. Ties get mean ranks; a constant map counts as 0."""
    return _mean(rank_correlation(maps, others))


def top_iou(maps: torch.Tensor, others: torch.Tensor, share: float = TOP_SHARE) -> Ratio:
    """Intersection over union of the top `share` of patches of two maps, mean over tokens."""
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


def _mean(values: torch.Tensor) -> Ratio:
    return Ratio.mean(values.double().numpy())
