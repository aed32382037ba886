"""Scores of single maps, one value per token: where the maximum lies, and how patches are ranked."""

import torch


def peak_hits(maps: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Return whether the maximum of each map `[n, P]` lies in its mask `[n, P]` bool: 1, 0, or, if several patches share
    the maximum, the fraction of them that is in the mask. Float64 `[n]`.
    """
    highest = maps >= maps.amax(1, keepdim=True)
    return (highest & masks).sum(1).double() / highest.sum(1)


def rank_correlation(maps: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """Return Spearman's rank correlation of each pair of maps `[n, P]`, float64 `[n]`. A constant map has 0."""
    a, b = _centred_ranks(maps), _centred_ranks(others)
    norm = ((a**2).sum(1) * (b**2).sum(1)).sqrt()
    return torch.where(norm > 0, (a * b).sum(1) / norm.clamp(min=1e-300), 0)


def _centred_ranks(maps: torch.Tensor) -> torch.Tensor:
    """Return each value's rank in its row minus the mean rank. Ties get the mean of their ranks."""
    values = maps.contiguous()
    order = values.sort(1).values
    below, up_to = (torch.searchsorted(order, values, right=right).double() for right in (False, True))
    return (below + up_to - maps.shape[1]) / 2
