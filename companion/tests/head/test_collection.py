"""`patchlight collect` on tiny random models: what it stores, and that nothing is lost or doubled."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from patchlight.cli.main import main
from patchlight.head.answer_sample import open_picture
from patchlight.head.answer_scores import SCORES
from patchlight.head.datasets import DataOptions, read_samples
from patchlight.head.labels import label_answer
from patchlight.head.sample_store import HeadSamples, shard_questions, token_rows
from patchlight.models.decoding import Prefill, decode
from patchlight.models.loading import LoadOptions, load
from patchlight.models.sampling import Sampling
from tests.helpers.question_files import pope, vqa, write, write_questions
from tests.helpers.tiny_models import save, tiny

SAMPLES = 11
TOKENS = 4


# The command, but half-way through writing its third file the process gets the signal that cannot be caught.
KILLED_AT_THE_THIRD_SHARD = """
import os, signal, sys
from patchlight.head import shards
from patchlight.cli.main import main

write, begun = shards.ShardPlan.write, 0

def killed(plan, shard, fill):
    global begun
    begun += 1

    def half(path):
        fill(path)
        path.write_bytes(path.read_bytes()[:1000])
        os.kill(os.getpid(), signal.SIGKILL)

    write(plan, shard, half if begun == 3 else fill)

