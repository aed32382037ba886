"""Each method's maps against a slow plain form of the same equations, on a model of each family; and the one call."""

from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import eager_mask

from patchlight.head.labels import label_answer
from patchlight.methods.dex_ar import sequence_map
from patchlight.methods.explain import Check, Cost, MethodMap, explain
from patchlight.methods.names import METHODS, Method
from patchlight.methods.tam import rank_gaussian
from patchlight.models.decoding import Step, decode
from patchlight.models.loading import Loaded
from patchlight.models.reading import Reading
from patchlight.models.sampling import Sampling
from tests.helpers import plain_methods as plain
from tests.helpers.tiny_models import Tiny, tiny

ANSWER = [40, 41, 90, 41]
# One of each text model and each kind of mask, as in head/test_labels.py; the others differ in how they read pictures.
FAMILIES = ["llava", "llava-siglip-gemma", "llava-next", "qwen2.5-vl", "smolvlm", "gemma3"]


def read(made: Tiny) -> Reading:
    picture = Image.effect_noise((90, 60), 80).convert("RGB")
    return made.family.read(made.model, made.processor, picture, "What is it?")


def loaded(made: Tiny) -> Loaded:
    model = made.model
    return Loaded(model, made.processor, made.family, "tiny", "0", 32, torch.float32, model.device)


def maps_of(made: Tiny, reading: Reading, method: Method, tokens: list[int], **options: Any) -> list[MethodMap]:
    events = list(explain(loaded(made), reading, ANSWER, method, tokens, **options))
    return [event for event in events if isinstance(event, MethodMap)]


def assert_alike(found: Tensor, wanted: Tensor) -> None:
    """float32 passes on both sides, summed in different orders: apart by at most 2e-4 of the largest value."""
    assert found.dtype == torch.float32
    assert found.shape == wanted.shape
    apart = (found.double() - wanted.double()).abs().max()
    assert apart <= 2e-4 * wanted.abs().max() + 1e-12, f"{apart:.3g} of {wanted.abs().max():.3g}"


@pytest.mark.parametrize("method", list(plain.ROWS))
@pytest.mark.parametrize("kind", FAMILIES)
def test_a_row_is_the_matrix_form_s_over_patches_prompt_and_answer(kind: str, method: Any):
    made = tiny(kind)
    reading = read(made)
    maps, start = maps_of(made, reading, method, [0, 1, 2, 3]), reading.inputs["input_ids"].shape[1]
    for t, found in enumerate(maps):
        row = plain.ROWS[method](made, plain.prefix_pass(made, reading, ANSWER[:t]), ANSWER[t])
        assert found.prompt is not None
        assert found.answer is not None
        parts = torch.cat([found.patches, found.prompt, found.answer])
        columns = [*reading.patch_columns.tolist(), *reading.prompt_columns.tolist(), *range(start, start + t)]
        assert_alike(parts, row[columns])
        assert found.answer.shape == (t,)
    assert max(float(found.patches.max()) for found in maps) > 0


@pytest.mark.parametrize("kind", FAMILIES)
def test_feature_gradcam_is_that_of_kept_gradients(kind: str):
    made = tiny(kind)
    reading = read(made)
    maps = maps_of(made, reading, "feature-gradcam", [0, 1, 2, 3])
    for t, found in enumerate(maps):
        assert_alike(found.patches, plain.feature_gradcam(made, reading, ANSWER[:t], ANSWER[t]))
        assert found.prompt is None
    assert max(float(found.patches.max()) for found in maps) > 0


@pytest.mark.parametrize("kind", [*FAMILIES, "vip-llava"])
def test_dex_ar_is_that_of_whole_tensors(kind: str):
    made = tiny(kind)
    reading = read(made)
    maps = maps_of(made, reading, "dex-ar", [0, 1, 2, 3])
    wanted = plain.dex_ar(made, reading, ANSWER)
    assert_alike(torch.stack([found.patches for found in maps]), wanted.maps)
    assert_alike(torch.tensor([found.grounding for found in maps]), wanted.deltas)
    assert_alike(sequence_map(maps), (wanted.deltas[:, None] * wanted.maps).sum(0))


