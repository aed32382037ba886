"""Tests that the example questions can be read, have right answers, and are the same every time."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from patchlight.cli.main import main
from patchlight.head.datasets import DataOptions, read_samples
from patchlight.head.example_questions import write_examples

PAINT = {
    "red": (200, 50, 60),
    "green": (46, 156, 75),
    "blue": (47, 98, 201),
    "yellow": (226, 194, 43),
    "purple": (138, 63, 176),
}


def colors(path: Path) -> set[tuple[int, ...]]:
    pixels = np.asarray(Image.open(path).convert("RGB")).reshape(-1, 3)
    values, counts = np.unique(pixels, axis=0, return_counts=True)
    return {tuple(value.tolist()) for value, count in zip(values, counts, strict=True) if count > 1000}


def test_examples_are_questions_with_images_and_right_answers(tmp_path: Path):
    samples = list(read_samples(DataOptions(kind="jsonl", questions=write_examples(tmp_path, 30))))
    assert len(samples) == len({sample.id for sample in samples}) == 120
    asked = {"What color": 0, "How many": 0, "Is there": 0, "Describe": 0}
    for sample in samples:
        seen = colors(sample.image)
        start = " ".join(sample.question.split()[:2]) if not sample.question.startswith("Describe") else "Describe"
        asked[start] += 1
        if start == "What color":
            assert PAINT[sample.answers[0]] in seen
        assert bool(sample.answers) == (start != "Describe")
    assert min(asked.values()) >= 5
    yes = [sample.answers[0] == "yes" for sample in samples if sample.question.startswith("Is there")]
    assert 0 < sum(yes) < len(yes)


def test_the_same_command_writes_the_same_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folder = tmp_path / "examples"
    assert main(["examples", "--out", str(folder), "--images", "3"]) == 0
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert main(["examples", "--out", str(folder), "--images", "3"]) == 0
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert main(["examples", "--out", str(folder), "--images", "3", "--seed", "1"]) == 2
    assert "questions.jsonl exists with other questions: use another folder" in capsys.readouterr().err
