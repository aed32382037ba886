"""Compares every family's labels with the papers' matrix recursion, using Transformers' eager attention and autograd."""

from typing import Any, cast

import pytest
import torch
from PIL import Image
from transformers import DynamicCache

from patchlight.head.labels import TEACHERS, Teacher, label_answer
from patchlight.models.families.registry import extend
from patchlight.models.reading import Reading
from tests.helpers.tiny_models import KINDS, ONE_PER_DECODER, Tiny, tiny

ANSWER = [40, 41, 90, 41]


def read(made: Tiny) -> Reading:
    image = Image.effect_noise((90, 60), 80).convert("RGB")
    return made.family.read(made.model, made.processor, image, "What is it?")


def eager(model: Any) -> None:
    model.set_attn_implementation({"text_config": "eager"})
    for part in model.modules():
        if hasattr(part, "config"):
            part.config._attn_implementation = "eager"


def recursion(attentions: list[torch.Tensor], gradients: list[torch.Tensor]) -> torch.Tensor:
    """Compute R `[n, n]` in float64 by `R <- R + C R`, first layer to last; each layer's inputs are `[heads, n, n]`."""
    n = attentions[0].shape[-1]
    R = torch.eye(n, dtype=torch.float64)
    for a, g in zip(attentions, gradients, strict=True):
        C = (a.double() * g.double()).clamp(min=0).mean(0)
        R = R + C @ R
    return R


def plain_exact(made: Tiny, reading: Reading, answer: list[int]) -> torch.Tensor:
    """Return exact relevancy `[T, n]` from one forward pass, with the attentions and gradients of all layers."""
    model: Any = made.model
    eager(model)
    out = model(**extend(reading, answer), output_attentions=True, use_cache=False)
    assert len(out.attentions) == model.config.get_text_config().num_hidden_layers
    prompt, rows = reading.inputs["input_ids"].shape[1], []
    for t, token in enumerate(answer):
        gradients = torch.autograd.grad(out.logits[0, prompt - 1 + t, token], out.attentions, retain_graph=True)
        R = recursion([a[0] for a in out.attentions], [g[0] for g in gradients])
        rows.append(R[prompt - 1 + t])
    return torch.stack(rows).detach()


def plain_incremental(made: Tiny, reading: Reading, answer: list[int]) -> torch.Tensor:
    """Return incremental relevancy `[T, n]` as lvlm-interpret computes it: the attention and gradient of each step are
    accumulated in n x n matrices.
    """
    model: Any = made.model
    eager(model)
    prompt, layers = reading.inputs["input_ids"].shape[1], model.config.get_text_config().num_hidden_layers
    n, cache, rows = prompt + len(answer) - 1, DynamicCache(), []
    heads = model.config.get_text_config().num_attention_heads
    kept = [torch.zeros(heads, n, n) for _ in range(layers)]
    slopes = [torch.zeros(heads, n, n) for _ in range(layers)]
    fed: dict[str, Any] = dict(reading.inputs)
    for t, token in enumerate(answer):
        out = model(**fed, past_key_values=cache, output_attentions=True, use_cache=True)
        gradients = torch.autograd.grad(out.logits[0, -1, token], out.attentions, retain_graph=True)
        stop = prompt + t
        for layer in range(layers):
            start = stop - out.attentions[layer].shape[2]
            kept[layer][:, start:stop, :stop] = out.attentions[layer][0].detach()
            slopes[layer][:, start:stop, :stop] = gradients[layer][0]
        rows.append(recursion(kept, slopes)[stop - 1])
        fed = {"input_ids": torch.tensor([[token]])}
    return torch.stack(rows)


