"""The model that ships: it looks at the image, and its files belong together."""

import hashlib
import json
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from patchlight.answering import ask_scenes, greedy_answers
from patchlight.evaluate import is_right
from patchlight.head import FastRM
from patchlight.model import load_model
from patchlight.pipeline import NAME, revision
from patchlight.pool import PooledScene, patch_majority
from patchlight.render import render_seed
from patchlight.scenes import split_seed

ROOT = Path(__file__).resolve().parents[2]
HF, BROWSER = ROOT / "models" / NAME, ROOT / "public" / "models" / NAME
SCENES = 40


@pytest.fixture(scope="module")
def scenes() -> list[PooledScene]:
    found = []
    for index in range(SCENES):
        scene, rendered = render_seed(split_seed("test", 2000 + index))
        found.append(PooledScene(scene, rendered.image, patch_majority(rendered.object_ids)))
    return found


def test_another_scene_s_image_drops_color_answers_to_chance(scenes: list[PooledScene]) -> None:
    model, tokenizer = load_model(HF), AutoTokenizer.from_pretrained(HF)
    asked = ask_scenes(scenes, range(SCENES), tokenizer, per_scene=6, seed=31)
    colors = [item for item in asked if item.question.kind == "attribute" and item.question.variety == "color"]
    assert len(colors) >= 15
    own = greedy_answers(model, scenes, colors, tokenizer)
    swapped = {index: (index + 7) % SCENES for index in range(SCENES)}
    other = greedy_answers(model, scenes, colors, tokenizer, scene_of=swapped)

    def share(answers) -> float:
        right = [
            is_right(item, str(tokenizer.decode(answer.ids))) for item, answer in zip(colors, answers, strict=True)
        ]
        return sum(right) / len(right)

    # chance is 1 in 8; three standard errors of some thirty questions are 0.18
    assert share(other) <= 0.125 + 0.18
    assert share(own) >= share(other) + 0.25


def test_the_browser_s_head_is_this_model_s() -> None:
    facts = FastRM.from_pretrained(HF / "fastrm").facts
    assert facts.model_revision == revision(HF)
    manifest = json.loads((BROWSER / "manifest.json").read_text())
    assert manifest["head"]["classificationThreshold"] == facts.classification_threshold
    for name, entry in manifest["files"].items():
        assert hashlib.sha256((BROWSER / name).read_bytes()).hexdigest() == entry["sha256"], name
