"""Summarises a calibration as in the FastRM paper's Table 1: the share of right answers on each side of a threshold."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from ..report import figure
from .statistics import (
    POOLINGS,
    Auroc,
    GroupedAuroc,
    Pooling,
    RightSide,
    Share,
    Threshold,
    auroc_interval,
    calibrate_threshold,
    group_alone_auroc,
    grouped_auroc,
    is_set_half,
    pool,
    share_of,
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
    """AUROCs on the half not used for fitting: for each measure alone, and for both combined by logistic regression.

    left_out: number of answers of both halves without a value or a score.
    """

    answers: int
    left_out: int
    entropy: Auroc
    log_prob: Auroc
    both: Auroc


class Separation(NamedTuple):
    """How well one value per answer separates right from wrong answers.

    answers: number of scored answers with a value. right: how many of them are right. left_out: number of scored
    answers without a value. unscored: number of answers without a score. infinite: how many of `answers` have an
    infinite value; they rank first or last. auroc: None if a class is empty. threshold: None if there are too few answers; `why` then gives the reason.
    """

    answers: int
    right: int
    left_out: int
    unscored: int
    infinite: int
    auroc: Auroc | None
    threshold: Threshold | None
    why: str


def separate(rows: Sequence[Mapping[str, Any]], measure: Measure, pooling: Pooling, set_name: str = "") -> Separation:
    """Measure how well `measure` separates the scored answers of one set, or of all sets if `set_name` is empty.

    rows: all rows of a calibration file in order, because an answer's index determines which half it belongs to.
    """
    in_set = [k for k, row in enumerate(rows) if set_name in ("", row["set"])]
    chosen = [k for k in in_set if rows[k]["correct"] is not None]
    values = np.array([pool(rows[k][measure.column], rows[k]["isContent"], pooling) for k in chosen])
    is_right = np.array([rows[k]["correct"] >= RIGHT for k in chosen], dtype=bool)
    known = ~np.isnan(values)
    used, right = values[known], is_right[known]
    interval = auroc_interval(used[right], used[~right], measure.right_side, seed=SEED)
    try:
        threshold = calibrate_threshold(used, right, np.array(chosen)[known], measure.right_side, seed=SEED)
        why = ""
    except ValueError as reason:
        threshold, why = None, str(reason)
    return Separation(
        len(used),
        int(right.sum()),
        int((~known).sum()),
        len(in_set) - len(chosen),
        int(np.isinf(used).sum()),
        interval,
        threshold,
        why,
    )


class Kinds(NamedTuple):
    """How well the measures separate right from wrong answers to the same kind of question.

    kinds_by: what tells the kinds apart: "kind" (the columns kind, variety and set) or "set". within: the AUROC within
    kinds, by the column of the measure; None if no kind has both right and wrong answers. alone: the AUROC of the kinds
    themselves, each rated by its share of right answers in the other half of the answers.
    """

    kinds_by: Literal["kind", "set"]
    within: dict[str, GroupedAuroc | None]
    alone: GroupedAuroc | None


def separate_within_kinds(rows: Sequence[Mapping[str, Any]]) -> Kinds | None:
    """Measure entropy and log-probability, both mean-pooled, within kinds of question.

    Returns None if the rows have a single kind and a single set.
    """
    kinds_by, keys = _kind_keys(rows)
    if kinds_by is None:
        return None
    names = sorted({key for key in keys if key is not None})
    codes = np.array([-1 if key is None else names.index(key) for key in keys], dtype=np.int64)
    scored = np.array([row["correct"] is not None for row in rows], dtype=bool)
    is_right = np.array([(row["correct"] or 0) >= RIGHT for row in rows], dtype=bool)
    within = {}
    for measure in (ENTROPY_SUM, LOG_PROB):
        values = np.array([pool(row[measure.column], row["isContent"], "mean") for row in rows])
        use = scored & ~np.isnan(values)
        within[measure.column] = grouped_auroc(values[use], is_right[use], codes[use], measure.right_side, seed=SEED)
    alone = group_alone_auroc(is_right[scored], codes[scored], np.flatnonzero(scored), seed=SEED)
    return Kinds(kinds_by, within, alone)


def _kind_keys(
    rows: Sequence[Mapping[str, Any]],
) -> tuple[Literal["kind", "set"] | None, list[tuple[str, ...] | None]]:
    """Return what tells the kinds apart, and each row's kind, or None for a row without one.

    The page uses the same rule, in src/statistics/question-kinds.ts.
    """
    by_kind = [(row["set"], row["kind"], row["variety"]) if row["kind"] or row["variety"] else None for row in rows]
    if len({key for key in by_kind if key}) > 1:
        return "kind", by_kind
    by_set = [(row["set"],) if row["set"] else None for row in rows]
    return ("set" if len({key for key in by_set if key}) > 1 else None), by_set


def combine_measures(rows: Sequence[Mapping[str, Any]]) -> Combination | None:
    """Measure what entropy adds to log-probability.

    Both are mean-pooled and combined by a logistic regression, which is fitted to one half and measured on the other.
    Returns None if a half has no right or no wrong answers. Log-probabilities cluster near 0, so the regression uses
    the logarithm of their magnitude; this does not change the AUROC of log-probability alone, which depends only on the
    order of the values. The regression takes an infinite value as the most extreme finite one.
    """
    indices, values, is_right = [], [], []
    for k, row in enumerate(rows):
        pair = [pool(row[measure.column], row["isContent"], "mean") for measure in (ENTROPY_SUM, LOG_PROB)]
        if row["correct"] is not None and not np.isnan(pair).any():
            indices.append(k)
            values.append([-pair[0], -math.log(max(-pair[1], 1e-9))])
            is_right.append(row["correct"] >= RIGHT)
    on, right = is_set_half(np.array(indices, dtype=np.int64), SEED), np.array(is_right, dtype=bool)
    if min((half & side).sum() for half in (on, ~on) for side in (right, ~right)) == 0:
        return None
    ranked = np.array(values)
    columns = _without_infinities(ranked)
    columns = (columns - columns[on].mean(0)) / np.maximum(columns[on].std(0), 1e-12)
    score = columns @ _logistic(columns[on], right[on])

    entropy, log_prob, both = (
        auroc_interval(column[~on & right], column[~on & ~right], "above", seed=SEED) for column in (*ranked.T, score)
    )
    if entropy is None or log_prob is None or both is None:
        return None
    return Combination(int((~on).sum()), len(rows) - len(indices), entropy, log_prob, both)


def _without_infinities(columns: np.ndarray) -> np.ndarray:
    """Replace infinite values by the smallest or largest finite value of their column `[n, k]`; 0 if it has none."""
    finite = np.where(np.isfinite(columns), columns, np.nan)
    if np.isnan(finite).all(0).any():
        return np.nan_to_num(columns, posinf=0, neginf=0)
    return np.clip(columns, np.nanmin(finite, 0), np.nanmax(finite, 0))


def answer_lengths(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[int]]:
    """Count right and wrong answers by their number of tokens."""
    lengths = sorted({len(row["tokens"]) for row in rows})
    counts = {name: dict.fromkeys(lengths, 0) for name in ("right", "wrong")}
    for row in rows:
        if row["correct"] is not None:
            counts["right" if row["correct"] >= RIGHT else "wrong"][len(row["tokens"])] += 1
    return {"tokens": lengths, **{name: list(by_length.values()) for name, by_length in counts.items()}}


def calibration_report(rows: Sequence[Mapping[str, Any]], sets: Sequence[str]) -> dict[str, Any]:
    """Return a report: `figures` and `tables` for display, `thresholds`, `kinds` and `poolings` with the numbers behind
    them, and `answerLengths` by set.
    """
    names = [*sets, ""]
    kinds, combination = separate_within_kinds(rows), combine_measures(rows)
    separations = {
        measure.column: {name: separate(rows, measure, "mean", name) for name in names}
        for measure in (ENTROPY_SUM, LOG_PROB)
    }
    poolings: dict[str, dict[Pooling, Separation]] = {
        measure.column: {pooling: separate(rows, measure, pooling) for pooling in POOLINGS} for measure in MEASURES
    }
    return {
        "figures": [*_figures(combination), *_kind_figures(kinds)],
        "tables": [
            *(_threshold_table(measure, separations[measure.column]) for measure in (ENTROPY_SUM, LOG_PROB)),
            _pooling_table(poolings),
        ],
        "thresholds": {
            column: {name or "all": _plain(separation) for name, separation in by_set.items()}
            for column, by_set in separations.items()
        },
        "kinds": _plain(kinds),
        "combination": _plain(combination),
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


def _kind_figures(kinds: Kinds | None) -> list[dict[str, object]]:
    if kinds is None:
        return []
    noun = "kind of question" if kinds.kinds_by == "kind" else "set"
    labelled = [
        (f"AUROC of entropy (sum-normalised, mean) within one {noun}", kinds.within[ENTROPY_SUM.column]),
        (f"AUROC of log-probability (mean) within one {noun}", kinds.within[LOG_PROB.column]),
        (f"AUROC of the {noun} alone", kinds.alone),
    ]
    return [figure(label, area.value, interval=(area.low, area.high)) for label, area in labelled if area is not None]


def _threshold_table(measure: Measure, by_set: dict[str, Separation]) -> dict[str, Any]:
    side = measure.right_side
    other = "above" if side == "below" else "below"
    paper = f". {PAPER}" if measure == ENTROPY_SUM else ""
    rows = []
    for name, separation in by_set.items():
        line = [name or "all", str(separation.answers), _rate(share_of(separation.right, separation.answers))]
        t = separation.threshold
        if t is None:
            line += [""] * 6
        else:
            share = t.share_below if side == "below" else _rest(t.share_below)
            on_side, on_other = (t.right_below, t.right_above)[:: 1 if side == "below" else -1]
            line += [f"{t.threshold:.3f}"]
            line += [_rate(rate) for rate in (share, on_side, on_other, t.true_positives, t.false_positives)]
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
    if isinstance(value, (Separation, Threshold, Share, Auroc, GroupedAuroc, Kinds, Combination)):
        return {_camel(name): _plain(each) for name, each in value._asdict().items()}
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, float):
        return None if math.isnan(value) else round(value, 6)
    return value


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
