"""What a calibration comes to, as the paper's Table 1 has it: how many answers are right on either side of a threshold."""

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
    auroc,
    auroc_interval,
    calibrate_threshold,
    is_set_half,
    pool,
)

RIGHT = 0.5
"""An answer that scores this much counts as right."""
SEED = 0
"""Of the halves and of the bootstrap; the page's own default."""


PAPER = (
    "In the paper 63 % of LLaVA-1.5's answers lie below; 84, 83 and 86 % of these are right on VQA, GQA and POPE, and "
    "59 % of those above"
)


class Measure(NamedTuple):
    """Something that may tell right answers from wrong ones; `column` of a calibration file holds it token by token."""

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


class Together(NamedTuple):
    """AUROC on the half that nothing was fitted to, of each measure alone and of a logistic sum of both."""

    answers: int
    entropy: float
    log_prob: float
    both: float


class Separation(NamedTuple):
    """How well one number an answer tells right from wrong.

    auroc None where a class is empty; threshold None where there are too few answers, and `why` says so. left_out:
    answers without a value.
    """

    answers: int
    right: int
    left_out: int
    auroc: Auroc | None
    threshold: Threshold | None
    why: str


def separate(rows: Sequence[Mapping[str, Any]], measure: Measure, pooling: Pooling, set_name: str = "") -> Separation:
    """Of the answers whose correctness is known, of one set or of all. `rows` are a whole file's, in its order: an
    answer's place decides on which half it is."""
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


def separate_together(rows: Sequence[Mapping[str, Any]]) -> Together | None:
    """What entropy adds to log-probability: both pooled by the mean, joined by a logistic regression that is fitted to
    one half and measured on the other. None where a half lacks right or wrong answers.

    Log-probabilities crowd at 0, so their logarithm goes in; of either measure alone only the order counts.
    """
    places, values, is_right = [], [], []
    for k, row in enumerate(rows):
        pair = [pool(row[measure.column], row["isContent"], "mean") for measure in (ENTROPY_SUM, LOG_PROB)]
        if row["correct"] is not None and np.isfinite(pair).all():
            places.append(k)
            values.append([-pair[0], -math.log(max(-pair[1], 1e-9))])
            is_right.append(row["correct"] >= RIGHT)
    on, right = is_set_half(np.array(places, dtype=np.int64), SEED), np.array(is_right, dtype=bool)
    if min((half & side).sum() for half in (on, ~on) for side in (right, ~right)) == 0:
        return None
    columns = np.array(values)
    columns = (columns - columns[on].mean(0)) / np.maximum(columns[on].std(0), 1e-12)
    score = columns @ _logistic(columns[on], right[on])

    def measured(column: np.ndarray) -> float:
        return auroc(column[~on & right], column[~on & ~right], "above")

    return Together(int((~on).sum()), measured(columns[:, 0]), measured(columns[:, 1]), measured(score))


def answer_lengths(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[int]]:
    """How many right and wrong answers have each number of tokens."""
    lengths = sorted({len(row["tokens"]) for row in rows})
    counts = {name: dict.fromkeys(lengths, 0) for name in ("right", "wrong")}
    for row in rows:
        if row["correct"] is not None:
            counts["right" if row["correct"] >= RIGHT else "wrong"][len(row["tokens"])] += 1
    return {"tokens": lengths, **{name: list(found.values()) for name, found in counts.items()}}


