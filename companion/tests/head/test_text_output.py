"""Tests the text output of a head: labels of prompts in sample shards, training next to the head, and its controls."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from patchlight.cli.main import main
from patchlight.head.fastrm import FastRM, read_text_head
from patchlight.head.picture_batches import by_picture
from patchlight.head.sample_store import HeadSamples, has_prompts, token_rows
from patchlight.head.scores import labels_of
from patchlight.head.text_worth import MeanWords, judge_text
from patchlight.head.training import HeadConfig, train_head
from tests.head.test_training import FACTS, D, OptimizerSteps, planted_head, write_samples

LEARNT = HeadConfig(steps=300, batch=64, learning_rate=1e-2, schedule="cosine", validation_share=0.2)


def add_prompts(folder: Path, *, is_constant: bool = False) -> HeadSamples:
    """Add a prompt of 4 to 6 words to each question. The words' maps come from a planted head, or are all the same."""
    head, random = planted_head(), torch.Generator().manual_seed(2)
    for path in sorted(folder.glob("*.safetensors")):
        tensors = load_file(path)
        count = int(tensors["question_count"])
        lengths = torch.tensor([4 + k % 3 for k in range(count)])
        states = [torch.randn(int(length), D, generator=random) for length in lengths]
        queries = tensors["query_states"].float()
        with torch.no_grad():
            maps = [head(queries[3 * k : 3 * k + 3], part) ** 2 for k, part in enumerate(states)]
        if is_constant:
            maps = [torch.tensor([1.0, *[0.1] * (part.shape[1] - 1)]).expand_as(part) for part in maps]
        peaks = torch.cat([part.amax(1) for part in maps])
        scaled = torch.cat([(part / part.amax(1, keepdim=True)).flatten() for part in maps])
        tensors |= {
            "prompt_states": torch.cat(states).half(),
            "prompt_tokens": torch.cat([torch.arange(int(length)) + 7 * (k % 2) for k, length in enumerate(lengths)]),
            "prompt_lengths": lengths,
            "prompt": torch.arange(count).repeat_interleave(3),
            "prompt_relevancy": scaled.half(),
            "prompt_peak": peaks,
        }
        save_file(tensors, path)
    return HeadSamples(folder, output="text")


def test_prompts_take_the_place_of_images(tmp_path: Path):
    images = write_samples(tmp_path / "samples")
    assert not has_prompts(tmp_path / "samples")
    with pytest.raises(ValueError, match=r"00000\.safetensors has no prompts: it was collected by an earlier version"):
        HeadSamples(tmp_path / "samples", output="text")
    text = add_prompts(tmp_path / "samples")
    assert has_prompts(tmp_path / "samples")
    assert text.patches.tolist() == [4 + k % 3 for k in range(20)] * 2
    assert text.columns.keys() == images.columns.keys()
    assert torch.equal(text.columns["question"], images.columns["question"])
    # Prompt 21 is the second of the second shard.
    stored = load_file(tmp_path / "samples" / "00001.safetensors")
    assert torch.equal(text.picture_states(21), stored["prompt_states"][4:9])
    assert text.prompt_ids(21).tolist() == [7, 8, 9, 10, 11]
    assert torch.equal(text.columns["peak"][60:], stored["prompt_peak"])
    assert torch.equal(text.relevancy(torch.tensor([63])).values[0], stored["prompt_relevancy"][12:17].float())
    with pytest.raises(ValueError, match="only samples for text have prompts"):
        HeadSamples(tmp_path / "samples").prompt_ids(0)


def test_a_head_is_trained_with_its_text_output(tmp_path: Path):
    samples = write_samples(tmp_path / "samples", questions=240)
    text = add_prompts(tmp_path / "samples")
    trained = train_head(samples, tmp_path / "head", FACTS, LEARNT, open_text=lambda: text, choose_threshold=True)
    assert trained.text is not None
    assert trained.text.head is not None
    assert trained.text.verdict.status == "passed"
    assert "the text output's F1 is " in trained.text.verdict.reason
    loaded = read_text_head(tmp_path / "head")
    assert loaded is not None
    assert torch.equal(loaded.query.weight, trained.text.head.query.weight)
    assert not torch.equal(loaded.query.weight, trained.head.query.weight)
    # The same as a head trained on the words alone.
    alone = train_head(text, tmp_path / "alone", FACTS, LEARNT, choose_threshold=True).head
    assert torch.equal(loaded.query.weight, alone.query.weight)
    assert loaded.facts.classification_threshold == alone.facts.classification_threshold
    assert not (tmp_path / "head" / "training").exists()


def test_a_text_output_that_is_no_better_than_a_constant_map_is_left_out(tmp_path: Path):
    samples = write_samples(tmp_path / "samples", questions=240)
    # A new head takes the place of an old one, and of its text output, which does not belong to it.
    FastRM(D).save_pretrained(tmp_path / "head", FACTS)
    FastRM(D).save_pretrained(tmp_path / "head" / "text", FACTS)
    text = add_prompts(tmp_path / "samples", is_constant=True)
    trained = train_head(samples, tmp_path / "head", FACTS, LEARNT, open_text=lambda: text, overwrite=True)
    assert trained.text is not None
    assert trained.text.head is None
    assert "All tokens have the same labels" in trained.text.verdict.reason
    assert read_text_head(tmp_path / "head") is None
    assert not (tmp_path / "head" / "training").exists()


