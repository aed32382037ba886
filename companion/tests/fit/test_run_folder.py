"""Tests what a run of `patchlight fit` continues from: other inputs are refused, and advice that it gives can be followed."""

import json
import os
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from patchlight.cli.main import main
from patchlight.fit import labelling, run_folder, workers
from patchlight.fit.install import install_head
from patchlight.fit.labelling import label_picture
from patchlight.fit.options import LabelOptions
from patchlight.fit.pictures import Picture
from patchlight.fit.questions import Questioner
from patchlight.fit.text_output import TextOutput
from patchlight.head.answer_sample import AnswerOptions, SampleAnswer
from patchlight.head.datasets import Sample
from patchlight.head.example_questions import write_examples
from patchlight.head.fastrm import FastRM, HeadFacts, read_text_head
from patchlight.models.loading import LoadOptions, load
from tests.helpers.tiny_models import save, tiny

PICTURES = 30


class Stopped(BaseException):
    """Ends a run in the middle."""


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model and a folder of pictures."""
    folder = tmp_path_factory.mktemp("inputs")
    save(tiny("llava", seed=1, local=True), folder / "model")
    write_examples(folder / "pictures", PICTURES)
    return folder


@pytest.fixture
def command(inputs: Path, tmp_path: Path) -> list[str]:
    of_model = ["fit", "--model", str(inputs / "model"), "--device", "cpu", "--images", str(inputs / "pictures")]
    out = str(tmp_path / "head")
    return [*of_model, "--per-picture", "1", "--no-written", "--max-new-tokens", "4", "--workers", "1", "--out", out]


@pytest.fixture
def stops_at(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Runs stop when they are about to label this many pictures; None for none. labelled: how many they have labelled."""
    label_picture, state = workers.label_picture, {"most": 1, "labelled": 0}

    def label(*arguments: Any) -> object:
        if state["labelled"] == state["most"]:
            raise Stopped
        state["labelled"] += 1
        return label_picture(*arguments)

    monkeypatch.setattr(workers, "label_picture", label)
    return state


def test_other_questions_about_the_same_pictures_are_refused(
    command: list[str], inputs: Path, tmp_path: Path, stops_at: dict[str, int], capsys: pytest.CaptureFixture[str]
):
    questions = tmp_path / "questions.jsonl"

    def ask(question: str) -> None:
        rows = [{"image": f"example-{number:03d}.png", "question": question} for number in range(PICTURES)]
        questions.write_text("".join(json.dumps({**row, "answers": ["yes"]}) + "\n" for row in rows))

    command += ["--data", "jsonl", "--questions", str(questions)]
    ask("What is this?")
    with pytest.raises(Stopped):
        main(command)
    ask("Where is this?")
    assert main(command) == 2
    assert "was started with other inputs or options (SHA-256 of the questions: " in capsys.readouterr().err


def test_a_run_continues_with_more_space_as_its_message_advises(
    command: list[str], stops_at: dict[str, int], capsys: pytest.CaptureFixture[str]
):
    assert main([*command, "--disk", "1KB"]) == 2
    assert "so pass --disk 1MB or more" in capsys.readouterr().err
    stops_at["most"] = 3
    with pytest.raises(Stopped):
        main([*command, "--disk", "1MB"])


def test_a_fit_leaves_the_checkpoint_of_a_training_alone(command: list[str], tmp_path: Path, stops_at: dict[str, int]):
    checkpoint = tmp_path / "head" / "training" / "checkpoint.pt"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(b"of `patchlight train`")
    with pytest.raises(Stopped):
        main(command)
    assert checkpoint.read_bytes() == b"of `patchlight train`"
    assert (tmp_path / "head" / "fit" / "journal.jsonl").exists()