@pytest.mark.parametrize("kind", ONE_PER_DECODER)
def test_exact_labels_equal_the_matrix_recursion(kind: str):
    made = tiny(kind)
    reading = read(made)
    labels = label_answer(made.model, made.family, reading, ANSWER)
    expected = plain_exact(made, reading, ANSWER)
    # Both sides are float32 passes with different orders of summation; values reach a few tenths.
    torch.testing.assert_close(labels.relevancy.double(), expected[:, reading.patch_columns], atol=2e-6, rtol=2e-4)
    assert labels.relevancy.amax(1).min() > 1e-4
    # The recursion starts from the identity, which says nothing about the other words.
    words, prompt = expected.clone(), reading.inputs["input_ids"].shape[1]
    for t in range(len(ANSWER)):
        words[t, prompt - 1 + t] -= 1
    words = words[:, reading.prompt_columns]
    torch.testing.assert_close(labels.prompt_relevancy.double(), words, atol=2e-6, rtol=2e-4)
    assert labels.prompt_relevancy.amax(1).min() > 1e-4
    share = expected[:, reading.patch_columns].sum(1) / expected.sum(1)
    torch.testing.assert_close(labels.image_share.double(), share, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", ONE_PER_DECODER)
def test_incremental_labels_equal_those_of_decoding_with_a_cache(kind: str):
    made = tiny(kind)
    reading = read(made)
    labels = label_answer(made.model, made.family, reading, ANSWER, teacher="chefer-incremental")
    expected = plain_incremental(made, reading, ANSWER)[:, reading.patch_columns]
    torch.testing.assert_close(labels.relevancy.double(), expected, atol=2e-6, rtol=2e-4)
    exact = label_answer(made.model, made.family, reading, ANSWER)
    torch.testing.assert_close(labels.relevancy[0], exact.relevancy[0], atol=2e-6, rtol=2e-4)
    difference = (labels.relevancy - exact.relevancy).norm(dim=1) / exact.relevancy.norm(dim=1)
    assert difference[1:].max() > 1e-3  # the methods differ from the second token onwards
    torch.testing.assert_close(labels.log_probs, exact.log_probs, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("paligemma2", "lfm2-vl")])
