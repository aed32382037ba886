"""Losses of a head against its teacher.

Three compare maps, so they fit any teacher. `bce` is the FastRM paper's (arXiv 2412.01487, section 3): binary
cross-entropy of each patch's probability against its label. `kl` is the Kullback-Leibler divergence KL(teacher || head)
of two distributions over the patches: the teacher's map divided by its sum, and the softmax of the head's logits. It
keeps the teacher's order among relevant patches, which labels drop, but says nothing about a logit's level. `bce+kl` is
the sum of both, with a weight for the cross-entropy.

`pearson` is for samples by ablation: it compares the head with what was measured under the masks instead of with the map
estimated from it. Like `kl`, it leaves the level of the logits open; a head is calibrated after both (`platt.py`).
"""

from collections.abc import Iterable
from typing import Literal, get_args

import torch
import torch.nn.functional as F

from .ablation import Ablation, has_effect
from .scores import labels_of

Loss = Literal["bce", "kl", "bce+kl", "pearson"]
LOSSES: tuple[Loss, ...] = get_args(Loss)
MAP_LOSSES: tuple[Loss, ...] = ("bce", "kl", "bce+kl")
"""Losses that compare maps, whatever the teacher."""
WITHOUT_LEVEL: tuple[Loss, ...] = ("kl", "pearson")
"""Losses that do not change if a constant is added to all logits of a token."""


def check_loss(loss: Loss, *, has_masks: bool) -> None:
    """Raise ValueError if a loss does not fit samples. has_masks: whether they are by ablation."""
    if loss == "pearson" and not has_masks:
        raise ValueError(
            "the loss pearson compares a head with the falls measured under masks, which only samples by ablation have: "
            f"collect them with --teacher ablation, or use --loss {', '.join(MAP_LOSSES[:-1])} or {MAP_LOSSES[-1]}"
        )


def check_weight(bce_weight: float) -> None:
    """Raise ValueError unless a weight of the cross-entropy is positive and finite."""
    if not 0 < bce_weight < float("inf"):
        raise ValueError(f"bce_weight is {bce_weight}: it must be above 0 and finite")


def loss_of(
    parts: Iterable[tuple[torch.Tensor, torch.Tensor]],
    loss: Loss,
    labelling_threshold: float,
    *,
    bce_weight: float = 1.0,
) -> torch.Tensor:
    """Return the loss of pairs of logits and relevancy, both `[n, P]` without padding; P may differ between pairs.

    Cross-entropy is a mean over all patches of all tokens, divergence in nats a mean over the tokens. bce_weight: what
    the cross-entropy is multiplied by in `bce+kl`. Raises ValueError for `pearson`, which needs masks (`pearson_of`).
    """
    if loss == "pearson":
        raise ValueError("the loss pearson needs the masks of ablation samples, not maps")
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
    weight = bce_weight if loss == "bce+kl" else 1.0
    terms = [
        factor * torch.stack(sums).sum() / count
        for sums, count, factor in ((cross_entropy, patches, weight), (divergence, tokens, 1.0))
        if sums
    ]
    return torch.stack(terms).sum()


def pearson_of(parts: Iterable[tuple[torch.Tensor, Ablation]]) -> torch.Tensor:
    """Return 1 minus Pearson's correlation over the masks, a mean over tokens, from 0 to 2.

    Each part has logits `[n, P]` and an ablation with masks `[n, K, P]` and falls `[n, K]` for the same tokens. What is
    correlated with the falls is the sum, over the patches that a mask bars, of the softmax of the logits over all
    patches. Tokens whose falls are the same under all masks are left out (`has_effect`); without any other, the loss is 0.

    Why the softmax, or exp(logits), which differs from it by a factor that the correlation ignores, and not the
    probabilities: an effect in nats has no upper end, so one patch may count ten thousand times as much as another. A
    sigmoid ends at 1, where its gradient vanishes; near there, a head could make a strong patch stronger only by lowering
    all others. The result would also depend on the level of the logits, which falls do not determine. The order of the
    patches is the same, so probabilities calibrated afterwards show the same ranking.
    """
    correlations = []
    for logits, (masks, deltas) in parts:
        used = has_effect(deltas)
        if not used.any():
            correlations.append(logits.sum(1)[:0])
            continue
        values = logits[used].softmax(1)
        predicted = torch.einsum("nkp,np->nk", masks[used].to(values.dtype), values)
        correlations.append(_correlation(predicted, deltas[used].to(values.dtype)))
    joined = torch.cat(correlations)
    return 1 - joined.mean() if len(joined) else joined.sum()


def _correlation(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return Pearson's correlation of each pair of rows `[n, K]`; 0 for a row without variation."""
    a, b = a - a.mean(1, keepdim=True), b - b.mean(1, keepdim=True)
    # Of sums of parts of 1 in float32, differences below 1e-7 are rounding. The floor keeps their gradients finite.
    norm = ((a**2).sum(1) + 1e-12).sqrt() * ((b**2).sum(1) + 1e-12).sqrt()
    return (a * b).sum(1) / norm
