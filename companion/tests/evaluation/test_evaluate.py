"""Compares the table of `patchlight evaluate` with plain computation, and the summary with the table."""

import json
import math
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest
import torch
from scipy import stats

from patchlight.cli.main import main
from patchlight.evaluation.summary import summarise, table_of
from patchlight.head.answer_sample import AnswerOptions, answer_sample, open_image
from patchlight.head.datasets import DataOptions, read_samples
from patchlight.head.fastrm import FastRM, HeadFacts
from patchlight.head.labels import label_answer
from patchlight.models.loading import LoadOptions, load
from patchlight.models.model_files import weight_files, weights_identity
from tests.helpers.question_files import pope, write_questions
from tests.helpers.tiny_models import save, tiny

SAMPLES, TOKENS = 6, 3
FACTS = HeadFacts(
    hidden_size=32,
    stage="post_norm",
    teacher="Chefer relevancy, exact",
    labelling_threshold=0.4,
    classification_threshold=0.45,
    model="tiny",
    model_revision="0",
)


class Evaluation(NamedTuple):
    """An evaluation's inputs, and the folder with the results."""

    model: Path
    questions: Path
    head: Path
    out: Path

    def command_line(self, out: Path, *more: str) -> list[str]:
        return [
            "evaluate", "--model", str(self.model), "--head", str(self.head), "--data", "jsonl",
            "--questions", str(self.questions), "--max-new-tokens", str(TOKENS), "--shard-samples", "2",
            "--device", "cpu", "--label-precision", "float32", "--out", str(out), *more,
        ]  # fmt: skip


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    """An evaluation of Qwen2.5-VL, whose number of patches varies. Only the second answer is right."""
    folder = tmp_path_factory.mktemp("evaluation")
    made = tiny("qwen2.5-vl", seed=2)
    with torch.no_grad():
        made.model.lm_head.weight[:9] = 0
    save(made, folder / "model")
    torch.manual_seed(0)
    head = FastRM(32)
    with torch.no_grad():
        head.query.weight *= 8
    weights = weights_identity(weight_files(folder / "model"))
    head.save_pretrained(folder / "head", replace(FACTS, model_weights=weights))
    questions = write_questions(folder, SAMPLES)
    loaded = load(LoadOptions(model=str(folder / "model"), device="cpu"))
    second = list(read_samples(DataOptions(kind="jsonl", questions=questions)))[1]
    answer = answer_sample(loaded, second, AnswerOptions(teacher="none", max_new_tokens=TOKENS)).text
    lines = [json.loads(line) for line in questions.read_text().splitlines()]
    lines[1]["answers"] = ["no", answer]
    questions.write_text("".join(json.dumps(line) + "\n" for line in lines))
    evaluation = Evaluation(folder / "model", questions, folder / "head", folder / "out")
    assert main(evaluation.command_line(evaluation.out)) == 0
    return evaluation


def rows_of(folder: Path) -> list[dict[str, Any]]:
    return pq.read_table(folder / "table.parquet").to_pylist()


