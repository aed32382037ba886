"""Calibration summaries, compared with SciPy and plain counting, and the validation of calibration files."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.ipc
import pytest
from scipy import optimize, stats

from patchlight.calibration.file import KEY, CalibrationFacts, write_calibration
from patchlight.calibration.statistics import is_set_half
from patchlight.calibration.summary import (
    ENTROPY_SUM,
    LOG_PROB,
    MEASURES,
    answer_lengths,
    calibration_report,
    combine_measures,
    separate,
    separate_within_kinds,
)

FACTS: CalibrationFacts = {
    "model": {"name": "m", "revision": "1", "sameAs": []},
    "head": {"name": "h", "revision": "2"},
    "data": {"name": "d", "sets": ["a", "b"], "about": None},
    "command": "none",
    "patches": 576,
    "seed": 0,
    "licence": "",
    "sprites": None,
    "images": None,
}


def answers(n: int = 600, *, seed: int = 1) -> list[dict[str, Any]]:
    """Make answers. Right answers have slightly lower entropy and much higher log-probability than wrong ones.

    Each of the two measures carries information that the other lacks.
    """
    random = np.random.default_rng(seed)
    rows = []
    for k in range(n):
        right, t = random.random() < 0.7, int(random.integers(1, 6))
        entropy = random.normal(4.6 if right else 5.0, 0.5, t)
        rows.append(
            {
                "id": f"q{k}",
                "set": "ab"[k % 2],
                "kind": "",
                "variety": "",
                "question": "?",
                "answer": "x" * t,
                "reference": "x",
                "correct": float(right),
                "image": None,
                "thumbnail": None,
                "tokens": ["x"] * t,
                "logProbs": (-random.exponential(0.1 if right else 0.4, t)).tolist(),
                "isContent": [True] * t,
                "entropySum": entropy.tolist(),
                "entropyKde": entropy.tolist(),
                "entropyBernoulli": entropy.tolist(),
            }
        )
    return rows


def means(rows: list[dict[str, Any]], column: str) -> np.ndarray:
    return np.array([np.mean(row[column]) for row in rows])


def is_right(rows: list[dict[str, Any]]) -> np.ndarray:
    return np.array([row["correct"] >= 0.5 for row in rows])


@pytest.mark.parametrize("measure", [ENTROPY_SUM, LOG_PROB])
def test_auroc_equals_the_mann_whitney_u(measure: Any):
    rows = answers()
    values, right = means(rows, measure.column), is_right(rows)
    u = stats.mannwhitneyu(values[right], values[~right]).statistic / (right.sum() * (~right).sum())
    result = separate(rows, measure, "mean").auroc
    assert result is not None
    assert result.value == pytest.approx(u if measure.right_side == "above" else 1 - u)
    assert result.low < result.value < result.high


def test_the_threshold_of_one_set_uses_only_its_rows():
    rows = answers()
    result = separate(rows, ENTROPY_SUM, "mean", "b")
    indices = np.array([k for k, row in enumerate(rows) if row["set"] == "b"])
    selected = [rows[k] for k in indices]
    values, right, on = means(selected, "entropySum"), is_right(selected), is_set_half(indices, 0)
    threshold = (values[on & right].mean() + values[on & ~right].mean()) / 2
    assert result.threshold is not None
    assert result.threshold.threshold == pytest.approx(threshold)
    below = ~on & (values < threshold)
    assert result.threshold.right_below[:2] == ((below & right).sum(), below.sum())
    assert result.threshold.share_below[:2] == (below.sum(), (~on).sum())
    assert (result.answers, result.right) == (len(selected), right.sum())


def test_combined_measures_equal_another_logistic_regression():
    rows = answers(2_000)
    right, on = is_right(rows), is_set_half(np.arange(len(rows)), 0)
    x = np.column_stack([-means(rows, "entropySum"), -np.log(-means(rows, "logProbs"))])
    x = (x - x[on].mean(0)) / x[on].std(0)

    def loss(w: np.ndarray) -> float:
        z = x[on] @ w[1:] + w[0]
        return float(np.logaddexp(0, np.where(right[on], -z, z)).sum())

    score = x[~on] @ optimize.minimize(loss, np.zeros(3)).x[1:]
    r = right[~on]
    expected = stats.mannwhitneyu(score[r], score[~r]).statistic / (r.sum() * (~r).sum())
    result = combine_measures(rows)
    assert result is not None
    assert result.both.value == pytest.approx(expected, abs=1e-3)  # only one of the two regressions has a ridge penalty
    assert result.both.value > max(result.entropy.value, result.log_prob.value)
    assert result.both.low < result.both.value < result.both.high


def test_answers_of_unknown_correctness_or_without_tokens_are_left_out():
    rows = answers()
    before = separate(rows, ENTROPY_SUM, "mean")
    silent = {**rows[0], "correct": 1.0, "tokens": []} | {measure.column: [] for measure in MEASURES}
    after = separate([*rows, {**rows[0], "correct": None}, {**silent, "isContent": []}], ENTROPY_SUM, "mean")
    assert after[:2] == before[:2]
    assert (after.left_out, after.unscored) == (1, 1)
    combination, combination_before = combine_measures([*rows, {**rows[0], "correct": None}]), combine_measures(rows)
    assert combination is not None
    assert combination_before is not None
    assert (combination.left_out, combination.answers) == (1, combination_before.answers)


def in_kinds(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give most rows a kind: wrong answers are often of the kind "hard"."""
    random = np.random.default_rng(9)
    kinds = [
        "" if k % 20 == 0 else "hard" if random.random() < (0.2 if row["correct"] else 0.7) else "easy"
        for k, row in enumerate(rows)
    ]
    return [
        {**row, "kind": kind, "variety": kind and "xy"[k % 2]}
        for k, (row, kind) in enumerate(zip(rows, kinds, strict=True))
    ]


