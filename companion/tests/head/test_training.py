"""Tests `patchlight train` on labels made by a known head, `planted_head`: training recovers that head, resumes
correctly after being interrupted, and counts true and false positives correctly at each threshold.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

from patchlight.cli.main import main
from patchlight.head import training
from patchlight.head.ablation import Ablation, patch_effects
from patchlight.head.fastrm import FastRM, HeadFacts, training_failure
from patchlight.head.learning_rate import suggested_learning_rate
from patchlight.head.picture_batches import batch_loss, by_picture
from patchlight.head.predictions import count_tokens, predict
from patchlight.head.sample_store import HeadSamples, left_out
from patchlight.head.scores import best_threshold, count, curve_of, labels_of
from patchlight.head.shard_content import ShardContent
from patchlight.head.training import HeadConfig, split_tokens, train_head
from patchlight.head.verdict import TrainingFailed, judge
from tests.helpers.sample_answers import random_answer

D = 24
FACTS = HeadFacts(hidden_size=D, stage="post_norm", teacher="a planted head", model="none", model_revision="0")
SMALL = HeadConfig(steps=30, batch=8, learning_rate=1e-2, checkpoint_steps=10, validation_share=0.25)


def planted_head() -> FastRM:
    torch.manual_seed(9)
    head = FastRM(D)
    with torch.no_grad():
        head.query.weight *= 14
    return head


def write_samples(folder: Path, *, questions: int = 40, ragged: bool = True) -> HeadSamples:
    """Write two shards. Each question has its own image and three tokens, whose maps come from the planted head."""
    folder.mkdir(exist_ok=True)
    head, random = planted_head(), torch.Generator().manual_seed(1)
    for shard in range(2):
        sizes = [6 + 5 * (k % 3) if ragged else 9 for k in range(questions // 2)]
        states = [torch.randn(size, D, generator=random) for size in sizes]
        queries = torch.randn(3 * len(sizes), D, generator=random)
        with torch.no_grad():
            maps = [head(queries[3 * k : 3 * k + 3], part) ** 2 for k, part in enumerate(states)]
        scaled = [part / part.amax(1, keepdim=True) for part in maps]
        tensors = {
            "image_states": torch.cat(states).half() if ragged else torch.stack(states).half(),
            "relevancy": torch.cat([part.flatten() for part in scaled]).half() if ragged else torch.cat(scaled).half(),
            "query_states": queries.half(),
            "token": torch.arange(3 * len(sizes)),
            "peak": torch.cat([part.amax(1) for part in maps]),
            "image": torch.arange(len(sizes)).repeat_interleave(3),
            "question": torch.arange(len(sizes)).repeat_interleave(3),
            "question_count": torch.tensor(len(sizes)),
            **({"patches": torch.tensor(sizes)} if ragged else {}),
        }
        save_file(tensors, folder / f"{shard:05d}.safetensors")
    manifest = {"hiddenSize": D, "stage": "post_norm", "teacher": "a planted head", "model": "m", "modelRevision": "r"}
    manifest |= {"samples": questions, "shardSamples": questions // 2}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return HeadSamples(folder)


def write_ablations(folder: Path, *, questions: int = 60) -> HeadSamples:
    """Write two shards by ablation. The falls are what the planted head's patches add up to, and noise."""
    folder.mkdir(exist_ok=True)
    head, random = planted_head(), torch.Generator().manual_seed(1)
    for shard in range(2):
        content = ShardContent("masks")
        for k in range(questions // 2):
            size = 9 + 4 * (k % 3)
            states, queries = (torch.randn(n, D, generator=random) for n in (size, 3))
            masks = torch.rand(32, size, generator=random) < 0.5
            with torch.no_grad():
                falls = 4 * head.logits(queries, states).softmax(1) @ masks.float().T
            ablation = Ablation(masks, falls + 0.1 * torch.randn(falls.shape, generator=random))
            answer = random_answer(states, queries, random)
            assert answer.labels is not None
            labels = answer.labels._replace(relevancy=patch_effects(ablation), ablation=ablation)
            content.add(f"{shard}-{k}", None, answer._replace(labels=labels), None)
        content.write(folder / f"{shard:05d}.safetensors")
    facts = {"hiddenSize": D, "stage": "post_norm", "teacher": "masks", "model": "m", "modelRevision": "r"}
    (folder / "manifest.json").write_text(json.dumps({**facts, "samples": questions, "shardSamples": questions // 2}))
    return HeadSamples(folder)


def rows(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "head-curve.jsonl").read_text().splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def test_a_head_with_attention_rows_learns_what_they_say(tmp_path: Path):
    write_samples(tmp_path / "samples", questions=80, ragged=False)
    random = torch.Generator().manual_seed(3)
    for path in sorted((tmp_path / "samples").glob("*.safetensors")):
        tensors = load_file(path)
        # Maps that the states say nothing about. One row looks where the map is, the other anywhere.
        maps = torch.rand(tensors["relevancy"].shape, generator=random) ** 4
        noise = torch.rand(maps.shape, generator=random)
        tensors["relevancy"] = (maps / maps.amax(1, keepdim=True)).half()
        tensors["attention"] = torch.stack([maps, noise], 1).half() / maps.shape[1]
        save_file(tensors, path)
    samples, config = (
        HeadSamples(tmp_path / "samples", attention=True),
        HeadConfig(steps=100, batch=64, learning_rate=3e-2),
    )
    held, f1 = split_tokens(samples, config).held, {}
    for features in ("states", "attention"):
        options = replace(config, features=features)
        head = train_head(samples, tmp_path / features, FACTS, options, keep_failed=True).head
        f1[features] = float(curve_of(count_tokens(head, samples, held, 0.3)).f1.max())
        assert head.facts.features == features
    assert f1["attention"] > f1["states"] + 0.2
    weight = FastRM.from_pretrained(tmp_path / "attention", attention=True).state_dict()["attention.weight"]
    assert weight[0] > 3 * weight[1].abs()


def test_shards_with_and_without_attention_rows_do_not_mix(tmp_path: Path):
    write_samples(tmp_path / "samples", ragged=False)
    path = tmp_path / "samples" / "00001.safetensors"
    tensors = load_file(path)
    save_file({**tensors, "attention": torch.zeros(*tensors["relevancy"].shape[:1], 2, 9).half()}, path)
    assert "attention" not in HeadSamples(tmp_path / "samples").columns
    with pytest.raises(ValueError, match="samples mixes shards with and without attention: collect the samples again"):
        HeadSamples(tmp_path / "samples", attention=True)


def test_samples_without_attention_rows_cannot_train_a_head_that_reads_them(tmp_path: Path):
    samples = write_samples(tmp_path / "samples")
    with pytest.raises(ValueError, match="these samples have no attention rows"):
        train_head(samples, tmp_path / "head", FACTS, HeadConfig(steps=1, features="attention"))


@pytest.mark.parametrize("ragged", [True, False])
def test_training_recovers_the_planted_head(tmp_path: Path, ragged: bool):
    samples = write_samples(tmp_path / "samples", questions=240, ragged=ragged)
    config = HeadConfig(steps=300, batch=64, learning_rate=1e-2, schedule="cosine", validation_share=0.2)
    head, verdict, _ = train_head(samples, tmp_path / "head", FACTS, config, choose_threshold=True)
    held = split_tokens(samples, config).held
    assert len(held) > 100
    trained = curve_of(count_tokens(head, samples, held, 0.3))
    untrained = curve_of(count_tokens(FastRM(D), samples, held, 0.3))
    # 0.93 to 0.95 over three seeds; an untrained head reaches 0.65 to 0.67, as does a map of ones.
    assert trained.f1.max() > 0.9 > untrained.f1.max() + 0.2
    saved = FastRM.from_pretrained(tmp_path / "head")
    assert saved.facts.classification_threshold == best_threshold(trained)
    assert verdict.status == "passed"
    assert not (tmp_path / "head" / "training").exists()


def test_masks_and_falls_are_stored_and_read_as_they_were(tmp_path: Path):
    random = torch.Generator().manual_seed(0)
    content, expected = ShardContent("masks"), []
    for size, tokens in ((9, 2), (16, 1), (5, 3)):
        states, queries = torch.randn(size, D, generator=random), torch.randn(tokens, D, generator=random)
        ablation = Ablation(torch.rand(32, size, generator=random) < 0.5, torch.randn(tokens, 32, generator=random))
        answer = random_answer(states, queries, random)
        assert answer.labels is not None
        answer = answer._replace(labels=answer.labels._replace(ablation=ablation))
        content.add(f"q{size}", None, answer, None)
        expected += [(ablation.masks, falls) for falls in ablation.deltas]
    for name in ("00000", "00001"):
        content.write(tmp_path / f"{name}.safetensors")
    samples = HeadSamples(tmp_path)
    assert samples.has_masks
    assert samples.teacher == "masks"
    for shard in range(2):
        for group in ([0, 1], [2], [5, 3, 4], [4]):
            tokens = torch.tensor(group) + 6 * shard
            masks, falls = samples.ablation(tokens)
            assert torch.equal(masks, torch.stack([expected[k][0] for k in group]))
            assert torch.equal(falls, torch.stack([expected[k][1] for k in group]))
    assert HeadSamples(tmp_path, output="text").columns["deltas"].shape == (12, 32)
    # Other masks are other samples.
    other = tmp_path / "other"
    other.mkdir()
    tensors = load_file(tmp_path / "00000.safetensors")
    save_file({**tensors, "masks": 255 - tensors["masks"]}, other / "00000.safetensors")
    first = HeadSamples.of_files([tmp_path / "00000.safetensors"])
    assert first.fingerprint() != HeadSamples(other).fingerprint()


def test_samples_of_two_teachers_are_not_mixed(tmp_path: Path):
    write_ablations(tmp_path / "mixed")
    states, queries = torch.randn(9, D), torch.randn(2, D)
    content = ShardContent("another")
    for k in range(30):
        content.add(f"q{k}", None, random_answer(states, queries, torch.Generator()), None)
    content.write(tmp_path / "mixed" / "00001.safetensors")
    with pytest.raises(ValueError, match=r"several teachers \(00000.safetensors: masks; 00001.safetensors: another\)"):
        HeadSamples(tmp_path / "mixed")
    # A collection that an earlier version began does not name its teacher, which was Chefer's.
    shards = {"00000": None, "00001": "Chefer relevancy, exact"}
    for name, teacher in shards.items():
        part = ShardContent(teacher)
        for k in range(30):
            part.add(f"q{k}", None, random_answer(states, queries, torch.Generator()), None)
        part.write(tmp_path / "mixed" / f"{name}.safetensors")
    assert HeadSamples(tmp_path / "mixed").teacher == "Chefer relevancy, exact"
    content.write(tmp_path / "mixed" / "00001.safetensors")
    with pytest.raises(ValueError, match=r"\(00000.safetensors: not named; 00001.safetensors: another\)"):
        HeadSamples(tmp_path / "mixed")


def test_a_head_is_trained_on_what_was_measured_under_masks(tmp_path: Path):
    samples = write_ablations(tmp_path / "samples", questions=200)
    facts = HeadFacts(hidden_size=D, stage="post_norm", teacher="masks", model="none", model_revision="0")
    config = HeadConfig(
        steps=300, batch=64, learning_rate=1e-2, schedule="cosine", validation_share=0.2, loss="pearson"
    )
    head, verdict, _ = train_head(samples, tmp_path / "head", facts, config, choose_threshold=True)
    held = split_tokens(samples, config).held
    planted, untrained = planted_head(), FastRM(D)
    with torch.no_grad():
        losses = [
            batch_loss(one, by_picture(samples, held), "pearson", 0.3).item() for one in (head, untrained, planted)
        ]
    # Over three seeds, the trained head has 0.09 to 0.11, an untrained one 0.63 to 0.66, the planted one 0.002.
    assert losses[0] < 0.3 < losses[1]
    assert losses[2] < losses[0]
    assert verdict.status == "passed"
    # Its values are probabilities: their mean is the share of labels, which they would miss without calibration.
    assert head.offset != 0
    shown = predict(head, samples, held)
    labels = [labels_of(samples.relevancy(row[None]).values, 0.3).sum() for row in held]
    assert shown.sum().item() == pytest.approx(float(sum(labels)), rel=0.02)


def test_the_loss_must_fit_the_samples(tmp_path: Path):
    samples = write_samples(tmp_path / "samples")
    with pytest.raises(ValueError, match="which only samples by ablation have: collect them with --teacher ablation"):
        train_head(samples, tmp_path / "head", FACTS, HeadConfig(loss="pearson"))
    assert not (tmp_path / "head").exists()
    with pytest.raises(ValueError, match="only samples by ablation have masks"):
        samples.ablation(torch.tensor([0]))
    with pytest.raises(ValueError, match=r"bce_weight is 0: it must be above 0"):
        HeadConfig(loss="bce+kl", bce_weight=0)


def test_facts_that_name_another_teacher_than_the_samples_are_refused(tmp_path: Path):
    samples = write_ablations(tmp_path / "samples")
    with pytest.raises(ValueError, match="the samples' teacher is 'masks', that of the facts 'a planted head'"):
        train_head(samples, tmp_path / "head", FACTS, SMALL)


def test_train_chooses_the_loss_that_fits_the_samples(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    write_ablations(tmp_path / "samples", questions=200)
    command = ["train", "--samples", str(tmp_path / "samples"), "--out", str(tmp_path / "head"), "--device", "cpu"]
    command += ["--steps", "200", "--learning-rate", "1e-2", "--validation-share", "0.2"]
    assert main(command) == 0
    assert "without a text output: ablation bars patches only" in capsys.readouterr().out
    assert json.loads((tmp_path / "head" / "head-config.json").read_text())["loss"] == "pearson"
    assert FastRM.from_pretrained(tmp_path / "head").facts.teacher == "masks"
    write_samples(tmp_path / "maps")
    command[2], command[4] = str(tmp_path / "maps"), str(tmp_path / "other")
    assert main([*command, "--loss", "pearson"]) == 2
    assert "--teacher ablation" in capsys.readouterr().err


def test_a_head_without_a_level_is_calibrated(tmp_path: Path):
    """Trained with `kl`, the logits of the head may have any level; the threshold and the verdict need the labels' one."""
    samples = write_samples(tmp_path / "samples", questions=240)
    config = HeadConfig(steps=300, batch=64, learning_rate=1e-2, schedule="cosine", validation_share=0.2, loss="kl")
    head, verdict, _ = train_head(samples, tmp_path / "head", FACTS, config, choose_threshold=True)
    assert verdict.status == "passed"
    held = split_tokens(samples, config).held
    loss = batch_loss(head, by_picture(samples, held), "bce", 0.3).item()
    with torch.no_grad():
        head.offset.zero_()
    assert loss < batch_loss(head, by_picture(samples, held), "bce", 0.3).item()


class OptimizerSteps:
    """Counts the optimiser's steps, and interrupts the training once, before a given one is taken, if any."""

    def __init__(self, patch: pytest.MonkeyPatch, *, interrupted_at: int = 0):
        self.count = 0
        self._left, self._take = interrupted_at, torch.optim.Adam.step
        patch.setattr(torch.optim.Adam, "step", lambda *arguments: self._step(*arguments))

    def _step(self, *arguments: Any) -> Any:
        self._left -= 1
        if self._left == 0:
            raise KeyboardInterrupt
        self.count += 1
        return self._take(*arguments)


def test_resumed_training_equals_uninterrupted_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    samples = write_samples(tmp_path / "samples")
    uninterrupted = train_head(samples, tmp_path / "uninterrupted", FACTS, SMALL, keep_failed=True).head
    steps = OptimizerSteps(monkeypatch, interrupted_at=18)
    monkeypatch.setattr(training, "MEASURE_STEPS", 4)
    with pytest.raises(KeyboardInterrupt):
        train_head(samples, tmp_path / "killed", FACTS, SMALL)
    with (tmp_path / "killed" / "training" / "head-curve.jsonl").open("a") as curve:
        curve.write('{"step": 2')  # killed while writing a line
    assert [row["step"] for row in rows(tmp_path / "killed" / "training")] == [4, 8, 12, 16]
    resumed = train_head(samples, tmp_path / "killed", FACTS, SMALL, keep_failed=True).head
    assert steps.count == 17 + 20  # it resumed after step 10
    for actual, expected in zip(resumed.parameters(), uninterrupted.parameters(), strict=True):
        assert torch.equal(actual, expected)
    assert [row["step"] for row in rows(tmp_path / "killed")] == [4, 8, 12, 16, 20, 24, 28, 30]


def test_a_checkpoint_with_other_options_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    samples = write_samples(tmp_path / "samples")
    with monkeypatch.context() as patch:
        patch.setattr(HeadSamples, "relevancy", failing_after(HeadSamples.relevancy, 45))
        with pytest.raises(KeyboardInterrupt):
            train_head(samples, tmp_path / "head", FACTS, SMALL)
    other = HeadConfig(**{**vars(SMALL), "learning_rate": 1e-3})
    with pytest.raises(ValueError, match=r"learning_rate: 0\.01, now 0\.001"):
        train_head(samples, tmp_path / "head", FACTS, other)
    # A checkpoint from before these options existed is continued.
    checkpoint = tmp_path / "head" / "training" / "checkpoint.pt"
    state = torch.load(checkpoint, weights_only=True)
    assert 0 < state["step"] < SMALL.steps
    for name in ("features", "bce_weight"):
        del state["options"][name]
    torch.save(state, checkpoint)
    steps = OptimizerSteps(monkeypatch)
    train_head(samples, tmp_path / "head", FACTS, SMALL, keep_failed=True)
    assert steps.count == SMALL.steps - state["step"]


def failing_after(function: Any, calls: int) -> Any:
    done = 0

    def call(*arguments: Any) -> Any:
        nonlocal done
        done += 1
        if done > calls:
            raise KeyboardInterrupt
        return function(*arguments)

    return call


def test_the_loss_is_the_mean_over_patches_of_pictures_of_different_sizes(tmp_path: Path):
    samples, head = write_samples(tmp_path / "samples"), planted_head()
    tokens = torch.tensor([0, 4, 7, 50])
    each = []
    for token in tokens:
        states = samples.picture_states(int(samples.columns["image"][token])).float()
        relevancy = samples.relevancy(token[None]).values
        logits = head.logits(samples.columns["query_states"][token][None].float(), states)
        each.append(F.binary_cross_entropy_with_logits(logits, labels_of(relevancy, 0.3), reduction="none")[0])
    assert len({len(part) for part in each}) > 1
    together = batch_loss(head, by_picture(samples, tokens), "bce", 0.3)
    torch.testing.assert_close(together, torch.cat(each).mean())


@pytest.mark.parametrize(("size", "dtype"), [(1.0, torch.float16), (1e5, torch.bfloat16)])
def test_states_that_overflow_fp16_keep_the_model_s_dtype(tmp_path: Path, size: float, dtype: torch.dtype):
    torch.manual_seed(0)
    states = (torch.randn(9, D) * size).bfloat16()
    content = ShardContent()
    content.add("one", "00ff", random_answer(states, states[:2], torch.Generator()), None)
    content.write(tmp_path / "00000.safetensors")
    samples = HeadSamples(tmp_path)
    stored = samples.picture_states(0)
    assert stored.dtype == samples.columns["query_states"].dtype == dtype
    assert torch.equal(stored.float(), states.float())  # exact, since bfloat16 has fewer bits than fp16


def test_predictions_equal_the_head_s_output(tmp_path: Path):
    samples, head = write_samples(tmp_path / "samples"), planted_head()
    tokens = torch.tensor([3, 60, 8])
    predicted = predict(head, samples, tokens)
    for row, token in zip(predicted, tokens, strict=True):
        patches = samples.picture_states(int(samples.columns["image"][token])).float()
        with torch.no_grad():
            expected = head(torch.cat([patches, samples.columns["query_states"][token][None].float()]))
        torch.testing.assert_close(row[: len(expected)], expected, rtol=0, atol=1e-6)


def test_options_limit_the_training_tokens_and_hold_out_questions(tmp_path: Path):
    samples = write_samples(tmp_path / "samples")
    everything = split_tokens(samples, SMALL)
    question = samples.columns["question"]
    assert set(question[everything.training].tolist()).isdisjoint(question[everything.held].tolist())
    assert len(everything.training) + len(everything.held) == len(samples)
    few = split_tokens(samples, HeadConfig(validation_share=0.25, samples=20))
    assert len(few.training) == 20
    assert set(few.training.tolist()) <= set(everything.training.tolist())
    assert torch.equal(few.held, everything.held)


def test_tokens_without_a_usable_map_are_left_out(tmp_path: Path):
    samples = write_samples(tmp_path / "samples")
    samples.columns["peak"][5] = 0
    samples.columns["reproduced"][7] = False
    split = split_tokens(samples, SMALL)
    assert {5, 7}.isdisjoint(torch.cat(split).tolist())


def test_counts_at_each_threshold_equal_plain_comparison():
    random = np.random.default_rng(0)
    predicted, relevancy = random.random((5, 30)), random.random((5, 30)) ** 3
    mask = random.random((5, 30)) < 0.8
    counts = count(torch.tensor(predicted), torch.tensor(relevancy), 0.3, torch.tensor(mask))
    labels = relevancy >= 0.3 * relevancy.max(1, keepdims=True)
    for step in range(101):
        # Use the same binning as `count`: 0.29 * 100 is 28.999... in floating point, below step 29.
        positive = np.floor(predicted * 100) >= step
        assert counts.true_positive[:, step].tolist() == (positive & labels & mask).sum(1).tolist()
        assert counts.false_positive[:, step].tolist() == (positive & ~labels & mask).sum(1).tolist()
    assert counts.positive.tolist() == (labels & mask).sum(1).tolist()
    assert counts.total.tolist() == mask.sum(1).tolist()
    curve = curve_of(count(torch.tensor(predicted), torch.tensor(relevancy), 0.3, torch.tensor(mask)))
    positive = (np.floor(predicted * 100) >= 40)[mask]
    correct, true_positive = labels[mask] == positive, (labels[mask] & positive).sum()
    assert curve.accuracy[40].item() == pytest.approx(correct.mean())
    precision, recall = true_positive / positive.sum(), true_positive / labels[mask].sum()
    assert curve.f1[40].item() == pytest.approx(2 * precision * recall / (precision + recall))


def test_the_command_uses_the_paper_s_recipe_by_default(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    write_samples(tmp_path / "samples")
    words = ["train", "--samples", str(tmp_path / "samples"), "--out", str(tmp_path / "head")]
    small = ["--steps", "3", "--batch", "4", "--device", "cpu", "--labelling-threshold", "0.2", "--keep-failed"]
    assert main([*words, *small]) == 0
    config = json.loads((tmp_path / "head" / "head-config.json").read_text())
    assert (config["learning_rate"], config["schedule"], config["steps"]) == (2e-5, "constant", 3)
    facts = FastRM.from_pretrained(tmp_path / "head").facts
    assert (facts.teacher, facts.labelling_threshold, facts.model_revision) == ("a planted head", 0.2, "r")
    assert main([*words[:3], "--samples", str(tmp_path / "none"), "--out", str(tmp_path / "b")]) == 2
    assert "has no manifest.json" in capsys.readouterr().err
    (tmp_path / "samples" / "manifest.json").write_text('{"hiddenSize": 24}')
    assert main(words) == 2
    assert "manifest.json has no stage: pass a folder that `patchlight collect` wrote" in capsys.readouterr().err


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("rate", "reason"),
    [
        ("1e-7", "Try a higher learning rate: --learning-rate 0.04 suits hidden size 24, this run had 1e-07"),
        ("3", "Try a lower learning rate: --learning-rate 0.04 suits hidden size 24, this run had 3"),
        ("1e30", "Try a lower learning rate"),
    ],
)
def test_a_wrong_learning_rate_fails_and_leaves_an_earlier_head(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], rate: str, reason: str
):
    write_samples(tmp_path / "samples", questions=80)
    words = ["train", "--samples", str(tmp_path / "samples"), "--out", str(tmp_path / "head"), "--device", "cpu"]
    words += ["--steps", "100", "--batch", "32", "--validation-share", "0.25"]
    wrong = [*words, "--learning-rate", rate]
    assert main(wrong) == 2
    error = capsys.readouterr().err
    assert "training failed: " in error
    assert reason in error
    with pytest.raises(FileNotFoundError, match=r"head\.json: its training failed\. "):
        FastRM.from_pretrained(tmp_path / "head")
    assert main([*words, "--learning-rate", "1e-2"]) == 0
    good = files(tmp_path / "head")
    assert json.loads(good["head-report.json"])["status"] == "passed"
    assert main(wrong) == 2
    assert "holds a finished head (fastrm): use another folder, or replace the head" in capsys.readouterr().err
    assert main([*wrong, "--overwrite"]) == 2
    after = files(tmp_path / "head")
    assert {name: after[name] for name in good} == good
    assert training_failure(tmp_path / "head") is None
    assert main([*words, "--learning-rate", "2e-2", "--overwrite"]) == 0
    assert files(tmp_path / "head").keys() == good.keys()
    kept = main([*wrong, "--overwrite", "--keep-failed"])
    if rate == "1e30":
        assert kept == 2  # its numbers are not finite
    else:
        assert kept == 0
        assert "constant map" in (training_failure(tmp_path / "head") or "")


def test_a_head_that_gives_every_patch_a_probability_of_0_fails(tmp_path: Path):
    samples, head = write_samples(tmp_path / "samples"), planted_head()
    split = split_tokens(samples, SMALL)
    with torch.no_grad():
        head.query.weight.zero_()
        head.query.bias.fill_(-100)
        head.key.weight.zero_()
        head.key.bias.fill_(100)
    verdict = judge(head, samples, split.training, split.held, 0.3)
    assert verdict.status == "failed"
    assert "nearly 0 everywhere (at most 0.0e+00), so its maps are empty" in verdict.reason
    with torch.no_grad():
        head.key.bias.zero_()
    verdict = judge(head, samples, split.training, split.held, 0.3)
    assert verdict.status == "failed"
    assert "same probability at every patch" in verdict.reason


def test_a_head_that_only_says_0_or_1_fails_by_its_loss(tmp_path: Path):
    samples, head = write_samples(tmp_path / "samples"), planted_head()
    split = split_tokens(samples, SMALL)
    with torch.no_grad():
        head.query.weight *= 1e4
        head.query.bias.mul_(1e4)
    verdict = judge(head, samples, split.training, split.held, 0.3)
    assert verdict.figures["difference"]["low"] > 0
    assert verdict.status == "failed"
    assert "learned less than a constant map. On training tokens, the head's loss is" in verdict.reason


def test_the_control_is_the_mean_map_of_the_training_labels(tmp_path: Path):
    samples = write_samples(tmp_path / "samples")
    split = split_tokens(samples, SMALL)
    verdict = judge(planted_head(), samples, split.training, split.held, 0.3)
    sizes = samples.patches[samples.columns["image"]]
    best = []
    relevancy = {int(token): samples.relevancy(token[None]).values[0] for token in torch.cat(split)}
    labels = {token: row >= 0.3 * row.max() for token, row in relevancy.items()}
    tested = split.held if verdict.figures["areHeldOut"] else split.training
    for threshold in range(1, 101):
        right = wrong = positive = 0
        for token in tested.tolist():
            same = [labels[k] for k in split.training.tolist() if sizes[k] == sizes[token]]
            predicted = torch.stack(same).double().mean(0).float() * 100 >= threshold
            right += int((predicted & labels[token]).sum())
            wrong += int((predicted & ~labels[token]).sum())
            positive += int(labels[token].sum())
        best.append(2 * right / (right + wrong + positive))
    assert verdict.figures["constantMapF1"] == pytest.approx(max(best), abs=2e-3)


def test_too_few_held_out_questions_are_said(tmp_path: Path):
    samples = write_samples(tmp_path / "samples")
    config = HeadConfig(steps=100, batch=32, learning_rate=1e-2)
    verdict = train_head(samples, tmp_path / "head", FACTS, config).verdict
    assert verdict.status == "untested"
    assert "At least 10 held-out questions are needed" in verdict.reason


def test_labels_without_any_difference_are_nothing_to_learn(tmp_path: Path):
    samples = write_samples(tmp_path / "samples")
    samples._relevancy.fill_(1)
    with pytest.raises(TrainingFailed, match="All tokens have the same labels, so there is nothing to learn"):
        train_head(samples, tmp_path / "head", FACTS, SMALL)


def test_states_that_are_not_finite_are_refused(tmp_path: Path):
    samples = write_samples(tmp_path / "samples")
    samples.columns["query_states"][3, 0] = torch.nan
    with pytest.raises(ValueError, match="hidden states of 1 of 120 tokens are not finite"):
        train_head(samples, tmp_path / "head", FACTS, SMALL)


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), float("inf")])
def test_an_impossible_learning_rate_is_refused(rate: float):
    with pytest.raises(ValueError, match="learning_rate is"):
        HeadConfig(learning_rate=rate)


def test_the_suggested_learning_rate_is_the_paper_s_for_its_width():
    assert [suggested_learning_rate(d) for d in (5120, 4096, 192)] == [2e-5, 2e-5, 2e-3]


def test_left_out_tokens_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    samples = write_samples(tmp_path / "samples")
    samples.columns["peak"][5], samples.columns["peak"][6] = 0, torch.inf
    samples.columns["reproduced"][7] = False
    assert list(left_out(samples).values()) == [2, 1]


def test_a_checkpoint_of_other_samples_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    samples = write_samples(tmp_path / "samples")
    with monkeypatch.context() as patch:
        patch.setattr(HeadSamples, "relevancy", failing_after(HeadSamples.relevancy, 45))
        with pytest.raises(KeyboardInterrupt):
            train_head(samples, tmp_path / "head", FACTS, SMALL)
    with pytest.raises(FileNotFoundError, match="its training is not finished"):
        FastRM.from_pretrained(tmp_path / "head")
    samples.columns["token"][3] += 1
    with pytest.raises(ValueError, match=r"other options or samples \(samples \(SHA-256\): "):
        train_head(samples, tmp_path / "head", FACTS, SMALL)
