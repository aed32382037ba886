"""The model that ships: it looks at the image, and its files belong together."""

import hashlib
import json
import math

import pytest
from transformers import AutoTokenizer

from patchlight.embedded.answering import Greedy, ask_scenes, greedy_answers
from patchlight.embedded.evaluate import is_right
from patchlight.embedded.pipeline import NAME, revision
from patchlight.embedded.training.model import load_model
from patchlight.embedded.world.phrases import ATTRIBUTES
from patchlight.embedded.world.pool import PooledScene, patch_majority
from patchlight.embedded.world.render import render_seed
from patchlight.embedded.world.scenes import split_seed
from patchlight.head.fastrm import FastRM
from tests.helpers.paths import ROOT

HF, BROWSER = ROOT / "models" / NAME, ROOT / "public" / "models" / NAME
SCENES = 40


@pytest.fixture(scope="module")
def scenes() -> list[PooledScene]:
    found = []
    for index in range(SCENES):
        scene, rendered = render_seed(split_seed("test", 2000 + index))
        found.append(PooledScene(scene, rendered.image, patch_majority(rendered.object_ids)))
    return found


def test_another_scene_s_image_drops_attribute_answers_to_chance(scenes: list[PooledScene]) -> None:
    model, tokenizer = load_model(HF), AutoTokenizer.from_pretrained(HF)
    asked = ask_scenes(scenes, range(SCENES), tokenizer, per_scene=6, seed=31)
    asked = [item for item in asked if item.question.kind == "attribute"]
    swapped = {index: (index + 7) % SCENES for index in range(SCENES)}
    own = greedy_answers(model, scenes, asked, tokenizer)
    other = greedy_answers(model, scenes, asked, tokenizer, scene_of=swapped)
    for name, least in (("color", 15), ("shape", 10)):
        some = [k for k, item in enumerate(asked) if item.question.variety == name]
        assert len(some) >= least

        def share(answers: list[Greedy], numbers: list[int]) -> float:
            return sum(is_right(asked[k], str(tokenizer.decode(answers[k].ids))) for k in numbers) / len(numbers)

        chance = 1 / len(ATTRIBUTES[name])
        assert share(other, some) <= chance + 3 * math.sqrt(chance * (1 - chance) / len(some)), name
        assert share(own, some) >= share(other, some) + 0.4, name


def test_the_browser_s_head_is_this_model_s() -> None:
    facts = FastRM.from_pretrained(HF / "fastrm").facts
    assert facts.model_revision == revision(HF)
    manifest = json.loads((BROWSER / "manifest.json").read_text())
    assert manifest["head"]["classificationThreshold"] == facts.classification_threshold
    for name, entry in manifest["files"].items():
        assert hashlib.sha256((BROWSER / name).read_bytes()).hexdigest() == entry["sha256"], name
