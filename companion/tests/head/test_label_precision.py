"""Tests the choice of the number format in which answers are labelled, and what the lower one costs."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from scipy.stats import spearmanr

from patchlight.cli.main import main
from patchlight.head.label_precision import LabelPrecision, label_precision
from patchlight.head.labels import label_answer
from tests.helpers.question_files import write_questions
from tests.helpers.tiny_models import save, tiny

CPU = torch.device("cpu")
FLOAT32, BFLOAT16 = LabelPrecision(None, "float32"), LabelPrecision(torch.bfloat16, "bfloat16")


@pytest.mark.parametrize(
    ("instruction", "expected"),
    [("amx_bf16", BFLOAT16), ("avx512_bf16", BFLOAT16), ("avx2", FLOAT32)],
)
def test_auto_follows_the_hardware(monkeypatch: pytest.MonkeyPatch, instruction: str, expected: LabelPrecision):
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: {instruction: True})
    assert label_precision("auto", torch.float32, CPU) == expected


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_auto_keeps_the_format_of_a_model_in_half_precision(dtype: torch.dtype):
    assert label_precision("auto", dtype, CPU) == LabelPrecision(None, str(dtype).removeprefix("torch."))


def test_a_format_that_the_model_cannot_give_is_refused():
    with pytest.raises(ValueError, match="the model in float32, and it is in float16: add --dtype float32"):
        label_precision("float32", torch.float16, CPU)
    with pytest.raises(ValueError, match="float32 or bfloat16, and it is in float16"):
        label_precision("bfloat16", torch.float16, CPU)


def test_labels_in_bfloat16_are_close_to_those_in_float32():
    made = tiny("llava")
    image = Image.effect_noise((90, 60), 80).convert("RGB")
    reading = made.family.read(made.model, made.processor, image, "What is it?")
    ids = [40, 41, 90, 41]
    exact = label_answer(made.model, made.family, reading, ids).relevancy
    lower = label_answer(made.model, made.family, reading, ids, autocast=torch.bfloat16).relevancy
    assert not torch.equal(exact, lower)
    for a, b in zip(exact, lower, strict=True):
        # bfloat16 has a significand of 8 bits: 0.4 % per product, and 4 to 6 % of the maximum through the layers,
        # depending on the processor's order of summation.
        assert (a - b).abs().max() < 0.15 * a.max()
        result: Any = spearmanr(a, b)
        assert result.statistic > 0.95


def test_samples_and_head_say_how_they_were_labelled(tmp_path: Path):
    made = tiny("qwen2.5-vl", seed=2)
    with torch.no_grad():
        made.model.lm_head.weight[:9] = 0  # no special token is chosen, so answers have tokens
    save(made, tmp_path / "model")
    questions, samples, head = write_questions(tmp_path, 4), tmp_path / "samples", tmp_path / "head"
    collect = ["collect", "--model", str(tmp_path / "model"), "--data", "jsonl", "--questions", str(questions)]
    collect += ["--max-new-tokens", "4", "--device", "cpu", "--out", str(samples)]
    assert main([*collect, "--label-precision", "bfloat16"]) == 0
    assert json.loads((samples / "manifest.json").read_text())["labelPrecision"] == "bfloat16"
    assert main([*collect, "--label-precision", "float32"]) == 2
    train = ["train", "--samples", str(samples), "--out", str(head), "--steps", "2", "--keep-failed"]
    assert main([*train, "--learning-rate", "1e-3", "--device", "cpu"]) == 0
    assert json.loads((head / "head.json").read_text())["label_precision"] == "bfloat16"
