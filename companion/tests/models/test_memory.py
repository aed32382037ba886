"""Tests of the memory that models need, quantised ones too, and that a model which does not fit is refused."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, BitsAndBytesConfig, LlavaConfig

from patchlight.models import memory
from patchlight.models.loading import LoadOptions, load
from patchlight.models.memory import NotEnoughMemory, RequiredBytes, free_bytes, required_bytes, without_weights
from patchlight.models.quantisation import quantisation_of
from tests.helpers.tiny_models import KINDS, save, tiny


def needed(config: Any, dtype: torch.dtype) -> RequiredBytes:
    return required_bytes(without_weights(config, dtype), dtype)


def load_in_half_precision(folder: Path) -> None:
    load(LoadOptions(model=str(folder), device="cpu", dtype="float16"))


def with_quantisation(**facts: Any) -> LlavaConfig:
    config: Any = LlavaConfig()
    config.quantization_config = facts
    return config


def test_required_bytes_match_the_loaded_weights() -> None:
    for kind in KINDS:
        model: Any = tiny(kind).model
        tensors = [*model.parameters(), *model.buffers()]
        for dtype in (torch.float32, torch.bfloat16):
            expected = needed(model.config, dtype).weights
            # 512 bytes of tolerance: position and frequency tables keep their own dtypes.
            assert expected == pytest.approx(sum(t.numel() for t in tensors) * dtype.itemsize, abs=512), kind


def test_tied_weights_are_counted_once() -> None:
    config = tiny("llava").model.config
    untied = needed(config, torch.float32).weights
    config.tie_word_embeddings = True
    values = config.text_config.vocab_size * config.text_config.hidden_size
    assert needed(config, torch.float32).weights == untied - 4 * values


def test_llava_7b_in_half_precision_requires_14_gb() -> None:
    """7.06 billion weights; 32 layers x 32 heads x 128 x 2 x 2 bytes = 0.5 MB per position."""
    expected = needed(LlavaConfig(), torch.float16)
    assert expected.weights == pytest.approx(14.1e9, rel=0.01)
    assert expected.cache == 4096 * 524288


def test_a_model_too_large_for_memory_is_rejected_before_its_weights_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    LlavaConfig().save_pretrained(tmp_path)  # there are no weights, so reading them would fail
    monkeypatch.setattr(memory, "free_bytes", lambda _device: 6_000_000_000)
    with pytest.raises(NotEnoughMemory, match=r"needs 16\.3 GB \(14\.1 GB for weights.*cpu has 6 GB free"):
        load_in_half_precision(tmp_path)


def test_free_memory_is_positive_and_below_the_machine_s_total() -> None:
    free = free_bytes(torch.device("cpu"))
    assert free is not None
    total = next(
        int(line.split()[1]) * 1024 for line in Path("/proc/meminfo").read_text().splitlines() if "MemTotal" in line
    )
    assert 0 < free < total


def test_a_model_without_weights_leaves_its_config_as_it_is(tmp_path: Path) -> None:
    save(tiny("gemma3"), tmp_path)
    config = AutoConfig.from_pretrained(tmp_path)
    before = config.to_dict()
    needed(config, torch.bfloat16)
    assert config.to_dict() == before


@pytest.mark.parametrize(
    ("facts", "gigabytes"),
    [
        # Of 7.06 billion weights, 6.78 are in linear layers, 0.13 in the output layer, 0.13 in the embeddings.
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, 4.4),
        ({"load_in_4bit": True, "bnb_4bit_use_double_quant": True}, 4.1),
        ({"quant_method": "bitsandbytes", "load_in_8bit": True}, 7.4),
        ({"quant_method": "awq", "bits": 4, "group_size": 128}, 4.1),
        ({"quant_method": "gptq", "bits": 4, "group_size": 128}, 4.6),
        ({"quant_method": "gptq", "bits": 8, "group_size": -1}, 7.7),
        ({"quant_method": "fp8"}, 7.4),
        (
            {
                "quant_method": "compressed-tensors",
                "config_groups": {"group_0": {"weights": {"num_bits": 4}}},
                "ignore": ["lm_head", "re:.*vision_tower.*"],
            },
            4.7,
        ),
        ({"quant_method": "unheard-of"}, 14.1),
    ],
    ids=str,
)
def test_a_quantised_model_is_estimated_by_its_bits(facts: dict[str, Any], gigabytes: float) -> None:
    assert needed(with_quantisation(**facts), torch.float16).weights == pytest.approx(gigabytes * 1e9, rel=0.03)


def test_the_quantisation_of_a_loaded_model_is_that_of_its_checkpoint() -> None:
    config: Any = LlavaConfig()
    config.quantization_config = BitsAndBytesConfig(load_in_8bit=True)
    assert quantisation_of(config) == quantisation_of(with_quantisation(quant_method="bitsandbytes", load_in_8bit=True))


def test_layers_that_are_left_out_of_the_quantisation_count_in_full() -> None:
    facts = {"quant_method": "bitsandbytes", "load_in_4bit": True}
    whole = needed(with_quantisation(**facts), torch.float16).weights
    partly = with_quantisation(**facts, llm_int8_skip_modules=["vision_tower", "lm_head"])
    assert needed(partly, torch.float16).weights > whole + 0.3e9


def test_a_4_bit_model_is_not_refused_where_it_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_quantisation(quant_method="bitsandbytes", load_in_4bit=True).save_pretrained(tmp_path)
    monkeypatch.setattr(memory, "free_bytes", lambda _device: 8_000_000_000)
    # It fits, so the missing weights are what is reported.
    with pytest.raises(OSError, match="has no weights"):
        load_in_half_precision(tmp_path)
    monkeypatch.setattr(memory, "free_bytes", lambda _device: 4_000_000_000)
    with pytest.raises(NotEnoughMemory, match=r"float16 and bitsandbytes with 4\.5 bits per weight needs 6\.\d+ GB"):
        load_in_half_precision(tmp_path)


def test_grouped_queries_need_a_smaller_cache() -> None:
    config = LlavaConfig(text_config={"model_type": "llama", "num_key_value_heads": 8})
    assert needed(config, torch.float16).cache == needed(LlavaConfig(), torch.float16).cache // 4
