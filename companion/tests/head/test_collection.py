"""Tests `patchlight collect` on tiny random models: what it stores, and that it resumes correctly."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from patchlight.cli.main import main
from patchlight.embedded.training.vocabulary import build_tokenizer
from patchlight.head import answer_sample
from patchlight.head.answer_sample import open_image
from patchlight.head.answer_scores import SCORES
from patchlight.head.datasets import DataOptions, Sample, read_samples
from patchlight.head.json_entries import DataError
from patchlight.head.labels import label_answer
from patchlight.head.picture_batches import by_picture
from patchlight.head.sample_store import HeadSamples, shard_questions, token_rows
from patchlight.models.decoding import Prefill, Step, decode
from patchlight.models.loading import LoadOptions, load
from patchlight.models.sampling import Sampling
from tests.helpers.question_files import pope, vqa, write, write_questions
from tests.helpers.tiny_models import save, tiny

SAMPLES = 11
TOKENS = 4


# Runs the command, but kills the process with SIGKILL halfway through writing its third shard.
KILLED_AT_THE_THIRD_SHARD = """
import os, signal, sys
from patchlight.head import shards
from patchlight.cli.main import main

write, started = shards.ShardPlan.write, 0

def killed(plan, shard, fill):
    global started
    started += 1

    def half(path):
        fill(path)
        path.write_bytes(path.read_bytes()[:1000])
        os.kill(os.getpid(), signal.SIGKILL)

    write(plan, shard, half if started == 3 else fill)