def test_rows_match_the_model_the_head_and_the_teacher(evaluation: Evaluation):
    rows = rows_of(evaluation.out)
    assert len(rows) == SAMPLES * TOKENS
    loaded, head = load(LoadOptions(model=str(evaluation.model), device="cpu")), FastRM.from_pretrained(evaluation.head)
    for number, sample in enumerate(read_samples(DataOptions(kind="jsonl", questions=evaluation.questions))):
        answer = answer_sample(loaded, sample, AnswerOptions(max_new_tokens=TOKENS))
        reading = loaded.family.read(loaded.model, loaded.processor, open_image(sample), sample.question)
        labels = label_answer(loaded.model, loaded.family, reading, answer.ids)
        with torch.inference_mode():
            maps = head(answer.query_states, answer.patch_states).numpy()
        own_rows = rows[number * TOKENS : (number + 1) * TOKENS]
        assert "".join(row["text"] for row in own_rows).strip() == answer.text == own_rows[0]["answer"]
        for t, row in enumerate(own_rows):
            assert (row["sample"], row["token"], row["tokenId"]) == (f"q{number}", t, answer.ids[t])
            assert row["score"] == (number == 1)
            assert row["patches"] == maps.shape[1]
            assert row["reproduced"]
            scores, relevancy = maps[t].astype(float), labels.relevancy[t].numpy().astype(float)
            expected = {
                "logProb": answer.log_probs[t],
                "entropySumNats": stats.entropy(scores),
                "entropyKdeNats": stats.entropy(stats.gaussian_kde(scores)(scores)),
                "entropyBernoulliNats": stats.entropy([scores, 1 - scores], axis=0).mean(),
                "baselineEntropySumNats": stats.entropy(relevancy),
                "peak": relevancy.max(),
            }
            for name, value in expected.items():
                # Two float32 passes round differently. The kernel density amplifies this, since scores barely differ.
                assert row[name] == pytest.approx(value, rel=1e-3, abs=1e-6), name
            labelled, predicted = relevancy >= 0.4 * relevancy.max(), np.floor(maps[t] * 100) >= 45
            assert row["positive"] == labelled.sum()
            assert row["truePositive"][45] == (labelled & predicted).sum()
            assert row["falsePositive"][45] == (~labelled & predicted).sum()
            assert min(row["decodeMs"], row["headMs"], row["baselineMs"]) > 0


def test_the_summary_matches_the_table(evaluation: Evaluation):
    rows = rows_of(evaluation.out)
    summary = json.loads((evaluation.out / "summary.json").read_text())
    assert (summary["samples"], summary["tokens"], summary["passedOver"]) == (SAMPLES, SAMPLES * TOKENS, 0)
    assert (summary["answers"]["accuracy"], summary["answers"]["scored"]) == (pytest.approx(1 / SAMPLES), SAMPLES)
    low, high = summary["answers"]["accuracyInterval"]
    assert low < 1 / SAMPLES < high
    tp, fp = (sum(row[name][50] for row in rows) for name in ("truePositive", "falsePositive"))
    positive, total = (sum(row[name] for row in rows) for name in ("positive", "patches"))
    half = summary["maps"]["half"]
    assert half["f1"] == pytest.approx(2 * tp / (tp + fp + positive))
    assert half["accuracy"] == pytest.approx((total - positive - fp + tp) / total)
    # The images are resampled, not their tokens: as the slow form does, with another seed and so another 2.5 %.
    by_image: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_image.setdefault(row["imagePath"], []).append(row)
    groups, random, draws = list(by_image.values()), np.random.default_rng(7), []
    for _ in range(2000):
        drawn = [row for k in random.integers(len(groups), size=len(groups)) for row in groups[k]]
        hits, misses = (sum(row[name][50] for row in drawn) for name in ("truePositive", "falsePositive"))
        draws.append(2 * hits / max(1, hits + misses + sum(row["positive"] for row in drawn)))
    expected = np.percentile(draws, [2.5, 97.5])
    np.testing.assert_allclose(half["f1Interval"], expected, atol=0.1 * (expected[1] - expected[0]) + 1e-9)
    assert summary["maps"]["chosen"]["threshold"] == 0.45
    assert summary["maps"]["constant"]["accuracyNoneRelevant"] == pytest.approx(1 - positive / total)
    right = [row["entropySumNats"] for row in rows if row["score"] == 1]
    assert summary["entropyNats"]["sum"]["right"] == pytest.approx(np.mean(right))
    assert summary["entropyNats"]["sum"]["mean"] == pytest.approx(np.mean([row["entropySumNats"] for row in rows]))


def test_the_printed_table_has_one_column_per_dataset(evaluation: Evaluation):
    summary = json.loads((evaluation.out / "summary.json").read_text())
    table = table_of([{**summary, "data": "vqav2"}, {**summary, "data": "pope"}], "fastrm")
    assert table.splitlines()[0] == "|  | accuracy vqav2 | accuracy pope | F1 vqav2 | F1 pope |"
    half = summary["maps"]["half"]
    accuracy, f1 = (
        f"{half[name]:.{digits}f} ({' to '.join(f'{end:.{digits}f}' for end in half[f'{name}Interval'])})"
        for name, digits in (("accuracy", 3), ("f1", 2))
    )
    figures = f"{accuracy} | {accuracy} | {f1} | {f1}"
    assert f"| fastrm at 0.5 | {figures} |" in table
    assert (evaluation.out / "summary.md").read_text() == table_of([summary], "fastrm")


