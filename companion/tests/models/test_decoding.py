"""Test that the decoding loop chooses the same tokens as the library's `generate`, and yields the right states."""

import gc
import weakref
from collections.abc import Iterator
from operator import methodcaller
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText

from patchlight.models.decoding import NonFiniteStates, Prefill, Step, UnsupportedGeneration, check_generation, decode
from patchlight.models.families.registry import Reading, extend
from patchlight.models.language_model import logits_of
from patchlight.models.sampling import Sampling
from tests.helpers.tiny_models import KINDS, Tiny, save, tiny

TOKENS = 12


@pytest.fixture(params=KINDS)
def lvlm(request: pytest.FixtureRequest) -> Tiny:
    return tiny(request.param)


@pytest.fixture
def llava() -> Tiny:
    return tiny("llava")


def ask(lvlm: Tiny) -> Reading:
    pixels = np.random.default_rng(3).integers(0, 256, (90, 200, 3), dtype=np.uint8)
    return lvlm.family.read(lvlm.model, lvlm.processor, Image.fromarray(pixels), "What is it?")


def steps(lvlm: Tiny, **options: Any) -> list[Step]:
    prefill, *rest = decode(lvlm.model, ask(lvlm), Sampling(**{"max_new_tokens": TOKENS, **options}))
    assert isinstance(prefill, Prefill)
    return [step for step in rest if isinstance(step, Step)]


def generated(lvlm: Tiny, **options: Any) -> list[int]:
    inputs = ask(lvlm).inputs
    with torch.no_grad():
        actual = methodcaller("generate", **inputs, max_new_tokens=TOKENS, **options)(lvlm.model)
    return actual[0, inputs["input_ids"].shape[1] :].tolist()


def test_a_greedy_answer_equals_that_of_generate(lvlm: Tiny) -> None:
    actual = [step.token_id for step in steps(lvlm)]
    assert actual == generated(lvlm, do_sample=False)
    assert len(set(actual)) > 3, "a repetitive answer proves little"


@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.7, 1.0), (1.3, 0.8)])
def test_a_sampled_answer_equals_that_of_generate_with_the_same_seed(
    lvlm: Tiny, temperature: float, top_p: float
) -> None:
    actual = {}
    for seed in (0, 1):
        torch.manual_seed(seed)
        # top_k=0: by default `generate` samples from the 50 most likely tokens only.
        expected = generated(lvlm, do_sample=True, temperature=temperature, top_p=top_p, top_k=0)
        actual[seed] = [step.token_id for step in steps(lvlm, temperature=temperature, top_p=top_p, seed=seed)]
        assert actual[seed] == expected
    assert actual[0] != actual[1]


def test_sampling_does_not_use_the_global_random_stream(llava: Tiny) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    steps(llava, temperature=1.0)
    assert torch.equal(torch.rand(3), expected)


def test_log_probabilities_follow_from_the_query_state(lvlm: Tiny) -> None:
    """Tolerance 1e-5: matrix products of one row and of several rows round differently."""
    for step in steps(lvlm, temperature=0.9, alternatives=7):
        log_probs = logits_of(lvlm.model, step.query_state).float().log_softmax(-1)
        assert step.log_prob == pytest.approx(log_probs[step.token_id].item(), abs=1e-5)
        values, ids = log_probs.topk(7)
        assert [token for token, _ in step.alternatives] == ids.tolist()
        np.testing.assert_allclose([score for _, score in step.alternatives], values.detach(), atol=1e-5)


