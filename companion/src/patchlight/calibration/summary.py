"""Summarises a calibration as in the FastRM paper's Table 1: the share of right answers on each side of a threshold."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..report import figure
from .statistics import (
    POOLINGS,
    Auroc,
    Pooling,
    RightSide,
    Share,
    Threshold,
    auroc_interval,
    calibrate_threshold,
    is_set_half,
    pool,
)

RIGHT = 0.5
"""Answers with at least this score count as right."""
SEED = 0
"""Seed for the split into halves and for the bootstrap; the page has the same default."""


PAPER = (
    "In the paper, 63 % of LLaVA-1.5's answers are below the threshold; 84, 83 and 86 % of these are right on VQA, GQA "
    "and POPE, and 59 % of those above"
)


class Measure(NamedTuple):
    """A value that may separate right from wrong answers. column: the calibration file's column that holds it, with one
    value per token.
    """

    column: str
    name: str
    right_side: RightSide


ENTROPY_SUM = Measure("entropySum", "entropy, sum-normalised", "below")
LOG_PROB = Measure("logProbs", "log-probability", "above")
MEASURES = (
    ENTROPY_SUM,
    Measure("entropyKde", "entropy, KDE", "below"),
    Measure("entropyBernoulli", "entropy, Bernoulli", "below"),
    LOG_PROB,
)
POOLING_NAMES: dict[Pooling, str] = {
    "mean": "mean of all tokens",
    "content-mean": "mean of content tokens",
    "max": "largest",
    "min": "smallest",
    "first-content": "first content token",
    "last-content": "last content token",
}


class Combination(NamedTuple):
    """AUROCs on the half not used for fitting: for each measure alone, and for both combined by logistic regression."""

    answers: int
    entropy: Auroc
    log_prob: Auroc
    both: Auroc


class Separation(NamedTuple):
    """How well one value per answer separates right from wrong answers.

    answers: number of answers with a value. right: how many of them are right. left_out: number of answers without a
    value. auroc: None if a class is empty. threshold: None if there are too few answers; `why` then gives the reason.
    """

    answers: int
    right: int
    left_out: int
    auroc: Auroc | None
    threshold: Threshold | None
    why: str


def separate(rows: Sequence[Mapping[str, Any]], measure: Measure, pooling: Pooling, set_name: str = "") -> Separation:
    """Measure how well `measure` separates the scored answers of one set, or of all sets if `set_name` is empty.

    rows: all rows of a calibration file in order, because an answer's index determines which half it belongs to.
    """
    chosen = [k for k, row in enumerate(rows) if row["correct"] is not None and set_name in ("", row["set"])]
    values = np.array([pool(rows[k][measure.column], rows[k]["isContent"], pooling) for k in chosen])
    is_right = np.array([rows[k]["correct"] >= RIGHT for k in chosen], dtype=bool)
    known = np.isfinite(values)
    used, right = values[known], is_right[known]
    interval = auroc_interval(used[right], used[~right], measure.right_side, seed=SEED)
    try:
        threshold = calibrate_threshold(used, right, np.array(chosen)[known], measure.right_side, seed=SEED)
        why = ""
    except ValueError as reason:
        threshold, why = None, str(reason)
    return Separation(len(used), int(right.sum()), int((~known).sum()), interval, threshold, why)


def combine_measures(rows: Sequence[Mapping[str, Any]]) -> Combination | None:
    """Measure what entropy adds to log-probability.

    Both are mean-pooled and combined by a logistic regression, which is fitted to one half and measured on the other.
    Returns None if a half has no right or no wrong answers. Log-probabilities cluster near 0, so the regression uses
    the logarithm of their magnitude; this does not change the AUROC of log-probability alone, which depends only on the
    order of the values.
    """
    indices, values, is_right = [], [], []
    for k, row in enumerate(rows):
        pair = [pool(row[measure.column], row["isContent"], "mean") for measure in (ENTROPY_SUM, LOG_PROB)]
        if row["correct"] is not None and np.isfinite(pair).all():
            indices.append(k)
            values.append([-pair[0], -math.log(max(-pair[1], 1e-9))])
            is_right.append(row["correct"] >= RIGHT)
    on, right = is_set_half(np.array(indices, dtype=np.int64), SEED), np.array(is_right, dtype=bool)
    if min((half & side).sum() for half in (on, ~on) for side in (right, ~right)) == 0:
        return None
    columns = np.array(values)
    columns = (columns - columns[on].mean(0)) / np.maximum(columns[on].std(0), 1e-12)
    score = columns @ _logistic(columns[on], right[on])

    entropy, log_prob, both = (
        auroc_interval(column[~on & right], column[~on & ~right], "above", seed=SEED) for column in (*columns.T, score)
    )
    if entropy is None or log_prob is None or both is None:
        return None
    return Combination(int((~on).sum()), entropy, log_prob, both)


def answer_lengths(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[int]]:
    """Count right and wrong answers by their number of tokens."""
    lengths = sorted({len(row["tokens"]) for row in rows})
    counts = {name: dict.fromkeys(lengths, 0) for name in ("right", "wrong")}
    for row in rows:
        if row["correct"] is not None:
            counts["right" if row["correct"] >= RIGHT else "wrong"][len(row["tokens"])] += 1
    return {"tokens": lengths, **{name: list(by_length.values()) for name, by_length in counts.items()}}


def calibration_report(rows: Sequence[Mapping[str, Any]], sets: Sequence[str]) -> dict[str, Any]:
    """Return a report: `figures` and `tables` for display, `thresholds` and `poolings` with the numbers behind the
    tables, and `answerLengths` by set.
    """
    names = [*sets, ""]
    separations = {
        measure.column: {name: separate(rows, measure, "mean", name) for name in names}
        for measure in (ENTROPY_SUM, LOG_PROB)
    }
    poolings: dict[str, dict[Pooling, Separation]] = {
        measure.column: {pooling: separate(rows, measure, pooling) for pooling in POOLINGS} for measure in MEASURES
    }
    return {
        "figures": _figures(combine_measures(rows)),
        "tables": [
            *(_threshold_table(measure, separations[measure.column]) for measure in (ENTROPY_SUM, LOG_PROB)),
            _pooling_table(poolings),
        ],
        "thresholds": {
            column: {name or "all": _plain(separation) for name, separation in by_set.items()}
            for column, by_set in separations.items()
        },
        "poolings": {
            column: {pooling: _plain(separation) for pooling, separation in by_pooling.items()}
            for column, by_pooling in poolings.items()
        },
        "answerLengths": {
            name or "all": answer_lengths([row for row in rows if name in ("", row["set"])]) for name in names
        },
        "seed": SEED,
    }


def _logistic(columns: np.ndarray, is_right: np.ndarray) -> np.ndarray:
    """Fit a logistic regression with a ridge penalty of 1 by Newton's method. Return the weights `[k]` of columns `[n,
    k]`, without the intercept.
    """
    x, w = np.column_stack([np.ones(len(columns)), columns]), np.zeros(columns.shape[1] + 1)
    for _ in range(50):
        p = 1 / (1 + np.exp(-x @ w))
        step = np.linalg.solve((x.T * (p * (1 - p))) @ x + np.eye(len(w)), x.T @ (is_right - p) - w)
        w += step
        if np.abs(step).max() < 1e-9:
            break
    return w[1:]


def _figures(combination: Combination | None) -> list[dict[str, object]]:
    if combination is None:
        return []
    labelled = [
        ("AUROC of entropy (sum-normalised, mean), on one half of the answers", combination.entropy),
        ("AUROC of log-probability (mean), on the same half", combination.log_prob),
        ("AUROC of both, combined by a logistic regression fitted to the other half", combination.both),
    ]
    return [figure(label, area.value, interval=(area.low, area.high)) for label, area in labelled]


def _threshold_table(measure: Measure, by_set: dict[str, Separation]) -> dict[str, Any]:
    side = measure.right_side
    other = "above" if side == "below" else "below"
    paper = f". {PAPER}" if measure == ENTROPY_SUM else ""
    rows = []
    for name, separation in by_set.items():
        accuracy = f"{separation.right / separation.answers:.3f}" if separation.answers else ""
        line = [name or "all", str(separation.answers), accuracy]
        t = separation.threshold
        if t is None:
            line += [""] * 6
        else:
            share = t.share_below if side == "below" else _rest(t.share_below)
            on_side, on_other = (t.right_below, t.right_above)[:: 1 if side == "below" else -1]
            line += [f"{t.threshold:.3f}", f"{share.value:.3f}", _rate(on_side), _rate(on_other)]
            line += [f"{t.true_positives.value:.3f}", f"{t.false_positives.value:.3f}"]
        rows.append([*line, _interval(separation.auroc)])
    return {
        "title": f"{measure.name.capitalize()}, {POOLING_NAMES['mean']}. The threshold (nats) is set on one half of "
        f"the answers and checked on the other; with 95 % intervals{paper}",
        "columns": [
            "set",
            "answers",
            "share right",
            "threshold",
            f"share {side}",
            f"right if {side}",
            f"right if {other}",
            f"share of right answers {side}",
            f"share of wrong answers {side}",
            "AUROC",
        ],
        "rows": rows,
    }


def _pooling_table(poolings: Mapping[str, Mapping[Pooling, Separation]]) -> dict[str, Any]:
    return {
        "title": "AUROC of every measure and pooling, all sets. Right answers are expected to have lower entropy and "
        "higher log-probability; 0.5 means no separation",
        "columns": ["pooling", *(measure.name for measure in MEASURES)],
        "rows": [
            [name, *(_interval(poolings[measure.column][pooling].auroc) for measure in MEASURES)]
            for pooling, name in POOLING_NAMES.items()
        ],
    }


def _rest(share: Share) -> Share:
    return Share(share.n - share.hits, share.n, 1 - share.value, 1 - share.high, 1 - share.low)


def _rate(share: Share) -> str:
    return "" if share.n == 0 else f"{share.value:.3f} ({share.low:.3f} to {share.high:.3f})"


def _interval(area: Auroc | None) -> str:
    return "" if area is None else f"{area.value:.3f} ({area.low:.3f} to {area.high:.3f})"


def _plain(value: Any) -> Any:
    """Convert to JSON: NamedTuples become objects with camelCase names, NaN becomes null."""
    if isinstance(value, (Separation, Threshold, Share, Auroc)):
        return {_camel(name): _plain(each) for name, each in value._asdict().items()}
    if isinstance(value, float):
        return None if math.isnan(value) else round(value, 6)
    return value


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
