"""Tests the report on maps with known scores, and runs the whole command on two scenes."""

import json
import re
from pathlib import Path

import pytest
import torch

from patchlight.head.fastrm import FastRM, HeadFacts
from patchlight.measure.method_costs import MethodCost
from patchlight.measure.methods_report import main, report
from patchlight.measure.methods_samples import NAMES, MethodSamplesConfig, Samples, collect_method_samples
from tests.helpers.paths import EMBEDDED

TOKENS, PATCHES = 400, 100


def planted() -> Samples:
    """Samples with random maps for all but four methods.

    Raw attention is the object's mask, the teacher's maximum is on the object for half of the tokens, FastRM equals its
    teacher, and attention GradCAM is empty.
    """
    generator = torch.Generator().manual_seed(0)
    masks = torch.rand(TOKENS, PATCHES, generator=generator) < 0.1
    masks[:, 0] = True
    columns: dict[str, torch.Tensor] = {
        "scene": torch.arange(TOKENS) // 8,
        "question": torch.arange(TOKENS) // 2,
        "kind": torch.arange(TOKENS) % 4,
        "attribute": torch.arange(TOKENS) % 5,
        "found": torch.arange(TOKENS) % 4 == 0,
        "masks": masks,
        "explained_tokens": torch.full((TOKENS // 2,), 2),
        "answer_tokens": torch.full((TOKENS // 2,), 6),
    }
    for name in NAMES:
        columns[f"maps/{name}"] = torch.rand(TOKENS, PATCHES, generator=generator)
        for part in ("forward", "backward"):
            columns[f"{part}/{name}"] = torch.ones(TOKENS // 2, dtype=torch.long)
        columns[f"difference/{name}"] = torch.full((TOKENS // 2,), 1e-6)
    teacher = columns["maps/chefer"] * 0.9
    place = torch.where(torch.arange(TOKENS) // 4 % 2 == 0, masks.int().argmax(1), (~masks).int().argmax(1))
    teacher[torch.arange(TOKENS), place] = 1.0
    columns["maps/chefer"] = teacher
    columns["maps/fastrm"] = teacher.clone()
    columns["maps/attention"] = masks.float()
    columns["maps/gradcam"] = torch.zeros(TOKENS, PATCHES)
    return Samples(columns, 300, 200)


@pytest.fixture(scope="module")
def written() -> dict:
    facts = HeadFacts(
        hidden_size=8, stage="post_norm", teacher="Chefer", classification_threshold=0.3, model="m", model_revision="r"
    )
    costs = {name: MethodCost(1.5, 2_000_000) for name in NAMES}
    return report(planted(), FastRM(8, facts), costs, MethodSamplesConfig())


def test_figures_match_the_planted_maps(written: dict):
    found = written["groups"]["found"]
    assert found["tokens"] == TOKENS // 4
    assert written["groups"]["repeated"]["tokens"] == TOKENS * 3 // 4
    methods = found["methods"]
    assert methods["attention"]["pointing"] == [1, 1, 1]
    assert methods["attention"]["iou"] == [1, 1, 1]
    assert methods["fastrm"]["spearman"] == [1, 1, 1]
    assert methods["fastrm"]["f1"] == [1, 1, 1]
    assert methods["chefer"]["pointing"][0] == pytest.approx(0.5)
    low, high = found["objectShareInterval"]
    assert low < found["objectShare"] < high
    assert written["emptyMapsIntervals"]["gradcam"] == [1, 1]
    low, high = methods["random"]["pointing"][1:]
    assert low <= found["objectShare"] <= high
    assert written["emptyMaps"]["gradcam"] == 1
    assert methods["gradcam"]["pointing"][0] == pytest.approx(found["objectShare"], abs=1e-4)
    assert written["costs"]["tam"] == {
        "msPerToken": 1.5,
        "peakMegabytes": 2,
        "forwardPerAnswer": 1,
        "backwardPerAnswer": 1,
    }


def test_the_verdict_names_the_winner_and_methods_no_better_than_chance(written: dict):
    sentences = [sentence for sentence in written["verdict"] if sentence.startswith("Words not in the question")]
    assert "pointing game: raw attention is best, 1.00 (1.00 to 1.00); followed by " in sentences[0]
    assert re.search(r"; random maps 0\.\d\d \(0\.\d\d to 0\.\d\d\)\.$", sentences[0])
    assert any(re.search(r"misses the object for 0 % \(0 to 0 %\) of the tokens", sentence) for sentence in sentences)
    failing = next(sentence for sentence in sentences if "not significantly better than random maps: " in sentence)
    assert "TAM" in failing
    assert "attention GradCAM" in failing
    assert "exact Chefer" not in failing
    distance = next(sentence for sentence in sentences if "compared with its teacher" in sentence)
    assert "Spearman 1.00 (1.00 to 1.00)" in distance
    assert "it is not significantly different from its teacher (0.50 (" in distance


def test_every_kind_of_token_has_a_row(written: dict):
    labels = {row["label"] for row in written["pointingBy"]}
    assert {"color words", 'the word "object"', "count questions", "objects of 1 to 12 patches"} <= labels
    for group in ("found", "repeated"):
        rows = [row for row in written["pointingBy"] if row["group"] == group and "patches" in row["label"]]
        assert sum(row["tokens"] for row in rows) == written["groups"][group]["tokens"]


def test_maps_of_another_model_are_refused(tmp_path: Path):
    (tmp_path / "manifest.json").write_text(json.dumps({"model": "0" * 12}))
    with pytest.raises(ValueError, match=r"was started with other inputs or options \(.*model: '000000000000', now"):
        collect_method_samples(EMBEDDED, tmp_path, MethodSamplesConfig())


@pytest.mark.slow
def test_the_command_runs_on_two_scenes_and_resumes(tmp_path: Path):
    options = ["--smoke", "--model", str(EMBEDDED), "--work", str(tmp_path / "maps"), "--out", str(tmp_path)]
    main(options)
    first = json.loads((tmp_path / "methods.json").read_text())
    assert first["facts"]["questions"] == 6
    assert first["facts"]["largestDifference"] < 1e-3
    shard = next((tmp_path / "maps").glob("*.safetensors"))
    written_at = shard.stat().st_mtime_ns
    main(options)
    assert shard.stat().st_mtime_ns == written_at
    second = json.loads((tmp_path / "methods.json").read_text())
    assert second["groups"] == first["groups"]
