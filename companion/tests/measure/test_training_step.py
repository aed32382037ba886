"""Tests the measurement of a training step at a small width."""

import json
from pathlib import Path

from patchlight.measure import training_step


def test_a_step_is_reported_next_to_its_floor(tmp_path: Path):
    training_step.main(["--widths", "16", "--rounds", "2", "--losses", "bce", "--out", str(tmp_path)])
    figures = {row["label"]: row["value"] for row in json.loads((tmp_path / "training.json").read_text())["figures"]}
    step, floor = (
        figures["d = 16, bce: a step, processor time per core"],
        figures["d = 16: floor, processor time per core"],
    )
    assert step > floor > 0
    assert figures["d = 16, bce: a step, fastest of 2"] <= figures["d = 16, bce: a step, median"]
