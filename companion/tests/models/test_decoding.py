"""The own loop against the library's `generate`: the same tokens, from states that explain them."""

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

from patchlight.models.decoding import NonFiniteStates, Prefill, Step, UnheededGeneration, check_generation, decode
from patchlight.models.families.registry import Reading, extend
from patchlight.models.sampling import Sampling
from tests.helpers.tiny_models import KINDS, Tiny, save, tiny

TOKENS = 12


@pytest.fixture(params=KINDS)
def made(request: pytest.FixtureRequest) -> Tiny:
    return tiny(request.param)


@pytest.fixture
def llava() -> Tiny:
    return tiny("llava")


def ask(made: Tiny) -> Reading:
    pixels = np.random.default_rng(3).integers(0, 256, (90, 200, 3), dtype=np.uint8)
    return made.family.read(made.model, made.processor, Image.fromarray(pixels), "What is it?")


def steps(made: Tiny, **options: Any) -> list[Step]:
    prefill, *rest = decode(made.model, ask(made), Sampling(**{"max_new_tokens": TOKENS, **options}))
    assert isinstance(prefill, Prefill)
    return [step for step in rest if isinstance(step, Step)]


def generated(made: Tiny, **options: Any) -> list[int]:
    inputs = ask(made).inputs
    with torch.no_grad():
        found = methodcaller("generate", **inputs, max_new_tokens=TOKENS, **options)(made.model)
    return found[0, inputs["input_ids"].shape[1] :].tolist()


def test_a_greedy_answer_is_generate_s(made: Tiny) -> None:
    found = [step.token_id for step in steps(made)]
    assert found == generated(made, do_sample=False)
    assert len(set(found)) > 3, "an answer that repeats itself shows little"


@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.7, 1.0), (1.3, 0.8)])
def test_a_sampled_answer_is_generate_s_from_the_same_seed(made: Tiny, temperature: float, top_p: float) -> None:
    found = {}
    for seed in (0, 1):
        torch.manual_seed(seed)
        # The library keeps the 50 likeliest unless told otherwise; here nothing is cut but by top_p.
        wanted = generated(made, do_sample=True, temperature=temperature, top_p=top_p, top_k=0)
        found[seed] = [step.token_id for step in steps(made, temperature=temperature, top_p=top_p, seed=seed)]
        assert found[seed] == wanted
    assert found[0] != found[1]


def test_sampling_leaves_the_process_s_own_random_stream_alone(llava: Tiny) -> None:
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    steps(llava, temperature=1.0)
    assert torch.equal(torch.rand(3), wanted)


def test_a_step_s_state_gives_its_log_probabilities(made: Tiny) -> None:
    """1e-5: one row's product here, several rows' there."""
    for step in steps(made, temperature=0.9, alternatives=7):
        log_probs = made.model.lm_head(step.query_state).float().log_softmax(-1)
        assert step.log_prob == pytest.approx(log_probs[step.token_id].item(), abs=1e-5)
        values, ids = log_probs.topk(7)
        assert [token for token, _ in step.alternatives] == ids.tolist()
        np.testing.assert_allclose([score for _, score in step.alternatives], values.detach(), atol=1e-5)


def test_states_are_those_of_one_forward_pass_over_prompt_and_answer(made: Tiny) -> None:
    """The cache changes no state (1e-4: float32 sums in another order, through two layers and large random weights)."""
    reading = ask(made)
    prefill, *rest = decode(made.model, reading, Sampling(max_new_tokens=6))
    assert isinstance(prefill, Prefill)
    found = [step for step in rest if isinstance(step, Step)]
    with torch.no_grad():
        states = made.model.model(**extend(reading, [step.token_id for step in found])).last_hidden_state[0]
    n = reading.inputs["input_ids"].shape[1]
    pairs = [(prefill.patch_states, reading.patch_columns), (prefill.prompt_states, reading.prompt_columns)]
    pairs += [(step.query_state, torch.tensor(n - 1 + step.index)) for step in found]
    for given, columns in pairs:
        torch.testing.assert_close(given, states[columns], rtol=1e-3, atol=1e-4)


def test_an_end_token_ends_the_answer_and_is_its_last_step(llava: Tiny) -> None:
    free = [step.token_id for step in steps(llava)]
    for ends in (free[4], [free[4], free[7]]):
        llava.model.generation_config.eos_token_id = ends
        found = steps(llava)
        assert [step.token_id for step in found] == free[: free.index(free[4]) + 1] == generated(llava, do_sample=False)
        assert [step.is_end for step in found] == [False] * (len(found) - 1) + [True]


def test_an_answer_without_an_end_token_stops_at_its_limit(llava: Tiny) -> None:
    llava.model.generation_config.eos_token_id = None
    assert [step.index for step in steps(llava, max_new_tokens=3)] == [0, 1, 2]
    assert not any(step.is_end for step in steps(llava, max_new_tokens=3))


