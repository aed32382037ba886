"""Tests the questions about a picture: which lines of a model's answer count, and that the choice is stable."""

import pytest
import torch
from PIL import Image

from patchlight.fit import questions
from patchlight.fit.questions import GENERIC, Questioner, parse_questions
from patchlight.models.loading import LoadOptions, load
from tests.helpers.paths import EMBEDDED
from tests.helpers.serving import loaded
from tests.helpers.tiny_models import tiny


def test_lines_that_are_questions_are_kept_without_numbers_and_quotes():
    text = """Sure! Here are three questions:
1. What colour is the car?
2) "How many people are waiting?"
- What is written on the sign?
* What colour is the car?
Why?
The car is red.
Q4: Is it raining"""
    assert parse_questions(text) == [
        "What colour is the car?",
        "How many people are waiting?",
        "What is written on the sign?",
    ]
    assert parse_questions("What is " + "very " * 30 + "large?") == []
    assert parse_questions("") == []


def test_a_picture_gets_the_same_generic_questions_each_time():
    model = loaded(tiny("llava", seed=1))
    questioner = Questioner(model, most=3, written=False, seed=0)
    image = Image.new("RGB", (64, 64))
    first, again = (questioner.of_picture(image, "ab") for _ in range(2))
    assert first == again
    assert len(set(first)) == 3
    assert set(first) <= set(GENERIC)
    assert len({tuple(questioner.of_picture(image, sha256)) for sha256 in "abcdef"}) > 3


def test_what_the_model_writes_makes_up_half_of_the_questions(monkeypatch: pytest.MonkeyPatch):
    model = loaded(tiny("llava", seed=1))
    questioner = Questioner(model, most=4, written=True, seed=0)
    # A tiny random model decodes the prompt to noise, which holds no question.
    assert set(questioner.of_picture(Image.new("RGB", (64, 64)), "ab")) <= set(GENERIC)
    lines = "What is that?\\nWho is that person?\\nWhere is the dog?".replace("\\n", "\n")
    monkeypatch.setattr(questions, "answer_text", lambda *_: lines)
    made = questioner.of_picture(Image.new("RGB", (64, 64)), "ab")
    assert made[:2] == ["What is that?", "Who is that person?"]
    assert len(made) == 4


def test_a_model_with_few_words_is_only_asked_what_it_knows():
    torch.set_num_threads(1)
    model = load(LoadOptions(model=str(EMBEDDED), device="cpu"))
    made = Questioner(model, most=4, written=True, seed=0).of_picture(Image.new("RGB", (336, 336)), "ab")
    assert "Describe the image." in made
    assert "How many people are in the picture?" not in made


def test_a_data_set_s_questions_are_drawn_at_random_and_stay_in_order():
    questioner = Questioner(loaded(tiny("llava", seed=1)), most=2, written=False, seed=0)
    asked = ("a?", "b?", "c?", "d?")
    drawn = {tuple(questioner.of_data(asked, sha256)) for sha256 in "abcdefgh"}
    assert len(drawn) > 2
    assert all(pair == tuple(sorted(pair)) and len(pair) == 2 for pair in drawn)
    assert questioner.of_data(("a?",), "x") == ["a?"]
