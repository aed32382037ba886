"""Tests the speed comparison of exact Chefer maps on a tiny model."""

import json
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from PIL import Image

from patchlight.measure.exact_speed import compare, eager_twin, main, our_maps, plain_maps
from patchlight.models.loading import LoadOptions, load
from tests.helpers.tiny_models import save, tiny


def test_all_implementations_give_the_same_maps_and_are_timed(tmp_path: Path):
    made = tiny("llava")
    save(made, tmp_path)
    loaded = load(LoadOptions(model=str(tmp_path), device="cpu"))
    reading = made.family.read(loaded.model, loaded.processor, Image.effect_noise((60, 60), 80).convert("RGB"), "What?")
    plain = eager_twin(loaded)
    ids = [40, 90, 41]
    # Both sides use float32 but sum in different orders.
    ours = our_maps(loaded, reading, ids)
    torch.testing.assert_close(plain_maps(plain, reading, ids), ours, atol=2e-6, rtol=2e-4)
    torch.testing.assert_close(plain_maps(plain, reading, ids, lean=True), ours, atol=2e-6, rtol=2e-4)
    costs = compare(loaded, plain, reading, tokens=3, rounds=2)
    assert costs.tokens == 3
    assert costs.ours.relative == 1
    assert min(costs.ours.ms, costs.plain.ms, costs.lean.ms) > 0
    assert all(p.grad is None for p in torch.nn.Module.parameters(cast(Any, plain.model)))
    with pytest.raises(ValueError, match="the attention is not eager"):
        plain_maps(loaded, reading, ids)


def test_times_of_different_maps_are_not_compared(tmp_path: Path):
    made = tiny("llava")
    save(made, tmp_path)
    loaded = load(LoadOptions(model=str(tmp_path), device="cpu"))
    reading = made.family.read(loaded.model, loaded.processor, Image.effect_noise((60, 60), 80).convert("RGB"), "What?")
    plain = eager_twin(loaded)
    with torch.no_grad():
        plain.model.lm_head.weight.mul_(1.1)
    with pytest.raises(ValueError, match="the maps differ by"):
        compare(loaded, plain, reading, tokens=2, rounds=1)


def test_the_command_writes_a_report(tmp_path: Path):
    made = tiny("llava")
    save(made, tmp_path / "model")
    Image.effect_noise((60, 60), 80).convert("RGB").save(tmp_path / "noise.png")
    options = ["--model", str(tmp_path / "model"), "--image", str(tmp_path / "noise.png")]
    main([*options, "--tokens", "1", "2", "--rounds", "1", "--out", str(tmp_path)])
    report = json.loads((tmp_path / "exact.json").read_text())
    labels = [figure["label"] for figure in report["figures"]]
    assert "2-token answer, speed-up over the plain implementation" in labels
    assert "30-token answer, bfloat16 against float32, F1" in labels
    assert len([label for label in labels if "bfloat16" not in label]) == 1 + 2 * 8
