"""Judges a trained head: it must imitate its teacher better than a constant map does.

The constant map is the strongest control that reads nothing: per patch, the share of training tokens for which the
patch is labelled relevant. Images of different sizes have a map per number of patches. Control and head are each scored
at their own best threshold. An untrained head is about as good as the control, so the head must be better by more than
chance explains: the 95 % interval of the difference in F1 must be above 0. The head's loss on its own training tokens
must be lower too. A head whose probabilities are all 0 or 1 after too large a learning rate can have a fair F1 at one
threshold, but its loss is huge.
"""

import math
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F

from ..bootstrap import Bootstrap, Ratio
from .fastrm import FastRM
from .learning_rate import suggested_learning_rate
from .picture_batches import by_picture, logits_by_picture
from .sample_store import HeadSamples
from .scores import HeadCounts, count, curve_of, labels_of

MIN_HELD_QUESTIONS = 10
"""With fewer held-out questions, chance decides whether a head beats the control."""
_MAX_TOKENS = 5000
_ROWS = 256


class TrainingFailed(ValueError):
    """Training has not produced a head that is worth using; the message says why, and what to try."""


class Verdict(NamedTuple):
    """status: failed if the head is no better than the control; broken if its numbers are not finite; untested if it is
    better on the tokens that it was trained on, but there are too few held-out questions to tell whether it
    generalises.

    reason: a sentence. figures: what it is based on.
    """

    status: Literal["passed", "untested", "failed", "broken"]
    reason: str
    figures: dict[str, Any]


def judge(
    head: FastRM,
    samples: HeadSamples,
    training: torch.Tensor,
    held: torch.Tensor,
    labelling_threshold: float,
    *,
    what: str = "head",
) -> Verdict:
    """Compare a head with the constant map of the `training` token rows, on the `held` rows if there are enough, else
    on the training rows. what: its name in the sentences. Raises NotFinite if a probability is NaN.
    """
    questions = len(samples.columns["question"][held].unique())
    is_held_out = questions >= MIN_HELD_QUESTIONS
    tokens = _some(held if is_held_out else training)
    control = ConstantMaps(samples, training, labelling_threshold)
    loss, control_loss = _losses(head, control, samples, _some(training), labelling_threshold)
    of_head, of_control = [], []
    spread, largest = 0.0, 0.0
    for rows in tokens.split(_ROWS):
        maps, relevancy, mask = _logits(head, samples, rows).sigmoid(), *samples.relevancy(rows)
        low, high = maps.where(mask, torch.inf).amin(1), maps.where(mask, -torch.inf).amax(1)
        spread, largest = max(spread, float((high - low).max())), max(largest, float(high.max()))
        of_head.append(count(maps, relevancy, labelling_threshold, mask))
        of_control.append(count(control.maps(rows), relevancy, labelling_threshold, mask))
    bootstrap = Bootstrap(samples.columns["question"][tokens].numpy())
    f1, control_f1 = (bootstrap.estimate(_best_f1(counts)) for counts in (of_head, of_control))
    difference = f1.minus(control_f1)
    where = "held-out" if is_held_out else "training"
    figures = {
        "tokens": len(tokens),
        "areHeldOut": is_held_out,
        "heldOutQuestions": questions,
        "f1": f1.value,
        "constantMapF1": control_f1.value,
        "difference": {"value": difference.value, "low": difference.low, "high": difference.high},
        "loss": loss,
        "constantMapLoss": control_loss,
        "largestProbability": largest,
        "largestSpreadInAMap": spread,
    }
    compared = (
        f"On {len(tokens)} {where} tokens, the {what}'s F1 is {f1.value:.3f} at its best threshold; a constant map, the "
        f"mean of the training labels, has {control_f1.value:.3f} (difference {difference.value:.3f}, 95 % interval "
        f"{difference.low:.3f} to {difference.high:.3f})."
    )
    if control_f1.value >= 1:
        return Verdict("failed", f"{compared} All tokens have the same labels, so there is nothing to learn.", figures)
    if largest < 0.01:
        why = f"The {what}'s probabilities are nearly 0 everywhere (at most {largest:.1e}), so its maps are empty."
        return Verdict("failed", f"{why} {compared}", figures)
    if spread < 1e-6:
        return Verdict("failed", f"The {what}'s maps have the same probability at every patch. {compared}", figures)
    if difference.low <= 0:
        return Verdict("failed", f"The {what} is not better than a constant map. {compared}", figures)
    if not loss < control_loss:
        why = f"On training tokens, the {what}'s loss is {loss:.3f}; a constant map has {control_loss:.3f}."
        return Verdict("failed", f"The {what} has learned less than a constant map. {why}", figures)
    if is_held_out:
        return Verdict("passed", compared, figures)
    few = (
        f"At least {MIN_HELD_QUESTIONS} held-out questions are needed to tell whether the {what} is better than a constant "
        f"map on new questions (now {questions}): collect more, or raise --validation-share."
    )
    return Verdict("untested", f"{compared} {few}", figures)


