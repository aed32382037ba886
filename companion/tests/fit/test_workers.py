"""Tests labelling in several processes, with a tiny model and drawn pictures."""

import multiprocessing
import os
import signal
import sys
import time
from itertools import islice
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from patchlight.fit import workers
from patchlight.fit.labelling import LabelledPicture, label_picture
from patchlight.fit.options import LabelOptions
from patchlight.fit.pictures import Picture, choose, folder_pictures
from patchlight.fit.questions import Questioner
from patchlight.fit.workers import check_workers, label_pictures, suggested_workers
from patchlight.head.example_questions import write_examples
from patchlight.models.loading import Loaded, LoadOptions, load
from tests.helpers.tiny_models import save, tiny

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems label in one process")

PICTURES = 9
OPTIONS = LabelOptions(questions=2, max_new_tokens=4, written=False)
Inputs = tuple[Loaded, list[Picture], Questioner]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    folder = tmp_path_factory.mktemp("inputs")
    save(tiny("llava", seed=1), folder / "model")
    write_examples(folder / "pictures", 40)
    pictures = choose(folder_pictures(folder / "pictures"), seed=0).pictures
    loaded = load(LoadOptions(model=str(folder / "model"), device="cpu"))
    return loaded, pictures[:PICTURES], Questioner(loaded, most=2, written=False, seed=0)


def labelled(inputs: Inputs, workers: int) -> list[LabelledPicture]:
    return list(label_pictures(*inputs, OPTIONS, workers=workers))


def children() -> list[psutil.Process]:
    return psutil.Process().children()


def test_workers_give_the_same_labels_in_the_order_of_the_pictures(inputs: Inputs, monkeypatch: pytest.MonkeyPatch):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        alone = labelled(inputs, workers=1)
    finally:
        torch.set_num_threads(threads)

    def signed(loaded: Loaded, picture: Picture, questioner: Questioner, options: LabelOptions) -> LabelledPicture:
        if picture == inputs[1][0]:
            time.sleep(1)  # the others overtake the first
        return label_picture(loaded, picture, questioner, options)._replace(problems=[str(os.getpid())])

    monkeypatch.setattr(workers, "label_picture", signed)
    together = labelled(inputs, workers=3)
    assert [one.shard for one in together] == [one.shard for one in alone]
    assert len({one.shard for one in alone}) == PICTURES
    authors = {pid for one in together for pid in one.problems}
    assert 1 < len(authors) <= 3
    assert str(os.getpid()) not in authors
    assert children() == []


def test_workers_end_with_the_iterator(inputs: Inputs):
    labels = label_pictures(*inputs, OPTIONS, workers=2)
    next(labels)
    assert len(children()) == 2
    labels.close()
    assert children() == []


def test_ctrl_c_ends_a_picture_in_progress(inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def endless(*arguments: Any) -> LabelledPicture:
        if arguments[1] == inputs[1][1]:
            (tmp_path / "begun").touch()
            time.sleep(600)
        return label_picture(*arguments)

    monkeypatch.setattr(workers, "label_picture", endless)
    labels = label_pictures(*inputs, OPTIONS, workers=2)
    next(labels)
    until = time.monotonic() + 60
    while not (tmp_path / "begun").exists() and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(0.5)  # the other worker has nothing to do by now
    for child in children():
        child.send_signal(signal.SIGINT)
    labels.close()
    assert children() == []


def test_a_worker_that_is_killed_ends_the_command_with_advice(inputs: Inputs):
    labels = label_pictures(*inputs, OPTIONS, workers=2)
    first = list(islice(labels, 2))
    for child in multiprocessing.active_children():
        child.kill()
        child.join()  # this process is doing something else when its workers die
    with pytest.raises(ChildProcessError, match="The same command with --workers 1 needs less of it"):
        list(labels)
    assert labelled(inputs, workers=1)[:2] == first


@pytest.mark.parametrize("raised", [OSError(28, "No space left on device", "/tmp/x"), MemoryError("no memory")])
def test_an_error_in_a_worker_is_raised_as_it_is(inputs: Inputs, raised: Exception, monkeypatch: pytest.MonkeyPatch):
    def failing(*arguments: object) -> LabelledPicture:
        raise raised

    monkeypatch.setattr(workers, "label_picture", failing)
    with pytest.raises(type(raised)) as caught:
        labelled(inputs, workers=2)
    assert caught.value.args == raised.args
    assert str(caught.value) == str(raised)
    assert children() == []


def test_workers_are_for_small_models_on_the_cpu(inputs: Inputs, monkeypatch: pytest.MonkeyPatch):
    loaded = inputs[0]
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(64))
    assert suggested_workers(loaded) == 8
    monkeypatch.setattr(workers, "_MOST_WEIGHTS", 100)
    assert suggested_workers(loaded) == 1
    check_workers(loaded, 2)
    monkeypatch.setattr("sys.platform", "darwin")
    check_workers(loaded, 1)
    with pytest.raises(ValueError, match="--workers 2 works on Linux for a model on the CPU only"):
        check_workers(loaded, 2)
