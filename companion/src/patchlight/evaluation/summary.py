"""Summarises the table of an evaluation as in the FastRM paper's Table 1: accuracy and F1 per dataset."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from ..bootstrap import Ratio
from ..head.answer_scores import vqa_accuracy_of_nine
from ..head.scores import THRESHOLDS, HeadCounts, HeadCurve, best_threshold, curve_of
from .benchmarks import benchmark, benchmark_lines, image_bootstrap

RIGHT = 0.5
"""Answers with at least this score count as right."""


class Skipped(NamedTuple):
    """A sample that could not be read or explained."""

    sample: str
    reason: str


def summarise(table: Path, data: str, skipped: Sequence[Skipped], classification_threshold: float) -> dict[str, Any]:
    """Summarise one dataset's table. Map scores cover only the tokens that the teacher's differentiated pass
    reproduced; `mapsLeftOut` counts the others.
    """
    rows = pq.read_table(table)
    index = _floats(rows, "token")
    first = rows.filter(pa.array(~(index > 0)))
    rows = rows.filter(pa.array(np.isfinite(index)))
    score = _floats(rows, "score")
    scored = first.filter(pa.array(np.isfinite(_floats(first, "score"))))
    summary: dict[str, Any] = {
        "data": data,
        "samples": len(first),
        "passedOver": len(skipped),
        "skipped": [sample._asdict() for sample in skipped],
        "withoutRightAnswer": len(first) - len(scored),
        "withoutTokens": int(np.isnan(_floats(first, "token")).sum()),
        "tokens": len(rows),
        "answers": _answers(scored, data),
        "entropyNats": {
            kind.lower(): _split(_floats(rows, f"entropy{kind}Nats"), score) for kind in ("Sum", "Kde", "Bernoulli")
        },
        "msPerToken": {name: _mean(_floats(rows, f"{name}Ms")) for name in ("decode", "head", "baseline")},
    }
    if rows["positive"].null_count < len(rows):
        used = (_floats(rows, "peak") > 0) & rows["reproduced"].to_numpy(zero_copy_only=False).astype(bool)
        summary["maps"] = _maps(rows.filter(pa.array(used)), classification_threshold)
        summary["mapsLeftOut"] = int((~used).sum())
    if (figures := benchmark(scored, data)) is not None:
        summary["benchmark"] = figures
    return summary


def table_of(summaries: Sequence[dict[str, Any]], name: str) -> str:
    """Format summaries as Markdown.

    The first table extends the paper's Table 1 (accuracy and F1 of the head's maps per dataset, at 0.5). The added rows
    are the scores at the head's classification threshold and at each dataset's best threshold, and the scores of
    constant maps, which are easily mistaken for good ones.
    """
    lines = []
    if with_maps := [summary for summary in summaries if "maps" in summary]:
        sets = [summary["data"] for summary in with_maps]
        lines += [_row(["", *(f"accuracy {data}" for data in sets), *(f"F1 {data}" for data in sets)])]
        lines += [_rule(2 * len(sets) + 1)]
        for kind, note in (("half", ""), ("chosen", ", the head's threshold"), ("best", ", best F1")):
            scores = [summary["maps"][kind] for summary in with_maps]
            at = "/".join(f"{value:g}" for value in sorted({row["threshold"] for row in scores}))
            figures = [_cell(_estimate_of(row, "accuracy")) for row in scores]
            figures += [_cell(_estimate_of(row, "f1"), 2) for row in scores]
            lines += [_row([f"{name} at {at}{note}", *figures])]
        constant = [summary["maps"]["constant"] for summary in with_maps]
        accuracy = [f"{row['accuracyNoneRelevant']:.3f}" for row in constant]
        f1 = [f"{row['f1AllRelevant']:.2f}" for row in constant]
        lines += [_row(["constant map (accuracy: no patch, F1: all patches)", *accuracy, *f1]), ""]
    columns = ["dataset", "samples", "tokens", "answers right", "answer, ms per token", "head", "baseline"]
    lines += [_row(columns), _rule(len(columns))]
    for summary in summaries:
        answers, ms = summary["answers"], summary["msPerToken"]
        times = ["" if ms[kind] is None else f"{ms[kind]:.3g}" for kind in ("decode", "head", "baseline")]
        share = _cell(_estimate_of(answers, "accuracy")) or "unknown"
        lines += [_row([summary["data"], str(summary["samples"]), str(summary["tokens"]), share, *times])]
    lines += benchmark_lines(summaries)
    lines += _entropy_lines(summaries)
    lines += _left_out_lines(summaries)
    return "\n".join(lines) + "\n"


def _entropy_lines(summaries: Sequence[dict[str, Any]]) -> list[str]:
    """Format tables of how well entropy (sum-normalised, mean) and log-probability separate right from wrong answers:
    all of them, and answers to the same kind of question, if the dataset names kinds.

    For datasets with too few right or wrong answers, a sentence gives the reason.
    """
    columns = [
        "dataset",
        "share below the entropy threshold",
        "right if below",
        "right if above",
        "AUROC of entropy",
        "AUROC of log-probability",
    ]
    rows, refused = [], []
    for summary in summaries:
        entropy, log_prob = (
            summary.get("calibration", {}).get("thresholds", {}).get(column, {}).get("all")
            for column in ("entropySum", "logProbs")
        )
        if entropy is None or log_prob is None:
            continue
        if entropy["threshold"] is None:
            refused += [f"{summary['data']}: no threshold, because {entropy['why']}."]
            continue
        shares = (entropy["threshold"][name] for name in ("shareBelow", "rightBelow", "rightAbove"))
        rows += [_row([summary["data"], *map(_cell, [*shares, entropy["auroc"], log_prob["auroc"]])])]
    lines = ["", _row(columns), _rule(len(columns)), *rows] if rows else []
    return [*lines, *_kind_lines(summaries), *(["", *refused] if refused else [])]


def _kind_lines(summaries: Sequence[dict[str, Any]]) -> list[str]:
    columns = [
        "dataset",
        "AUROC of entropy within one kind of question",
        "AUROC of log-probability within one kind",
        "AUROC of the kind alone",
        "answers in no pair",
    ]
    rows = []
    for summary in summaries:
        kinds = summary.get("calibration", {}).get("kinds")
        if kinds is None:
            continue
        areas = [*kinds["within"].values(), kinds["alone"]]
        entropy = areas[0]
        rows += [_row([summary["data"], *map(_cell, areas), "all" if entropy is None else str(entropy["leftOut"])])]
    return ["", _row(columns), _rule(len(columns)), *rows] if rows else []


def _left_out_lines(summaries: Sequence[dict[str, Any]]) -> list[str]:
    """Say what the figures leave out."""
    lines = []
    for summary in summaries:
        skipped, unknown = summary["skipped"], summary["withoutRightAnswer"]
        total = summary["samples"] + len(skipped)
        parts = []
        if skipped:
            parts += [f"{len(skipped)} of {total} samples were skipped (the first, {skipped[0]['sample']}: "
                      f"{skipped[0]['reason']})"]  # fmt: skip
        if unknown:
            parts += [f"{unknown} of {total} samples have no right answer, so their answers are not scored"]
        if left_out := summary.get("mapsLeftOut", 0):
            parts += [
                f"{left_out} of {summary['tokens']} tokens are not in the map scores, because the teacher's map is "
                "empty or explains another token"
            ]
        if parts:
            lines += [f"{summary['data']}: {'; '.join(parts)}."]
    return ["", *lines] if lines else []


def _estimate_of(row: Mapping[str, Any], name: str) -> dict[str, float | None]:
    """Return a value and its interval, which summaries of earlier versions lack."""
    low, high = row.get(f"{name}Interval") or (None, None)
    return {"value": row.get(name), "low": low, "high": high}


def _cell(estimate: Mapping[str, float | None] | None, digits: int = 3) -> str:
    """Return a value with its interval; empty if it is unknown."""
    if estimate is None or estimate["value"] is None:
        return ""
    if estimate["low"] is None:
        return f"{estimate['value']:.{digits}f}"
    return f"{estimate['value']:.{digits}f} ({estimate['low']:.{digits}f} to {estimate['high']:.{digits}f})"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _rule(columns: int) -> str:
    return "|---" * columns + "|"


def _answers(first: pa.Table, data: str) -> dict[str, Any]:
    """Summarise the scored answers. first: the first row of each answer."""
    if len(first) == 0:
        return {}
    score = _floats(first, "score")
    interval = _intervals(first, {"accuracy": Ratio.mean(score)})
    summary: dict[str, Any] = {"accuracy": _mean(score), **interval, "scored": len(first)}
    if data == "vqav2":
        pairs = zip(first["answer"].to_pylist(), first["rightAnswers"].to_pylist(), strict=True)
        summary["accuracyOfNine"] = float(np.mean([vqa_accuracy_of_nine(answer, right) for answer, right in pairs]))
    return summary


def _split(values: np.ndarray, score: np.ndarray) -> dict[str, float | int | None]:
    """Return the mean over all tokens, the means over the tokens of right and of wrong answers, and the number of
    tokens that they leave out because the value is not finite.
    """
    return {
        "mean": _mean(values),
        "right": _mean(values[score >= RIGHT]),
        "wrong": _mean(values[score < RIGHT]),
        "leftOut": int((~np.isfinite(values)).sum()),
    }


def _maps(used: pa.Table, classification_threshold: float) -> dict[str, Any]:
    counts = HeadCounts(
        _counts(used["truePositive"]),
        _counts(used["falsePositive"]),
        torch.from_numpy(used["positive"].to_numpy().copy()).sum()[None],
        torch.from_numpy(used["patches"].to_numpy().copy()).sum()[None],
    )
    curve = curve_of(counts)
    share = (counts.positive / counts.total).item() if len(used) else float("nan")

    def at(threshold: float) -> dict[str, Any]:
        return {**_at(curve, threshold), **_intervals(used, _ratios(used, threshold))}

    return {
        "tokens": len(used),
        "half": at(0.5),
        "chosen": at(classification_threshold),
        "best": at(best_threshold(curve)),
        "relevantShare": share,
        "constant": {"accuracyNoneRelevant": 1 - share, "f1AllRelevant": 2 * share / (1 + share)},
        "curve": {
            "threshold": [round(value, 2) for value in THRESHOLDS.tolist()],
            **{name: getattr(curve, name).tolist() for name in curve._fields},
        },
    }


def _ratios(used: pa.Table, threshold: float) -> dict[str, Ratio]:
    """Return accuracy and F1 at a threshold as ratios over tokens."""
    tp, fp = (_column_at(used[name], threshold) for name in ("truePositive", "falsePositive"))
    positive, total = (_floats(used, name) for name in ("positive", "patches"))
    return {"accuracy": Ratio(total - positive - fp + tp, total), "f1": Ratio(2 * tp, tp + fp + positive)}


def _intervals(rows: pa.Table, ratios: Mapping[str, Ratio]) -> dict[str, list[float] | None]:
    """Return the 95 % interval of each ratio over the rows, from resampled images; None for fewer than two images."""
    images = np.array(rows["imagePath"].to_pylist())
    if len(np.unique(images)) < 2:
        return {f"{name}Interval": None for name in ratios}
    bootstrap = image_bootstrap(images)
    return {f"{name}Interval": [*bootstrap.estimate(ratio).interval] for name, ratio in ratios.items()}


def _column_at(column: pa.ChunkedArray, threshold: float) -> np.ndarray:
    """Return each row's count at a threshold, float64 `[n]`."""
    index = round(threshold * 100)
    parts = [chunk.flatten().to_numpy().reshape(-1, len(THRESHOLDS))[:, index] for chunk in column.chunks]
    return np.concatenate([np.zeros(0), *parts])


def _counts(column: pa.ChunkedArray) -> torch.Tensor:
    """Sum a column over all rows. Each cell is a list of 101 counts, and the result is `[1, 101]`."""
    total = np.zeros(len(THRESHOLDS), dtype=np.int64)
    for chunk in column.chunks:
        total += chunk.flatten().to_numpy().reshape(-1, len(THRESHOLDS)).sum(0)
    return torch.from_numpy(total)[None]


def _at(curve: HeadCurve, threshold: float) -> dict[str, float]:
    index = round(threshold * 100)
    return {"threshold": threshold, **{name: getattr(curve, name)[index].item() for name in curve._fields}}


def _floats(rows: pa.Table, name: str) -> np.ndarray:
    """Return a column as float64, with NaN for null."""
    return rows[name].to_numpy(zero_copy_only=False).astype(np.float64)


def _mean(values: np.ndarray) -> float | None:
    """Return the mean of the finite values, or None if there are none."""
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else None
