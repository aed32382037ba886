"""Losses of a head against its teacher's maps.

`bce` is the FastRM paper's (arXiv 2412.01487, section 3): binary cross-entropy of each patch's probability against its
label. `kl` is the Kullback-Leibler divergence KL(teacher || head) of two distributions over the patches: the teacher's
map divided by its sum, and the softmax of the head's logits. It keeps the teacher's order among relevant patches, which
labels drop, but says nothing about a logit's level, so a threshold for probabilities means little after `kl` alone.
`bce+kl` is the sum of both.
"""

from collections.abc import Iterable
from typing import Literal, get_args

import torch
import torch.nn.functional as F

from .scores import labels_of

Loss = Literal["bce", "kl", "bce+kl"]
LOSSES: tuple[Loss, ...] = get_args(Loss)


def loss_of(parts: Iterable[tuple[torch.Tensor, torch.Tensor]], loss: Loss, labelling_threshold: float) -> torch.Tensor:
    """Return the loss of pairs of logits and relevancy, both `[n, P]` without padding; P may differ between pairs.

    Cross-entropy is a mean over all patches of all tokens, divergence in nats a mean over the tokens.
    """
    cross_entropy, divergence = [], []
    patches = tokens = 0
    for logits, relevancy in parts:
        if loss != "kl":
            labels = labels_of(relevancy, labelling_threshold)
            cross_entropy.append(F.binary_cross_entropy_with_logits(logits, labels, reduction="sum"))
        if loss != "bce":
            teacher = relevancy / relevancy.sum(1, keepdim=True)
            divergence.append(F.kl_div(logits.log_softmax(1), teacher, reduction="sum"))
        patches, tokens = patches + logits.numel(), tokens + len(logits)
    terms = [
        torch.stack(sums).sum() / count for sums, count in ((cross_entropy, patches), (divergence, tokens)) if sums
    ]
    return torch.stack(terms).sum()
