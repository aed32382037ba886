"""Compares the embedded model's heads with their teacher and with the objects, on held-out samples, and writes the
reports that documents are built from.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from ..bootstrap import Bootstrap, Ratio
from ..head.fastrm import FastRM
from ..head.map_scores import peak_hits, rank_correlation
from ..head.predictions import predict
from ..head.scores import THRESHOLDS, HeadCounts, best_threshold, count, curve_of
from ..report import figure, write_report
from .calibration.question_sets import SETS, set_of
from .evaluate import COMMAND, estimated
from .held_out import HeldOut
from .score_spread import BIN, EDGES, spread_of, spread_table


class _Named(NamedTuple):
    """How a head's reports name it, and its goals for words that are not in the question."""

    name: str
    report: str
    title: str
    pointing: str = ""


_NAMES = {
    "fastrm": _Named("FastRM", "head", "FastRM head compared with exact Chefer on held-out answers", ">= 0.56"),
    "fastrm-paper": _Named(
        "FastRM, paper's recipe",
        "head-paper",
        "FastRM by the paper's recipe compared with exact Chefer on held-out answers",
    ),
    "fastrm-plus": _Named("FastRM+", "head-plus", "FastRM+ compared with exact Chefer on held-out answers", ">= 0.65"),
}
_GOALS = {"fastrm": {"F1": ">= 0.55", "Spearman": ">= 0.63"}}


def evaluate_heads(
    heads: Mapping[str, FastRM],
    choice: HeldOut,
    held: HeldOut,
    kinds: Sequence[str],
    report: Path,
    *,
    labelling_threshold: float,
) -> dict[str, float]:
    """Compare heads with their teacher, and all with the objects' patches. Returns each head's best threshold.

    heads: by method, the page's main head ("fastrm") and others. Thresholds and the mean map are determined on the tokens
    of `choice`. All figures are for those of `held`, with intervals from resampling their scenes. kinds: of the questions
    of `held`; figures by question set are for the kinds that the set asks (`set_of`), and descriptions are in no set.
    """
    predicted = {method: predict(head, held.samples, held.rows) for method, head in heads.items()}
    best = {}
    for method, head in heads.items():
        chosen = predict(head, choice.samples, choice.rows)
        best[method] = _report_head(method, chosen, predicted[method], choice, held, kinds, report, labelling_threshold)
    _report_objects(held, predicted, report)
    return best


def _report_head(
    method: str,
    on_choice: torch.Tensor,
    predicted: torch.Tensor,
    choice: HeldOut,
    held: HeldOut,
    kinds: Sequence[str],
    report: Path,
    labelling_threshold: float,
) -> float:
    """Compare one head's maps [n, 576] with the teacher's. Returns its best threshold."""
    named, goals = _NAMES[method], _GOALS.get(method, {})
    chosen, relevancy = choice.relevancy, held.relevancy
    on_chosen = count(on_choice, chosen, labelling_threshold)
    held_out = count(predicted, relevancy, labelling_threshold)
    mean_map = chosen.mean(0, keepdim=True)
    mean_map = mean_map / mean_map.max()
    mean_choice, mean = (count(mean_map.expand_as(maps), maps, labelling_threshold) for maps in (chosen, relevancy))
    best = round(best_threshold(curve_of(on_chosen)) * 100)
    best_of_mean = int(curve_of(mean_choice).f1.argmax())
    bootstrap = Bootstrap(held.scenes)

    def row(label: str, ratio: Ratio, goal: str = "", rows: np.ndarray | None = None) -> dict[str, object]:
        return estimated(label, bootstrap.estimate(ratio, rows), goal)

    at_best, at_half = _score_ratios(held_out, best), _score_ratios(held_out, 50)
    every_patch = HeadCounts(
        held_out.positive[:, None], (held_out.total - held_out.positive)[:, None], held_out.positive, held_out.total
    )
    none = torch.zeros_like(held_out.positive)[:, None]
    no_patch = HeadCounts(none, none, held_out.positive, held_out.total)
    questions = held.samples.columns["question"][held.rows].tolist()
    sets = np.array([set_of(kinds[int(question)]) or "" for question in questions])
    scores = {named.name: predicted, "exact Chefer": relevancy}
    spread = {name: spread_of(maps, bootstrap) for name, maps in scores.items()}
    figures = [
        figure("tokens used to choose the threshold", len(chosen)),
        figure("tokens evaluated", len(relevancy)),
        row("share of patches labelled relevant", Ratio(held_out.positive.numpy(), held_out.total.numpy())),
        figure("classification threshold", THRESHOLDS[best].item()),
        row("F1 at the threshold", at_best.f1, goals.get("F1", "")),
        row("accuracy at the threshold", at_best.accuracy),
        row("precision at the threshold", at_best.precision),
        row("recall at the threshold", at_best.recall),
        row(
            "Spearman's correlation with exact Chefer",
            Ratio.mean(rank_correlation(predicted, relevancy).numpy()),
            goals.get("Spearman", ""),
        ),
        row("F1 at 0.5", at_half.f1),
        row("accuracy at 0.5", at_half.accuracy),
        row("F1 of a constant map (all patches relevant)", _score_ratios(every_patch, 0).f1),
        row("accuracy of a constant map (none relevant)", _score_ratios(no_patch, 0).accuracy),
        row("F1 of the dataset's mean map at its own threshold", _score_ratios(mean, best_of_mean).f1),
    ]
    for name in SETS:
        of_set = sets == name
        if not of_set.any():
            continue
        figures += [
            figure(f"tokens evaluated, {name}", int(of_set.sum())),
            row(f"accuracy at 0.5, {name}", at_half.accuracy, rows=of_set),
            row(f"F1 at 0.5, {name}", at_half.f1, rows=of_set),
            row(f"accuracy at the threshold, {name}", at_best.accuracy, rows=of_set),
            row(f"F1 at the threshold, {name}", at_best.f1, rows=of_set),
        ]
    figures += [
        estimated(f"share of patches below {BIN:.0%} of their map's maximum, {name}".replace("%", " %"), bins[0])
        for name, bins in spread.items()
    ]
    write_report(
        report,
        named.report,
        named.title,
        COMMAND.format(step="head-report"),
        figures,
        tables=[spread_table(spread)],
        curve=_curve_with_intervals(held_out, bootstrap),
        spread={
            "edges": EDGES,
            "patches": int(held_out.total.sum()),
            "shares": {name: [share.rounded(6) for share in bins] for name, bins in spread.items()},
        },
    )
    return best / 100


