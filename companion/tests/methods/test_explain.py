"""Compare each method's maps with a slow reference implementation on a model of each family, and test `explain`."""

from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import eager_mask

from patchlight.head.labels import label_answer
from patchlight.methods.attention import attention_of_heads
from patchlight.methods.attention_hooks.decoder_call import decoder_call
from patchlight.methods.dex_ar import sequence_map
from patchlight.methods.explain import Check, Cost, MethodMap, explain
from patchlight.methods.names import METHODS, Method
from patchlight.methods.tam import rank_gaussian
from patchlight.models.decoding import Step, decode
from patchlight.models.families.registry import extend
from patchlight.models.loading import Loaded
from patchlight.models.reading import Reading
from patchlight.models.sampling import Sampling
from tests.helpers import plain_methods as plain
from tests.helpers.tiny_models import ONE_PER_DECODER, Tiny, tiny

ANSWER = [40, 41, 90, 41]


def read(lvlm: Tiny) -> Reading:
    image = Image.effect_noise((90, 60), 80).convert("RGB")
    return lvlm.family.read(lvlm.model, lvlm.processor, image, "What is it?")


def loaded(lvlm: Tiny) -> Loaded:
    model = lvlm.model
    return Loaded(model, lvlm.processor, lvlm.family, "tiny", "0", 32, torch.float32, model.device)


def maps_of(lvlm: Tiny, reading: Reading, method: Method, tokens: list[int], **options: Any) -> list[MethodMap]:
    events = list(explain(loaded(lvlm), reading, ANSWER, method, tokens, **options))
    return [event for event in events if isinstance(event, MethodMap)]


def assert_close(actual: Tensor, expected: Tensor) -> None:
    """Both sides are float32 sums taken in different orders, so they may differ by 2e-4 of the largest value."""
    assert actual.dtype == torch.float32
    assert actual.shape == expected.shape
    difference = (actual.double() - expected.double()).abs().max()
    assert difference <= 2e-4 * expected.abs().max() + 1e-12, f"{difference:.3g} of {expected.abs().max():.3g}"


@pytest.mark.parametrize("method", list(plain.ROWS))
@pytest.mark.parametrize("kind", ONE_PER_DECODER)
def test_maps_equal_the_matrix_form_over_patches_prompt_and_answer(kind: str, method: Any):
    lvlm = tiny(kind)
    reading = read(lvlm)
    maps, start = maps_of(lvlm, reading, method, [0, 1, 2, 3]), reading.inputs["input_ids"].shape[1]
    for t, token_map in enumerate(maps):
        row = plain.ROWS[method](lvlm, plain.prefix_pass(lvlm, reading, ANSWER[:t]), ANSWER[t])
        assert token_map.prompt is not None
        assert token_map.answer is not None
        parts = torch.cat([token_map.patches, token_map.prompt, token_map.answer])
        columns = [*reading.patch_columns.tolist(), *reading.prompt_columns.tolist(), *range(start, start + t)]
        assert_close(parts, row[columns])
        assert token_map.answer.shape == (t,)
    assert max(float(token_map.patches.max()) for token_map in maps) > 0


@pytest.mark.parametrize("kind", ONE_PER_DECODER)
def test_the_attention_of_heads_equals_the_library_s_eager_attention(kind: str):
    lvlm = tiny(kind)
    reading = read(lvlm)
    call = decoder_call(lvlm.model, lvlm.family.decoder(lvlm.model), extend(reading, ANSWER))
    start = reading.inputs["input_ids"].shape[1]
    rows = attention_of_heads(call, torch.arange(len(ANSWER)) + start - 1, reading.patch_columns)
    for t in range(len(ANSWER)):
        eager = plain.prefix_pass(lvlm, reading, ANSWER[:t]).attentions
        assert_close(rows[t], torch.cat([a[0, :, -1, reading.patch_columns] for a in eager]).detach().float())


@pytest.mark.parametrize("kind", [kind for kind in ONE_PER_DECODER if kind != "gemma4"])
def test_feature_gradcam_equals_the_reference(kind: str):
    lvlm = tiny(kind)
    reading = read(lvlm)
    maps = maps_of(lvlm, reading, "feature-gradcam", [0, 1, 2, 3])
    for t, token_map in enumerate(maps):
        assert_close(token_map.patches, plain.feature_gradcam(lvlm, reading, ANSWER[:t], ANSWER[t]))
        assert token_map.prompt is None
    assert max(float(token_map.patches.max()) for token_map in maps) > 0