def test_labels_say_whether_the_model_would_give_this_answer(kind: str):
    made = tiny(kind)
    reading = read(made)
    answer: list[int] = []
    model: Any = made.model
    with torch.no_grad():
        model.lm_head.weight[:40] = 0  # no special token is ever chosen, in particular no image token
        for _ in range(3):
            logits = model(**extend(reading, answer)).logits[0, -1]
            answer.append(int(logits.argmax()))
    labels = label_answer(model, made.family, reading, answer)
    assert labels.likeliest.tolist() == answer
    other = [answer[0], answer[1] - 1, answer[2]]
    labels = label_answer(model, made.family, reading, other)
    assert (labels.likeliest == torch.tensor(other)).tolist()[:2] == [True, False]
    log_probs = torch.log_softmax(model(**extend(reading, other)).logits[0].detach(), -1)
    expected = log_probs[-len(other) - 1 : -1].gather(1, torch.tensor(other)[:, None])[:, 0]
    torch.testing.assert_close(labels.log_probs, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", ["paligemma2", "lfm2-vl"])
@pytest.mark.parametrize("teacher", ["chefer", "chefer-incremental"])
def test_a_model_that_rules_chefer_out_is_not_labelled(kind: str, teacher: Teacher):
    made = tiny(kind)
    with pytest.raises(ValueError, match=f"cannot be labelled with {TEACHERS[teacher]}: "):
        label_answer(made.model, made.family, read(made), ANSWER, teacher=teacher)


@pytest.mark.parametrize("kind", ["llava", "qwen2.5-vl", "gemma3"])
def test_attention_labels_are_the_last_layer_s_attention(kind: str):
    made = tiny(kind)
    reading = read(made)
    labels = label_answer(made.model, made.family, reading, ANSWER, teacher="attention")
    eager(made.model)
    with torch.no_grad():
        out = cast(Any, made.model)(**extend(reading, ANSWER), output_attentions=True, use_cache=False)
    rows = out.attentions[-1][0].mean(0)[-len(ANSWER) - 1 : -1]
    # float32 softmax of two implementations.
    torch.testing.assert_close(labels.relevancy, rows[:, reading.patch_columns], atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(labels.prompt_relevancy, rows[:, reading.prompt_columns], atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(labels.image_share, labels.relevancy.sum(1), atol=1e-5, rtol=1e-4)
    log_probs = out.logits[0, -len(ANSWER) - 1 : -1].log_softmax(-1)
    assert torch.equal(labels.likeliest, log_probs.argmax(-1))
    expected = log_probs.gather(1, torch.tensor(ANSWER)[:, None])[:, 0]
    torch.testing.assert_close(labels.log_probs, expected, atol=1e-4, rtol=1e-4)
    assert labels.ablation is None


@pytest.mark.parametrize("kind", KINDS)
def test_ablation_labels_every_family_without_gradients(kind: str):
    made = tiny(kind)
    reading = read(made)
    with torch.no_grad():
        labels = label_answer(made.model, made.family, reading, ANSWER, teacher="ablation")
        again = label_answer(made.model, made.family, reading, ANSWER, teacher="ablation")
        logits = cast(Any, made.model)(**extend(reading, ANSWER), use_cache=False).logits[0, -len(ANSWER) - 1 : -1]
    expected = logits.float().log_softmax(-1).gather(1, torch.tensor(ANSWER)[:, None])[:, 0]
    torch.testing.assert_close(labels.log_probs, expected, atol=1e-4, rtol=1e-4)
    assert labels.ablation is not None
    assert again.ablation is not None
    patches = len(reading.patch_columns)
    assert (labels.ablation.masks.shape, labels.ablation.deltas.shape) == ((32, patches), (len(ANSWER), 32))
    assert torch.equal(labels.ablation.masks, again.ablation.masks)  # the same question always has the same masks
    assert (labels.relevancy.amax(1) > 1e-3).all()
    assert (labels.relevancy >= 0).all()
    assert labels.relevancy.shape == (len(ANSWER), patches)
    assert (labels.prompt_relevancy == 0).all()
    assert labels.image_share.isnan().all()


def test_a_fall_is_the_log_probability_that_is_lost():
    made = tiny("llava")
    reading = read(made)
    labels = label_answer(made.model, made.family, reading, ANSWER, teacher="ablation")
    assert labels.ablation is not None
    inputs = extend(reading, ANSWER)
    # LLaVA takes its mask of padding as an argument, in which a column can be left out by hand.
    inputs["attention_mask"][0, reading.patch_columns[labels.ablation.masks[7]]] = 0
    with torch.no_grad():
        logits = cast(Any, made.model)(**inputs, use_cache=False).logits[0, -len(ANSWER) - 1 : -1]
    left = logits.log_softmax(-1).gather(1, torch.tensor(ANSWER)[:, None])[:, 0]
    torch.testing.assert_close(labels.ablation.deltas[:, 7], labels.log_probs - left, atol=1e-4, rtol=1e-3)
    other = label_answer(made.model, made.family, reading, [40, 41], teacher="ablation")
    assert other.ablation is not None
    assert not torch.equal(other.ablation.masks, labels.ablation.masks)


def test_an_empty_answer_has_no_labels():
    made = tiny("llava")
    labels = label_answer(made.model, made.family, read(made), [])
    assert labels.relevancy.shape == (0, 16)


def test_an_answer_with_an_image_token_is_refused():
    made = tiny("qwen2.5-vl")
    reading = read(made)
    token = int(reading.inputs["input_ids"][0, reading.patch_columns[0]])
    with pytest.raises(ValueError, match=f"contains token {token}, which stands for an image"):
        label_answer(made.model, made.family, reading, [40, token])


def test_labels_without_compiled_kernels_are_the_same(monkeypatch: pytest.MonkeyPatch):
    """Runs the GPU code path on the CPU."""
    made = tiny("gemma3")
    reading = read(made)
    expected = label_answer(made.model, made.family, reading, ANSWER).relevancy
    monkeypatch.setattr("patchlight.methods.relevancy._COMPILED_DEVICES", set())
    actual = label_answer(made.model, made.family, reading, ANSWER).relevancy
    assert not torch.equal(actual, expected)  # the order of summation differs
    torch.testing.assert_close(actual, expected, atol=2e-6, rtol=1e-4)


@pytest.mark.gpu
@pytest.mark.parametrize("teacher", ["chefer", "chefer-incremental"])
@pytest.mark.parametrize("kind", ONE_PER_DECODER)
def test_labels_on_a_gpu_equal_those_on_the_cpu(kind: str, teacher: Teacher):
    made = tiny(kind)
    reading, model = read(made), cast(Any, made.model)
    expected = label_answer(model, made.family, reading, ANSWER, teacher=teacher).relevancy
    actual = label_answer(model.to("cuda"), made.family, reading, ANSWER, teacher=teacher).relevancy
    # A GPU may multiply float32 values in TF32, which has only 10 mantissa bits.
    torch.testing.assert_close(actual, expected, atol=2e-4, rtol=2e-2)


def test_half_precision_labels_are_close():
    made = tiny("llava")
    reading, model = read(made), cast(Any, made.model)
    expected = label_answer(model, made.family, reading, ANSWER).relevancy
    actual = label_answer(model.bfloat16(), made.family, reading, ANSWER).relevancy
    error = (actual - expected).norm(dim=1) / expected.norm(dim=1)
    # bfloat16 has a significand of 8 bits, and errors add up over two layers, forward and backward. The measured errors
    # are 0.01 to 0.06 per token.
    assert 1e-4 < error.max() < 0.15