def test_states_equal_those_of_one_forward_pass_over_prompt_and_answer(lvlm: Tiny) -> None:
    """The cache does not change the states.

    Tolerance 1e-4: float32 sums in a different order, through two layers with large random weights.
    """
    reading = ask(lvlm)
    prefill, *rest = decode(lvlm.model, reading, Sampling(max_new_tokens=6))
    assert isinstance(prefill, Prefill)
    answer = [step for step in rest if isinstance(step, Step)]
    with torch.no_grad():
        states = lvlm.model.model(**extend(reading, [step.token_id for step in answer])).last_hidden_state[0]
    n = reading.inputs["input_ids"].shape[1]
    pairs = [(prefill.patch_states, reading.patch_columns), (prefill.prompt_states, reading.prompt_columns)]
    pairs += [(step.query_state, torch.tensor(n - 1 + step.index)) for step in answer]
    for actual, columns in pairs:
        torch.testing.assert_close(actual, states[columns], rtol=1e-3, atol=1e-4)


def test_the_end_token_is_the_last_step_of_the_answer(llava: Tiny) -> None:
    free = [step.token_id for step in steps(llava)]
    for ends in (free[4], [free[4], free[7]]):
        llava.model.generation_config.eos_token_id = ends
        actual = steps(llava)
        assert (
            [step.token_id for step in actual] == free[: free.index(free[4]) + 1] == generated(llava, do_sample=False)
        )
        assert [step.is_end for step in actual] == [False] * (len(actual) - 1) + [True]


def test_an_answer_without_an_end_token_stops_at_max_new_tokens(llava: Tiny) -> None:
    llava.model.generation_config.eos_token_id = None
    assert [step.index for step in steps(llava, max_new_tokens=3)] == [0, 1, 2]
    assert not any(step.is_end for step in steps(llava, max_new_tokens=3))


@pytest.mark.parametrize("after", [0, 1, 5])
def test_stop_ends_the_answer_before_the_next_forward_pass(llava: Tiny, after: int) -> None:
    taken: list[Step] = []
    passes = 0

    def count(*_: object) -> None:
        nonlocal passes
        passes += 1

    handle = llava.family.decoder(llava.model).register_forward_hook(count)
    try:
        for part in decode(llava.model, ask(llava), Sampling(max_new_tokens=TOKENS), stop=lambda: len(taken) >= after):
            if isinstance(part, Step):
                taken.append(part)
    finally:
        handle.remove()
    assert len(taken) == passes == after


def test_closing_an_answer_frees_its_cache(llava: Tiny) -> None:
    """When a client disconnects before the answer ends, the server closes the answer to free its memory."""
    answer: Iterator[Prefill | Step] = decode(llava.model, ask(llava), Sampling(max_new_tokens=TOKENS))
    prefill = next(answer)
    assert isinstance(prefill, Prefill)
    kept = weakref.ref(prefill.patch_states)
    next(answer)
    answer.close()  # type: ignore[attr-defined]
    del prefill, answer
    gc.collect()
    assert kept() is None


@pytest.mark.parametrize(
    "options", [{"do_sample": False}, {"do_sample": True, "temperature": 0.05, "top_k": 0}], ids=str
)
def test_the_model_s_repetition_penalty_is_applied(options: dict[str, Any]) -> None:
    lvlm = tiny("qwen2.5-vl")
    plain = [step.token_id for step in steps(lvlm, seed=2, temperature=options.get("temperature", 0))]
    lvlm.model.generation_config.repetition_penalty = 4.0
    torch.manual_seed(2)
    expected = generated(lvlm, **options)
    actual = steps(lvlm, seed=2, temperature=options.get("temperature", 0))
    assert [step.token_id for step in actual] == expected != plain
    # The reported log-probability comes from the raw distribution, without the penalty.
    log_probs = lvlm.model.lm_head(actual[-1].query_state).log_softmax(-1)
    assert actual[-1].log_prob == pytest.approx(log_probs[actual[-1].token_id].item(), abs=1e-5)


@pytest.mark.parametrize(("name", "value"), [("no_repeat_ngram_size", 3), ("bad_words_ids", [[5]]), ("num_beams", 4)])
def test_unsupported_generation_options_are_rejected_by_name(llava: Tiny, name: str, value: Any) -> None:
    check_generation(llava.model)
    setattr(llava.model.generation_config, name, value)
    with pytest.raises(UnsupportedGeneration, match=name):
        steps(llava)