def test_labels_of_unknown_origin_are_refused(
    command: list[str], tmp_path: Path, stops_at: dict[str, int], capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(Stopped):
        main(command)
    (tmp_path / "head" / "fit" / "manifest.json").unlink()
    assert main(command) == 2
    assert "holds labels but no manifest.json, so it is unknown what they were made from" in capsys.readouterr().err


def test_a_folder_whose_removal_was_killed_is_gone_and_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = tmp_path / "fit"
    (folder / "pictures").mkdir(parents=True)
    (folder / "manifest.json").write_text("{}")

    def killed(*_: object, **__: object) -> None:
        raise Stopped

    with monkeypatch.context() as patch:
        patch.setattr(run_folder.shutil, "rmtree", killed)
        with pytest.raises(Stopped):
            run_folder.remove(folder)
    assert not folder.exists()
    assert list(tmp_path.iterdir()) != []
    run_folder.sweep(folder)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse names that are not UTF-8")
def test_a_picture_whose_name_is_not_utf_8_is_named_when_it_cannot_be_read(inputs: Path, tmp_path: Path):
    bad = tmp_path / os.fsdecode(b"bad-\xff.png")
    bad.write_bytes(b"no picture")
    loaded = load(LoadOptions(model=str(inputs / "model"), device="cpu"))
    questioner = Questioner(loaded, most=1, written=False, seed=0)
    labelled = label_picture(loaded, Picture("bad", bad, "00"), questioner, LabelOptions(written=False))
    (problem,) = labelled.problems
    assert "bad-\\udcff.png: cannot read this image" in problem
    problem.encode()


def test_a_picture_whose_patch_states_are_not_finite_is_left_out_as_a_problem(
    inputs: Path, monkeypatch: pytest.MonkeyPatch
):
    answer_sample = labelling.answer_sample

    def broken(*arguments: Any) -> SampleAnswer:
        answer = answer_sample(*arguments)
        states = answer.patch_states.clone()
        states[3, 0] = torch.inf
        return answer._replace(patch_states=states)

    monkeypatch.setattr(labelling, "answer_sample", broken)
    loaded = load(LoadOptions(model=str(inputs / "model"), device="cpu"))
    questioner = Questioner(loaded, most=1, written=False, seed=0)
    picture = Picture("0", inputs / "pictures" / "example-000.png", "00")
    labelled = label_picture(loaded, picture, questioner, LabelOptions(written=False, max_new_tokens=4))
    assert labelled.shard is None
    (problem,) = labelled.problems
    assert "example-000.png: hidden states are not finite" in problem


def test_a_loss_that_is_not_finite_has_advice_of_its_own(command: list[str], capsys: pytest.CaptureFixture[str]):
    assert main([*command, "--steps", "20", "--learning-rate", "1e30"]) == 2
    error = capsys.readouterr().err
    assert re.search(
        r"no head was installed\. (At step \d+, the loss is|The head's probabilities are not finite)", error
    )
    assert "Try a lower --learning-rate (this run had 1e+30)" in error
    assert "--dtype float32" in error
    assert "--loss" not in error


def test_a_blank_picture_is_asked_about_with_the_suffix(inputs: Path, monkeypatch: pytest.MonkeyPatch):
    loaded = load(LoadOptions(model=str(inputs / "model"), device="cpu"))
    family, asked = type(loaded.family), []
    read = family.read
    monkeypatch.setattr(family, "read", lambda *arguments: asked.append(arguments[-1]) or read(*arguments))
    options = AnswerOptions(max_new_tokens=2, suffix="Be short.")
    picture = Picture("0", inputs / "pictures" / "example-000.png", "00")
    labelling.blank_states(loaded, picture, "What is this?", options)
    labelling.answer_sample(loaded, Sample("0", picture.path, "What is this?", ()), options)
    assert asked == ["What is this? Be short."] * 2


@pytest.mark.parametrize("is_good", [True, False])
def test_an_installed_head_takes_the_place_of_the_text_output_too(is_good: bool, tmp_path: Path):
    facts = HeadFacts(hidden_size=16, stage="post_norm", teacher="none", model="m", model_revision="0")
    FastRM(16).save_pretrained(tmp_path / "text", replace(facts, classification_threshold=0.7))
    text = TextOutput(FastRM(16) if is_good else None, None, 0.2, None if is_good else "It is not.")
    install_head(tmp_path, FastRM(16), facts, text)
    installed = read_text_head(tmp_path)
    assert (installed is not None) == is_good == (tmp_path / "browser" / "fastrm-text.bin").exists()
    if installed is not None:
        assert installed.facts.classification_threshold == 0.2
    assert FastRM.from_pretrained(tmp_path).facts == facts
    assert not list((tmp_path / "browser").glob("head.*"))
