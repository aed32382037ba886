"""Tests passes with barred columns against passes in which every layer's attention leaves the columns out."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from PIL import Image

from patchlight.methods import barring
from patchlight.methods.attention_hooks.replace import AttentionInputs, register_attention, use_attention
from patchlight.methods.barring import barred_passes, own_call
from patchlight.methods.support import refused_methods
from patchlight.models.families.registry import extend
from patchlight.models.language_model import logits_of
from patchlight.models.reading import Reading
from tests.helpers.tiny_models import KINDS, Tiny, tiny

ANSWER = [40, 41, 90, 41]
PASSES = 5
# float32 passes of two layers that sum in another order, or in a batch of another size.
TOLERANCE = 1e-4

_closed: list[torch.Tensor] = []


def _attend(inputs: AttentionInputs) -> torch.Tensor:
    """Softmax over the columns that a row sees and that are not barred, row by row."""
    q, k, v, mask = (part[0].double() for part in (inputs.q, inputs.k, inputs.v, inputs.mask))
    out = torch.zeros(q.shape[:2] + v.shape[2:], dtype=torch.float64)
    for row in range(q.shape[1]):
        seen = mask[0, row] > -1e30
        seen[_closed[-1] & (torch.arange(len(seen)) != row)] = False
        scores = torch.einsum("hd,hnd->hn", q[:, row], k[:, seen]) * inputs.scaling
        out[:, row] = torch.einsum("hn,hnd->hd", scores.softmax(-1), v[:, seen])
    return out[None].float()


register_attention("test_left_out", _attend)


@contextmanager
def left_out(made: Tiny, columns: torch.Tensor) -> Iterator[None]:
    _closed.append(columns)
    try:
        with use_attention(made.family.decoder(made.model), "test_left_out"):
            yield
    finally:
        _closed.pop()


def read(made: Tiny) -> Reading:
    image = Image.effect_noise((90, 60), 80).convert("RGB")
    return made.family.read(made.model, made.processor, image, "What is it?")


def passes_of(made: Tiny, reading: Reading, barred: torch.Tensor, **options: Any) -> barring.BarredPasses:
    call = own_call(made.model, made.family.decoder(made.model), extend(reading, ANSWER))
    positions = torch.arange(len(ANSWER)) + reading.inputs["input_ids"].shape[1] - 1
    return barred_passes(call, positions, torch.tensor(ANSWER), barred, **options)


def some_patches(reading: Reading) -> torch.Tensor:
    """Return passes `[PASSES, n]`: none barred, random halves of the patches, and all of them."""
    barred = torch.zeros(PASSES, reading.inputs["input_ids"].shape[1] + len(ANSWER), dtype=torch.bool)
    random = torch.rand(PASSES, len(reading.patch_columns), generator=torch.Generator().manual_seed(0)) < 0.5
    random[0], random[-1] = False, True
    barred[:, reading.patch_columns] = random
    return barred


@torch.no_grad()
def plain_log_probs(made: Tiny, reading: Reading) -> torch.Tensor:
    """Return log-probabilities `[T, vocabulary]` of the answer's positions from the complete model."""
    states = made.model.model(**extend(reading, ANSWER), use_cache=False).last_hidden_state[0]
    return logits_of(made.model, states[-len(ANSWER) - 1 : -1]).float().log_softmax(-1)


@pytest.mark.parametrize("kind", KINDS)
def test_barring_nothing_gives_the_answer_s_own_log_probabilities(kind: str):
    made = tiny(kind)
    reading = read(made)
    expected = plain_log_probs(made, reading)
    passes = passes_of(made, reading, some_patches(reading))
    log_probs = expected.gather(1, torch.tensor(ANSWER)[:, None])[:, 0]
    torch.testing.assert_close(passes.log_probs[0], log_probs, atol=TOLERANCE, rtol=TOLERANCE)
    assert torch.equal(passes.likeliest[0], expected.argmax(-1))
    assert passes.log_probs.isfinite().all()
    # The question is whether the other passes differ by more than such an error.
    assert ((passes.log_probs[1:] - passes.log_probs[0]).abs().amax(1) > 10 * TOLERANCE).all()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("paligemma2", "lfm2-vl")])
def test_barred_columns_are_left_out_of_every_layer_and_positions_stay(kind: str):
    made = tiny(kind)
    assert "chefer" not in refused_methods(made.model)  # the reference needs the layers' attention
    reading = read(made)
    barred = some_patches(reading)
    passes = passes_of(made, reading, barred)
    for row, columns in zip(passes.log_probs, barred, strict=True):
        with left_out(made, columns):
            expected = plain_log_probs(made, reading).gather(1, torch.tensor(ANSWER)[:, None])[:, 0]
        torch.testing.assert_close(row, expected, atol=TOLERANCE, rtol=TOLERANCE)


@pytest.mark.parametrize("kind", ["llava", "gemma3", "gemma4", "paligemma"])
def test_eager_attention_gives_the_same(kind: str):
    made = tiny(kind)
    reading = read(made)
    barred = some_patches(reading)
    expected = passes_of(made, reading, barred)
    model: Any = made.model
    model.set_attn_implementation("eager")
    actual = passes_of(made, reading, barred)
    torch.testing.assert_close(actual.log_probs, expected.log_probs, atol=TOLERANCE, rtol=TOLERANCE)


@pytest.mark.parametrize("kind", ["qwen3-vl", "gemma4", "lfm2-vl"])
def test_the_number_of_sequences_in_a_pass_does_not_matter(kind: str):
    made = tiny(kind)
    reading = read(made)
    barred = some_patches(reading)
    together, single = passes_of(made, reading, barred), passes_of(made, reading, barred, most_columns=1)
    torch.testing.assert_close(single.log_probs, together.log_probs, atol=TOLERANCE, rtol=TOLERANCE)


def test_half_as_many_sequences_run_at_a_time_if_memory_is_too_small(monkeypatch: pytest.MonkeyPatch):
    made = tiny("llava")
    reading = read(made)
    barred = some_patches(reading)
    expected = passes_of(made, reading, barred)
    sizes, run = [], barring._pass

    def small(*arguments: Any) -> Any:
        sizes.append(len(arguments[3]))
        if sizes[-1] > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return run(*arguments)

    monkeypatch.setattr(barring, "_pass", small)
    actual = passes_of(made, reading, barred)
    assert sizes == [5, 2, 2, 1]
    torch.testing.assert_close(actual.log_probs, expected.log_probs, atol=TOLERANCE, rtol=TOLERANCE)
    monkeypatch.setattr(barring, "_pass", lambda *_: (_ for _ in ()).throw(torch.OutOfMemoryError("full")))
    with pytest.raises(torch.OutOfMemoryError):
        passes_of(made, reading, barred)


def test_a_pass_without_rows_has_no_log_probabilities():
    made = tiny("llava")
    reading = read(made)
    assert passes_of(made, reading, some_patches(reading)[:0]).log_probs.shape == (0, len(ANSWER))