def test_within_kinds_only_answers_of_the_same_set_kind_and_variety_are_compared():
    rows = in_kinds(answers(900))
    result = separate_within_kinds(rows)
    assert result is not None
    values, right = means(rows, "entropySum"), is_right(rows)
    keys = [(row["set"], row["kind"], row["variety"]) for row in rows]
    below, pairs = 0.0, 0
    for key in {key for key in keys if key[1]}:
        use = np.array([each == key for each in keys])
        u = stats.mannwhitneyu(values[use & ~right], values[use & right]).statistic
        below, pairs = below + u, pairs + (use & right).sum() * (use & ~right).sum()
    area = result.within["entropySum"]
    assert area is not None
    assert (area.value, area.pairs, area.left_out) == pytest.approx((below / pairs, pairs, 45))
    assert result.kinds_by == "kind"
    assert result.alone is not None
    assert result.alone.low > 0.6


def test_without_kinds_the_sets_are_the_kinds_and_a_single_set_has_none():
    rows = answers()
    result = separate_within_kinds(rows)
    assert result is not None
    assert result.kinds_by == "set"
    assert separate_within_kinds([{**row, "set": "a"} for row in rows]) is None
    report = calibration_report(in_kinds(rows), ["a", "b"])
    labels = [row["label"] for row in report["figures"]]
    assert "AUROC of entropy (sum-normalised, mean) within one kind of question" in labels
    assert report["kinds"]["within"]["logProbs"]["value"] > 0.5
    for table in report["tables"][:2]:
        for row in table["rows"]:
            cells = dict(zip(table["columns"], row, strict=True))
            bare = {column for column, cell in cells.items() if cell and " to " not in cell}
            assert bare <= {"set", "answers", "threshold"}
    json.dumps(report, allow_nan=False)


def test_answers_at_minus_infinity_are_counted_and_rank_lowest():
    rows = answers()
    for row in rows[::15]:
        row["logProbs"] = [-math.inf] * len(row["tokens"])
    result = separate(rows, LOG_PROB, "mean")
    values, right = means(rows, "logProbs"), is_right(rows)
    assert (result.answers, result.infinite, result.left_out) == (len(rows), len(rows[::15]), 0)
    expected = stats.mannwhitneyu(values[right], values[~right]).statistic / (right.sum() * (~right).sum())
    assert result.auroc is not None
    assert result.auroc.value == pytest.approx(expected)
    combination = combine_measures(rows)
    assert combination is not None
    assert combination.left_out == 0
    on = is_set_half(np.arange(len(rows)), 0)
    u = stats.mannwhitneyu(values[~on & right], values[~on & ~right]).statistic
    assert combination.log_prob.value == pytest.approx(u / ((~on & right).sum() * (~on & ~right).sum()))
    assert combination.both.value > 0.5
    json.dumps(calibration_report(rows, ["a", "b"]), allow_nan=False)


def test_the_report_of_a_single_class_has_no_thresholds():
    rows = [{**row, "correct": 1.0} for row in answers(40)]
    report = calibration_report(rows, ["a", "b"])
    all_sets = report["thresholds"]["entropySum"]["all"]
    assert (all_sets["auroc"], all_sets["threshold"]) == (None, None)
    assert "0 wrong answers" in all_sets["why"]
    assert report["figures"] == []
    json.dumps(report, allow_nan=False)


def test_answer_lengths_are_counted_for_right_and_wrong():
    rows = answers()
    lengths = answer_lengths(rows)
    for k, length in enumerate(lengths["tokens"]):
        for name, value in (("right", 1.0), ("wrong", 0.0)):
            assert lengths[name][k] == sum(len(row["tokens"]) == length and row["correct"] == value for row in rows)


def test_a_calibration_file_round_trips(tmp_path: Path):
    rows = answers(20)
    rows[3] |= {"correct": None}
    write_calibration(tmp_path / "calibration.arrow", rows, FACTS)
    with pyarrow.ipc.open_file(tmp_path / "calibration.arrow") as file:
        table = file.read_all()
    facts = json.loads(table.schema.metadata[KEY.encode()])
    assert (facts["formatVersion"], facts["n"], facts["model"]) == (1, 20, FACTS["model"])
    read = table.to_pylist()
    assert [row["tokens"] for row in read] == [row["tokens"] for row in rows]
    assert [row["correct"] for row in read] == [row["correct"] for row in rows]
    assert read[5]["logProbs"] == pytest.approx(rows[5]["logProbs"], rel=1e-6)
    assert list(tmp_path.iterdir()) == [tmp_path / "calibration.arrow"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"logProbs": []}, "token columns of different lengths"),
        ({"set": "c"}, "set 'c', expected one of a, b"),
        ({"id": "q1"}, "same id"),
    ],
)
def test_invalid_rows_are_refused(tmp_path: Path, change: dict[str, Any], message: str):
    rows = answers(4)
    rows[2] |= change
    with pytest.raises(ValueError, match=message):
        write_calibration(tmp_path / "calibration.arrow", rows, FACTS)
    assert not list(tmp_path.iterdir())