def test_sampling_options_in_the_generation_config_are_accepted(llava: Tiny) -> None:
    for name, value in (("do_sample", True), ("temperature", 0.3), ("top_k", 1), ("top_p", 0.2)):
        setattr(llava.model.generation_config, name, value)
    free = [step.token_id for step in steps(llava)]
    assert free == generated(llava, do_sample=False)


def test_non_finite_states_end_the_answer_with_an_error(llava: Tiny) -> None:
    with torch.no_grad():
        llava.family.layers(llava.model)[1].mlp.down_proj.weight.fill_(float("inf"))  # type: ignore[union-attr]
    for temperature in (0.0, 1.0):
        with pytest.raises(NonFiniteStates, match="token 0"):
            steps(llava, temperature=temperature)


def test_states_have_the_model_s_dtype() -> None:
    lvlm = tiny("llava")
    model: Any = lvlm.model
    model.to(torch.bfloat16)
    prefill, step = decode(model, ask(lvlm), Sampling(max_new_tokens=1))
    assert isinstance(prefill, Prefill)
    assert isinstance(step, Step)
    assert prefill.patch_states.dtype == prefill.prompt_states.dtype == step.query_state.dtype == torch.bfloat16


def test_a_model_split_across_devices_gives_the_same_answer(tmp_path: Path) -> None:
    """A layer offloaded to disk stands in for a second device: its inputs and outputs pass through the same hooks."""
    lvlm = tiny("llava")
    save(lvlm, tmp_path)
    others = [name for name, _ in lvlm.model.model.named_children() if name != "language_model"]
    parts = ["embed_tokens", "norm", "rotary_emb", "layers.0"]
    device_map = {"lm_head": "cpu", **{f"model.{name}": "cpu" for name in others}}
    device_map |= {f"model.language_model.{name}": "cpu" for name in parts} | {"model.language_model.layers.1": "disk"}
    split: Any = AutoModelForImageTextToText.from_pretrained(
        tmp_path, device_map=device_map, offload_folder=tmp_path / "offload"
    )
    split.generation_config = lvlm.model.generation_config
    actual = decode(split, ask(lvlm), Sampling(max_new_tokens=TOKENS))
    assert [step.token_id for step in actual if isinstance(step, Step)] == [step.token_id for step in steps(lvlm)]


@pytest.mark.gpu
def test_answers_on_a_gpu_equal_those_of_generate(lvlm: Tiny) -> None:
    model: Any = lvlm.model
    model.to("cuda")
    inputs = {name: value.to("cuda") for name, value in ask(lvlm).inputs.items()}
    n = inputs["input_ids"].shape[1]
    for temperature in (0.0, 1.0):
        torch.manual_seed(4)
        sampled = {"do_sample": True, "temperature": temperature, "top_k": 0} if temperature else {"do_sample": False}
        with torch.no_grad():
            expected = methodcaller("generate", **inputs, max_new_tokens=TOKENS, **sampled)(model)[0, n:].tolist()
        assert [step.token_id for step in steps(lvlm, temperature=temperature, seed=4)] == expected


def test_decoding_does_not_modify_the_inputs(llava: Tiny) -> None:
    reading = ask(llava)
    before = {name: value.clone() for name, value in reading.inputs.items()}
    list(decode(llava.model, reading, Sampling(max_new_tokens=2)))
    assert set(reading.inputs) == set(before)
    assert all(torch.equal(reading.inputs[name], value) for name, value in before.items())


@pytest.mark.parametrize(
    "options",
    [{"max_new_tokens": 0}, {"temperature": -1}, {"top_p": 0}, {"top_p": 1.5}, {"alternatives": 0}, {"top_p": 0.9}],
    ids=str,
)
def test_invalid_sampling_options_are_rejected(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        Sampling(**options)
