"""Platt scaling: turns the logits of a head without a level into those of probabilities.

After `kl` or `pearson`, the softmax of a head's logits means something, but a constant added to all of them changes
nothing, so their sigmoid is no probability and no threshold fits. Platt scaling (Platt 1999; the algorithm is Lin, Lin and
Weng's, Machine Learning 68, 2007) fits one scale and one offset for all patches of all tokens: the logistic regression of
held-out labels on the logits.

Both are folded into the head. The scale goes into the query's weights and bias, because a logit is linear in the query,
and into FastRM+'s weights of attention rows.
The offset has no place in the paper's form: `c = b_k . q` depends on the token, and a constant for all tokens would need
a vector whose product with every query is the same, which the weights have only by luck. So a head keeps one number more,
`FastRM.offset`, added to `c`. The folded form for the page has had a place for it all along, the scalar `s` in
`s + w . n_q`, so neither its graphs nor the page change.
"""

from collections.abc import Sequence
from copy import deepcopy
from typing import NamedTuple

import torch

from .fastrm import FastRM
from .picture_batches import PictureTokens, logits_by_picture
from .scores import NotFinite, labels_of

_LEAST_SCALE = 1e-6
MOST_TOKENS = 2000
"""Two numbers need no more tokens than that."""


class Platt(NamedTuple):
    """A calibrated logit is `scale * logit + offset`."""

    scale: float
    offset: float


NO_PLATT = Platt(1.0, 0.0)


def fit_platt(logits: torch.Tensor, labels: torch.Tensor) -> Platt:
    """Fit scale and offset to logits `[N]` and labels `[N]`, 0 or 1, by Newton's method.

    The targets are Platt's: (N+ + 1) / (N+ + 2) and 1 / (N- + 2) instead of 1 and 0, so that they stay finite for labels
    that a threshold separates. A scale is never negative, which would turn the maps upside down: if labels are more likely
    where logits are low, the result is nearly constant, the share of all labels that are 1. Raises NotFinite if a logit is
    not finite.
    """
    z, is_positive = logits.detach().flatten().double().cpu(), labels.flatten().bool().cpu()
    if not z.isfinite().all():
        raise NotFinite("the head's logits are not finite")
    positive, negative = int(is_positive.sum()), int((~is_positive).sum())
    targets = torch.where(is_positive, (positive + 1) / (positive + 2), 1 / (negative + 2)).double()
    centre, spread = float(z.mean()), float(z.std(correction=0)) or 1.0
    fitted = _newton((z - centre) / spread, targets)
    scale = fitted[0] / spread
    if scale < _LEAST_SCALE:
        share = float(targets.mean())
        return Platt(_LEAST_SCALE, _logit(share) - _LEAST_SCALE * centre)
    return Platt(scale, fitted[1] - scale * centre)


def _newton(z: torch.Tensor, targets: torch.Tensor, *, steps: int = 100) -> tuple[float, float]:
    """Minimise the cross-entropy of `sigmoid(a z + b)`. It is convex; each step is halved until the loss falls."""
    x = torch.stack([z, torch.ones_like(z)])
    weights = torch.tensor([0.0, _logit(float(targets.mean()))], dtype=torch.float64)

    def loss_at(weights: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.binary_cross_entropy_with_logits(weights @ x, targets)

    loss = loss_at(weights)
    for _ in range(steps):
        p = (weights @ x).sigmoid()
        gradient = x @ (p - targets) / len(z)
        if gradient.abs().max() < 1e-10:
            break
        curvature = (x * (p * (1 - p))) @ x.T / len(z) + 1e-12 * torch.eye(2, dtype=torch.float64)
        step, size = torch.linalg.solve(curvature, gradient), 1.0
        while size > 1e-10 and loss_at(weights - size * step) > loss:
            size /= 2
        weights = weights - size * step
        loss = loss_at(weights)
    return float(weights[0]), float(weights[1])


def _logit(share: float) -> float:
    return float(torch.logit(torch.tensor(share, dtype=torch.float64)))


@torch.no_grad()
def platt_of(head: FastRM, pictures: Sequence[PictureTokens], labelling_threshold: float) -> Platt:
    """Fit scale and offset to the labels of tokens that the head was not trained on. Without tokens, change nothing."""
    logits = [part.logits.flatten().cpu() for part in logits_by_picture(head, pictures)]
    labels = [labels_of(picture.relevancy(), labelling_threshold).flatten() for picture in pictures]
    return fit_platt(torch.cat(logits), torch.cat(labels)) if logits else NO_PLATT


@torch.no_grad()
def calibrated(head: FastRM, platt: Platt) -> FastRM:
    """Return a copy of a head whose logits are `scale * logit + offset`."""
    other = deepcopy(head)
    other.query.weight.mul_(platt.scale)
    other.query.bias.mul_(platt.scale)
    if other.attention is not None:
        other.attention.weight.mul_(platt.scale)
    other.offset.mul_(platt.scale).add_(platt.offset)
    return other