@pytest.mark.parametrize("kind", [*ONE_PER_DECODER, "vip-llava"])
def test_dex_ar_equals_the_reference(kind: str):
    lvlm = tiny(kind)
    reading = read(lvlm)
    maps = maps_of(lvlm, reading, "dex-ar", [0, 1, 2, 3])
    expected = plain.dex_ar(lvlm, reading, ANSWER)
    assert_close(torch.stack([token_map.patches for token_map in maps]), expected.maps)
    assert_close(torch.tensor([token_map.grounding for token_map in maps]), expected.deltas)
    assert_close(sequence_map(maps), (expected.deltas[:, None] * expected.maps).sum(0))


def test_some_tiny_model_s_tokens_are_grounded_and_some_are_not():
    lvlm = tiny("vip-llava")
    deltas = [token_map.grounding or 0.0 for token_map in maps_of(lvlm, read(lvlm), "dex-ar", [0, 1, 2, 3])]
    assert min(deltas) == 0 < max(deltas)


def test_dex_ar_of_one_token_does_not_depend_on_the_other_tokens_requested():
    lvlm = tiny("vip-llava")
    reading = read(lvlm)
    every = maps_of(lvlm, reading, "dex-ar", [0, 1, 2, 3])
    alone = maps_of(lvlm, reading, "dex-ar", [2])[0]
    torch.testing.assert_close(alone.patches, every[2].patches, rtol=0, atol=0)


def test_a_sequence_map_of_maps_without_token_weights_is_rejected():
    lvlm = tiny("llava")
    with pytest.raises(ValueError, match="needs DEX-AR's maps"):
        sequence_map(maps_of(lvlm, read(lvlm), "rollout", [0]))


@pytest.mark.parametrize("kind", ONE_PER_DECODER)
def test_tam_equals_the_reference(kind: str):
    lvlm = tiny(kind)
    reading = read(lvlm)
    maps = maps_of(lvlm, reading, "tam", [0, 1, 2, 3])
    for t, token_map in enumerate(maps):
        expected = plain.tam(lvlm, reading, ANSWER, t)
        assert token_map.prompt is not None
        assert token_map.answer is not None
        # Values between 0 and 1, computed from float32 states; subtracting similar numbers loses precision.
        for part, reference in zip((token_map.patches, token_map.prompt, token_map.answer), expected, strict=True):
            torch.testing.assert_close(part.double(), torch.from_numpy(reference), atol=2e-5, rtol=1e-4)
    assert max(float(token_map.patches.max()) for token_map in maps) > 0


def test_the_rank_filter_keeps_a_constant_grid_and_flattens_a_single_spike():
    torch.testing.assert_close(
        torch.from_numpy(rank_gaussian(torch.full((4, 5), 0.3).double().numpy())), torch.full((4, 5), 0.3).double()
    )
    spike = torch.full((5, 5), 0.1).double()
    spike[2, 2] = 0.2
    assert rank_gaussian(spike.numpy())[2, 2] < 0.11
    line = torch.rand(1, 6, generator=torch.Generator().manual_seed(0)).double().numpy()
    expected = [plain.rank_gaussian_at(line, 0, col) for col in range(6)]
    assert rank_gaussian(line)[0].tolist() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("kind", ["llava", "gemma3"])
def test_incremental_maps_equal_the_labels(kind: str):
    lvlm = tiny(kind)
    reading = read(lvlm)
    expected = label_answer(lvlm.model, lvlm.family, reading, ANSWER, teacher="chefer-incremental").relevancy
    maps = maps_of(lvlm, reading, "chefer-incremental", [2, 0])
    for token_map in maps:
        torch.testing.assert_close(token_map.patches, expected[token_map.token_index], atol=2e-6, rtol=2e-4)
    assert [token_map.token_index for token_map in maps] == [2, 0]


