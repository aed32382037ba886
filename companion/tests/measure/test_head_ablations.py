"""Runs the ablations at a tiny size, and judges maps with known scores."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from patchlight.embedded.collect import CollectConfig, collect
from patchlight.embedded.held_out import question_kinds, read_held_out
from patchlight.embedded.perturbation import Perturbation
from patchlight.embedded.training.model import load_model
from patchlight.embedded.world.pool import ScenePool
from patchlight.head import training
from patchlight.head.scores import HeadCounts
from patchlight.measure.head_ablations import FULL_PLAN, Judge, main, variants_of
from tests.helpers.paths import EMBEDDED


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("collected")
    for split, name in (("train", "samples"), ("test", "held-out")):
        ScenePool(folder / "scenes", split, 2).fill(workers=1)
        config = CollectConfig(split, 0, 2, questions_per_scene=3, autocast=False, max_answer_tokens=12)
        collect(EMBEDDED, folder / "scenes", folder / name, config, workers=1)
    return folder


def options(collected: Path, out: Path) -> list[str]:
    words = ["--model", str(EMBEDDED), "--smoke", "--work", str(out / "work"), "--out", str(out)]
    for name in ("samples", "held-out", "scenes"):
        words += [f"--{name}", str(collected / name)]
    return words


def files(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_an_interrupted_run_resumes_and_a_finished_one_computes_nothing(
    collected: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    words = options(collected, tmp_path)
    recorded = training._Run._record

    def interrupt(run: training._Run, counts: HeadCounts) -> dict[str, float]:
        if run._config.labelling_threshold == 0.5:
            raise KeyboardInterrupt
        return recorded(run, counts)

    with monkeypatch.context() as patched:
        patched.setattr(training._Run, "_record", interrupt)
        with pytest.raises(KeyboardInterrupt):
            main(words)
    before = {path: time for path, time in files(tmp_path / "work").items() if path.endswith(".json")}
    assert any("scores/head-" in path for path in before)
    assert not (tmp_path / "ablations.json").exists()
    main(words)
    after = files(tmp_path / "work")
    assert before.items() <= after.items()

    report = json.loads((tmp_path / "ablations.json").read_text())
    names = [ablation["name"] for ablation in report["ablations"]]
    assert names == ["labelling threshold", "tokens to train on", "training steps", "loss", "features"]
    for ablation, table in zip(report["ablations"], report["tables"], strict=True):
        assert len(ablation["rows"]) == len(table["rows"]) >= 2
        assert [row["isPaper"] for row in ablation["rows"]].count(True) == 1
        for row in ablation["rows"]:
            for name in ("f1", "area"):
                value, low, high = row[name]
                assert 0 < low <= value <= high < 1
            assert -1 < row["spearman"][0] < 1
    tokens = report["ablations"][1]["rows"]
    assert [row["tokens"] for row in tokens] == [4, report["figures"][0]["value"]]
    assert tokens[1]["label"] == f"all {tokens[1]['tokens']}"
    paper = [row for ablation in report["ablations"] for row in ablation["rows"] if row["isPaper"]]
    assert all({**row, "label": ""} == {**paper[0], "label": ""} for row in paper)

    main(words)
    assert files(tmp_path / "work") == after
    main([*words, "--perturbed", "2"])
    heads = {path for path in files(tmp_path / "work") if "/heads/" in path}
    assert heads == {path for path in after if "/heads/" in path}
    changed = [path for path in files(tmp_path / "work") if path not in after]
    assert len([path for path in changed if "scores/head-" in path]) == len(
        {path for path in after if "/head-" in path and "scores" in path}
    )


def test_samples_of_another_model_are_refused(collected: Path, tmp_path: Path):
    manifest = json.loads((collected / "samples" / "manifest.json").read_text())
    other = tmp_path / "other"
    other.mkdir()
    (other / "manifest.json").write_text(json.dumps({**manifest, "modelRevision": "0" * 12}))
    words = options(collected, tmp_path)
    words[words.index("--samples") + 1] = str(other)
    with pytest.raises(ValueError, match="the samples are those of the model 000000000000"):
        main(words)


def test_the_paper_s_recipe_is_among_the_variants_of_each_ablation():
    base = replace(FULL_PLAN.base, steps=4_000, labelling_threshold=0.35)
    variants = variants_of(replace(FULL_PLAN, base=base), 60_000, has_attention=True)
    for rows in variants.values():
        assert [row.config for row in rows].count(base) == 1
    assert [row.label for row in variants["tokens to train on"]] == ["500", "5,000", "50,000", "all 60,000"]
    assert [row.label for row in variants["training steps"]] == ["500", "1,750", "3,500", "4,000", "7,000"]
    assert [(row.config.loss, row.config.bce_weight) for row in variants["loss"]] == [
        ("bce", 1),
        ("bce+kl", 1),
        ("kl", 1),
        ("bce+kl", 0.3),
        ("bce+kl", 3),
    ]
    assert [row.config.features for row in variants["features"]] == ["states", "attention"]
    more = variants_of(FULL_PLAN, 120_000)
    assert [row.label for row in more["tokens to train on"]] == ["500", "5,000", "50,000", "100,000", "all 120,000"]
    assert "features" not in more


def test_the_teacher_s_own_maps_score_as_they_must(collected: Path):
    pool = ScenePool(collected / "scenes", "test", 2)
    held = read_held_out(collected / "held-out", pool)
    model = load_model(EMBEDDED)
    judge = Judge(held, lambda rows: Perturbation(model, collected / "held-out", pool, rows), 4)
    scores = judge.estimates(judge.score(held.relevancy))
    # The threshold at which F1 is chosen is a multiple of 0.01, and 0.3 is one.
    assert scores["f1"].value == pytest.approx(1)
    assert scores["spearman"].value == pytest.approx(1)
    on_objects = judge.estimates(judge.score(held.objects.float()))
    found = held.found[held.scenes % 2 == 1]
    assert on_objects["pointing"].value == (
        pytest.approx(1) if found.any() else pytest.approx(float("nan"), nan_ok=True)
    )
    assert judge.perturb(held.relevancy) == judge.perturb(held.relevancy)
    plain = [row[0] for row in judge.perturb(held.relevancy)]
    torch.testing.assert_close(torch.tensor([row[0] for row in judge.random_order()]), torch.tensor(plain))


def test_kinds_of_the_stored_questions_are_those_asked(collected: Path):
    pool = ScenePool(collected / "scenes", "test", 2)
    kinds = question_kinds(collected / "held-out", pool)
    assert len(kinds) == 6
    with pytest.raises(ValueError, match="other questions"):
        question_kinds(collected / "held-out", [pool[1], pool[0]])
