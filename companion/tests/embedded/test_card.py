"""Tests the figures of the model card."""

import json
from pathlib import Path

from patchlight.embedded.card import CARD_FILE, update_figures


def test_figures_have_their_intervals_and_say_whether_goals_are_met(tmp_path: Path) -> None:
    (tmp_path / CARD_FILE).write_text("# A model\n\n## What it gets right and wrong\n\nold\n\n## Limits\n\nSome.\n")
    figures = [
        {"label": "overall", "value": 0.81, "interval": [0.79, 0.83], "goal": ">= 0.80"},
        {"label": "size", "value": 9.5, "unit": "MB", "goal": "<= 10"},
        {"label": "questions", "value": 200},
    ]
    report = {"title": "Answers", "command": "make it", "measuredOn": "2026-01-01", "figures": figures}
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "answers.json").write_text(json.dumps(report))
    update_figures(tmp_path)
    card = (tmp_path / CARD_FILE).read_text()
    assert "| overall | 0.81 (0.79 to 0.83) | >= 0.80: missed |" in card
    assert "| size | 9.5 MB | <= 10: met |" in card
    assert "| questions | 200 |  |" in card
    assert card.startswith("# A model\n")
    assert card.endswith("## Limits\n\nSome.\n")
    assert "old" not in card