shards.ShardPlan.write = killed
main(sys.argv[1:])
"""


class Asked(NamedTuple):
    model: Path
    questions: Path

    def words(self, out: Path, *more: str) -> list[str]:
        return [
            "collect", "--model", str(self.model), "--data", "jsonl", "--questions", str(self.questions),
            "--max-new-tokens", str(TOKENS), "--shard-samples", "2", "--device", "cpu", "--out", str(out), *more,
        ]  # fmt: skip


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Asked:
    """Qwen2.5-VL: its grid follows the picture, so that samples have different numbers of patches."""
    folder = tmp_path_factory.mktemp("asked")
    made = tiny("qwen2.5-vl", seed=2)
    with torch.no_grad():
        made.model.lm_head.weight[:9] = 0  # says no special token, so that every answer has TOKENS tokens
    save(made, folder / "model")
    return Asked(folder / "model", write_questions(folder, SAMPLES))


@pytest.fixture(scope="module")
def collected(asked: Asked, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("collected") / "samples"
    assert main(asked.words(out)) == 0
    return out


def command(words: Sequence[str], **environment: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "patchlight", *words],
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def assert_same_shards(found: Path, wanted: Path) -> None:
    """The same files, tensor by tensor, and no others."""
    names = sorted(path.name for path in wanted.iterdir())
    assert sorted(path.name for path in found.iterdir()) == names
    for name in names:
        if name.endswith(".safetensors"):
            ours, theirs = load_file(found / name), load_file(wanted / name)
            assert ours.keys() == theirs.keys()
            for key in theirs:
                # the order of sums may differ between processes; fp16 holds 11 bits
                torch.testing.assert_close(ours[key].float(), theirs[key].float(), rtol=2e-3, atol=1e-4)
            assert shard_questions(found / name) == shard_questions(wanted / name)
        else:
            assert (found / name).read_text() == (wanted / name).read_text()


def test_samples_hold_the_model_s_own_answer_its_states_and_its_labels(asked: Asked, collected: Path):
    samples = HeadSamples(collected)
    loaded = load(LoadOptions(model=str(asked.model), device="cpu"))
    assert len(samples) == SAMPLES * TOKENS
    assert len(set(samples.patches.tolist())) > 1
    for number, sample in enumerate(read_samples(DataOptions(kind="jsonl", questions=asked.questions))):
        tokens = (samples.columns["question"] == number).nonzero()[:, 0]
        reading = loaded.family.read(loaded.model, loaded.processor, open_picture(sample), sample.question)
        prefill, *steps = decode(loaded.model, reading, Sampling(max_new_tokens=TOKENS))
        assert isinstance(prefill, Prefill)
        ids = [step.token_id for step in steps if not isinstance(step, Prefill)]
        assert samples.columns["token"][tokens].tolist() == ids
        states = samples.patch_states(tokens)
        # stored in fp16, which holds 11 bits
        for found in states.values:
            torch.testing.assert_close(
                found[: len(prefill.patch_states)].float(), prefill.patch_states, rtol=1e-3, atol=1e-3
            )
        labels = label_answer(loaded.model, loaded.family, reading, ids)
        maps = samples.relevancy(tokens)
        assert maps.mask.sum(1).tolist() == [len(reading.patch_columns)] * len(ids)
        scaled = labels.relevancy / labels.relevancy.amax(1, keepdim=True)
        torch.testing.assert_close(maps.values[:, : scaled.shape[1]][maps.mask[:, : scaled.shape[1]]].view_as(scaled), scaled, rtol=1e-3, atol=1e-3)  # fmt: skip
        torch.testing.assert_close(samples.columns["peak"][tokens], labels.relevancy.amax(1), rtol=1e-4, atol=1e-7)
    assert samples.columns["reproduced"].all()
    assert len(token_rows(samples)) == len(samples)


def test_a_picture_asked_about_twice_in_a_row_is_stored_once(collected: Path):
    # six pictures, of which the shards of two samples hold one each
    assert len(HeadSamples(collected).patches) == 6


def test_states_read_from_the_shards_are_those_that_are_held(collected: Path):
    held, read = HeadSamples(collected, hold=True), HeadSamples(collected, hold=False)
    tokens = torch.tensor([0, 17, 43, 5])
    for one, other in ((held.patch_states(tokens), read.patch_states(tokens)),):
        assert torch.equal(one.values, other.values)
        assert torch.equal(one.mask, other.mask)
        assert not one.mask.all()
        assert one.values[~one.mask].abs().max() == 0


def test_the_manifest_says_whose_samples_they_are(asked: Asked, collected: Path):
    manifest = json.loads((collected / "manifest.json").read_text())
    loaded = load(LoadOptions(model=str(asked.model), device="cpu"))
    assert manifest["modelRevision"] == loaded.revision
    assert (manifest["teacher"], manifest["stage"]) == ("Chefer relevancy, exact", "post_norm")
    assert (manifest["samples"], manifest["hiddenSize"], manifest["dtype"]) == (SAMPLES, 32, "float32")
    entries = [entry for path in sorted(collected.glob("*.safetensors")) for entry in shard_questions(path)]
    assert [entry["id"] for entry in entries] == [f"q{k}" for k in range(SAMPLES)]


def test_other_options_do_not_go_into_the_same_folder(
    asked: Asked, collected: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(asked.words(collected, "--method", "incremental")) == 2
    assert "'Chefer relevancy, exact', asked for 'Chefer relevancy, incremental'" in capsys.readouterr().err


def test_a_killed_collection_goes_on_with_nothing_lost_or_doubled(asked: Asked, collected: Path, tmp_path: Path):
    out = tmp_path / "samples"
    killed = subprocess.run([sys.executable, "-c", KILLED_AT_THE_THIRD_SHARD, *asked.words(out)], capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    done = {path.name: path.stat().st_mtime_ns for path in out.glob("*.safetensors")}
    assert sorted(done) == ["00000.safetensors", "00001.safetensors"]
    [half] = out.glob(".00002.*")
    assert half.stat().st_size == 1000
    assert main(asked.words(out)) == 0
    assert_same_shards(out, collected)
    assert done.items() <= {path.name: path.stat().st_mtime_ns for path in out.glob("*.safetensors")}.items()


def test_two_processes_share_the_work_by_rank(asked: Asked, collected: Path, tmp_path: Path):
    out = tmp_path / "samples"
    processes = [command(asked.words(out), RANK=str(rank), WORLD_SIZE="2", LOCAL_RANK=str(rank)) for rank in (0, 1)]
    told = [process.communicate(timeout=100)[0].decode() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], told
    # three shards of two samples each; the last shard, rank 1's, holds one
    assert f"{6 * TOKENS} tokens explained now" in told[0]
    assert f"{5 * TOKENS} tokens explained now" in told[1]
    assert_same_shards(out, collected)


@pytest.mark.slow
@pytest.mark.parametrize(
    "launcher",
    [
        ["torch.distributed.run", "--nproc_per_node", "2", "-m", "patchlight"],
        ["accelerate.commands.launch", "--cpu", "--num_processes", "2", "-m", "patchlight"],
    ],
)
def test_the_usual_launchers_start_it(asked: Asked, collected: Path, tmp_path: Path, launcher: list[str]):
    out = tmp_path / "samples"
    words = [sys.executable, "-m", *launcher, *asked.words(out)]
    told = subprocess.run(words, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True)
    assert b"collect jsonl 1/2" in told.stderr + told.stdout
    assert_same_shards(out, collected)


def test_a_picture_that_cannot_be_opened_ends_the_work_or_is_passed_over(
    asked: Asked, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    questions = write_questions(tmp_path, 4)
    (tmp_path / "1.png").write_bytes(b"no picture")
    bad = Asked(asked.model, questions)
    assert main(bad.words(tmp_path / "strict")) == 2
    assert "1.png: not a readable picture (sample q2)" in capsys.readouterr().err
    assert main(bad.words(tmp_path / "lenient", "--skip-bad")) == 0
    [good, skipped] = sorted((tmp_path / "lenient").glob("*.safetensors"))
    assert [entry["id"] for entry in shard_questions(good)] == ["q0", "q1"]
    assert ["not a readable picture" in entry["skipped"] for entry in shard_questions(skipped)] == [True, True]
    assert len(HeadSamples(tmp_path / "lenient")) == 2 * TOKENS


def test_the_published_formats_are_collected_from(tmp_path: Path):
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
        wanted = list(read_samples(data))
        assert [entry["id"] for entry in entries] == [sample.id for sample in wanted]
        score = SCORES[data.kind]
        assert [e["score"] for e in entries] == [
            score(e["answer"], s.answers) for e, s in zip(entries, wanted, strict=True)
        ]
        if data.kind == "pope":
            assert [entry["score"] for entry in entries] == [1, 0]  # noise says neither no nor not, which reads as yes


def test_rightness_is_scored_by_the_data_set_s_rule(asked: Asked, tmp_path: Path):
    questions = write_questions(tmp_path, 1)
    out = tmp_path / "first"
    assert main(Asked(asked.model, questions).words(out)) == 0
    [entry] = shard_questions(out / "00000.safetensors")
    assert entry["score"] == 0
    line = json.loads(questions.read_text())
    questions.write_text(json.dumps({**line, "answers": ["other", entry["answer"]]}))
    assert main(Asked(asked.model, questions).words(tmp_path / "second")) == 0
    assert shard_questions(tmp_path / "second" / "00000.safetensors")[0]["score"] == 1