def test_the_printed_table_has_entropy_if_there_are_enough_answers(evaluation: Evaluation):
    summary = json.loads((evaluation.out / "summary.json").read_text())
    assert summary["calibration"]["thresholds"]["entropySum"]["all"]["threshold"] is None
    assert "entropy" not in table_of([summary], "fastrm")

    def of(value: float) -> dict[str, float]:
        return {"value": value, "low": value - 0.01, "high": value + 0.02}

    rates = {name: of(value) for name, value in (("shareBelow", 0.63), ("rightBelow", 0.84), ("rightAbove", 0.59))}
    known = {"threshold": rates, "auroc": of(0.7)}
    thresholds = {"entropySum": {"all": known}, "logProbs": {"all": {**known, "auroc": of(0.8)}}}
    table = table_of([{**summary, "calibration": {"thresholds": thresholds}}], "fastrm")
    cells = [f"{value:.3f} ({value - 0.01:.3f} to {value + 0.02:.3f})" for value in (0.63, 0.84, 0.59, 0.7, 0.8)]
    assert f"| jsonl | {' | '.join(cells)} |" in table
    kinds = {
        "kindsBy": "kind",
        "within": {"entropySum": {**of(0.54), "leftOut": 3}, "logProbs": {**of(0.86), "leftOut": 3}},
        "alone": of(0.73),
    }
    table = table_of([{**summary, "calibration": {"thresholds": thresholds, "kinds": kinds}}], "fastrm")
    cells = [f"{value:.3f} ({value - 0.01:.3f} to {value + 0.02:.3f})" for value in (0.54, 0.86, 0.73)]
    assert f"| jsonl | {' | '.join(cells)} | 3 |" in table


def test_the_printed_table_says_why_there_is_no_threshold(evaluation: Evaluation):
    text = (evaluation.out / "summary.md").read_text()
    assert "jsonl: no threshold, because the half that the threshold is set on has" in text


def test_what_the_figures_leave_out_is_counted(evaluation: Evaluation, tmp_path: Path):
    table = pq.read_table(evaluation.out / "table.parquet")
    rows = table.to_pylist()
    rows[0]["entropySumNats"], rows[1]["peak"], rows[2]["reproduced"] = float("nan"), 0.0, False
    for row in rows[TOKENS : 2 * TOKENS]:
        row["score"] = None
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), tmp_path / "table.parquet")
    summary = summarise(tmp_path / "table.parquet", "jsonl", [], 0.45)
    assert (summary["withoutRightAnswer"], summary["answers"]["scored"]) == (1, SAMPLES - 1)
    assert summary["entropyNats"]["sum"]["leftOut"] == 1
    assert (summary["maps"]["tokens"], summary["mapsLeftOut"]) == (SAMPLES * TOKENS - 2, 2)


def test_the_table_s_metadata_describe_the_evaluation_and_each_column(evaluation: Evaluation):
    schema = pq.read_schema(evaluation.out / "table.parquet")
    facts = json.loads(schema.metadata[b"patchlight.evaluation"])
    assert facts["head"]["teacher"] == "Chefer relevancy, exact"
    assert (facts["method"], facts["data"], facts["samples"]) == ("exact", "jsonl", SAMPLES)
    assert all(schema.field(name).metadata[b"meaning"] for name in schema.names)


