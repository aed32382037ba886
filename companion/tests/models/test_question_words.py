"""Tests how a question is put into the words of a model with a small vocabulary."""

import json
import re
from random import Random
from typing import Any

import pytest
from transformers import AutoTokenizer

from patchlight.embedded.training.vocabulary import SYNONYMS, build_tokenizer, tokens_never_seen
from patchlight.embedded.world.questions import ask
from patchlight.embedded.world.scenes import sample_scene
from patchlight.models.question_words import QuestionWords, quoted_list, read_question_words, visible_text
from tests.helpers.paths import EMBEDDED, ROOT

# The page's tests read the same list, so that both give the model the same tokens.
ASKED = json.loads((ROOT / "src/inference/fixtures/asked-questions.json").read_text())


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return AutoTokenizer.from_pretrained(EMBEDDED)


@pytest.fixture(scope="module")
def words() -> QuestionWords:
    words = read_question_words(EMBEDDED)
    assert words is not None
    return words


@pytest.mark.parametrize("case", ASKED, ids=[case["typed"] for case in ASKED])
def test_the_embedded_model_reads_a_question(case: dict[str, Any], words: QuestionWords, tokenizer: Any):
    asked = words.ask(case["typed"], tokenizer)
    assert asked.unknown == case.get("unknown", [])
    if not asked.unknown:
        assert " ".join(tokenizer.tokenize(asked.text)) == case["tokens"]
        assert asked.asked_as == case.get("askedAs")


def test_model_folder_and_manifest_list_the_same_words_as_the_training_code():
    words = {"synonyms": SYNONYMS, "neverSeen": tokens_never_seen(build_tokenizer())}
    assert json.loads((EMBEDDED / "question_words.json").read_text()) == words
    prompt = json.loads((ROOT / "public/models/patchlight-scenes/manifest.json").read_text())["prompt"]
    assert {key: prompt[key] for key in words} == words


def test_synonyms_are_never_in_training_questions_and_what_they_stand_for_is_known(
    words: QuestionWords, tokenizer: Any
):
    plain, trained = QuestionWords({}, words.never_seen), question_words(scenes=400)
    for typed, own in SYNONYMS.items():
        # Some consist of known pieces, such as `what ##s`.
        assert typed not in trained, typed
        assert not plain.ask(own, tokenizer).unknown, own


def question_words(scenes: int) -> set[str]:
    found: set[str] = set()
    for seed in range(scenes):
        scene, random = sample_scene(seed), Random(seed)
        for kind in (None,) * 12 + ("description",):
            found.update(re.findall(r"[a-z']+", ask(scene, random, kind).text.lower()))
    return found


@pytest.mark.parametrize(
    "text",
    [
        "a\u200bb",
        "\ufeffab",
        "a\xadb",
        "\u200ea\u202eb\u2069",
        "a️b󠄀",
        "a\u200db\u2060",
        "aᅟbㅤ",
        "a\x07b\x1b\x7f",
        "a\U000e0041b",
    ],
)
def test_invisible_characters_are_ignored(text: str):
    assert visible_text(text) == "ab"


def test_a_quoted_word_names_invisible_characters_and_is_shortened():
    assert quoted_list(["\u200b", "a\U000e0100"]) == "“[U+200B]”, “a[U+E0100]”"
    assert quoted_list(["x" * 5000]) == f"“{'x' * 39}…”"
    assert quoted_list([str(k) for k in range(10)]).endswith("“7” and 2 more")