def calibration_report(rows: Sequence[Mapping[str, Any]], sets: Sequence[str]) -> dict[str, Any]:
    """`figures` and `tables` for reading, and all their numbers under `thresholds` and `poolings`; `answerLengths` by
    set."""
    names = [*sets, ""]
    shown = {
        measure.column: {name: separate(rows, measure, "mean", name) for name in names}
        for measure in (ENTROPY_SUM, LOG_PROB)
    }
    poolings: dict[str, dict[Pooling, Separation]] = {
        measure.column: {pooling: separate(rows, measure, pooling) for pooling in POOLINGS} for measure in MEASURES
    }
    together = separate_together(rows)
    return {
        "figures": _figures(together),
        "tables": [
            *(_threshold_table(measure, shown[measure.column]) for measure in (ENTROPY_SUM, LOG_PROB)),
            _pooling_table(poolings),
        ],
        "thresholds": {
            column: {name or "all": _plain(found) for name, found in by_set.items()} for column, by_set in shown.items()
        },
        "poolings": {
            column: {pooling: _plain(found) for pooling, found in by_pooling.items()}
            for column, by_pooling in poolings.items()
        },
        "answerLengths": {
            name or "all": answer_lengths([row for row in rows if name in ("", row["set"])]) for name in names
        },
        "seed": SEED,
    }


def _logistic(columns: np.ndarray, is_right: np.ndarray) -> np.ndarray:
    """Weights [k] of columns [n, k], by Newton's method with a ridge of 1; the constant is left out of what is returned."""
    x, w = np.column_stack([np.ones(len(columns)), columns]), np.zeros(columns.shape[1] + 1)
    for _ in range(50):
        p = 1 / (1 + np.exp(-x @ w))
        step = np.linalg.solve((x.T * (p * (1 - p))) @ x + np.eye(len(w)), x.T @ (is_right - p) - w)
        w += step
        if np.abs(step).max() < 1e-9:
            break
    return w[1:]


def _figures(together: Together | None) -> list[dict[str, object]]:
    if together is None:
        return []
    return [
        figure("AUROC of entropy (sum-normalised, mean), on half of the answers", together.entropy),
        figure("AUROC of log-probability (mean), on the same half", together.log_prob),
        figure("AUROC of both, joined by a logistic regression on the other half", together.both),
    ]


def _threshold_table(measure: Measure, by_set: dict[str, Separation]) -> dict[str, Any]:
    side = measure.right_side
    other = "above" if side == "below" else "below"
    paper = f". {PAPER}" if measure == ENTROPY_SUM else ""
    rows = []
    for name, found in by_set.items():
        accuracy = f"{found.right / found.answers:.3f}" if found.answers else ""
        line = [name or "all", str(found.answers), accuracy]
        t = found.threshold
        if t is None:
            line += [""] * 6
        else:
            share = t.share_below if side == "below" else _rest(t.share_below)
            there, elsewhere = (t.right_below, t.right_above)[:: 1 if side == "below" else -1]
            line += [f"{t.threshold:.3f}", f"{share.value:.3f}", _rate(there), _rate(elsewhere)]
            line += [f"{t.true_positives.value:.3f}", f"{t.false_positives.value:.3f}"]
        rows.append([*line, _interval(found.auroc)])
    return {
        "title": f"{measure.name.capitalize()}, {POOLING_NAMES['mean']}. The threshold (nats) is set on one half of the "
        f"answers and checked on the other; 95 % intervals{paper}",
        "columns": [
            "set",
            "answers",
            "right",
            "threshold",
            f"share {side}",
            f"right {side}",
            f"right {other}",
            f"of right ones, {side}",
            f"of wrong ones, {side}",
            "AUROC",
        ],
        "rows": rows,
    }


def _pooling_table(poolings: Mapping[str, Mapping[Pooling, Separation]]) -> dict[str, Any]:
    return {
        "title": "AUROC of every entropy and way of pooling tokens, all sets; entropy is expected to be lower for right "
        "answers, log-probability to be higher, and 0.5 says nothing",
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


def _interval(found: Auroc | None) -> str:
    return "" if found is None else f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f})"


def _plain(value: Any) -> Any:
    """NamedTuples as objects, names in the page's own case; NaN as null."""
    if isinstance(value, (Separation, Threshold, Share, Auroc)):
        return {_camel(name): _plain(each) for name, each in value._asdict().items()}
    if isinstance(value, float):
        return None if math.isnan(value) else round(value, 6)
    return value


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