def test_a_broken_state_that_only_the_text_output_reads_costs_the_text_output_only(tmp_path: Path):
    write_samples(tmp_path / "samples", questions=240)
    add_prompts(tmp_path / "samples")
    path = tmp_path / "samples" / "00000.safetensors"
    tensors = load_file(path)
    tensors["peak"][4], tensors["query_states"][4, 0] = 0, torch.nan
    save_file(tensors, path)
    samples, text = HeadSamples(tmp_path / "samples"), HeadSamples(tmp_path / "samples", output="text")
    trained = train_head(samples, tmp_path / "head", FACTS, LEARNT, open_text=lambda: text)
    assert trained.verdict.status == "passed"
    assert trained.text is not None
    assert trained.text.head is None
    assert (
        "The hidden states of 1 of 720 tokens are not finite: collect the samples again" in trained.text.verdict.reason
    )


def test_a_finished_head_is_kept_while_its_text_output_is_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    samples = write_samples(tmp_path / "samples", questions=240)
    text = add_prompts(tmp_path / "samples")
    steps = OptimizerSteps(monkeypatch, interrupted_at=305)
    with pytest.raises(KeyboardInterrupt):
        train_head(samples, tmp_path / "head", FACTS, LEARNT, open_text=lambda: text)
    other = replace(LEARNT, learning_rate=0.02)
    with pytest.raises(ValueError, match=r"learning_rate: 0\.01, now 0\.02"):
        train_head(samples, tmp_path / "head", FACTS, other, open_text=lambda: text)
    assert not (tmp_path / "head" / "head.json").exists()
    trained = train_head(samples, tmp_path / "head", FACTS, LEARNT, open_text=lambda: text)
    report = json.loads((tmp_path / "head" / "head-report.json").read_text())
    assert report["lastLoss"] < report["firstLoss"]
    # None of the head's are taken again. Those of the text output are: its first checkpoint is after step 500.
    assert steps.count == 304 + 300
    assert trained.text is not None
    assert trained.text.verdict.status == "passed"


def test_the_command_trains_both_outputs_and_says_how_good_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    write_samples(tmp_path / "samples", questions=240)
    words = ["train", "--samples", str(tmp_path / "samples"), "--steps", "300", "--batch", "64", "--device", "cpu"]
    words += ["--learning-rate", "1e-2", "--schedule", "cosine", "--validation-share", "0.2"]
    assert main([*words, "--out", str(tmp_path / "old")]) == 0
    assert "training without a text output: these samples have no prompts" in capsys.readouterr().out
    add_prompts(tmp_path / "samples")
    assert main([*words, "--out", str(tmp_path / "new")]) == 0
    printed = capsys.readouterr().out
    assert "held-out tokens, the head's F1 is " in printed
    assert "held-out tokens, the text output's F1 is " in printed
    assert not (tmp_path / "old" / "text").exists()
    assert json.loads((tmp_path / "new" / "text" / "head.json").read_text())["model"] == "m"


def test_a_text_output_is_judged_against_maps_that_know_less(tmp_path: Path):
    write_samples(tmp_path / "samples", questions=240)
    samples = add_prompts(tmp_path / "samples")
    tokens = token_rows(samples)
    known, asked = tokens[:360], tokens[360:]
    test = {int(group.image): [group] for group in by_picture(samples, asked)}
    worth = judge_text(planted_head(), test, samples, known, 0.3)
    assert worth.refused is None
    assert (worth.tokens, worth.pictures) == (len(asked), len(test))
    # The maps are the planted head's own, squared, so only the rounding to fp16 differs, which can swap two of few words.
    assert worth.scores["head"].spearman.value > 0.99
    assert worth.scores["head"].pointing.value == 1
    for control in ("mean map", "mean word", "shuffled projection", "another token"):
        assert worth.scores[control].f1.high < worth.scores["head"].f1.low
        assert worth.scores[control].spearman.high < 0.5
    torch.manual_seed(3)
    untrained = judge_text(FastRM(D).eval(), test, samples, known, 0.3)
    assert untrained.refused is not None
    assert untrained.refused.startswith("On held-out pictures, the text output is not better than the mean ")


def test_prompts_without_relevancy_leave_the_head_as_it_is(tmp_path: Path):
    samples = write_samples(tmp_path / "samples", questions=240)
    text = add_prompts(tmp_path / "samples")
    text.columns["peak"].zero_()
    trained = train_head(samples, tmp_path / "head", FACTS, LEARNT, open_text=lambda: text)
    assert trained.text is not None
    assert trained.text.head is None
    assert trained.text.verdict.reason == "No map has any relevancy on the prompt's text."
    assert trained.verdict.status == "passed"


def test_the_mean_of_a_word_counts_every_token_that_could_rest_on_it(tmp_path: Path):
    write_samples(tmp_path / "samples")
    samples = add_prompts(tmp_path / "samples")
    rows = token_rows(samples)[:60]
    seen: dict[int, list[float]] = {}
    for row in rows.tolist():
        prompt = int(samples.columns["image"][row])
        labels = labels_of(samples.relevancy(torch.tensor([row])).values, 0.3)[0].tolist()
        for word, label in zip(samples.prompt_ids(prompt).tolist(), labels, strict=True):
            seen.setdefault(word, []).append(label)
    every = [label for labels in seen.values() for label in labels]
    means = MeanWords(samples, rows, 0.3).map_of(torch.tensor([3, 9, 1000]))
    expected = [sum(seen[3]) / len(seen[3]), sum(seen[9]) / len(seen[9]), sum(every) / len(every)]
    torch.testing.assert_close(means, torch.tensor(expected))
    assert len(set(means.tolist())) == 3