@pytest.mark.parametrize("after", [0, 1, 5])
def test_stop_ends_the_answer_within_a_token(llava: Tiny, after: int) -> None:
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


def test_a_closed_answer_lets_go_of_its_cache(llava: Tiny) -> None:
    """What the server relies on when a reader goes away in the middle."""
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
def test_a_model_s_own_repetition_penalty_is_kept_to(options: dict[str, Any]) -> None:
    made = tiny("qwen2.5-vl")
    plain = [step.token_id for step in steps(made, seed=2, temperature=options.get("temperature", 0))]
    made.model.generation_config.repetition_penalty = 4.0
    torch.manual_seed(2)
    wanted = generated(made, **options)
    found = steps(made, seed=2, temperature=options.get("temperature", 0))
    assert [step.token_id for step in found] == wanted != plain
    # What is said of the token is said of the model's own distribution.
    log_probs = made.model.lm_head(found[-1].query_state).log_softmax(-1)
    assert found[-1].log_prob == pytest.approx(log_probs[found[-1].token_id].item(), abs=1e-5)


@pytest.mark.parametrize(("name", "value"), [("no_repeat_ngram_size", 3), ("bad_words_ids", [[5]]), ("num_beams", 4)])
def test_what_this_loop_does_not_do_is_refused_by_name(llava: Tiny, name: str, value: Any) -> None:
    check_generation(llava.model)
    setattr(llava.model.generation_config, name, value)
    with pytest.raises(UnheededGeneration, match=name):
        steps(llava)


def test_a_model_s_advice_on_sampling_is_not_refused(llava: Tiny) -> None:
    for name, value in (("do_sample", True), ("temperature", 0.3), ("top_k", 1), ("top_p", 0.2)):
        setattr(llava.model.generation_config, name, value)
    free = [step.token_id for step in steps(llava)]
    assert free == generated(llava, do_sample=False)


def test_states_that_are_not_numbers_end_the_answer_with_an_error(llava: Tiny) -> None:
    with torch.no_grad():
        llava.family.layers(llava.model)[1].mlp.down_proj.weight.fill_(float("inf"))  # type: ignore[union-attr]
    for temperature in (0.0, 1.0):
        with pytest.raises(NonFiniteStates, match="token 0"):
            steps(llava, temperature=temperature)


def test_half_precision_states_come_in_the_model_s_own_dtype() -> None:
    made = tiny("llava")
    model: Any = made.model
    model.to(torch.bfloat16)
    prefill, step = decode(model, ask(made), Sampling(max_new_tokens=1))
    assert isinstance(prefill, Prefill)
    assert isinstance(step, Step)
    assert prefill.patch_states.dtype == prefill.prompt_states.dtype == step.query_state.dtype == torch.bfloat16


def test_a_model_that_accelerate_spread_over_devices_answers_alike(tmp_path: Path) -> None:
    """A layer on the disk stands for a second device: its inputs and outputs pass through the same hooks."""
    made = tiny("llava")
    save(made, tmp_path)
    whole = [name for name, _ in made.model.model.named_children() if name != "language_model"]
    parts = ["embed_tokens", "norm", "rotary_emb", "layers.0"]
    placed = {"lm_head": "cpu", **{f"model.{name}": "cpu" for name in whole}}
    placed |= {f"model.language_model.{name}": "cpu" for name in parts} | {"model.language_model.layers.1": "disk"}
    spread: Any = AutoModelForImageTextToText.from_pretrained(
        tmp_path, device_map=placed, offload_folder=tmp_path / "offload"
    )
    spread.generation_config = made.model.generation_config
    found = decode(spread, ask(made), Sampling(max_new_tokens=TOKENS))
    assert [step.token_id for step in found if isinstance(step, Step)] == [step.token_id for step in steps(made)]


@pytest.mark.gpu
def test_answers_on_a_gpu_are_generate_s(made: Tiny) -> None:
    model: Any = made.model
    model.to("cuda")
    inputs = {name: value.to("cuda") for name, value in ask(made).inputs.items()}
    n = inputs["input_ids"].shape[1]
    for temperature in (0.0, 1.0):
        torch.manual_seed(4)
        sampled = {"do_sample": True, "temperature": temperature, "top_k": 0} if temperature else {"do_sample": False}
        with torch.no_grad():
            wanted = methodcaller("generate", **inputs, max_new_tokens=TOKENS, **sampled)(model)[0, n:].tolist()
        assert [step.token_id for step in steps(made, temperature=temperature, seed=4)] == wanted


def test_a_reading_is_not_changed_by_answering(llava: Tiny) -> None:
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
def test_contradictory_sampling_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        Sampling(**options)
