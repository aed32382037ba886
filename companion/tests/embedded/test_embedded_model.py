"""Tests that the shipped model uses the image, and that the model's files belong together."""

import hashlib
import json
import math

import pytest
from transformers import AutoTokenizer

from patchlight.embedded.answering import GreedyAnswer, ask_scenes, greedy_answers
from patchlight.embedded.build import NAME, revision
from patchlight.embedded.evaluate import is_right
from patchlight.embedded.training.model import load_model
from patchlight.embedded.world.phrases import ATTRIBUTES
from patchlight.embedded.world.pool import PooledScene, patch_majority
from patchlight.embedded.world.render import render_seed
from patchlight.embedded.world.scenes import split_seed
from patchlight.head.fastrm import FastRM
from patchlight.models.model_files import weight_files, weights_identity
from tests.helpers.paths import ROOT

HF, BROWSER = ROOT / "models" / NAME, ROOT / "public" / "models" / NAME
SCENES = 40


@pytest.fixture(scope="module")
def scenes() -> list[PooledScene]:
    rendered_scenes = []
    for index in range(SCENES):
        scene, rendered = render_seed(split_seed("test", 2000 + index))
        rendered_scenes.append(PooledScene(scene, rendered.image, patch_majority(rendered.object_ids)))
    return rendered_scenes


def test_attribute_answers_drop_to_chance_with_another_scene_s_image(scenes: list[PooledScene]) -> None:
    model, tokenizer = load_model(HF), AutoTokenizer.from_pretrained(HF)
    questions = ask_scenes(scenes, range(SCENES), tokenizer, per_scene=6, seed=31)
    questions = [item for item in questions if item.question.kind == "attribute"]
    swapped = {index: (index + 7) % SCENES for index in range(SCENES)}
    with_own = greedy_answers(model, scenes, questions, tokenizer)
    with_other = greedy_answers(model, scenes, questions, tokenizer, scene_of=swapped)
    for name, min_questions in (("color", 15), ("shape", 10)):
        numbers = [k for k, item in enumerate(questions) if item.question.variety == name]
        assert len(numbers) >= min_questions

        def share(answers: list[GreedyAnswer], numbers: list[int] = numbers) -> float:
            return sum(is_right(questions[k], str(tokenizer.decode(answers[k].ids))) for k in numbers) / len(numbers)

        chance = 1 / len(ATTRIBUTES[name])
        assert share(with_other) <= chance + 3 * math.sqrt(chance * (1 - chance) / len(numbers)), name
        assert share(with_own) >= share(with_other) + 0.4, name


def test_the_browser_s_head_belongs_to_the_model() -> None:
    facts = FastRM.from_pretrained(HF / "fastrm").facts
    assert facts.model_revision == revision(HF)
    manifest = json.loads((BROWSER / "manifest.json").read_text())
    assert manifest["head"]["classificationThreshold"] == facts.classification_threshold
    for name, entry in manifest["files"].items():
        assert hashlib.sha256((BROWSER / name).read_bytes()).hexdigest() == entry["sha256"], name


def test_the_page_s_scenes_name_the_model_s_weights_and_the_hash_of_each_image() -> None:
    folder = ROOT / "public/samples"
    index = json.loads((folder / "index.json").read_text())
    assert index["weights"] == weights_identity(weight_files(HF))
    for image in index["images"]:
        assert hashlib.sha256((folder / image["file"]).read_bytes()).hexdigest() == image["sha256"], image["file"]
