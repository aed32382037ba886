"""Compare the memory estimate with torch's actual allocations, and test the error for exceeding the budget."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from PIL import Image
from torch.profiler import ProfilerActivity, profile
from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

from patchlight.methods.answer import Answer
from patchlight.methods.explain import BudgetExceeded, Cost, explain
from patchlight.methods.memory_estimate import estimated_bytes, sizes_of
from patchlight.methods.names import METHODS, Method
from patchlight.methods.peak_memory import _allocated_bytes, peak_memory
from patchlight.methods.support import refused_methods
from patchlight.models.loading import Loaded
from patchlight.models.reading import Reading
from tests.helpers.tiny_models import KINDS, tiny

ANSWER = [40, 41, 90, 41] * 3


def tiny_reading(kind: str) -> tuple[Loaded, Reading]:
    lvlm = tiny(kind)
    image = Image.effect_noise((400, 260), 80).convert("RGB")
    reading = lvlm.family.read(lvlm.model, lvlm.processor, image, "What is it?")
    return Loaded(lvlm.model, lvlm.processor, lvlm.family, kind, "0", 32, torch.float32, lvlm.model.device), reading


def allocated_peak(run: Callable[[], object]) -> int:
    """Return the peak memory above the initial level, in bytes.

    It is computed from every allocation and release in torch's allocator.
    """
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        run()
    now = peak = 0
    assert recorded.profiler is not None
    assert recorded.profiler.kineto_results is not None
    events: list[Any] = recorded.profiler.kineto_results.events()
    for event in events:
        if event.name() == "[memory]":
            now += event.nbytes()
            peak = max(peak, now)
    return peak


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", KINDS)
def test_no_method_allocates_more_than_estimated(kind: str, method: Method):
    loaded, reading = tiny_reading(kind)
    if method in refused_methods(loaded.model):
        pytest.skip("the model rules this method out; test_family_gate.py says which")
    estimate = estimated_bytes(method, sizes_of(Answer(loaded, reading, tuple(ANSWER), (3, 1))))
    actual = allocated_peak(lambda: list(explain(loaded, reading, ANSWER, method, [3, 1])))
    assert actual <= estimate, f"the estimate is {estimate / actual:.2f} times the actual peak"
    # The estimate must not be so high that requests that would fit are rejected. The limit is loose, because vectors
    # dominate in tiny models and are overestimated.
    assert estimate <= max(8 * actual, 1e5), f"the estimate is {estimate / actual:.2f} times the actual peak"


@pytest.mark.parametrize("method", ["chefer", "chefer-incremental", "rollout", "gradcam", "dex-ar"])
def test_the_estimate_is_close_if_attention_dominates(method: Method):
    loaded, reading = tiny_reading("gemma3-crops")
    estimate = estimated_bytes(method, sizes_of(Answer(loaded, reading, tuple(ANSWER), (3, 1))))
    actual = allocated_peak(lambda: list(explain(loaded, reading, ANSWER, method, [3, 1])))
    assert estimate <= 2 * actual


def test_the_measured_peak_counts_memory_in_use_at_the_same_time(monkeypatch: pytest.MonkeyPatch):
    in_use = _allocated_bytes()
    before, was_sampled = in_use(), threading.Event()

    def watched() -> int:
        value = in_use()
        if value - before > 115e6 and threading.current_thread() is not threading.main_thread():
            was_sampled.set()
        return value

    monkeypatch.setattr("patchlight.methods.peak_memory._allocated_bytes", lambda: watched)
    with peak_memory(torch.device("cpu")) as peak:
        kept = torch.ones(30_000_000)
        assert was_sampled.wait(60)
        del kept
        torch.ones(10_000_000)
    assert 115e6 < peak() <= 135e6


def test_a_method_over_budget_is_rejected_with_both_sizes_before_it_runs(monkeypatch: pytest.MonkeyPatch):
    loaded, reading = tiny_reading("llava-next")
    monkeypatch.setattr("patchlight.methods.answer.decoder_call", None)
    required = estimated_bytes("chefer", sizes_of(Answer(loaded, reading, tuple(ANSWER), (0,))))
    with pytest.raises(BudgetExceeded) as caught:
        explain(loaded, reading, ANSWER, "chefer", [0], budget_bytes=required - 1)
    assert (caught.value.required_bytes, caught.value.budget_bytes) == (required, required - 1)
    message = str(caught.value)
    assert "chefer over 111 columns (100 of prompt and image, 11 of the answer)" in message
    assert "in 2 layers of 4 heads may need" in message
    assert "columns would fit, and these methods fit unchanged: " in message
    assert "tam" in message
    with pytest.raises(BudgetExceeded, match="not even a short prompt would fit, and no other method fits"):
        explain(loaded, reading, ANSWER, "chefer", [0], budget_bytes=1)


def test_a_method_within_budget_runs():
    loaded, reading = tiny_reading("llava")
    required = estimated_bytes("chefer", sizes_of(Answer(loaded, reading, tuple(ANSWER), (0,))))
    *_, cost = explain(loaded, reading, ANSWER, "chefer", [0], budget_bytes=required)
    assert isinstance(cost, Cost)
    assert cost.tokens == 1


def test_the_error_states_how_many_columns_would_fit():
    loaded, reading = tiny_reading("llava-next")
    sizes = sizes_of(Answer(loaded, reading, tuple(ANSWER), (0,)))
    budget = estimated_bytes("chefer", sizes._replace(prompt=60))
    with pytest.raises(BudgetExceeded, match=r": 71 columns would fit"):
        explain(loaded, reading, ANSWER, "chefer", [0], budget_bytes=budget)


def test_a_7b_model_s_exact_maps_are_estimated_from_its_shape_alone():
    """At 700 columns: 32 x 32 x 700^2 x 4 bytes = 2.0 GB of attention, and about as much for 32 layers' activations."""
    with torch.device("meta"):
        text = LlamaConfig(
            hidden_size=4096, intermediate_size=11008, num_hidden_layers=32, num_attention_heads=32, vocab_size=32064
        )
        vision = CLIPVisionConfig(
            hidden_size=1024,
            intermediate_size=4096,
            num_hidden_layers=24,
            num_attention_heads=16,
            image_size=336,
            patch_size=14,
        )
        model = LlavaForConditionalGeneration(
            LlavaConfig(vision_config=vision, text_config=text, image_token_index=32000)
        )
    loaded, reading = tiny_reading("llava")
    inputs = {"input_ids": torch.zeros(1, 620), "pixel_values": torch.zeros(1, 3, 336, 336)}
    reading = reading._replace(inputs=inputs, patch_columns=torch.arange(576))
    big = loaded._replace(model=model, dtype=torch.bfloat16)
    estimate = estimated_bytes("chefer", sizes_of(Answer(big, reading, tuple([5] * 81), (0,))))
    assert 2.0e9 + 1e9 < estimate < 8e9


@pytest.mark.parametrize("listed", [list, tuple], ids=str)
@pytest.mark.parametrize("kind", ["llava", "llava-siglip-gemma", "qwen2.5-vl", "idefics3", "gemma3"])
def test_a_config_may_give_sizes_as_height_and_width(kind: str, listed: Callable[[Any], Any]):
    loaded, reading = tiny_reading(kind)
    answer = Answer(loaded, reading, tuple(ANSWER), (3, 1))
    expected = sizes_of(answer)
    vision = loaded.model.config.vision_config
    for name in ("patch_size", "image_size"):
        if hasattr(vision, name):
            setattr(vision, name, listed([getattr(vision, name)] * 2))
    assert sizes_of(answer) == expected


def test_patches_need_not_be_square():
    loaded, reading = tiny_reading("llava")
    answer = Answer(loaded, reading, tuple(ANSWER), (3, 1))
    vision = loaded.model.config.vision_config
    vision.patch_size = [14, 7]
    halves = sizes_of(answer).vision
    vision.patch_size = [7, 14]
    assert sizes_of(answer).vision == halves
    vision.patch_size = 14
    assert halves > sizes_of(answer).vision