def test_some_tiny_model_s_tokens_are_grounded_and_some_are_not():
    made = tiny("vip-llava")
    deltas = [found.grounding or 0.0 for found in maps_of(made, read(made), "dex-ar", [0, 1, 2, 3])]
    assert min(deltas) == 0 < max(deltas)


def test_dex_ar_of_one_token_does_not_depend_on_which_are_asked_for():
    made = tiny("vip-llava")
    reading = read(made)
    every = maps_of(made, reading, "dex-ar", [0, 1, 2, 3])
    alone = maps_of(made, reading, "dex-ar", [2])[0]
    torch.testing.assert_close(alone.patches, every[2].patches, rtol=0, atol=0)


def test_a_sequence_map_of_maps_without_weights_is_refused():
    made = tiny("llava")
    with pytest.raises(ValueError, match="made from DEX-AR's maps"):
        sequence_map(maps_of(made, read(made), "rollout", [0]))


@pytest.mark.parametrize("kind", FAMILIES)
def test_tam_is_that_of_plain_loops(kind: str):
    made = tiny(kind)
    reading = read(made)
    maps = maps_of(made, reading, "tam", [0, 1, 2, 3])
    for t, found in enumerate(maps):
        wanted = plain.tam(made, reading, ANSWER, t)
        assert found.prompt is not None
        assert found.answer is not None
        # values in 0..1 from float32 states; what is left after the subtraction is a difference of like numbers
        for part, want in zip((found.patches, found.prompt, found.answer), wanted, strict=True):
            torch.testing.assert_close(part.double(), torch.from_numpy(want), atol=2e-5, rtol=1e-4)
    assert max(float(found.patches.max()) for found in maps) > 0


def test_the_rank_filter_keeps_a_constant_grid_and_takes_a_lone_spike_down():
    torch.testing.assert_close(
        torch.from_numpy(rank_gaussian(torch.full((4, 5), 0.3).double().numpy())), torch.full((4, 5), 0.3).double()
    )
    spike = torch.full((5, 5), 0.1).double()
    spike[2, 2] = 0.2
    assert rank_gaussian(spike.numpy())[2, 2] < 0.11
    line = torch.rand(1, 6, generator=torch.Generator().manual_seed(0)).double().numpy()
    wanted = [plain.rank_gaussian_at(line, 0, col) for col in range(6)]
    assert rank_gaussian(line)[0].tolist() == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("kind", ["llava", "gemma3"])
def test_incremental_maps_are_the_labels(kind: str):
    made = tiny(kind)
    reading = read(made)
    wanted = label_answer(made.model, made.family, reading, ANSWER, method="incremental").relevancy
    maps = maps_of(made, reading, "chefer-incremental", [2, 0])
    for found in maps:
        torch.testing.assert_close(found.patches, wanted[found.token_index], atol=2e-6, rtol=2e-4)
    assert [found.token_index for found in maps] == [2, 0]


def test_random_maps_are_seeded_by_token_and_are_means_of_five():
    made = tiny("llava-next")
    reading = read(made)
    first, second = maps_of(made, reading, "random", [0, 1], seed=5)
    assert torch.equal(first.patches, maps_of(made, reading, "random", [0], seed=5)[0].patches)
    assert not torch.equal(first.patches, second.patches)
    assert not torch.equal(first.patches, maps_of(made, reading, "random", [0], seed=6)[0].patches)
    many = torch.cat(
        [found.patches for seed in range(60) for found in maps_of(made, reading, "random", [0], seed=seed)]
    )
    # uniform: mean 1/2, deviation sqrt(1/12/5) = 0.129; 3840 values
    assert abs(float(many.mean()) - 0.5) < 0.01
    assert abs(float(many.std()) - 0.129) < 0.01


