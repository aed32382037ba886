"""Judges a fitted head on pictures that nothing else used, next to controls that should be worse.

mean map: the mean label of each patch over the training pictures, which reads nothing. shuffled projection: the head
with the rows of W_q permuted, so that queries and keys no longer match. blank picture and another picture: the head
with the patch states of a grey picture of the same size, or of another test picture read in the same grid, against the
teacher's map of the real picture. Each is scored at its own best threshold.

The map of one token by ablation is an estimate from 32 falls, much of it noise that no head can predict. Such a head is
also scored by what was measured, and must beat the mean map in that instead of in F1: the linear datamodelling score (LDS;
vSTREAM, arXiv 2604.16587), Spearman's correlation over the masks of a map's sums with the falls.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from typing import NamedTuple

import numpy as np
import torch

from ..bootstrap import Bootstrap, Estimate, Ratio
from .ablation import has_effect
from .fastrm import FastRM
from .map_scores import peak_hits, rank_correlation
from .picture_batches import PictureTokens, logits_by_picture
from .scores import HeadCounts, count, curve_of, labels_of
from .verdict import ConstantMaps, TrainingFailed

HEAD, MEAN_MAP = "head", "mean map"
StatesOf = Callable[[PictureTokens], torch.Tensor | None]
GroupMaps = tuple[PictureTokens, torch.Tensor | None]
"""Tokens of one picture and their maps `[n, P]`; None if they are left out."""


class Scores(NamedTuple):
    """Estimates over held-out tokens, with 95 % intervals from resampled pictures.

    f1: at the best threshold. pointing: the share of tokens whose highest patch the teacher labels relevant. spearman:
    rank correlation with the teacher's map, a mean over tokens. lds: of samples by ablation, a mean over tokens; else None.
    """

    f1: Estimate
    pointing: Estimate
    spearman: Estimate
    lds: Estimate | None = None


class Worth(NamedTuple):
    """The head and its controls by name, and why the head is refused; None if it is not."""

    scores: dict[str, Scores]
    tokens: int
    pictures: int
    refused: str | None


class HeadRefused(TrainingFailed):
    """A head that is not good enough to be installed. worth: its figures; None if it could not be judged."""

    def __init__(self, message: str, worth: Worth | None):
        super().__init__(message)
        self.worth = worth


class _Maps(NamedTuple):
    """Per token: patch counts, whether the peak is a hit, correlation with the map and, by ablation, with the falls (NaN
    if nothing was measured), and whether there is a map at all.
    """

    counts: HeadCounts
    hits: torch.Tensor
    correlations: torch.Tensor
    lds: torch.Tensor
    exists: torch.Tensor


def judge_worth(
    head: FastRM,
    test: Mapping[int, Sequence[PictureTokens]],
    control: ConstantMaps,
    *,
    blank: StatesOf,
    another: StatesOf,
    labelling_threshold: float,
) -> Worth:
    """Score a head and its controls on the tokens of test pictures, by picture number.

    blank, another: the patch states that replace those of a picture; None to leave the picture out of that control.
    """
    groups = [group for number in sorted(test) for group in test[number]]
    names = [number for number in sorted(test) for group in test[number] for _ in group.rows]
    shuffled = shuffled_projection(head)
    maps = {
        HEAD: _maps_of(head, groups),
        MEAN_MAP: (
            (group, control.map_of(group.relevancy().shape[1])[None].expand(len(group.rows), -1)) for group in groups
        ),
        "shuffled projection": _maps_of(shuffled, groups),
        "blank picture": _maps_of(head, groups, blank),
        "another picture": _maps_of(head, groups, another),
    }
    bootstrap = Bootstrap(np.array(names))
    scores = {name: score(part, bootstrap, labelling_threshold) for name, part in maps.items()}
    return Worth(scores, len(names), len(test), refusal(scores, MEAN_MAP, "the mean map of the training pictures"))


def _maps_of(head: FastRM, groups: Sequence[PictureTokens], states_of: StatesOf | None = None) -> Iterator[GroupMaps]:
    with torch.no_grad():
        for group in groups:
            states = None if states_of is None else states_of(group)
            if states_of is not None and states is None:
                yield group, None
                continue
            replaced = None if states is None else (lambda _, states=states: states)
            (part,) = logits_by_picture(head, [group], states_of=replaced)
            yield group, part.logits.sigmoid().cpu()


def score(maps: Iterable[GroupMaps], bootstrap: Bootstrap, labelling_threshold: float) -> Scores:
    """Score maps against those of the teacher, at their own best threshold."""
    parts = []
    for group, predicted in maps:
        relevancy = group.relevancy()
        exists = torch.full((len(relevancy),), predicted is not None)
        shown = torch.zeros_like(relevancy) if predicted is None else predicted
        labels = labels_of(relevancy, labelling_threshold).bool()
        counts = count(shown, relevancy, labelling_threshold)
        hits, correlations = peak_hits(shown, labels), rank_correlation(shown, relevancy)
        parts.append(_Maps(counts, hits, correlations, _lds(group, shown), exists))
    counts = HeadCounts(*(torch.cat(column) for column in zip(*(part.counts for part in parts), strict=True)))
    hits, correlations, lds, exists = (
        torch.cat([getattr(part, name) for part in parts]) for name in ("hits", "correlations", "lds", "exists")
    )
    rows = exists.numpy()
    counted = HeadCounts(*(column[exists] for column in counts))
    best = 1 + int(curve_of(counted).f1[1:].argmax()) if len(counted.positive) else 50
    tp, fp = counts.true_positive[:, best].numpy(), counts.false_positive[:, best].numpy()
    return Scores(
        bootstrap.estimate(Ratio(2 * tp, tp + fp + counts.positive.numpy()), rows),
        bootstrap.estimate(Ratio.mean(hits.numpy()), rows),
        bootstrap.estimate(Ratio.mean(correlations.numpy()), rows),
        None
        if lds.isnan().all()
        else bootstrap.estimate(Ratio.mean(lds.nan_to_num().numpy()), rows & (~lds.isnan()).numpy()),
    )


def _lds(group: PictureTokens, maps: torch.Tensor) -> torch.Tensor:
    """Return the linear datamodelling score `[n]` of maps `[n, P]`; NaN for tokens without measured effects."""
    if not group.samples.has_masks:
        return torch.full((len(maps),), torch.nan, dtype=torch.float64)
    masks, falls = group.ablation()
    sums = torch.einsum("nkp,np->nk", masks.double(), maps.double())
    return rank_correlation(sums, falls.double()).where(has_effect(falls), torch.nan)


def shuffled_projection(head: FastRM) -> FastRM:
    """Return a copy of a head with the rows of W_q permuted."""
    other = deepcopy(head)
    order = torch.randperm(head.key_size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        other.query.weight.copy_(head.query.weight[order])
    return other


def refusal(scores: Mapping[str, Scores], control: str, description: str, *, what: str = "head") -> str | None:
    """Return why a head is refused, if it is not better than a control in F1, or LDS if there is one, and in rank
    correlation. what: its name in the sentence.
    """
    head, mean = scores[HEAD], scores[control]
    first = ("F1", head.f1, mean.f1)
    if head.lds is not None and mean.lds is not None:
        first = ("LDS", head.lds, mean.lds)
    for name, ours, its in (first, ("Spearman", head.spearman, mean.spearman)):
        difference = ours.minus(its)
        if not difference.low > 0:
            return (
                f"On held-out pictures, the {what} is not better than {description}: {name} "
                f"{ours.value:.3f} and {its.value:.3f} (difference {difference.value:.3f}, 95 % interval "
                f"{difference.low:.3f} to {difference.high:.3f})."
            )
    return None


def table(worth: Worth) -> str:
    """Return a table of the scores, for a terminal."""
    has_lds = any(scores.lds is not None for scores in worth.scores.values())
    rows: list[tuple[str, ...]] = [("", "F1", "pointing", "Spearman", *(["LDS"] if has_lds else []))]
    for name, scores in worth.scores.items():
        rows.append((name, *(_shown(estimate) for estimate in scores if estimate is not None)))
    widths = [max(len(row[column]) for row in rows if column < len(row)) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip() for row in rows
    )


def figures(worth: Worth) -> dict[str, object]:
    """Return the scores for a report."""
    return {
        "tokens": worth.tokens,
        "pictures": worth.pictures,
        **{
            name: {
                label: {"value": _number(part.value), "low": _number(part.low), "high": _number(part.high)}
                for label, part in scores._asdict().items()
                if part is not None
            }
            for name, scores in worth.scores.items()
        },
    }


def _shown(estimate: Estimate) -> str:
    if np.isnan(estimate.value):
        return "none"
    return f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"


def _number(value: float) -> float | None:
    return None if np.isnan(value) else round(value, 4)
