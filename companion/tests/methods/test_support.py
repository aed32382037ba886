"""What a model's structure rules out, on models that are never run: their config alone decides."""

from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForImageTextToText,
    MllamaConfig,
    Qwen3_5Config,
)

from patchlight.methods.support import refused_methods
from patchlight.models.families.registry import family_of
from patchlight.models.language_model import cross_attention_layers, decoder_of
from tests.helpers.tiny_models import tiny

ATTENTION = {"chefer", "chefer-incremental", "gradcam", "dex-ar", "rollout", "attention"}


def without_weights(config: Any) -> Any:
    with torch.device("meta"):
        return AutoModelForImageTextToText.from_config(config)


def test_linear_attention_rules_out_only_the_methods_that_read_attention():
    model = without_weights(Qwen3_5Config())
    assert family_of(model.config).name == "Qwen3-VL"
    refused = refused_methods(model)
    assert set(refused) == ATTENTION
    for reason in refused.values():
        assert "of Qwen3_5TextModel have no softmax attention (linear attention in 0, 1, 2, 4" in reason


def test_cross_attention_is_named():
    model = without_weights(MllamaConfig())
    crossing = cross_attention_layers(decoder_of(model))
    assert crossing == model.config.text_config.cross_attention_layers
    assert "reads the image by cross attention (layers 3, 8, 13" in refused_methods(model)["chefer"]
    with pytest.raises(
        ValueError, match=r"it reads the image by cross attention \(in 8 layers\), so its prompt has no"
    ):
        family_of(model.config).check(model, None)


@pytest.mark.parametrize(("name", "reason"), [("norm", "has no final norm"), ("embed_tokens", "")])
def test_methods_that_score_layers_need_the_final_norm(name: str, reason: str):
    lvlm = tiny("llava")
    model: Any = lvlm.model
    delattr(model.model.language_model, name)
    refused = refused_methods(model)
    assert set(refused) == ({"gradcam", "dex-ar"} if reason else set())
    assert all(reason in text for text in refused.values())


def test_an_output_layer_that_is_no_matrix_rules_out_tam():
    model: Any = tiny("llava").model
    model.lm_head = torch.nn.Sequential(model.lm_head)
    assert set(refused_methods(model)) == {"tam"}
