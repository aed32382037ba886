"""Tests `patchlight fit` on a tiny model whose patches see only themselves: its maps depend on the picture, so there is
something to learn. Pictures are drawn, and nothing is replaced.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
import torch

from patchlight.cli import serve
from patchlight.cli.fit import run
from patchlight.cli.main import build_parser, main
from patchlight.fit import checkpoint_clock, labelling, session
from patchlight.fit.reservoir import MIN_HELD
from patchlight.fit.workers import label_pictures
from patchlight.head.answer_sample import AnswerOptions, SampleAnswer, answer_sample
from patchlight.head.cache import find_head, heads_folder
from patchlight.head.datasets import Sample
from patchlight.head.example_questions import write_examples
from patchlight.head.fastrm import FastRM, read_text_head
from patchlight.head.picture_batches import PictureBatches, PictureTokens
from patchlight.head.sample_store import shard_questions
from patchlight.models.loading import Loaded, LoadOptions, load
from tests.helpers.tiny_models import save, tiny

PICTURES = 80


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model and a folder of pictures."""
    folder = tmp_path_factory.mktemp("inputs")
    save(tiny("llava", seed=1, local=True), folder / "model")
    write_examples(folder / "pictures", PICTURES)
    (folder / "pictures" / "broken.jpg").write_bytes(b"\xff\xd8 no picture")
    shutil.copy(folder / "pictures" / "example-000.png", folder / "pictures" / "copy.png")
    return folder


def words(inputs: Path, *more: str) -> list[str]:
    of_model = ["fit", "--model", str(inputs / "model"), "--device", "cpu", "--images", str(inputs / "pictures")]
    # The default precision depends on the processor. Under bfloat16, a few tokens are not reproduced and left out.
    same = ["--label-precision", "float32", "--no-written"]
    return [*of_model, *same, "--per-picture", "2", "--max-new-tokens", "6", *more]


@pytest.fixture(scope="module")
def fitted(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a fitted head, made in the cache folder `heads` next to it."""
    heads = tmp_path_factory.mktemp("cache") / "heads"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATCHLIGHT_HEADS", str(heads))
        assert main(words(inputs, "--steps", "600", "--per-picture", "3", "--max-new-tokens", "8")) == 0
    (entry,) = heads.iterdir()
    return entry


def test_fit_installs_a_head_that_beats_its_controls(inputs: Path, fitted: Path):
    report = json.loads((fitted / "head-report.json").read_text())
    assert report["status"] == "passed"
    figures = report["figures"]
    for control in ("mean map", "shuffled projection", "blank picture", "another picture"):
        assert figures["head"]["f1"]["value"] > figures[control]["f1"]["value"]
        assert figures["head"]["spearman"]["value"] > figures[control]["spearman"]["value"] + 0.05
        assert figures[control]["f1"]["low"] < figures[control]["f1"]["value"] < figures[control]["f1"]["high"]
    assert report["pictures"] == {"training": PICTURES - 20, "check": 10, "test": 10}
    assert report["tokens"] == PICTURES * 3 * 8
    assert report["text"]["refused"] is None
    words = report["text"]["figures"]
    for control in ("mean map", "mean word", "shuffled projection", "another token"):
        assert words["head"]["f1"]["value"] > words[control]["f1"]["value"]
    (problem,) = report["skipped"]
    assert "broken.jpg: cannot read this image" in problem
    assert not (fitted / "fit").exists()
    curve = [json.loads(line) for line in (fitted / "head-curve.jsonl").read_text().splitlines()]
    assert curve[-1]["step"] == 600
    assert curve[-1]["spearman"] > curve[0]["spearman"]


def test_a_fitted_head_is_found_by_its_model_and_exported_for_the_page(inputs: Path, fitted: Path):
    loaded = load(LoadOptions(model=str(inputs / "model"), device="cpu"))
    assert find_head(loaded, fitted.parent).folder == fitted
    head = FastRM.from_pretrained(fitted, model=loaded)
    assert head.match == "same"
    manifest = json.loads((fitted / "browser" / "manifest.json").read_text())
    assert manifest["modelWeights"] == loaded.weights
    for file in manifest["files"].values():
        assert (fitted / "browser" / file["path"]).stat().st_size == file["bytes"]
    assert not (fitted / "browser" / "head.json").exists()
    assert not (fitted / "browser" / "text").exists()
    text = read_text_head(fitted)
    assert text is not None
    assert text.facts.trained_on == head.facts.trained_on
    assert manifest["files"]["textWeights"]["path"] == "fastrm-text.bin"


def test_a_finished_head_is_not_replaced_by_accident(inputs: Path, fitted: Path, capsys: pytest.CaptureFixture[str]):
    before = (fitted / "head.safetensors").read_bytes()
    assert main(words(inputs, "--out", str(fitted))) == 2
    assert "holds a finished head: use another folder with --out, or replace" in capsys.readouterr().err
    assert (fitted / "head.safetensors").read_bytes() == before


# Runs the command and kills it with SIGKILL at a picture or a step.
KILLED = """
import os, signal, sys
from patchlight.cli import serve
from patchlight.cli.fit import run
from patchlight.cli.main import build_parser, main
from patchlight.fit import checkpoint_clock, workers
from patchlight.fit.trainer import Trainer

checkpoint_clock.INTERVAL_S = 0
place, at = sys.argv[1], int(sys.argv[2])
done = 0

def counted(function):
    def call(*arguments, **options):
        global done
        done += 1
        if done == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **options)
    return call

