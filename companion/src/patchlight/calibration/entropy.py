"""Entropy of relevancy maps, in nats, under three interpretations of the FastRM paper's formula.

`H = -sum_i p(x_i) log p(x_i)` over the scores of N patches; the paper does not define `p`.
"""

import math

import torch


def sum_normalised(maps: torch.Tensor) -> torch.Tensor:
    """Return the entropy `[t]` of maps `[t, N]` with `p_i = x_i / sum x`, between 0 and log N.

    Scores must not be negative. The entropy is NaN if all scores are 0.
    """
    maps = maps.double()
    return _entropy(maps / maps.sum(-1, keepdim=True))


def kernel_density(maps: torch.Tensor) -> torch.Tensor:
    """Return the entropy `[t]` of maps `[t, N]`, where `p` is the Gaussian kernel density of a map's scores (Scott's
    bandwidth), evaluated at each score and renormalised.

    If all scores are equal, the bandwidth is 0; the density then counts as uniform, so H is log N.
    """
    maps = maps.double()
    n = maps.shape[-1]
    entropies = torch.full((len(maps),), math.log(n), dtype=torch.float64)
    for row, scores in enumerate(maps):
        width = scores.std() * n ** (-1 / 5) if n > 1 else scores.new_zeros(())
        if torch.isnan(width):
            entropies[row] = math.nan
        elif width > 0:
            density = torch.exp(-0.5 * ((scores[:, None] - scores) / width) ** 2).sum(1)
            entropies[row] = _entropy(density / density.sum())
    return entropies


def bernoulli(probabilities: torch.Tensor) -> torch.Tensor:
    """Return the mean binary entropy `[t]` of patch probabilities `[t, N]`, between 0 and log 2."""
    p = probabilities.double()
    return -(torch.xlogy(p, p) + torch.xlogy(1 - p, 1 - p)).mean(-1)


def _entropy(p: torch.Tensor) -> torch.Tensor:
    return -torch.xlogy(p, p).sum(-1)
