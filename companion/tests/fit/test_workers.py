"""Tests labelling in several processes, with a tiny model and drawn pictures."""

import os
import signal

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

OPTIONS = LabelOptions(questions=2, max_new_tokens=4, written=False)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Loaded, list[Picture]]:
    folder = tmp_path_factory.mktemp("inputs")
    save(tiny("llava", seed=1), folder / "model")
    write_examples(folder / "pictures", 40)
    pictures = choose(folder_pictures(folder / "pictures"), seed=0).pictures
    return load(LoadOptions(model=str(folder / "model"), device="cpu")), pictures


def labelled(inputs: tuple[Loaded, list[Picture]], workers: int) -> list[LabelledPicture]:
    loaded, pictures = inputs
    questioner = Questioner(loaded, most=2, written=False, seed=0)
    return list(label_pictures(loaded, pictures[:9], questioner, OPTIONS, workers=workers))


def test_workers_give_the_same_labels_in_the_same_order(inputs: tuple[Loaded, list[Picture]]):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        alone = labelled(inputs, workers=1)
    finally:
        torch.set_num_threads(threads)
    assert len({one.shard for one in alone}) == 9
    assert labelled(inputs, workers=3) == alone


def test_a_worker_that_is_killed_ends_the_command_with_advice(
    inputs: tuple[Loaded, list[Picture]], monkeypatch: pytest.MonkeyPatch
):
    parent = os.getpid()

    def killed(loaded: Loaded, picture: Picture, questioner: Questioner, options: LabelOptions) -> LabelledPicture:
        if os.getpid() != parent and picture == inputs[1][5]:
            os.kill(os.getpid(), signal.SIGKILL)
        return label_picture(loaded, picture, questioner, options)

    monkeypatch.setattr(workers, "label_picture", killed)
    with pytest.raises(ChildProcessError, match="run the same command again with --workers 1"):
        labelled(inputs, workers=2)
    assert len(labelled(inputs, workers=1)) == 9


def test_workers_are_for_small_models_on_the_cpu(inputs: tuple[Loaded, list[Picture]], monkeypatch: pytest.MonkeyPatch):
    loaded, _ = inputs
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(64))
    assert suggested_workers(loaded) == 8
    monkeypatch.setattr(workers, "_MOST_WEIGHTS", 100)
    assert suggested_workers(loaded) == 1
    check_workers(loaded, 2)
    monkeypatch.setattr("sys.platform", "darwin")
    check_workers(loaded, 1)
    with pytest.raises(ValueError, match="--workers 2 works on Linux for a model on the CPU only"):
        check_workers(loaded, 2)
