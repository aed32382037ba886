"""Weights that bitsandbytes quantised to 4 and 8 bits: such a checkpoint loads, answers and can be explained."""

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, BitsAndBytesConfig

from patchlight.methods.explain import Check, MethodMap, explain
from patchlight.methods.names import Method
from patchlight.methods.support import refused_methods
from patchlight.models.decoding import Step, decode
from patchlight.models.loading import LoadOptions, load
from patchlight.models.sampling import Sampling
from tests.helpers import tiny_parts
from tests.helpers.tiny_models import save, tiny

# Blocks of 64 weights share a scale, and the heads' keys need at least one block.
WIDTH = 128
METHODS: tuple[Method, ...] = ("chefer", "chefer-incremental", "dex-ar", "tam")


def quantised(folder: Path, bits: int, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tiny_parts, "WIDTH", WIDTH)
    lvlm = tiny("llava")
    save(lvlm, folder / "plain")
    options: Any = BitsAndBytesConfig(load_in_4bit=bits == 4, load_in_8bit=bits == 8)
    loader: Any = AutoModelForImageTextToText
    model = loader.from_pretrained(folder / "plain", quantization_config=options, device_map="cuda")
    model.save_pretrained(folder / "quantised")
    lvlm.processor.save_pretrained(folder / "quantised")
    return folder / "quantised"


@pytest.mark.gpu
@pytest.mark.parametrize("bits", [4, 8])
def test_a_quantised_model_answers_and_is_explained(bits: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("bitsandbytes")
    loaded = load(LoadOptions(model=str(quantised(tmp_path, bits, monkeypatch)), device="cuda"))
    names = {type(part).__name__ for part in loaded.model.model.modules()}
    assert {4: "Linear4bit", 8: "Linear8bitLt"}[bits] in names
    assert loaded.unused == ()
    assert refused_methods(loaded.model) == {}
    image = Image.effect_noise((90, 60), 80).convert("RGB")
    reading = loaded.family.read(loaded.model, loaded.processor, image, "What is it?")
    steps = [step for step in decode(loaded.model, reading, Sampling(max_new_tokens=5)) if isinstance(step, Step)]
    ids, log_probs = [step.token_id for step in steps], [step.log_prob for step in steps]
    for method in METHODS:
        check, *events = explain(loaded, reading, ids, method, [0, len(ids) - 1], log_probs=log_probs)
        assert isinstance(check, Check)
        assert check.is_same, (method, check.largest_difference)
        maps = [event.patches for event in events if isinstance(event, MethodMap)]
        assert len(maps) == 2
        assert torch.stack(maps).isfinite().all()
        assert float(torch.stack(maps).max()) > 0