shards.ShardPlan.write = killed
main(sys.argv[1:])
"""


class Job(NamedTuple):
    """A model and its questions file."""

    model: Path
    questions: Path

    def command_line(self, out: Path, *more: str) -> list[str]:
        return [
            "collect", "--model", str(self.model), "--data", "jsonl", "--questions", str(self.questions),
            "--max-new-tokens", str(TOKENS), "--shard-samples", "2", "--device", "cpu", "--label-precision", "float32", "--out", str(out), *more,
        ]  # fmt: skip


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    """Uses Qwen2.5-VL, whose patch grid depends on the image size, so samples differ in their number of patches."""
    folder = tmp_path_factory.mktemp("job")
    made = tiny("qwen2.5-vl", seed=2)
    with torch.no_grad():
        made.model.lm_head.weight[:9] = 0  # no special token is ever chosen, so every answer has TOKENS tokens
    save(made, folder / "model")
    return Job(folder / "model", write_questions(folder, SAMPLES))


@pytest.fixture(scope="module")
def collected(job: Job, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("collected") / "samples"
    assert main(job.command_line(out)) == 0
    return out


def start(command_line: Sequence[str], **environment: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "patchlight", *command_line],
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def assert_same_shards(actual: Path, expected: Path) -> None:
    """Check that two folders have the same files with the same tensors."""
    names = sorted(path.name for path in expected.iterdir())
    assert sorted(path.name for path in actual.iterdir()) == names
    for name in names:
        if name.endswith(".safetensors"):
            actual_tensors, expected_tensors = load_file(actual / name), load_file(expected / name)
            assert actual_tensors.keys() == expected_tensors.keys()
            for key, tensor in expected_tensors.items():
                # The order of summation may differ between processes; fp16 has a significand of 11 bits.
                torch.testing.assert_close(actual_tensors[key].float(), tensor.float(), rtol=2e-3, atol=1e-4)
            assert shard_questions(actual / name) == shard_questions(expected / name)
        else:
            assert (actual / name).read_text() == (expected / name).read_text()


def test_samples_store_answer_tokens_states_and_labels(job: Job, collected: Path):
    samples, words = HeadSamples(collected), HeadSamples(collected, output="text", hold=False)
    loaded = load(LoadOptions(model=str(job.model), device="cpu"))
    assert len(samples) == len(words) == SAMPLES * TOKENS
    assert len(set(samples.patches.tolist())) > 1
    for number, sample in enumerate(read_samples(DataOptions(kind="jsonl", questions=job.questions))):
        tokens = (samples.columns["question"] == number).nonzero()[:, 0]
        reading = loaded.family.read(loaded.model, loaded.processor, open_image(sample), sample.question)
        prefill, *steps = decode(loaded.model, reading, Sampling(max_new_tokens=TOKENS))
        assert isinstance(prefill, Prefill)
        ids = [step.token_id for step in steps if not isinstance(step, Prefill)]
        assert samples.columns["token"][tokens].tolist() == ids
        (image,) = samples.columns["image"][tokens].unique().tolist()
        # Stored in fp16, whose significand has 11 bits.
        stored = samples.picture_states(image).float()
        torch.testing.assert_close(stored, prefill.patch_states, rtol=1e-3, atol=1e-3)
        labels = label_answer(loaded.model, loaded.family, reading, ids)
        maps = samples.relevancy(tokens)
        assert maps.mask.sum(1).tolist() == [len(reading.patch_columns)] * len(ids)
        scaled = labels.relevancy / labels.relevancy.amax(1, keepdim=True)
        torch.testing.assert_close(maps.values[:, : scaled.shape[1]][maps.mask[:, : scaled.shape[1]]].view_as(scaled), scaled, rtol=1e-3, atol=1e-3)  # fmt: skip
        torch.testing.assert_close(samples.columns["peak"][tokens], labels.relevancy.amax(1), rtol=1e-4, atol=1e-7)
        (prompt,) = words.columns["image"][tokens].unique().tolist()
        assert words.prompt_ids(prompt).tolist() == reading.inputs["input_ids"][0, reading.prompt_columns].tolist()
        stored = words.picture_states(prompt).float()
        torch.testing.assert_close(stored, prefill.prompt_states, rtol=1e-3, atol=1e-3)
        scaled = labels.prompt_relevancy / labels.prompt_relevancy.amax(1, keepdim=True)
        (group,) = by_picture(words, tokens)
        torch.testing.assert_close(group.relevancy()[:, : scaled.shape[1]], scaled, rtol=1e-3, atol=1e-3)
    assert samples.columns["reproduced"].all()
    assert len(token_rows(samples)) == len(samples)


def test_consecutive_questions_about_one_image_store_its_states_once(collected: Path):
    # There are six images, and each shard of two samples needs only one of them.
    assert len(HeadSamples(collected).patches) == 6


def test_states_are_the_same_from_shards_and_from_memory(collected: Path):
    held, read = HeadSamples(collected, hold=True), HeadSamples(collected, hold=False)
    assert len(held.patches) == len(read.patches) == 6
    for image in (0, 3, 5):
        assert torch.equal(held.picture_states(image), read.picture_states(image))


def test_the_manifest_describes_model_and_dataset(job: Job, collected: Path):
    manifest = json.loads((collected / "manifest.json").read_text())
    loaded = load(LoadOptions(model=str(job.model), device="cpu"))
    assert manifest["modelRevision"] == loaded.revision
    assert (manifest["teacher"], manifest["stage"]) == ("Chefer relevancy, exact", "post_norm")
    assert (manifest["samples"], manifest["hiddenSize"], manifest["dtype"]) == (SAMPLES, 32, "float32")
    entries = [entry for path in sorted(collected.glob("*.safetensors")) for entry in shard_questions(path)]
    assert [entry["id"] for entry in entries] == [f"q{k}" for k in range(SAMPLES)]


def test_a_folder_collected_with_other_options_is_refused(
    job: Job, collected: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(job.command_line(collected, "--method", "incremental")) == 2
    assert "'Chefer relevancy, exact', now 'Chefer relevancy, incremental'" in capsys.readouterr().err


def test_samples_by_ablation_hold_the_masks_and_the_falls(job: Job, collected: Path, tmp_path: Path):
    assert main(job.command_line(tmp_path / "samples", "--teacher", "ablation")) == 0
    manifest = json.loads((tmp_path / "samples" / "manifest.json").read_text())
    assert (manifest["teacher"], manifest["method"]) == ("ablation of image regions, 32 masks", "ablation")
    samples, by_chefer = HeadSamples(tmp_path / "samples"), HeadSamples(collected)
    assert (samples.teacher, by_chefer.teacher) == ("ablation of image regions, 32 masks", "Chefer relevancy, exact")
    assert (samples.has_masks, by_chefer.has_masks) == (True, False)
    loaded = load(LoadOptions(model=str(job.model), device="cpu"))
    data = DataOptions(kind="jsonl", questions=job.questions)
    for number, sample in enumerate(read_samples(data)):
        rows = (samples.columns["question"] == number).nonzero()[:, 0]
        reading = loaded.family.read(loaded.model, loaded.processor, open_image(sample), sample.question)
        ids = samples.columns["token"][rows].tolist()
        labels = label_answer(loaded.model, loaded.family, reading, ids, teacher="ablation")
        assert labels.ablation is not None
        masks, falls = samples.ablation(rows)
        assert torch.equal(masks, labels.ablation.masks.expand(len(rows), -1, -1))
        # A cold process and a warm one may choose other kernels.
        torch.testing.assert_close(falls, labels.ablation.deltas, atol=1e-5, rtol=1e-4)
        # Maps are stored in fp16, relative to their maximum.
        stored = samples.relevancy(rows).values[:, : masks.shape[2]] * samples.columns["peak"][rows][:, None]
        torch.testing.assert_close(stored, labels.relevancy, atol=1e-3, rtol=1e-3)


def test_the_former_names_of_the_teachers_still_work(job: Job, collected: Path, capsys: pytest.CaptureFixture[str]):
    assert main(job.command_line(collected, "--method", "exact")) == 0
    assert main(job.command_line(collected, "--teacher", "chefer")) == 0
    with pytest.raises(SystemExit):
        main(job.command_line(collected, "--teacher", "gradcam"))
    message = "unknown teacher 'gradcam': use chefer, chefer-incremental, attention or ablation"
    assert message in capsys.readouterr().err


def test_another_questions_file_in_a_finished_folder_is_refused(
    job: Job, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    questions, out = write_questions(tmp_path, 2), tmp_path / "samples"
    assert main(Job(job.model, questions).command_line(out)) == 0
    before = (out / "00000.safetensors").read_bytes()
    questions.write_text(questions.read_text().replace("What is 1?", "What is not 1?"))
    capsys.readouterr()
    assert main(Job(job.model, questions).command_line(out)) == 2
    error = capsys.readouterr().err
    assert re.search(r"SHA-256 of the questions: [0-9a-f]{12}, now [0-9a-f]{12}", error)
    assert "to start again, use another folder" in error
    assert (out / "00000.safetensors").read_bytes() == before


def test_resuming_with_a_changed_image_is_refused_and_deleting_its_shard_helps(
    job: Job, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    again, out = Job(job.model, write_questions(tmp_path, 4)), tmp_path / "samples"
    assert main(again.command_line(out)) == 0
    Image.new("RGB", (84, 84), "red").save(tmp_path / "1.png")
    capsys.readouterr()
    assert main(again.command_line(out)) == 2
    error = capsys.readouterr().err
    assert "1.png has changed since" in error
    assert "(sample q2; SHA-256 then: " in error
    assert "delete 00001.safetensors to make it again" in error
    (out / "00001.safetensors").unlink()
    assert main(again.command_line(out)) == 0


def test_a_damaged_shard_is_named(job: Job, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    again, out = Job(job.model, write_questions(tmp_path, 4)), tmp_path / "samples"
    assert main(again.command_line(out)) == 0
    shard = out / "00001.safetensors"
    shard.write_bytes(shard.read_bytes()[:-100])
    capsys.readouterr()
    for command_line in (again.command_line(out), ["train", "--samples", str(out), "--out", str(tmp_path / "head")]):
        assert main(command_line) == 2
        assert "00001.safetensors is incomplete or damaged" in capsys.readouterr().err


def test_training_on_an_incomplete_collection_names_the_missing_shards(
    collected: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    incomplete = tmp_path / "samples"
    shutil.copytree(collected, incomplete)
    for shard in (0, 5):
        (incomplete / f"{shard:05d}.safetensors").unlink()
    words = ["train", "--samples", str(incomplete), "--out", str(tmp_path / "head"), "--device", "cpu", "--steps", "1"]
    assert main(words) == 2
    assert "lacks 2 of 6 shards (00000.safetensors, 00005.safetensors)" in capsys.readouterr().err
    assert main([*words, "--allow-missing", "--keep-failed"]) == 0
    assert "training without 2 missing shards: 00000.safetensors, 00005.safetensors" in capsys.readouterr().out
    report = json.loads((tmp_path / "head" / "head-report.json").read_text())
    assert report["samples"]["missingShards"] == ["00000.safetensors", "00005.safetensors"]
    shutil.copy(collected / "00001.safetensors", incomplete / "00077.safetensors")
    with pytest.raises(ValueError, match=r"00077\.safetensors, which its manifest\.json does not describe"):
        HeadSamples(incomplete, allow_missing=True)


def test_a_folder_with_shards_but_without_a_manifest_is_refused(
    job: Job, collected: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    shutil.copytree(collected, tmp_path / "samples")
    manifest = tmp_path / "samples" / "manifest.json"
    manifest.write_text(manifest.read_text()[:50])
    assert main(job.command_line(tmp_path / "samples")) == 2
    assert "manifest.json is damaged" in capsys.readouterr().err
    manifest.unlink()
    assert main(job.command_line(tmp_path / "samples")) == 2
    assert "holds 6 shards but no manifest.json" in capsys.readouterr().err


def test_a_killed_collection_resumes_without_losing_or_repeating_samples(job: Job, collected: Path, tmp_path: Path):
    out = tmp_path / "samples"
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_AT_THE_THIRD_SHARD, *job.command_line(out)], capture_output=True
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    done = {path.name: path.stat().st_mtime_ns for path in out.glob("*.safetensors")}
    assert sorted(done) == ["00000.safetensors", "00001.safetensors"]
    [half] = out.glob(".00002.*")
    assert half.stat().st_size == 1000
    assert main(job.command_line(out)) == 0
    assert_same_shards(out, collected)
    assert done.items() <= {path.name: path.stat().st_mtime_ns for path in out.glob("*.safetensors")}.items()


def test_two_processes_share_the_work_by_rank(job: Job, collected: Path, tmp_path: Path):
    out = tmp_path / "samples"
    processes = [start(job.command_line(out), RANK=str(rank), WORLD_SIZE="2", LOCAL_RANK=str(rank)) for rank in (0, 1)]
    outputs = [process.communicate(timeout=600)[0].decode() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    # Each rank has three shards of two samples, except that rank 1's last shard has one.
    assert f"labelled {6 * TOKENS} tokens" in outputs[0]
    assert f"labelled {5 * TOKENS} tokens" in outputs[1]
    assert_same_shards(out, collected)


@pytest.mark.slow
@pytest.mark.parametrize(
    "launcher",
    [
        ["torch.distributed.run", "--nproc_per_node", "2", "-m", "patchlight"],
        ["accelerate.commands.launch", "--cpu", "--num_processes", "2", "-m", "patchlight"],
    ],
)
def test_torchrun_and_accelerate_can_launch_it(job: Job, collected: Path, tmp_path: Path, launcher: list[str]):
    out = tmp_path / "samples"
    words = [sys.executable, "-m", *launcher, *job.command_line(out)]
    done = subprocess.run(words, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True)
    assert b"collect jsonl 1/2" in done.stderr + done.stdout
    assert_same_shards(out, collected)


def test_an_unreadable_image_is_an_error_unless_skipping_is_requested(
    job: Job, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    questions = write_questions(tmp_path, 4)
    (tmp_path / "1.png").write_bytes(b"not an image")
    bad = Job(job.model, questions)
    assert main(bad.command_line(tmp_path / "strict")) == 2
    assert "1.png: cannot read this image (sample q2)" in capsys.readouterr().err
    assert main(bad.command_line(tmp_path / "lenient", "--skip-bad")) == 0
    [good, skipped] = sorted((tmp_path / "lenient").glob("*.safetensors"))
    assert [entry["id"] for entry in shard_questions(good)] == ["q0", "q1"]
    assert ["cannot read this image" in entry["skipped"] for entry in shard_questions(skipped)] == [True, True]
    assert len(HeadSamples(tmp_path / "lenient")) == 2 * TOKENS


def test_a_sample_s_image_is_read_on_white_and_without_a_range_it_is_refused(tmp_path: Path):
    sample = Sample("q0", tmp_path / "hidden.png", "What is it?", ())
    hidden = Image.effect_noise((8, 8), 90).convert("RGBA")
    hidden.putalpha(0)
    hidden.save(sample.image)
    assert set(open_image(sample).tobytes()) == {255}
    floats = Sample("q1", tmp_path / "depth.tiff", "What is it?", ())
    Image.new("F", (8, 8)).save(floats.image)
    with pytest.raises(DataError, match=r"depth.tiff: cannot read this image \(sample q1\): .*range is not defined"):
        open_image(floats)


def test_every_published_dataset_format_can_be_collected(tmp_path: Path):
    made = tiny("llava", seed=4)
    with torch.no_grad():
        made.model.lm_head.weight[:4] = 0
    save(made, tmp_path / "model")
    options = [
        vqa(tmp_path / "vqav2", 2),
        DataOptions(
            kind="gqa",
            questions=write(tmp_path / "gqa.json", {"7": {"imageId": "n1", "question": "Is it?", "answer": "yes"}}),
            images=tmp_path,
        ),
        DataOptions(kind="pope", questions=pope(tmp_path, "popular", ["yes", "no"]), images=tmp_path),
    ]
    for data in options:
        for sample in read_samples(data):
            sample.image.parent.mkdir(exist_ok=True)
            Image.effect_noise((80, 60), 90).convert("RGB").save(sample.image)
        words = ["collect", "--model", str(tmp_path / "model"), "--device", "cpu", "--max-new-tokens", "3"]
        words += ["--data", data.kind, "--questions", str(data.questions), "--images", str(data.images)]
        words += ["--annotations", str(data.annotations)] if data.annotations else []
        assert main([*words, "--out", str(tmp_path / "out" / data.kind)]) == 0
        entries = shard_questions(tmp_path / "out" / data.kind / "00000.safetensors")
        samples = list(read_samples(data))
        assert [entry["id"] for entry in entries] == [sample.id for sample in samples]
        score = SCORES[data.kind]
        assert [e["score"] for e in entries] == [
            score(e["answer"], s.answers) for e, s in zip(entries, samples, strict=True)
        ]
        if data.kind == "pope":
            # A random answer contains neither "no" nor "not", so it counts as yes.
            assert [entry["score"] for entry in entries] == [1, 0]


def test_an_answer_is_scored_by_the_text_that_the_page_shows(job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    text = "There are two objects: a small sphere, a large cube."
    tokenizer = build_tokenizer()
    loaded = load(LoadOptions(model=str(job.model), device="cpu"))
    loaded.processor.tokenizer = tokenizer
    ids = list(tokenizer(text, add_special_tokens=False).input_ids)
    state = torch.zeros(32)
    steps = [Step(k, token, 0.0, [], state, False) for k, token in enumerate(ids)]
    reading = SimpleNamespace(frames=(), inputs={"input_ids": torch.tensor([[1]])}, prompt_columns=torch.tensor([0]))
    family = SimpleNamespace(read=lambda *_: reading)
    monkeypatch.setattr(answer_sample, "decode", lambda *_: [Prefill(state[None], state[None]), *steps])
    sample = next(read_samples(DataOptions(kind="jsonl", questions=job.questions)))
    answer = answer_sample.answer_sample(
        loaded._replace(family=cast(Any, family)), sample, answer_sample.AnswerOptions(teacher="none")
    )
    assert "objects :" in tokenizer.decode(ids)
    assert answer.text == text
    assert SCORES["jsonl"](answer.text, [text]) == 1


def test_answers_are_scored_by_the_rule_of_their_dataset(job: Job, tmp_path: Path):
    questions = write_questions(tmp_path, 1)
    out = tmp_path / "first"
    assert main(Job(job.model, questions).command_line(out)) == 0
    [entry] = shard_questions(out / "00000.safetensors")
    assert entry["score"] == 0
    line = json.loads(questions.read_text())
    questions.write_text(json.dumps({**line, "answers": ["other", entry["answer"]]}))
    assert main(Job(job.model, questions).command_line(tmp_path / "second")) == 0
    assert shard_questions(tmp_path / "second" / "00000.safetensors")[0]["score"] == 1
