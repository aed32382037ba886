"""The figures that POPE, VQAv2 and GQA report, by their own rules and groups, with 95 % intervals.

POPE (Li et al. 2023): accuracy, precision, recall and F1 of "yes", and the share of answers that say yes, per split.
VQAv2 (Goyal et al. 2017): accuracy per answer type. GQA (Hudson and Manning 2019): accuracy per structural and semantic
type.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from ..bootstrap import RESAMPLES, Bootstrap, Estimate, Ratio
from ..head.answer_scores import says_neither, says_yes, vqa_accuracy_of_nine

_DRAWS = 40_000_000  # resamples times images, which bounds memory to 0.6 GB
Ratios = dict[str, Ratio]


def image_bootstrap(images: np.ndarray) -> Bootstrap:
    """Return a bootstrap that resamples images, with fewer resamples if there are very many. images [n]: of each item."""
    return Bootstrap(images, resamples=min(RESAMPLES, max(100, _DRAWS // len(np.unique(images)))))


def benchmark(scored: pa.Table, data: str) -> dict[str, Any] | None:
    """Return a benchmark's own figures, or None for a dataset without any.

    scored: one row per scored answer. Images are resampled for the intervals, because questions about one image are not
    independent; there is no interval for a single image. A figure that is undefined, such as the precision if no answer
    says yes, is None.
    """
    if data not in _BENCHMARKS or len(scored) == 0:
        return None
    rule, ratios_of, columns = _BENCHMARKS[data]
    ratios = ratios_of(scored)
    images = np.array(scored["imagePath"].to_pylist())
    bootstrap = image_bootstrap(images)
    neither = np.array([says_neither(answer) for answer in scored["answer"].to_pylist()])

    def group(by: str, name: str, rows: np.ndarray) -> dict[str, Any]:
        has_interval = len(np.unique(images[rows])) > 1
        figures = {label: _figure(bootstrap.estimate(ratio, rows), has_interval) for label, ratio in ratios.items()}
        unclear = {"neitherYesNorNo": int((neither & rows).sum())} if data == "pope" else {}
        return {"by": by, "group": name, "answers": int(rows.sum()), **unclear, "figures": figures}

    groups = [group("", "all", np.ones(len(scored), dtype=bool))]
    for by, column in columns.items():
        names = np.array([name or "" for name in scored[column].to_pylist()])
        if any(names):
            groups += [group(by, name or "not given", names == name) for name in dict.fromkeys(sorted(names))]
    return {"rule": rule, "groups": groups}


def benchmark_lines(summaries: Sequence[dict[str, Any]]) -> list[str]:
    """Format the benchmarks' figures as Markdown: one table per dataset, followed by its rule."""
    lines: list[str] = []
    for summary in summaries:
        if (report := summary.get("benchmark")) is None:
            continue
        names = list(report["groups"][0]["figures"])
        has_unclear = "neitherYesNorNo" in report["groups"][0]
        head = [f"{summary['data']}, by its own rule", "answers", *names]
        head += ["neither yes nor no"] if has_unclear else []
        lines += ["", f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
        for row in report["groups"]:
            cells = [f"{row['by']}: {row['group']}" if row["by"] else row["group"], str(row["answers"])]
            cells += [_cell(row["figures"][name]) for name in names]
            cells += [str(row["neitherYesNorNo"])] if has_unclear else []
            lines += [f"| {' | '.join(cells)} |"]
        lines += ["", report["rule"]]
    return lines


def _pope(scored: pa.Table) -> Ratios:
    says = np.array([says_yes(answer) for answer in scored["answer"].to_pylist()])
    is_yes = np.array([answers[0] == "yes" for answers in scored["rightAnswers"].to_pylist()])
    hit = (says & is_yes).astype(np.float64)
    return {
        "accuracy": Ratio.mean(says == is_yes),
        "precision": Ratio(hit, says),
        "recall": Ratio(hit, is_yes),
        "F1": Ratio(2 * hit, says.astype(np.float64) + is_yes),
        "share of yes": Ratio.mean(says),
    }


def _vqav2(scored: pa.Table) -> Ratios:
    pairs = zip(scored["answer"].to_pylist(), scored["rightAnswers"].to_pylist(), strict=True)
    return {"accuracy": Ratio.mean(np.array([vqa_accuracy_of_nine(answer, right) for answer, right in pairs]))}


def _gqa(scored: pa.Table) -> Ratios:
    return {"accuracy": Ratio.mean(scored["score"].to_numpy().astype(np.float64))}


_BENCHMARKS: dict[str, tuple[str, Callable[[pa.Table], Ratios], dict[str, str]]] = {
    "pope": (
        "As in POPE's published code, an answer counts as no if the word no or not occurs before its first full stop, "
        "and as yes otherwise, also if it says neither.",
        _pope,
        {"split": "split"},
    ),
    "vqav2": (
        "As in the VQA challenge, an answer's accuracy is the mean of min(n / 3, 1) over the subsets that leave out one "
        "annotator, where n annotators of the subset gave the same answer after normalisation.",
        _vqav2,
        {"answer type": "answerType"},
    ),
    "gqa": (
        "An answer is right if it equals GQA's, ignoring case, additional spaces and a final full stop.",
        _gqa,
        {"structural": "structuralType", "semantic": "semanticType"},
    ),
}


def _figure(estimate: Estimate, has_interval: bool) -> dict[str, float | None]:
    low, high = estimate.interval if has_interval else (np.nan, np.nan)
    values = {"value": estimate.value, "low": low, "high": high}
    return {name: float(value) if np.isfinite(value) else None for name, value in values.items()}


def _cell(figure: dict[str, float | None]) -> str:
    if figure["value"] is None:
        return "undefined"
    interval = "" if figure["low"] is None else f" ({figure['low']:.3f} to {figure['high']:.3f})"
    return f"{figure['value']:.3f}{interval}"
