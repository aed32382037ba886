"""Entropy of relevancy maps, in nats, in three readings of the FastRM paper's formula.

`H = -sum_i p(x_i) log p(x_i)` over the scores of N patches; the paper does not define `p`.
"""

import math

import torch


def sum_normalised(maps: torch.Tensor) -> torch.Tensor:
    """Return the entropy `[t]` of maps `[t, N]` with `p_i = x_i / sum x`: 0 to log N.

    Scores must not be negative. NaN if all are 0.
    """
    maps = maps.double()
    return _entropy(maps / maps.sum(-1, keepdim=True))


def kernel_density(maps: torch.Tensor) -> torch.Tensor:
    """Return the entropy `[t]` of maps `[t, N]`, with `p` the Gaussian kernel density of a map's scores (Scott's
    bandwidth), evaluated at each score and renormalised.

    Equal scores have no bandwidth; their density is uniform, so H is log N.
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
    """Return the mean binary entropy `[t]` of patch probabilities `[t, N]`: 0 to log 2."""
    p = probabilities.double()
    return -(torch.xlogy(p, p) + torch.xlogy(1 - p, 1 - p)).mean(-1)


def _entropy(p: torch.Tensor) -> torch.Tensor:
    return -torch.xlogy(p, p).sum(-1)
