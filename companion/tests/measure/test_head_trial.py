"""Runs the comparison of ways to train a head at a tiny size."""

import json
from pathlib import Path

import pytest

from patchlight.measure.head_trial import VARIANTS, main
from tests.helpers.paths import EMBEDDED


def test_every_variant_is_trained_and_judged_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    amount = ["--scenes", "2", "--held-out", "1", "--steps", "4", "--seeds", "1"]
    options = ["--model", str(EMBEDDED), "--work", str(tmp_path / "work"), *amount, "--out", str(tmp_path)]
    main(options)
    report = json.loads((tmp_path / "head-trial.json").read_text())
    values = {row["label"]: row["value"] for row in report["figures"]}
    assert values["scenes trained on"] == 2
    for variant in VARIANTS:
        assert 0 < values[f"{variant.name}: F1"] < 1
        assert -1 < values[f"{variant.name}: Spearman"] < 1
    assert " ".join(amount) in report["command"]
    scores = sorted((tmp_path / "work").glob("*/scores.json"))
    assert len(scores) == len(VARIANTS)
    written = [path.stat().st_mtime_ns for path in scores]
    main(options)
    assert [path.stat().st_mtime_ns for path in scores] == written
