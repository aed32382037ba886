"""What an evaluation's table comes to, as the paper's Table 1 has it: accuracy and F1 a data set."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from ..head.answer_scores import vqa_accuracy_of_nine
from ..head.scores import THRESHOLDS, HeadCounts, HeadCurve, best_threshold, curve_of

RIGHT = 0.5
"""An answer that scores this much counts as right where only right and wrong are told apart."""


def summarise(table: Path, data: str, asked: int, classification_threshold: float) -> dict[str, Any]:
    """Figures of one data set's table; those of maps are over tokens whose baseline explains what was said.

    asked: samples of the evaluation; those that the table lacks were passed over.
    """
    rows = pq.read_table(table)
    index = _floats(rows, "token")
    first = rows.filter(pa.array(~(index > 0)))
    rows = rows.filter(pa.array(np.isfinite(index)))
    score = _floats(rows, "score")
    summary: dict[str, Any] = {
        "data": data,
        "samples": len(first),
        "passedOver": asked - len(first),
        "tokens": len(rows),
        "answers": _answers(first.filter(pa.array(np.isfinite(_floats(first, "score")))), data),
        "entropyNats": {
            kind.lower(): _split(_floats(rows, f"entropy{kind}Nats"), score) for kind in ("Sum", "Kde", "Bernoulli")
        },
        "msPerToken": {name: _mean(_floats(rows, f"{name}Ms")) for name in ("decode", "head", "baseline")},
    }
    if rows["positive"].null_count < len(rows):
        used = (_floats(rows, "peak") > 0) & rows["reproduced"].to_numpy(zero_copy_only=False).astype(bool)
        summary["maps"] = _maps(rows.filter(pa.array(used)), classification_threshold)
    return summary


def table_of(summaries: Sequence[dict[str, Any]], name: str) -> str:
    """Markdown. The paper's Table 1 (accuracy and F1 of the head's maps a data set, at 0.5), then the same at the head's
    own threshold and at the data set's best, and of the constant maps that are easily mistaken for good ones."""
    lines = []
    if shown := [summary for summary in summaries if "maps" in summary]:
        sets = [summary["data"] for summary in shown]
        lines += [_row(["", *(f"accuracy {data}" for data in sets), *(f"F1 {data}" for data in sets)])]
        lines += [_rule(2 * len(sets) + 1)]
        for kind, words in (("half", ""), ("chosen", ", its own"), ("best", ", best F1")):
            found = [summary["maps"][kind] for summary in shown]
            at = "/".join(f"{value:g}" for value in sorted({row["threshold"] for row in found}))
            figures = [f"{row['accuracy']:.3f}" for row in found] + [f"{row['f1']:.2f}" for row in found]
            lines += [_row([f"{name} at {at}{words}", *figures])]
        constant = [summary["maps"]["constant"] for summary in shown]
        accuracy = [f"{row['accuracyNoneRelevant']:.3f}" for row in constant]
        lines += [_row(["none, or all, relevant", *accuracy, *(f"{row['f1AllRelevant']:.2f}" for row in constant)]), ""]
    heads = ["data set", "samples", "tokens", "answers right", "answer, ms a token", "head", "baseline"]
    lines += [_row(heads), _rule(len(heads))]
    for summary in summaries:
        right, ms = summary["answers"].get("accuracy"), summary["msPerToken"]
        times = ["" if ms[kind] is None else f"{ms[kind]:.3g}" for kind in ("decode", "head", "baseline")]
        known = "unknown" if right is None else f"{right:.3f}"
        lines += [_row([summary["data"], str(summary["samples"]), str(summary["tokens"]), known, *times])]
    lines += _entropy_lines(summaries)
    return "\n".join(lines) + "\n"


def _entropy_lines(summaries: Sequence[dict[str, Any]]) -> list[str]:
    """Whether entropy tells right answers from wrong ones, and log-probability beside it; sum-normalised, pooled by the
    mean. Of data sets that have enough of both kinds of answer."""
    heads = ["data set", "below the entropy threshold", "right of these", "right above", "AUROC", "of log-probability"]
    rows = []
    for summary in summaries:
        entropy, log_prob = (
            summary.get("calibration", {}).get("thresholds", {}).get(column, {}).get("all")
            for column in ("entropySum", "logProbs")
        )
        if entropy is None or log_prob is None or entropy["threshold"] is None:
            continue
        shares = (entropy["threshold"][name]["value"] for name in ("shareBelow", "rightBelow", "rightAbove"))
        known = [*shares, entropy["auroc"]["value"], log_prob["auroc"]["value"]]
        rows += [_row([summary["data"], *("" if value is None else f"{value:.3f}" for value in known)])]
    return ["", _row(heads), _rule(len(heads)), *rows] if rows else []


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _rule(columns: int) -> str:
    return "|---" * columns + "|"


def _answers(first: pa.Table, data: str) -> dict[str, Any]:
    """Of the first token's row of each answer whose score is known."""
    if len(first) == 0:
        return {}
    found = {"accuracy": _mean(_floats(first, "score")), "scored": len(first)}
    if data == "vqav2":
        pairs = zip(first["answer"].to_pylist(), first["rightAnswers"].to_pylist(), strict=True)
        found["accuracyOfNine"] = float(np.mean([vqa_accuracy_of_nine(said, right) for said, right in pairs]))
    return found


def _split(values: np.ndarray, score: np.ndarray) -> dict[str, float | None]:
    """Means over tokens: of all answers, of right and of wrong ones."""
    return {"mean": _mean(values), "right": _mean(values[score >= RIGHT]), "wrong": _mean(values[score < RIGHT])}


def _maps(used: pa.Table, classification_threshold: float) -> dict[str, Any]:
    counts = HeadCounts(
        _counts(used["truePositive"]),
        _counts(used["falsePositive"]),
        torch.from_numpy(used["positive"].to_numpy().copy()).sum()[None],
        torch.from_numpy(used["patches"].to_numpy().copy()).sum()[None],
    )
    curve = curve_of(counts)
    share = (counts.positive / counts.total).item() if len(used) else float("nan")
    return {
        "tokens": len(used),
        "half": _at(curve, 0.5),
        "chosen": _at(curve, classification_threshold),
        "best": _at(curve, best_threshold(curve)),
        "relevantShare": share,
        "constant": {"accuracyNoneRelevant": 1 - share, "f1AllRelevant": 2 * share / (1 + share)},
        "curve": {
            "threshold": [round(value, 2) for value in THRESHOLDS.tolist()],
            **{name: getattr(curve, name).tolist() for name in curve._fields},
        },
    }


def _counts(column: pa.ChunkedArray) -> torch.Tensor:
    """[1, 101]: a sum over all rows of lists of 101."""
    total = np.zeros(len(THRESHOLDS), dtype=np.int64)
    for chunk in column.chunks:
        total += chunk.flatten().to_numpy().reshape(-1, len(THRESHOLDS)).sum(0)
    return torch.from_numpy(total)[None]


def _at(curve: HeadCurve, threshold: float) -> dict[str, float]:
    place = round(threshold * 100)
    return {"threshold": threshold, **{name: getattr(curve, name)[place].item() for name in curve._fields}}


def _floats(rows: pa.Table, name: str) -> np.ndarray:
    """A column, NaN where it is null."""
    return rows[name].to_numpy(zero_copy_only=False).astype(np.float64)


def _mean(values: np.ndarray) -> float | None:
    """None where there is nothing to take the mean of."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None