def test_random_maps_are_seeded_by_token_and_are_means_of_five():
    lvlm = tiny("llava-next")
    reading = read(lvlm)
    first, second = maps_of(lvlm, reading, "random", [0, 1], seed=5)
    assert torch.equal(first.patches, maps_of(lvlm, reading, "random", [0], seed=5)[0].patches)
    assert not torch.equal(first.patches, second.patches)
    assert not torch.equal(first.patches, maps_of(lvlm, reading, "random", [0], seed=6)[0].patches)
    many = torch.cat(
        [token_map.patches for seed in range(60) for token_map in maps_of(lvlm, reading, "random", [0], seed=seed)]
    )
    # 3840 means of five uniform values, each with expectation 1/2 and standard deviation sqrt(1/12/5) = 0.129.
    assert abs(float(many.mean()) - 0.5) < 0.01
    assert abs(float(many.std()) - 0.129) < 0.01


@pytest.mark.parametrize("method", METHODS)
def test_check_comes_first_and_cost_last(method: Method):
    lvlm = tiny("llava")
    events = list(explain(loaded(lvlm), read(lvlm), ANSWER, method, [3, 1]))
    kinds = [type(event) for event in events]
    assert kinds == [*([Check] if method != "random" else []), MethodMap, MethodMap, Cost]
    cost = events[-1]
    assert isinstance(cost, Cost)
    assert cost.tokens == 2
    assert cost.ms >= sum(event.ms for event in events if isinstance(event, MethodMap)) * 0.999
    backward = {"chefer": 2, "chefer-incremental": 4, "gradcam": 1, "feature-gradcam": 2, "dex-ar": 2}
    assert cost.backward_passes == backward.get(method, 0)
    # The method's own pass, and the ordinary pass for the check.
    assert cost.forward_passes == {"chefer-incremental": 2 + 4, "random": 0}.get(method, 2)


@pytest.mark.parametrize("method", [name for name in METHODS if name != "random"])
def test_the_explained_pass_agrees_with_the_streamed_answer(method: Method):
    lvlm = tiny("gemma3")
    model: Any = lvlm.model
    with torch.no_grad():
        model.lm_head.weight[:40] = 0  # so the answer contains no special tokens, such as the image token
    reading = read(lvlm)
    steps = [step for step in decode(lvlm.model, reading, Sampling(max_new_tokens=4)) if isinstance(step, Step)]
    ids, log_probs = [step.token_id for step in steps], [step.log_prob for step in steps]
    check, *_, cost = explain(loaded(lvlm), reading, ids, method, [3], log_probs=log_probs)
    assert isinstance(check, Check)
    assert isinstance(cost, Cost)
    assert check.is_same
    # Sums with and without a cache round differently; log-probabilities are a few nats.
    assert check.largest_difference < 1e-4
    assert cost.forward_passes == {"chefer-incremental": 1 + 4}.get(method, 1)
    log_probs[1] -= 0.25
    check = next(explain(loaded(lvlm), reading, ids, method, [3], log_probs=log_probs))
    assert isinstance(check, Check)
    assert check.largest_difference == pytest.approx(0.25, abs=1e-3)


@pytest.mark.parametrize("method", ["chefer", "tam"])
def test_a_sampled_answer_agrees_if_its_tokens_are_as_likely_as_when_streamed(method: Method):
    lvlm = tiny("llava")
    reading = read(lvlm)
    log_probs: list[float] = []
    with torch.no_grad():
        for t, token in enumerate(ANSWER):  # none of these is the most likely token
            logits = plain.prefix_pass(lvlm, reading, ANSWER[:t]).logits
            assert int(logits.argmax()) != token
            log_probs.append(float(logits.log_softmax(-1)[token]))

    def checked(streamed: list[float]) -> Check:
        check = next(explain(loaded(lvlm), reading, ANSWER, method, [0], log_probs=streamed))
        assert isinstance(check, Check)
        return check

    assert checked(log_probs).is_same
    log_probs[2] += 0.1  # both passes agree with each other, but not with the streamed values
    assert not checked(log_probs).is_same


def test_the_check_fails_if_the_model_s_own_attention_gives_other_results():
    def other(module: Any, query: Any, key: Any, value: Any, attention_mask: Any, **_: Any) -> Any:
        return torch.zeros_like(query).transpose(1, 2), None

    AttentionInterface.register("patchlight_test_other", other)
    AttentionMaskInterface.register("patchlight_test_other", eager_mask)
    lvlm = tiny("llava")
    decoder: Any = lvlm.family.decoder(lvlm.model)
    decoder.config._attn_implementation = "patchlight_test_other"
    check = next(explain(loaded(lvlm), read(lvlm), ANSWER, "rollout", [0]))
    assert isinstance(check, Check)
    assert not check.is_same
    assert check.largest_difference > 0.01


