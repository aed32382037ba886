"""The estimate of a method's memory against what torch's allocator gave out, and the refusal that is made of it."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from PIL import Image
from torch.profiler import ProfilerActivity, profile
from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

from patchlight.methods.answer import Answer
from patchlight.methods.explain import METHODS, BudgetExceeded, Cost, Method, explain
from patchlight.methods.memory_estimate import sizes_of, wanted_bytes
from patchlight.methods.peak_memory import peak_memory
from patchlight.models.loading import Loaded
from patchlight.models.reading import Reading
from tests.helpers.serving import wait_until
from tests.helpers.tiny_models import KINDS, tiny

ANSWER = [40, 41, 90, 41] * 3


def asked(kind: str) -> tuple[Loaded, Reading]:
    made = tiny(kind)
    picture = Image.effect_noise((400, 260), 80).convert("RGB")
    reading = made.family.read(made.model, made.processor, picture, "What is it?")
    return Loaded(made.model, made.processor, made.family, kind, "0", 32, torch.float32, made.model.device), reading


def allocated_peak(run: Callable[[], object]) -> int:
    """Bytes above the start, of every allocation and release of torch's own allocator, one by one."""
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
def test_no_method_takes_more_than_its_estimate(kind: str, method: Method):
    loaded, reading = asked(kind)
    wanted = wanted_bytes(method, sizes_of(Answer(loaded, reading, tuple(ANSWER), (3, 1))))
    real = allocated_peak(lambda: list(explain(loaded, reading, ANSWER, method, [3, 1])))
    assert real <= wanted, f"{wanted / real:.2f} times what was taken"
    # Nor so much less that what fits would be refused; vectors, which small models consist of, are counted generously.
    assert wanted <= max(8 * real, 1e5), f"{wanted / real:.2f} times what was taken"


@pytest.mark.parametrize("method", ["chefer", "chefer-incremental", "rollout", "gradcam", "dex-ar"])
def test_where_attention_is_what_counts_the_estimate_is_close(method: Method):
    loaded, reading = asked("gemma3-crops")
    wanted = wanted_bytes(method, sizes_of(Answer(loaded, reading, tuple(ANSWER), (3, 1))))
    real = allocated_peak(lambda: list(explain(loaded, reading, ANSWER, method, [3, 1])))
    assert wanted <= 2 * real


def test_the_measured_peak_is_what_was_in_use_at_once():
    with peak_memory(torch.device("cpu")) as peak:
        kept = torch.ones(30_000_000)
        wait_until(lambda: peak() > 115e6, "a sample was taken")
        del kept
        torch.ones(10_000_000)
    assert 115e6 < peak() <= 135e6


def test_a_method_over_budget_is_refused_with_the_numbers_before_anything_is_run(monkeypatch: pytest.MonkeyPatch):
    loaded, reading = asked("llava-next")
    monkeypatch.setattr("patchlight.methods.answer.decoder_call", None)
    wanted = wanted_bytes("chefer", sizes_of(Answer(loaded, reading, tuple(ANSWER), (0,))))
    with pytest.raises(BudgetExceeded) as refused:
        explain(loaded, reading, ANSWER, "chefer", [0], budget_bytes=wanted - 1)
    assert (refused.value.wanted_bytes, refused.value.budget_bytes) == (wanted, wanted - 1)
    words = str(refused.value)
    assert "chefer over 111 columns (100 of the prompt with its picture, 11 of the answer)" in words
    assert "in 2 layers of 4 heads may take" in words
    assert "columns would fit, and these methods fit as it is: " in words
    assert "tam" in words
    with pytest.raises(BudgetExceeded, match="not even a short prompt would fit, and no other method fits as it is"):
        explain(loaded, reading, ANSWER, "chefer", [0], budget_bytes=1)


def test_a_method_within_budget_is_run():
    loaded, reading = asked("llava")
    wanted = wanted_bytes("chefer", sizes_of(Answer(loaded, reading, tuple(ANSWER), (0,))))
    *_, cost = explain(loaded, reading, ANSWER, "chefer", [0], budget_bytes=wanted)
    assert isinstance(cost, Cost)
    assert cost.tokens == 1


def test_what_fits_is_what_the_words_say():
    loaded, reading = asked("llava-next")
    sizes = sizes_of(Answer(loaded, reading, tuple(ANSWER), (0,)))
    budget = wanted_bytes("chefer", sizes._replace(prompt=60))
    with pytest.raises(BudgetExceeded, match=r": 71 columns would fit"):
        explain(loaded, reading, ANSWER, "chefer", [0], budget_bytes=budget)


def test_a_7b_model_s_exact_maps_are_estimated_from_its_shape_alone():
    """At 700 columns: 32 x 32 x 700^2 x 4 bytes of attention are 2.0 GB, activations of 32 layers about as much."""
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
    loaded, reading = asked("llava")
    pixels = {"input_ids": torch.zeros(1, 620), "pixel_values": torch.zeros(1, 3, 336, 336)}
    reading = reading._replace(inputs=pixels, patch_columns=torch.arange(576))
    big = loaded._replace(model=model, dtype=torch.bfloat16)
    wanted = wanted_bytes("chefer", sizes_of(Answer(big, reading, tuple([5] * 81), (0,))))
    assert 2.0e9 + 1e9 < wanted < 8e9
