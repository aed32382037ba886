"""Compares the benchmarks' figures with figures computed by hand, on small files in the published formats."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from patchlight.evaluation.benchmarks import benchmark, benchmark_lines
from patchlight.evaluation.table import SCHEMA
from patchlight.head.answer_scores import SCORES, DataKind
from patchlight.head.datasets import DataOptions, read_samples
from tests.helpers.question_files import pope, vqa, write


def scored(options: DataOptions, answers: list[str]) -> pa.Table:
    """Return the rows of an evaluation in which the model gave these answers."""
    rows: list[dict[str, Any]] = []
    for sample, answer in zip(read_samples(options), answers, strict=True):
        rows.append(
            {
                "sample": sample.id,
                "imagePath": str(sample.image),
                "split": sample.groups.split,
                "answerType": sample.groups.answer_type,
                "structuralType": sample.groups.structural_type,
                "semanticType": sample.groups.semantic_type,
                "rightAnswers": list(sample.answers),
                "answer": answer,
                "score": SCORES[options.kind](answer, sample.answers),
            }
        )
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def figures(report: dict[str, Any] | None) -> dict[str, dict[str, float | None]]:
    """Return the values by group and figure."""
    assert report is not None
    return {
        f"{row['by']} {row['group']}".strip(): {name: part["value"] for name, part in row["figures"].items()}
        for row in report["groups"]
    }


def test_pope_s_figures_are_those_of_its_published_code(tmp_path: Path):
    pope(tmp_path, "random", ["yes", "yes", "no", "no", "no"])
    pope(tmp_path, "popular", ["yes", "no"])
    answers = ["Yes.", "No, there is not.", "Yes, one.", "There is no dog. Yes.", "A dog", "No", "no."]
    report = benchmark(scored(DataOptions(kind="pope", questions=tmp_path, images=tmp_path), answers), "pope")
    # random: TP 1, FN 1, FP 2 ("Yes, one." and "A dog"), TN 1. popular: FN 1, TN 1, and no answer says yes.
    assert figures(report) == {
        "all": {"accuracy": 3 / 7, "precision": 1 / 3, "recall": 1 / 3, "F1": 1 / 3, "share of yes": 3 / 7},
        "split random": {"accuracy": 0.4, "precision": 1 / 3, "recall": 0.5, "F1": 0.4, "share of yes": 0.6},
        "split popular": {"accuracy": 0.5, "precision": None, "recall": 0, "F1": 0, "share of yes": 0},
    }
    assert report is not None
    assert [row["neitherYesNorNo"] for row in report["groups"]] == [1, 0, 1]
    lines = benchmark_lines([{"data": "pope", "benchmark": report}])
    assert lines[1] == (
        "| pope, by its own rule | answers | accuracy | precision | recall | F1 | share of yes | neither yes nor no |"
    )
    [popular] = [line for line in lines if line.startswith("| split: popular")]
    # All questions are about one image, so there are no intervals.
    assert popular == "| split: popular | 2 | 0.500 | undefined | 0.000 | 0.000 | 0.000 | 0 |"


def test_vqav2_s_accuracy_is_the_challenge_s_by_answer_type(tmp_path: Path):
    options = vqa(tmp_path, 4)
    assert options.annotations is not None
    text = options.annotations.read_text()
    for kind in ("yes/no", "number"):
        text = text.replace('"answer_type": "other"', f'"answer_type": "{kind}"', 1)
    options.annotations.write_text(text)
    # Of ten people, four said net, two netting, one fence.
    answers = ["net0", "Netting1.", "fence2", "nothing"]
    report = benchmark(scored(options, answers), "vqav2")
    four = 1.0  # leaving one out, three or four still agree
    two = (2 * 1 / 3 + 8 * 2 / 3) / 10
    one = (1 * 0 + 9 * 1 / 3) / 10
    values = {group: part["accuracy"] for group, part in figures(report).items()}
    assert values == {
        "all": pytest.approx((four + two + one) / 4),
        "answer type yes/no": pytest.approx(four),
        "answer type number": pytest.approx(two),
        "answer type other": pytest.approx(one / 2),
    }


def test_gqa_s_accuracy_is_by_structural_and_semantic_type(tmp_path: Path):
    kinds = [("verify", "attr"), ("query", "rel"), ("query", "attr"), (None, None)]
    questions = {
        str(k): {"imageId": f"n{k}", "question": "?", "answer": "dark"}
        | ({"types": {"detailed": "x", "structural": structural, "semantic": semantic}} if structural else {})
        for k, (structural, semantic) in enumerate(kinds)
    }
    path = write(tmp_path / "questions.json", questions)
    table = scored(DataOptions(kind="gqa", questions=path, images=tmp_path), ["Dark.", "light", "dark", "dark"])
    values = {group: part["accuracy"] for group, part in figures(benchmark(table, "gqa")).items()}
    assert values == {
        "all": 0.75,
        "structural not given": 1,
        "structural query": 0.5,
        "structural verify": 1,
        "semantic not given": 1,
        "semantic attr": 1,
        "semantic rel": 0,
    }


def test_types_that_the_files_do_not_carry_make_no_groups(tmp_path: Path):
    path = write(tmp_path / "questions.json", {"1": {"imageId": "n", "question": "?", "answer": "yes"}})
    report = benchmark(scored(DataOptions(kind="gqa", questions=path, images=tmp_path), ["yes"]), "gqa")
    assert figures(report) == {"all": {"accuracy": 1}}


@pytest.mark.parametrize("kind", ["pope", "vqav2", "gqa"])
def test_intervals_contain_the_value(tmp_path: Path, kind: DataKind):
    if kind == "vqav2":
        table = scored(vqa(tmp_path, 12), [f"net{k % 9}" for k in range(12)])
    elif kind == "gqa":
        content = {str(k): {"imageId": f"n{k}", "question": "?", "answer": "yes"} for k in range(12)}
        options = DataOptions(kind="gqa", questions=write(tmp_path / "q.json", content), images=tmp_path)
        table = scored(options, ["yes", "no", "yes"] * 4)
    else:
        path = pope(tmp_path, "random", ["yes", "no"] * 6)
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(line.replace("310196", f"{k // 2:06d}") for k, line in enumerate(lines)))
        options = DataOptions(kind="pope", questions=path, images=tmp_path)
        table = scored(options, ["yes", "no", "no", "no"] * 3)
    report = benchmark(table, kind)
    assert report is not None
    for part in report["groups"][0]["figures"].values():
        assert part["low"] <= part["value"] <= part["high"]


def test_own_questions_have_no_benchmark(tmp_path: Path):
    assert benchmark(SCHEMA.empty_table(), "jsonl") is None
    assert benchmark_lines([{"data": "jsonl"}]) == []