@pytest.mark.parametrize("method", METHODS)
def test_a_stopped_explanation_ends_with_its_cost(method: Method):
    lvlm = tiny("llava")
    calls = iter([False, False])

    def stop() -> bool:
        return next(calls, True)

    *before, cost = explain(loaded(lvlm), read(lvlm), ANSWER, method, [0, 1, 2, 3], stop=stop)
    assert isinstance(cost, Cost)
    assert cost.tokens == sum(isinstance(event, MethodMap) for event in before) < 4
    assert cost.peak_bytes >= 0


def test_incremental_chefer_can_be_stopped_between_the_passes_for_one_token():
    lvlm = tiny("llava")
    calls = iter([False, False, False])  # called before the check and before two of the token's four passes

    def stop() -> bool:
        return next(calls, True)

    *_, cost = explain(loaded(lvlm), read(lvlm), ANSWER, "chefer-incremental", [3], stop=stop)
    assert isinstance(cost, Cost)
    assert (cost.tokens, cost.backward_passes) == (0, 2)


@pytest.mark.parametrize("method", METHODS)
def test_the_model_is_restored_between_maps_and_after_them(method: Method):
    lvlm = tiny("smolvlm")
    model: Any = lvlm.model

    def state() -> tuple[Any, ...]:
        configs = [part.config._attn_implementation for part in model.modules() if hasattr(part, "config")]
        hooks = sum(len(part._forward_hooks) + len(part._forward_pre_hooks) for part in model.modules())
        return configs, hooks, all(p.requires_grad for p in model.parameters()), torch.is_grad_enabled()

    reading, before = read(lvlm), state()
    for _ in explain(loaded(lvlm), reading, ANSWER, method, [0, 3]):
        assert state() == before


@pytest.mark.parametrize(
    ("tokens", "answer", "method", "message"),
    [
        ([4], ANSWER, "chefer", "token index 4 is outside the answer: expected 0 to 3"),
        ([-1], ANSWER, "tam", "token index -1 is outside the answer: expected 0 to 3"),
        ([], ANSWER, "chefer", "no token to explain"),
        ([1, 1], ANSWER, "chefer", "contain a duplicate"),
        ([0], [10**6], "chefer", "token id 1000000 is outside the model's vocabulary of"),
        ([0], ANSWER, "saliency", "method must be one of chefer.*, got 'saliency'"),
    ],
)
def test_an_invalid_request_is_rejected_before_anything_runs(
    tokens: list[int], answer: list[int], method: Any, message: str
):
    lvlm = tiny("llava")
    with pytest.raises(ValueError, match=message):
        explain(loaded(lvlm), read(lvlm), answer, method, tokens)


def test_an_answer_with_the_image_token_is_rejected():
    lvlm = tiny("llava")
    reading = read(lvlm)
    token = int(reading.inputs["input_ids"][0, reading.patch_columns[0]])
    with pytest.raises(ValueError, match="stands for an image"):
        explain(loaded(lvlm), reading, [40, token], "tam", [0])


def test_log_probabilities_of_another_answer_are_rejected():
    lvlm = tiny("llava")
    with pytest.raises(ValueError, match="got 3 log-probabilities for an answer of 4 tokens"):
        explain(loaded(lvlm), read(lvlm), ANSWER, "tam", [0], log_probs=[-1.0] * 3)


@pytest.mark.parametrize("name", ["patchlight_observed", "patchlight_recorded"])
@pytest.mark.parametrize("option", ["softcap", "s_aux"])
def test_attention_with_a_modified_softmax_is_rejected_by_name(name: str, option: str):
    attention: Any = AttentionInterface()[name]
    module: Any = torch.nn.Linear(1, 1)
    q = torch.ones(1, 2, 3, 4)
    with pytest.raises(ValueError, match=f"Linear uses {option}, for which relevancy is not defined"):
        attention(module, q, q, q, torch.zeros(1, 1, 3, 3), **{option: 50.0})
    with pytest.raises(ValueError, match="expected a causal decoder"):
        attention(module, q, q, q, None)