def advice(learning_rate: float, hidden_size: int, losses: tuple[float, float]) -> str:
    """Return what to try after a failure. losses: the training loss at the start and at the end."""
    suggested = suggested_learning_rate(hidden_size)
    first, last = losses
    is_finite = math.isfinite(first) and math.isfinite(last)
    parts = [f"The loss went from {first:.3f} to {last:.3f}."] if is_finite else []
    if not suggested / 4 <= learning_rate <= suggested * 4:
        direction = "lower" if learning_rate > suggested else "higher"
        parts += [
            f"Try a {direction} learning rate: --learning-rate {suggested:g} suits hidden size {hidden_size}, this run "
            f"had {learning_rate:g}."
        ]
    elif is_finite:
        parts += ["Try more --steps, or collect more samples."]
    else:
        parts += [f"Try a lower learning rate; this run had {learning_rate:g}."]
    return " ".join(parts)


@torch.no_grad()
def _logits(head: FastRM, samples: HeadSamples, rows: torch.Tensor) -> torch.Tensor:
    """Return logits `[b, P]` of the token rows, on the CPU; 0 on padding."""
    values = torch.zeros(len(rows), int(samples.patches[samples.columns["image"][rows]].max()))
    for places, logits in logits_by_picture(head, by_picture(samples, rows)):
        values[places, : logits.shape[1]] = logits.cpu()
    return values


def _losses(
    head: FastRM, control: "ConstantMaps", samples: HeadSamples, tokens: torch.Tensor, labelling_threshold: float
) -> tuple[float, float]:
    """Return the mean binary cross-entropy over all patches of the token rows, of the head and of the control."""
    sums, patches = torch.zeros(2, dtype=torch.float64), 0
    for rows in tokens.split(_ROWS):
        relevancy, mask = samples.relevancy(rows)
        labels = labels_of(relevancy, labelling_threshold)[mask]
        of_head = F.binary_cross_entropy_with_logits(_logits(head, samples, rows)[mask], labels, reduction="sum")
        of_control = F.binary_cross_entropy(control.maps(rows)[mask], labels, reduction="sum")
        sums += torch.stack([of_head, of_control]).double()
        patches += int(mask.sum())
    head_loss, control_loss = (sums / patches).tolist()
    return head_loss, control_loss


def _best_f1(parts: list[HeadCounts]) -> Ratio:
    """Return F1, as a ratio over the maps, at the best threshold except 0. At 0, every patch is relevant whatever the
    map says.
    """
    counts = HeadCounts(*(torch.cat(column) for column in zip(*parts, strict=True)))
    best = 1 + int(curve_of(counts).f1[1:].argmax())
    tp, fp = counts.true_positive[:, best].numpy(), counts.false_positive[:, best].numpy()
    return Ratio(2 * tp, tp + fp + counts.positive.numpy())


def _some(tokens: torch.Tensor) -> torch.Tensor:
    """Return at most `_MAX_TOKENS` token rows, evenly spaced."""
    return tokens[:: -(-len(tokens) // _MAX_TOKENS)] if len(tokens) else tokens


class ConstantMaps:
    """The mean label per patch over the training tokens, for each number of patches. For numbers that do not occur in
    training, the share of all patches that are labelled relevant.
    """

    def __init__(self, samples: HeadSamples, training: torch.Tensor, labelling_threshold: float):
        self._patches = samples.patches[samples.columns["image"]]
        sums: dict[int, torch.Tensor] = {}
        counts: dict[int, int] = {}
        for size in self._patches[training].unique().tolist():
            of_size = training[self._patches[training] == size]
            for rows in of_size.split(_ROWS):
                labels = labels_of(samples.relevancy(rows).values, labelling_threshold).double()
                sums[size] = sums.get(size, torch.zeros(size, dtype=torch.float64)) + labels.sum(0)
            counts[size] = len(of_size)
        total = sum(size * counts[size] for size in counts)
        self._share = sum(float(part.sum()) for part in sums.values()) / total
        self._means = {size: part / counts[size] for size, part in sums.items()}

    def maps(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the control's map for each token row, `[b, P]`; 0 on padding."""
        sizes = self._patches[rows].tolist()
        maps = torch.zeros(len(rows), max(sizes))
        for row, size in zip(maps, sizes, strict=True):
            row[:size] = self.map_of(size)
        return maps

    def map_of(self, patches: int) -> torch.Tensor:
        """Return the control's map for an image with this number of patches."""
        mean = self._means.get(patches)
        return torch.full((patches,), self._share) if mean is None else mean.float()