def _curve_with_intervals(counts: HeadCounts, bootstrap: Bootstrap) -> dict[str, object]:
    """Return the scores at every threshold, and the intervals of accuracy and F1."""
    curve = curve_of(counts)
    ratios = [_score_ratios(counts, step) for step in range(len(THRESHOLDS))]
    intervals = {}
    for name in ("accuracy", "f1"):
        estimates = [bootstrap.estimate(getattr(of_step, name)) for of_step in ratios]
        intervals[name] = {
            "low": [round(estimate.low, 4) for estimate in estimates],
            "high": [round(estimate.high, 4) for estimate in estimates],
        }
    return {
        "threshold": THRESHOLDS.tolist(),
        **{name: [round(v, 4) for v in getattr(curve, name).tolist()] for name in curve._fields},
        "intervals": intervals,
    }


class _ScoreRatios(NamedTuple):
    accuracy: Ratio
    precision: Ratio
    recall: Ratio
    f1: Ratio


def _score_ratios(counts: HeadCounts, step: int) -> _ScoreRatios:
    """Return the scores of `curve_of` at a single threshold, as ratios over maps."""
    tp, fp = (part[:, step].double().numpy() for part in counts[:2])
    positive, total = (part.double().numpy() for part in counts[2:])
    return _ScoreRatios(
        accuracy=Ratio(total - positive - fp + tp, total),
        precision=Ratio(tp, tp + fp),
        recall=Ratio(tp, positive),
        f1=Ratio(2 * tp, tp + fp + positive),
    )


def _report_objects(held: HeldOut, predicted: Mapping[str, torch.Tensor], report: Path) -> None:
    """Report the pointing game, and the share of each map that lies on the object, for tokens that name an object.

    Words that are not in the question, which the model had to find in the image, are reported separately from words
    repeated from the question. predicted: each head's maps [n, 576] of the held-out tokens, by method.
    """
    named = held.objects.any(1)
    objects, found, scenes = held.objects[named], held.found[named], held.scenes[named.numpy()]
    maps = {
        "exact Chefer": held.relevancy[named],
        **{_NAMES[method].name: of_head[named] for method, of_head in predicted.items()},
        "random maps": torch.rand(objects.shape, generator=torch.Generator().manual_seed(0)),
    }
    goals = {of_head.name: of_head.pointing for of_head in _NAMES.values()}
    figures = []
    for words, group in (("words not in the question", found), ("words repeated from the question", ~found)):
        if not group.any():
            continue
        bootstrap = Bootstrap(scenes[group.numpy()])
        inside = objects[group]

        def row(
            label: str, values: torch.Tensor, goal: str = "", bootstrap: Bootstrap = bootstrap
        ) -> dict[str, object]:
            return estimated(label, bootstrap.estimate(Ratio.mean(values.double().numpy())), goal)

        figures += [
            figure(f"tokens, {words}", int(group.sum())),
            row(f"object's share of the patches, {words}", inside.double().mean(1)),
        ]
        for name, of_all in maps.items():
            values = of_all[group]
            mass = (values * inside).sum(1) / values.sum(1).clamp(min=1e-12)
            figures += [
                row(
                    f"pointing game, {name}, {words}",
                    peak_hits(values, inside),
                    goals.get(name, "") if group is found else "",
                ),
                row(f"mass on the object, {name}, {words}", mass),
            ]
    write_report(
        report,
        "objects",
        "Maps of tokens that name an object, compared with the object's patches",
        COMMAND.format(step="head-report"),
        figures,
    )
