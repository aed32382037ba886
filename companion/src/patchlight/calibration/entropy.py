"""Entropy of relevancy maps, in nats, under three interpretations of the FastRM paper's formula.

`H = -sum_i p(x_i) log p(x_i)` over the scores of N patches; the paper does not define `p`.
"""

import math

import torch

from .statistics import offsets_of


def sum_normalised(maps: torch.Tensor) -> torch.Tensor:
    """Return the entropy `[t]` of maps `[t, N]` with `p_i = x_i / sum x`, between 0 and log N.

    Scores must not be negative. The entropy is NaN if all scores are 0, or if there are none.
    """
    maps = maps.double()
    if maps.shape[-1] == 0:
        return maps.new_full(maps.shape[:-1], math.nan)
    # Extreme scores are scaled, so that their sum neither overflows nor loses digits.
    peak = maps.amax(-1, keepdim=True)
    maps = torch.where((peak > 1e290) | (peak < 1e-290), maps / peak, maps)
    return _entropy(maps / maps.sum(-1, keepdim=True))


def kernel_density(maps: torch.Tensor) -> torch.Tensor:
    """Return the entropy `[t]` of maps `[t, N]`, where `p` is the Gaussian kernel density of a map's scores (Scott's
    bandwidth), evaluated at each score and renormalised.

    If all scores are equal, the bandwidth is 0; the density then counts as uniform, so H is log N. The entropy is NaN
    if a score is not finite, or if there are none.
    """
    maps = maps.double()
    n = maps.shape[-1]
    entropies = torch.full((len(maps),), math.nan, dtype=torch.float64)
    for row, scores in enumerate(maps):
        if n == 0 or not torch.isfinite(scores).all():
            continue
        if scores.min() == scores.max():
            entropies[row] = math.log(n)
            continue
        # Exact distances: the standard deviation of nearly equal scores would otherwise be rounding error.
        offsets = torch.from_numpy(offsets_of(scores.cpu().numpy())[0])
        width = offsets.std() * n ** (-1 / 5)
        density = torch.exp(-0.5 * ((offsets[:, None] - offsets) / width) ** 2).sum(1)
        entropies[row] = _entropy(density / density.sum())
    return entropies


def bernoulli(probabilities: torch.Tensor) -> torch.Tensor:
    """Return the mean binary entropy `[t]` of patch probabilities `[t, N]`, between 0 and log 2."""
    p = probabilities.double()
    return -(torch.xlogy(p, p) + torch.xlogy(1 - p, 1 - p)).mean(-1)


def _entropy(p: torch.Tensor) -> torch.Tensor:
    return -torch.xlogy(p, p).sum(-1)