def test_the_calibration_has_the_table_s_values_with_one_row_per_answer(evaluation: Evaluation):
    with pyarrow.ipc.open_file(evaluation.out / "calibration.arrow") as file:
        answers = file.read_all()
    rows = rows_of(evaluation.out)
    facts = json.loads(answers.schema.metadata[b"patchlight.calibration"])
    loaded = load(LoadOptions(model=str(evaluation.model), device="cpu"))
    assert facts["model"] == {"name": loaded.name, "revision": loaded.revision, "sameAs": []}
    assert (facts["n"], facts["data"]["sets"]) == (SAMPLES, ["questions"])
    assert facts["patches"] is None  # Qwen2.5-VL's grid depends on the image
    columns = {"logProbs": "logProb", "entropySum": "entropySumNats", "entropyKde": "entropyKdeNats"}
    for number, answer in enumerate(answers.to_pylist()):
        own_rows = [row for row in rows if row["sample"] == answer["id"]]
        assert answer["id"] == f"q{number}"
        assert answer["tokens"] == [row["text"] for row in own_rows]
        assert answer["correct"] == (number == 1)
        assert (evaluation.out / answer["image"]).resolve().samefile(own_rows[0]["imagePath"])
        assert answer["reference"] in own_rows[0]["rightAnswers"]
        for name, source in columns.items():
            assert answer[name] == [row[source] for row in own_rows]