if place == "picture":
    workers.label_picture = counted(workers.label_picture)
else:
    Trainer.advance = counted(Trainer.advance)
main(sys.argv[3:])
"""


def test_a_killed_fit_resumes_and_refuses_other_inputs(
    inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    out = tmp_path / "head"
    command = words(inputs, "--steps", "200", "--out", str(out))

    def kill(place: str, at: int, workers: int) -> None:
        script = [sys.executable, "-c", KILLED, place, str(at), *command, "--workers", str(workers)]
        result = subprocess.run(script, capture_output=True, timeout=300)
        assert result.returncode == -signal.SIGKILL

    def journal() -> list[int]:
        lines = (out / "fit" / "journal.jsonl").read_text().splitlines()
        return [row["number"] for row in map(json.loads, lines) if "number" in row]

    kill("picture", 30, workers=1)
    assert journal() == list(range(29))
    # The workers end with their parent: they leave neither a lock on the folder nor an open pipe.
    kill("step", 25, workers=2)
    checkpoint = torch.load(out / "fit" / "checkpoint.pt", weights_only=True)
    assert 0 < checkpoint["step"] <= 24
    labelled = len(journal())
    assert labelled > 29
    with (out / "fit" / "journal.jsonl").open("a") as file:
        file.write('{"number": 4')  # killed while writing a line
    damaged = out / "fit" / "pictures" / "000003.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-8])

    added = inputs / "pictures" / "zzz.png"
    shutil.copy(inputs / "pictures" / "example-001.png", added)
    added.write_bytes(added.read_bytes() + b"more")
    assert main(command) == 2
    assert "was started with other inputs (pictures: 1 new (zzz.png))" in capsys.readouterr().err
    added.unlink()
    assert main([*command, "--per-picture", "1"]) == 2
    assert "was started with other inputs or options (--per-picture: 2, now 1): to resume" in capsys.readouterr().err

    labels: list[str] = []
    steps: dict[session.Trainer, list[int]] = {}

    def noted(*arguments: Any, **options: Any) -> Any:
        labels.extend(picture.name for picture in arguments[1])
        return label_pictures(*arguments, **options)

    monkeypatch.setattr(session, "label_pictures", noted)
    advance = session.Trainer.advance

    def counted(self: session.Trainer, batches: PictureBatches) -> None:
        steps.setdefault(self, []).append(self.step)
        if is_killed_in_text and len(steps) == 2 and self.step == 20:
            raise KeyboardInterrupt
        advance(self, batches)

    monkeypatch.setattr(session.Trainer, "advance", counted)
    monkeypatch.setattr(checkpoint_clock, "INTERVAL_S", 0)
    # Saving takes no time here, so a checkpoint is due after every step.
    monkeypatch.setattr(checkpoint_clock.CheckpointClock, "is_due", True)
    is_killed_in_text = True
    with pytest.raises(KeyboardInterrupt):
        run(build_parser().parse_args(command))
    # Only what is missing is labelled: the rest, and the picture whose file is damaged.
    assert len(labels) == PICTURES + 1 - labelled + 1
    of_patches, of_text = steps.values()
    assert of_patches[0] == checkpoint["step"]
    assert of_patches == sorted(of_patches)
    assert of_text == list(range(21))
    labels.clear()
    steps.clear()
    is_killed_in_text = False
    main(command)
    (of_text,) = steps.values()
    assert of_text == list(range(20, 200))
    assert labels == []


def test_labels_that_do_not_belong_to_the_pictures_are_refused_and_kept(
    inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    def shuffled(loaded: Loaded, sample: Sample, options: AnswerOptions) -> SampleAnswer:
        answer = answer_sample(loaded, sample, options)
        assert answer.labels is not None
        random = torch.Generator().manual_seed(crc32(f"{sample.id} {sample.question}".encode()))
        # The values of an answer's maps lose their places.
        maps = answer.labels.relevancy
        mixed = maps.flatten()[torch.randperm(maps.numel(), generator=random)].view_as(maps)
        return answer._replace(labels=answer.labels._replace(relevancy=mixed))

    monkeypatch.setattr(labelling, "answer_sample", shuffled)
    out = tmp_path / "head"
    command = words(inputs, "--steps", "100", "--out", str(out))
    assert main(command) == 2
    printed, error = capsys.readouterr()
    for control in ("head", "mean map", "shuffled projection", "blank picture", "another picture"):
        assert f"\n{control} " in printed
    assert f"The figures are in {out / 'fit' / 'head-report.json'}" in error
    assert "no head was installed. On held-out pictures, the head is not better than the mean map" in error
    assert not (out / "head.json").exists()
    with pytest.raises(FileNotFoundError, match="its training failed"):
        FastRM.from_pretrained(out)
    # Another loss is tried on the same labels. Labelling ended early, because the head had stopped getting better.
    journal = out / "fit" / "journal.jsonl"
    before = journal.read_text()
    assert main([*command, "--loss", "bce"]) == 2
    assert "no head was installed" in capsys.readouterr().err
    assert journal.read_text().startswith(before)
    assert json.loads((out / "fit" / "head-report.json").read_text())["options"]["loss"] == "bce"


def test_little_space_holds_a_random_choice_of_the_pictures(
    inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    trained: set[tuple[str, int]] = set()
    done: list[int] = []
    steps = session._Session._steps

    def counted(self: session._Session, *arguments: Any) -> None:
        before = self._trainer.step
        steps(self, *arguments)
        done.append(self._trainer.step - before)

    monkeypatch.setattr(session._Session, "_steps", counted)
    draw = PictureBatches.draw

    def recorded(self: PictureBatches, random: torch.Generator) -> list[PictureTokens]:
        groups = draw(self, random)
        of_patches = [group for group in groups if group.samples._ids is None]
        trained.update(
            (group.samples._sources[0][0].path.stem, row) for group in of_patches for row in group.rows.tolist()
        )
        return groups

    monkeypatch.setattr(PictureBatches, "draw", recorded)
    out = tmp_path / "head"
    main(words(inputs, "--steps", "20", "--disk", "600KB", "--out", str(out), "--seed", "3"))
    folder = out / "fit" if (out / "fit").exists() else out
    report = json.loads((folder / "head-report.json").read_text())
    assert report["labels"]["seed"] == report["options"]["seed"] == 3
    assert report["picturesOnDisk"] < report["pictures"]["training"]
    # The steps of the constant rate are spread evenly over the training pictures: the first round has at most 17 of them.
    assert 14 <= sum(done[:-1]) <= 15
    assert done[0] <= round(14 * (MIN_HELD - 1 + session.ROUND_PICTURES) / report["pictures"]["training"])
    # Those that left the disk have been trained on too, with each of their tokens.
    assert len(trained) == report["pictures"]["training"] * 2 * 6
    if folder != out:
        files = list((folder / "pictures").iterdir())
        assert sum(file.stat().st_size for file in files) <= 600_000
        assert all(len(shard_questions(file)) == 2 for file in files)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--images", "EMPTY"), "has no pictures: pass a folder of JPEG, PNG, WebP or other picture files"),
        (("--images", "MISSING"), "is not a folder: pass a folder of pictures"),
        (("--disk", "a lot"), "'a lot' is not a size: use a number with KB, MB, GB or TB, such as 2GB"),
        (("--disk", "1KB", "--out", "OUT"), "too little space for labelled pictures: one of them takes"),
        (("--workers", "0", "--out", "OUT"), "--workers is 0: use 1 or more"),
        (("--pictures", "12"), "--pictures 12 is too few: a head needs at least 30 pictures"),
        (("--rank", "64", "--out", "OUT"), "rank is 64: it must be at least 1 and below the hidden size 32"),
        (("--questions", "q.jsonl"), "--questions and --annotations need --data"),
    ],
)
def test_unusable_inputs_are_refused_in_one_line(
    inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: tuple[str, ...], message: str
):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("none")
    places = {"EMPTY": tmp_path / "empty", "MISSING": tmp_path / "none", "OUT": tmp_path / "head"}
    command = words(inputs, *(str(places.get(word, word)) for word in more))
    assert main(command) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert message in error


def test_a_model_without_readable_attention_is_refused_with_the_reason(
    tmp_path: Path, inputs: Path, capsys: pytest.CaptureFixture[str]
):
    save(tiny("lfm2-vl"), tmp_path / "model")
    command = words(inputs, "--model", str(tmp_path / "model"), "--out", str(tmp_path / "head"))
    assert main(command) == 2
    refused = capsys.readouterr().err
    assert "no head can be fitted to model, because its answers cannot be labelled" in refused
    assert "--teacher ablation needs nothing of the layers" in refused
    assert not (tmp_path / "head").exists()


def test_heads_are_cached_where_the_environment_says():
    home = Path.home()
    assert heads_folder({}) == home / ".cache" / "patchlight" / "heads"
    assert heads_folder({"XDG_CACHE_HOME": "/caches"}) == Path("/caches/patchlight/heads")
    assert heads_folder({"XDG_CACHE_HOME": "relative"}) == home / ".cache" / "patchlight" / "heads"
    assert heads_folder({"PATCHLIGHT_HEADS": "/heads", "XDG_CACHE_HOME": "/caches"}) == Path("/heads")


def test_a_damaged_entry_is_reported_and_passed_over(inputs: Path, fitted: Path, tmp_path: Path):
    loaded = load(LoadOptions(model=str(inputs / "model"), device="cpu"))
    shutil.copytree(fitted, tmp_path / "good")
    os.utime(tmp_path / "good" / "head.json", (1, 1))
    shutil.copytree(fitted, tmp_path / "newer")
    weights = tmp_path / "newer" / "head.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    (tmp_path / "nonsense").mkdir()
    (tmp_path / "nonsense" / "head.json").write_text("[]")
    found = find_head(loaded, tmp_path)
    assert found.folder == tmp_path / "good"
    assert sorted(problem.split(": ")[0] for problem in found.damaged) == [
        str(tmp_path / "newer"),
        str(tmp_path / "nonsense"),
    ]
    assert find_head(loaded, tmp_path / "none") == (None, [])


def served_head(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[Path | None, str]:
    """Return the head that `patchlight serve` would serve, and what it prints about it."""
    parsed = build_parser().parse_args(["serve", *arguments])
    loaded = load(LoadOptions(model=parsed.model, device="cpu"))
    capsys.readouterr()
    return serve._head_folder(parsed, loaded), capsys.readouterr().err


def test_serve_uses_the_fitted_head_unless_told_otherwise(
    inputs: Path,
    fitted: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    model = ("--model", str(inputs / "model"))
    monkeypatch.setenv("PATCHLIGHT_HEADS", str(fitted.parent))
    folder, printed = served_head(capsys, *model)
    assert folder == fitted
    assert f"using the head that was fitted to this model, {fitted}; to serve without it, pass --no-head" in printed
    assert served_head(capsys, *model, "--no-head") == (None, "")
    assert served_head(capsys, *model, "--head", "other") == (Path("other"), "")
    shutil.copytree(fitted, tmp_path / "heads" / "entry")
    (tmp_path / "heads" / "entry" / "head.json").write_text("{")
    monkeypatch.setenv("PATCHLIGHT_HEADS", str(tmp_path / "heads"))
    folder, printed = served_head(capsys, *model)
    assert folder is None
    assert f"warning: a head in the cache cannot be used. {tmp_path / 'heads' / 'entry'}: " in printed


def test_a_head_is_fitted_to_what_barred_regions_cost(
    inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    # So few labels of a random model make no good head; this is about what is made, stored and said.
    monkeypatch.setattr("patchlight.head.worth.refusal", lambda *_, **__: None)
    out = tmp_path / "head"
    amount = ["--teacher", "ablation", "--steps", "60", "--per-picture", "1", "--max-new-tokens", "3"]
    assert main(words(inputs, "--out", str(out), *amount)) == 0
    printed = capsys.readouterr().out
    assert "installed without a text output. Ablation bars patches only" in printed
    assert "Spearman" in printed
    assert "LDS" in printed
    report = json.loads((out / "head-report.json").read_text())
    assert (report["labels"]["teacher"], report["options"]["loss"]) == ("ablation", "pearson")
    assert {"f1", "pointing", "spearman", "lds"} <= report["figures"]["mean map"].keys()
    assert "the head's LDS is" in report["reason"]
    head = FastRM.from_pretrained(out)
    assert head.facts.teacher == "ablation of image regions, 32 masks"
    assert head.offset != 0  # calibrated, because pearson leaves the level of the logits open
    assert read_text_head(out) is None
    manifest = json.loads((out / "browser" / "manifest.json").read_text())
    assert manifest["teacher"] == head.facts.teacher


def test_a_loss_that_does_not_fit_the_teacher_is_refused_before_the_model_is_loaded(
    inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("patchlight.models.loading.load", lambda *_: pytest.fail("the model was loaded"))
    assert main(words(inputs, "--out", str(tmp_path / "head"), "--loss", "pearson")) == 2
    assert "which only samples by ablation have" in capsys.readouterr().err
    assert not (tmp_path / "head").exists()
