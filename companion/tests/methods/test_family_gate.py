"""What every family must pass before its maps are shown: the states give the logits, and each method's pass gives the
streamed answer. That a patch's embedding follows its part of the image is tested in models/test_families.py.
"""

from typing import Any

import pytest
import torch
from PIL import Image

from patchlight.methods.explain import Check, MethodMap, explain, log_prob_bounds
from patchlight.methods.names import METHODS, Method
from patchlight.methods.support import refused_methods
from patchlight.models.decoding import Step, decode
from patchlight.models.language_model import UnsupportedStructure, check_logits
from patchlight.models.loading import Loaded
from patchlight.models.reading import Reading
from patchlight.models.sampling import Sampling
from patchlight.models.several_images import read_images
from tests.helpers.tiny_models import KINDS, ONE_PER_DECODER, Tiny, tiny

# float32 sums with and without a cache, in different orders, through two to four layers.
BOUND_NATS = 2e-4
ATTENTION = {"chefer", "chefer-incremental", "gradcam", "dex-ar", "rollout", "attention"}


def asked(kind: str) -> tuple[Tiny, Loaded, Reading]:
    lvlm = tiny(kind)
    model: Any = lvlm.model
    with torch.no_grad():
        model.lm_head.weight[:60] = 0  # no special token is ever sampled, in particular no image token
    image = Image.effect_noise((300, 170), 80).convert("RGB")
    reading = lvlm.family.read(lvlm.model, lvlm.processor, image, "What is it?")
    loaded = Loaded(model, lvlm.processor, lvlm.family, "tiny", "0", 32, torch.float32, model.device)
    return lvlm, loaded, reading


def answered(loaded: Loaded, reading: Reading) -> tuple[list[int], list[float]]:
    """Sample an answer, whose tokens are rarely the most likely ones, so a wrong pass does not agree by chance."""
    sampling = Sampling(max_new_tokens=5, temperature=1.5, seed=3)
    steps = [step for step in decode(loaded.model, reading, sampling) if isinstance(step, Step) and not step.is_end]
    return [step.token_id for step in steps], [step.log_prob for step in steps]


@pytest.mark.parametrize("kind", KINDS)
def test_the_states_give_the_model_s_own_logits(kind: str):
    _, loaded, reading = asked(kind)
    check_logits(loaded.model)
    states: list[torch.Tensor] = []
    model: Any = loaded.model
    with torch.no_grad():
        expected = model(**reading.inputs).logits[0, -1].log_softmax(-1)
    for step in decode(loaded.model, reading, Sampling(max_new_tokens=1)):
        if isinstance(step, Step):
            states.append(step.query_state)
            assert step.log_prob == pytest.approx(float(expected[step.token_id]), abs=1e-5)
    assert len(states) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_the_explained_pass_equals_the_streamed_one_for_every_method_offered(kind: str):
    _, loaded, reading = asked(kind)
    ids, log_probs = answered(loaded, reading)
    refused = refused_methods(loaded.model)
    for method in METHODS:
        if method in refused or method == "random":
            continue
        events = list(explain(loaded, reading, ids, method, [0, len(ids) - 1], log_probs=log_probs))
        check, maps = events[0], [event for event in events if isinstance(event, MethodMap)]
        assert isinstance(check, Check)
        assert check.largest_difference < BOUND_NATS, method
        assert check.is_same
        assert len(maps) == 2
        assert all(len(token_map.patches) == len(reading.patch_columns) for token_map in maps)
        assert all(token_map.patches.isfinite().all() for token_map in maps)


@pytest.mark.parametrize("kind", [kind for kind in ONE_PER_DECODER if not kind.startswith("paligemma")])
def test_the_explained_pass_equals_the_streamed_one_with_two_images(kind: str):
    lvlm, loaded, _ = asked(kind)
    images = [Image.effect_noise(size, 80).convert("RGB") for size in ((300, 170), (120, 200))]
    reading = read_images(lvlm.family, loaded.model, lvlm.processor, images, "What is it?")
    ids, log_probs = answered(loaded, reading)
    method: Method = "tam" if "chefer" in refused_methods(loaded.model) else "chefer"
    check, *events = explain(loaded, reading, ids, method, range(len(ids)), log_probs=log_probs)
    assert isinstance(check, Check)
    assert check.largest_difference < BOUND_NATS
    total = torch.stack([event.patches for event in events if isinstance(event, MethodMap)]).sum(0)
    of_second = torch.tensor([place.image == 1 for place in reading.places])
    assert total[of_second].any()
    assert total[~of_second].any()


EXPECTED_REFUSALS: dict[str, tuple[set[str], str]] = {
    "paligemma2": (ATTENTION, r"Gemma2Model caps its attention scores \(softcap 50\)"),
    "gemma4": ({"feature-gradcam"}, "the last 2 of 4 layers of Gemma4TextModel use the keys and values of earlier"),
    "lfm2-vl": (ATTENTION, r"1 of the 3 layers of Lfm2Model have no softmax attention \(conv in 0\)"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_only_methods_that_the_model_rules_out_are_refused_and_by_name(kind: str):
    _, loaded, reading = asked(kind)
    methods, reason = EXPECTED_REFUSALS.get(kind, (set(), ""))
    refused = refused_methods(loaded.model)
    assert set(refused) == methods
    method: Method
    for method in refused:
        with pytest.raises(ValueError, match=f"{method} cannot explain answers of this model: {reason}"):
            explain(loaded, reading, [200], method, [0])


def test_a_difference_that_leaves_the_likeliest_tokens_as_they_are_is_reported():
    """With the type of its prefix, PaliGemma's answer tokens see later ones, which changed log-probabilities by 0.14."""
    _, loaded, reading = asked("paligemma")
    ids, log_probs = answered(loaded, reading)
    check = next(explain(loaded, reading._replace(answer_type=0), ids, "tam", [0], log_probs=log_probs))
    assert isinstance(check, Check)
    assert check.largest_difference > 100 * BOUND_NATS
    assert not check.is_same


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_mean_difference_of_0_14_is_reported_in_every_precision(dtype: torch.dtype):
    largest, mean = log_prob_bounds(dtype, 100)
    assert mean < 0.14
    assert mean <= largest


def test_a_model_that_changes_its_logits_in_an_unknown_way_is_refused():
    model: Any = tiny("llava").model
    forward = model.forward

    def scaled(*args: Any, **options: Any) -> Any:
        out = forward(*args, **options)
        out.logits = out.logits * 0.5
        return out

    model.forward = scaled
    with pytest.raises(UnsupportedStructure, match="differ from those of its last hidden states by"):
        check_logits(model)