@pytest.mark.parametrize("method", METHODS)
def test_check_comes_first_and_cost_last(method: Method):
    made = tiny("llava")
    events = list(explain(loaded(made), read(made), ANSWER, method, [3, 1]))
    kinds = [type(event) for event in events]
    assert kinds == [*([Check] if method != "random" else []), MethodMap, MethodMap, Cost]
    cost = events[-1]
    assert isinstance(cost, Cost)
    assert cost.tokens == 2
    assert cost.ms >= sum(event.ms for event in events if isinstance(event, MethodMap)) * 0.999
    backward = {"chefer": 2, "chefer-incremental": 4, "gradcam": 1, "feature-gradcam": 2, "dex-ar": 2}
    assert cost.backward_passes == backward.get(method, 0)
    # its own pass, and the ordinary one that it is checked against
    assert cost.forward_passes == {"chefer-incremental": 2 + 4, "random": 0}.get(method, 2)


@pytest.mark.parametrize("method", [name for name in METHODS if name != "random"])
def test_the_pass_explained_says_what_was_streamed(method: Method):
    made = tiny("gemma3")
    model: Any = made.model
    with torch.no_grad():
        model.lm_head.weight[:40] = 0  # says no special token, a picture's own least of all
    reading = read(made)
    steps = [step for step in decode(made.model, reading, Sampling(max_new_tokens=4)) if isinstance(step, Step)]
    ids, log_probs = [step.token_id for step in steps], [step.log_prob for step in steps]
    check, *_, cost = explain(loaded(made), reading, ids, method, [3], log_probs=log_probs)
    assert isinstance(check, Check)
    assert isinstance(cost, Cost)
    assert check.is_same
    assert check.largest_difference < 1e-4  # cached and uncached sums, log-probabilities of a few units
    assert cost.forward_passes == {"chefer-incremental": 1 + 4}.get(method, 1)
    log_probs[1] -= 0.25
    check = next(explain(loaded(made), reading, ids, method, [3], log_probs=log_probs))
    assert isinstance(check, Check)
    assert check.largest_difference == pytest.approx(0.25, abs=1e-3)


@pytest.mark.parametrize("method", ["chefer", "tam"])
def test_a_drawn_answer_is_the_same_where_its_tokens_are_as_likely_as_when_they_were_streamed(method: Method):
    made = tiny("llava")
    reading = read(made)
    log_probs: list[float] = []
    with torch.no_grad():
        for t, token in enumerate(ANSWER):  # none of them the likeliest
            logits = plain.prefix_pass(made, reading, ANSWER[:t]).logits
            assert int(logits.argmax()) != token
            log_probs.append(float(logits.log_softmax(-1)[token]))

    def checked(streamed: list[float]) -> Check:
        check = next(explain(loaded(made), reading, ANSWER, method, [0], log_probs=streamed))
        assert isinstance(check, Check)
        return check

    assert checked(log_probs).is_same
    log_probs[2] += 0.1  # the ordinary pass says what the explained one says: neither is what was streamed
    assert not checked(log_probs).is_same


def test_a_model_whose_own_attention_says_something_else_is_told():
    def other(module: Any, query: Any, key: Any, value: Any, attention_mask: Any, **_: Any) -> Any:
        return torch.zeros_like(query).transpose(1, 2), None

    AttentionInterface.register("patchlight_test_other", other)
    AttentionMaskInterface.register("patchlight_test_other", eager_mask)
    made = tiny("llava")
    decoder: Any = made.family.decoder(made.model)
    decoder.config._attn_implementation = "patchlight_test_other"
    check = next(explain(loaded(made), read(made), ANSWER, "rollout", [0]))
    assert isinstance(check, Check)
    assert not check.is_same
    assert check.largest_difference > 0.01


