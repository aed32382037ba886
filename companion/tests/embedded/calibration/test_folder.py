"""The summary of a calibration's folder, made again from its table."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from patchlight.calibration.file import CALIBRATION_FILE, CalibrationFacts, write_calibration
from patchlight.embedded.calibration.folder import renew_summary

FACTS: CalibrationFacts = {
    "model": {"name": "m", "revision": "1", "sameAs": []},
    "head": {"name": "fastrm", "revision": "1"},
    "data": {"name": "scenes", "sets": ["a"], "about": None},
    "command": "make it",
    "patches": 576,
    "seed": 0,
    "licence": "",
    "sprites": None,
    "images": None,
}


def rows() -> list[dict[str, Any]]:
    random = np.random.default_rng(2)
    return [
        {
            "id": f"q{k}",
            "set": "a",
            "kind": "xy"[k % 2],
            "variety": "",
            "correct": float(k % 3 > 0),
            "tokens": ["yes"],
            "isContent": [True],
            "logProbs": [-float(random.exponential())],
            **{name: [float(random.random())] for name in ("entropySum", "entropyKde", "entropyBernoulli")},
        }
        for k in range(90)
    ]


def test_a_summary_made_again_keeps_only_the_figures_that_the_table_does_not_determine(tmp_path: Path):
    write_calibration(tmp_path / CALIBRATION_FILE, rows(), FACTS)
    (tmp_path / "images.bin").write_bytes(bytes(1000))
    checked = {"label": "answers compared with PyTorch", "value": 100}
    stale = [{"label": "AUROC of entropy (sum-normalised, mean), on one half of the answers", "value": 0.9}]
    old = {
        "figures": [checked, *stale, {"label": "a figure of an earlier version", "value": 1}],
        "headCurve": {"f1": [1]},
    }
    (tmp_path / "summary.json").write_text(json.dumps(old))
    (tmp_path / "manifest.json").write_text("{}")
    renew_summary(tmp_path)
    first = (tmp_path / "summary.json").read_text()
    summary = json.loads(first)
    labels = [row["label"] for row in summary["figures"]]
    assert summary["figures"][0] == checked
    assert "AUROC of the kind of question alone" in labels
    assert "a figure of an earlier version" not in labels
    assert len(labels) == len(set(labels))
    assert summary["headCurve"] == {"f1": [1]}
    files = json.loads((tmp_path / "manifest.json").read_text())["files"]
    assert sorted(files) == ["calibration.arrow", "images.bin", "summary.json"]
    renew_summary(tmp_path)
    assert (tmp_path / "summary.json").read_text() == first
