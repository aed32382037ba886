"""Turns the table of an evaluation into a calibration file: scored answers with the entropies of their tokens' maps."""

import os
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ..calibration.content_tokens import content_tokens
from ..calibration.file import CalibrationFacts, write_calibration
from ..calibration.summary import calibration_report
from ..head.answer_scores import DataKind

_SETS: dict[DataKind, str] = {"vqav2": "VQAv2", "gqa": "GQA", "pope": "POPE", "jsonl": ""}
_COLUMNS = {"logProbs": "logProb", "entropySum": "entropySumNats", "entropyKde": "entropyKdeNats"} | {
    "entropyBernoulli": "entropyBernoulliNats"
}
_READ = [
    *("split", "answerType", "structuralType", "semanticType"),
    *("sample", "imagePath", "question", "rightAnswers", "answer", "score", "token", "text", "word", "patches"),
    *_COLUMNS.values(),
]


def write_evaluation_calibration(table: Path, out: Path, evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """Write a calibration file from an evaluation's table and return its thresholds, kinds of question,
    poolings and answer lengths.

    evaluation: the evaluation's manifest. Images are not copied; the calibration file stores their paths relative to
    its own folder.
    """
    kind: DataKind = evaluation["data"]
    name = _SETS[kind] or Path(evaluation["questions"]).stem
    rows = pq.read_table(table, columns=_READ)
    ids: dict[str, int] = {}
    answers = []
    for tokens in _answers(rows):
        first = tokens[0]
        answer_tokens = [row for row in tokens if row["token"] is not None]
        ids[first["sample"]] = occurrence = ids.get(first["sample"], 0) + 1
        answers.append(
            {
                "id": first["sample"] if occurrence == 1 else f"{first['sample']} ({occurrence})",
                "set": name,
                "kind": first["split"] or first["answerType"] or first["structuralType"] or "",
                "variety": first["semanticType"] or "",
                "question": first["question"],
                "answer": first["answer"],
                "reference": _most_common(first["rightAnswers"]),
                "correct": first["score"],
                "image": os.path.relpath(first["imagePath"], out.parent),
                "thumbnail": None,
                "tokens": [row["text"] for row in answer_tokens],
                "isContent": content_tokens(
                    [row["text"] for row in answer_tokens], [row["word"] for row in answer_tokens]
                ),
                **{column: [row[source] for row in answer_tokens] for column, source in _COLUMNS.items()},
            }
        )
    facts: CalibrationFacts = {
        "model": {"name": evaluation["model"], "revision": evaluation["modelRevision"], "sameAs": []},
        "head": {"name": evaluation["head"]["name"], "revision": evaluation["head"]["revision"]},
        "data": {"name": name, "sets": [name], "about": f"Questions from {evaluation['questions']}."},
        "command": f"patchlight evaluate --data {kind} --questions {evaluation['questions']}",
        "patches": _only(rows["patches"]),
        "seed": evaluation["seed"] or 0,
        "licence": "",
        "sprites": None,
        "images": None,
    }
    write_calibration(out, answers, facts)
    report = calibration_report(answers, [])
    return {name: report[name] for name in ("thresholds", "kinds", "poolings", "answerLengths")}


def _answers(rows: pa.Table) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows of each answer. An answer without tokens has one row, whose token is null."""
    index = rows["token"].to_numpy(zero_copy_only=False)
    starts = [*np.flatnonzero(~(index > 0)).tolist(), len(rows)]
    for start, stop in pairwise(starts):
        yield rows.slice(start, stop - start).to_pylist()


def _most_common(answers: list[str]) -> str:
    """Return the most common answer, or the first of several equally common answers."""
    return max(answers, key=answers.count) if answers else ""


def _only(column: pa.ChunkedArray) -> int | None:
    values = column.unique().to_pylist()
    return values[0] if len(values) == 1 else None
