"""Entropy of relevancy maps, in nats, in the three senses that the FastRM paper's formula leaves open.

`H = -sum_i p(x_i) log p(x_i)` over the N patches' scores; the paper does not say what `p` is.
"""

import math

import torch


def sum_normalised(maps: torch.Tensor) -> torch.Tensor:
    """`p_i = x_i / sum x` for maps [t, N] of scores that are not negative: [t], 0 to log N. NaN where all are 0."""
    maps = maps.double()
    return _entropy(maps / maps.sum(-1, keepdim=True))


def kernel_density(maps: torch.Tensor) -> torch.Tensor:
    """`p` the Gaussian kernel density of a map's own scores (Scott's bandwidth) at each score, renormalised: [t].

    Scores that are all the same have no bandwidth; their density is the same everywhere, and H is log N.
    """
    maps = maps.double()
    n = maps.shape[-1]
    found = torch.full((len(maps),), math.log(n), dtype=torch.float64)
    for row, scores in enumerate(maps):
        width = scores.std() * n ** (-1 / 5) if n > 1 else scores.new_zeros(())
        if torch.isnan(width):
            found[row] = math.nan
        elif width > 0:
            density = torch.exp(-0.5 * ((scores[:, None] - scores) / width) ** 2).sum(1)
            found[row] = _entropy(density / density.sum())
    return found


def bernoulli(probabilities: torch.Tensor) -> torch.Tensor:
    """Mean binary entropy of the patches' probabilities [t, N]: [t], 0 to log 2."""
    p = probabilities.double()
    return -(torch.xlogy(p, p) + torch.xlogy(1 - p, 1 - p)).mean(-1)


def _entropy(p: torch.Tensor) -> torch.Tensor:
    return -torch.xlogy(p, p).sum(-1)