@pytest.mark.parametrize("method", METHODS)
def test_a_stopped_explanation_ends_with_its_cost(method: Method):
    made = tiny("llava")
    asked: list[int] = []

    def stop() -> bool:
        asked.append(1)
        return len(asked) > 2

    *before, cost = explain(loaded(made), read(made), ANSWER, method, [0, 1, 2, 3], stop=stop)
    assert isinstance(cost, Cost)
    assert cost.tokens == sum(isinstance(event, MethodMap) for event in before) < 4
    assert cost.peak_bytes >= 0


def test_incremental_chefer_stops_between_the_passes_that_one_token_takes():
    made = tiny("llava")
    asked: list[int] = []

    def stop() -> bool:
        asked.append(1)
        return len(asked) > 3  # the check, then two of the four passes on the way to the last token

    *_, cost = explain(loaded(made), read(made), ANSWER, "chefer-incremental", [3], stop=stop)
    assert isinstance(cost, Cost)
    assert (cost.tokens, cost.backward_passes) == (0, 2)


@pytest.mark.parametrize("method", METHODS)
def test_the_model_is_left_as_it_was_between_maps_and_after_them(method: Method):
    made = tiny("smolvlm")
    reading, model = read(made), made.model
    before: Any = model

    def state() -> tuple[Any, ...]:
        configs = [part.config._attn_implementation for part in before.modules() if hasattr(part, "config")]
        hooks = sum(len(part._forward_hooks) + len(part._forward_pre_hooks) for part in before.modules())
        return configs, hooks, all(p.requires_grad for p in before.parameters()), torch.is_grad_enabled()

    as_it_was = state()
    for _ in explain(loaded(made), reading, ANSWER, method, [0, 3]):
        assert state() == as_it_was


@pytest.mark.parametrize(
    ("tokens", "answer", "method", "words"),
    [
        ([4], ANSWER, "chefer", "token 4 of an answer of 4 tokens: want 0 to 3"),
        ([-1], ANSWER, "tam", "token -1 of an answer of 4 tokens"),
        ([], ANSWER, "chefer", "no token to explain"),
        ([1, 1], ANSWER, "chefer", "one is asked for twice"),
        ([0], [10**6], "chefer", "token id 1000000: the model's vocabulary has"),
        ([0], ANSWER, "saliency", "method 'saliency': want one of chefer"),
    ],
)
def test_what_cannot_be_explained_is_refused_before_anything_is_run(
    tokens: list[int], answer: list[int], method: Any, words: str
):
    made = tiny("llava")
    with pytest.raises(ValueError, match=words):
        explain(loaded(made), read(made), answer, method, tokens)


def test_an_answer_with_a_picture_s_token_is_refused():
    made = tiny("llava")
    reading = read(made)
    token = int(reading.inputs["input_ids"][0, reading.patch_columns[0]])
    with pytest.raises(ValueError, match="stands for a picture"):
        explain(loaded(made), reading, [40, token], "tam", [0])


def test_log_probabilities_of_another_answer_are_refused():
    made = tiny("llava")
    with pytest.raises(ValueError, match="3 log-probabilities for an answer of 4 tokens"):
        explain(loaded(made), read(made), ANSWER, "tam", [0], log_probs=[-1.0] * 3)


@pytest.mark.parametrize("name", ["patchlight_observed", "patchlight_recorded"])
@pytest.mark.parametrize("option", ["softcap", "s_aux"])
def test_attention_that_adds_to_its_softmax_is_refused_by_name(name: str, option: str):
    attention: Any = AttentionInterface()[name]
    module: Any = torch.nn.Linear(1, 1)
    q = torch.ones(1, 2, 3, 4)
    with pytest.raises(ValueError, match=f"Linear uses {option}, which relevancy is not defined for here"):
        attention(module, q, q, q, torch.zeros(1, 1, 3, 3), **{option: 50.0})
    with pytest.raises(ValueError, match="want a causal decoder"):
        attention(module, q, q, q, None)