def test_what_is_left_out_is_counted_and_printed(
    evaluation: Evaluation, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    questions = write_questions(tmp_path, 6)
    (tmp_path / "1.png").write_bytes(b"not an image")
    lines = [json.loads(line) for line in questions.read_text().splitlines()]
    lines[5]["answers"] = []
    questions.write_text("".join(json.dumps(line) + "\n" for line in lines))
    broken = evaluation._replace(questions=questions)
    assert main(broken.command_line(tmp_path / "out", "--skip-bad", "--teacher", "none")) == 0
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert (summary["samples"], summary["passedOver"], summary["withoutRightAnswer"]) == (4, 2, 1)
    assert [entry["sample"] for entry in summary["skipped"]] == ["q2", "q3"]
    printed = capsys.readouterr().out
    assert "jsonl: 2 of 6 samples were skipped (the first, q2: " in printed
    assert "1 of 6 samples have no right answer, so their answers are not scored." in printed


def test_pope_s_own_figures_are_printed_and_its_splits_are_kinds(
    evaluation: Evaluation, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    write_questions(tmp_path, 1)
    for split in ("random", "popular"):
        path = pope(tmp_path, split, ["yes", "no"])
        path.write_text(path.read_text().replace("COCO_val2014_000000310196.jpg", "0.png"))
    command = ["evaluate", "--model", str(evaluation.model), "--head", str(evaluation.head), "--device", "cpu"]
    command += ["--data", "pope", "--questions", str(tmp_path), "--images", str(tmp_path), "--max-new-tokens", "2"]
    assert main([*command, "--teacher", "none", "--out", str(tmp_path / "out")]) == 0
    # The random model says neither yes nor no, which POPE's code takes for yes.
    printed = capsys.readouterr().out
    assert "| split: random | 2 | 0.500 | 0.500 | 1.000 | 0.667 | 1.000 | 2 |" in printed
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert [row["neitherYesNorNo"] for row in summary["benchmark"]["groups"]] == [4, 2, 2]
    with pyarrow.ipc.open_file(tmp_path / "out" / "calibration.arrow") as file:
        assert [row["kind"] for row in file.read_all().to_pylist()] == ["random", "random", "popular", "popular"]


def test_another_questions_file_or_a_damaged_part_is_refused(
    evaluation: Evaluation, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    shutil.copytree(evaluation.out, tmp_path / "out")
    other = tmp_path / "questions.jsonl"
    other.write_text(evaluation.questions.read_text().replace("What is 5?", "What is 6?"))
    changed = evaluation._replace(questions=other)
    assert main(changed.command_line(tmp_path / "out")) == 2
    assert "SHA-256 of the questions" in capsys.readouterr().err
    part = tmp_path / "out" / "parts" / "00001.parquet"
    part.write_bytes(part.read_bytes()[:-9])
    assert main(evaluation.command_line(tmp_path / "out")) == 2
    assert "00001.parquet is incomplete or damaged" in capsys.readouterr().err


def test_a_second_run_fills_in_what_is_missing(evaluation: Evaluation, tmp_path: Path):
    out = tmp_path / "out"
    assert main(evaluation.command_line(out)) == 0
    kept = (out / "parts" / "00000.parquet").stat().st_mtime_ns
    (out / "parts" / "00001.parquet").unlink()
    (out / "table.parquet").unlink()
    assert main(evaluation.command_line(out)) == 0
    assert (out / "parts" / "00000.parquet").stat().st_mtime_ns == kept
    times = ("decodeMs", "headMs", "baselineMs")
    actual, expected = (
        [{name: value for name, value in row.items() if name not in times} for row in rows_of(folder)]
        for folder in (out, evaluation.out)
    )
    assert actual == expected


def test_method_none_gives_answers_and_entropies_only(evaluation: Evaluation, tmp_path: Path):
    out = tmp_path / "out"
    assert main(evaluation.command_line(out, "--teacher", "none")) == 0
    row = rows_of(out)[0]
    assert row["positive"] is row["peak"] is row["baselineMs"] is None
    assert row["entropySumNats"] > 0
    summary = json.loads((out / "summary.json").read_text())
    assert "maps" not in summary
    assert summary["answers"]["accuracy"] == pytest.approx(1 / SAMPLES)


def test_a_head_is_compared_with_any_teacher(evaluation: Evaluation, tmp_path: Path):
    out = tmp_path / "out"
    assert main(evaluation.command_line(out, "--teacher", "ablation")) == 0
    assert json.loads((out / "manifest.json").read_text())["method"] == "ablation"
    row = rows_of(out)[0]
    assert row["positive"] > 0
    assert row["reproduced"]
    assert math.isnan(row["imageShare"])  # ablation says nothing about words
    assert "maps" in json.loads((out / "summary.json").read_text())


def test_an_answer_without_tokens_counts_as_an_answer(evaluation: Evaluation, tmp_path: Path):
    made = tiny("qwen2.5-vl", seed=2)
    with torch.no_grad():
        weight = made.model.lm_head.weight
        weight.zero_()
    made.model.generation_config.eos_token_id = 0  # greedy decoding picks id 0 if all logits are equal
    save(made, tmp_path / "silent")
    silent = evaluation._replace(model=tmp_path / "silent")
    assert main(silent.command_line(tmp_path / "out", "--force-head")) == 0
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert (summary["samples"], summary["tokens"], summary["withoutTokens"]) == (SAMPLES, 0, SAMPLES)
    assert summary["answers"]["accuracy"] == 0


def test_a_head_for_another_hidden_size_is_refused(
    evaluation: Evaluation, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    other = HeadFacts(**{**vars(FACTS), "hidden_size": 16})
    FastRM(16).save_pretrained(tmp_path / "head", other)
    wrong = evaluation._replace(head=tmp_path / "head")
    assert main(wrong.command_line(tmp_path / "out")) == 2
    assert "expects hidden size 16, the model has 32" in capsys.readouterr().err


def test_a_head_of_other_weights_is_refused_unless_it_is_forced(
    evaluation: Evaluation, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    save(tiny("qwen2.5-vl", seed=3), tmp_path / "model")
    other = evaluation._replace(model=tmp_path / "model")
    assert main(other.command_line(tmp_path / "out")) == 2
    error = capsys.readouterr().err
    assert "head fastrm was trained on tiny (0), not on model (" in error
    assert "--force-head" in error
    assert not (tmp_path / "out").exists()
    assert main(other.command_line(tmp_path / "out", "--force-head")) == 0
    assert "warning: head fastrm was trained on tiny (0), not on model (" in capsys.readouterr().err
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["head"]["match"] == "other"
    assert manifest["head"]["trainedOn"] == {"name": "tiny", "revision": "0"}


@pytest.mark.slow
def test_processes_share_the_work_and_the_last_writes_the_table(evaluation: Evaluation, tmp_path: Path):
    out = tmp_path / "out"
    words = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "-m", "patchlight"]
    subprocess.run([*words, *evaluation.command_line(out)], check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert [row["sample"] for row in rows_of(out)] == [row["sample"] for row in rows_of(evaluation.out)]
