"""Compare exact Chefer relevancy in row-vector form with slow reference implementations of the same equations."""

import pytest
import torch
from transformers import AttentionInterface, CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

from patchlight.embedded.training.llava_parts import language_model
from patchlight.methods.attention_hooks.decoder_call import DecoderCall
from patchlight.methods.relevancy import explain_tokens


def small_model(kv_heads: int = 4) -> LlavaForConditionalGeneration:
    torch.manual_seed(3)
    text = LlamaConfig(
        vocab_size=40,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=kv_heads,
    )
    vision = CLIPVisionConfig(
        hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, image_size=28, patch_size=14
    )
    model = LlavaForConditionalGeneration(LlavaConfig(vision_config=vision, text_config=text, image_token_index=39))
    with torch.no_grad():
        for p in language_model(model).parameters():
            if p.ndim > 1:
                p.normal_(0, 0.15)
    return model.eval()


def called(model: LlavaForConditionalGeneration, x: torch.Tensor) -> DecoderCall:
    return DecoderCall(model, language_model(model), {"inputs_embeds": x})


def plain_relevancy(model: LlavaForConditionalGeneration, x: torch.Tensor, position: int, token: int) -> torch.Tensor:
    """Compute relevancy [n] float64 by the matrix recursion, with autograd's gradients of materialised attention."""
    kept: list[torch.Tensor] = []

    def attention(module, query, key, value, attention_mask, scaling=None, **_):
        groups = query.shape[1] // key.shape[1]
        key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
        n = query.shape[2]
        scores = query @ key.transpose(-1, -2) * scaling
        a = scores.masked_fill(~torch.ones(n, n, dtype=torch.bool).tril(), float("-inf")).softmax(-1)
        a.retain_grad()
        kept.append(a)
        return (a @ value).transpose(1, 2), None

    AttentionInterface.register("plain_test", attention)
    config = language_model(model).config
    before, config._attn_implementation = config._attn_implementation, "plain_test"
    try:
        states = language_model(model)(inputs_embeds=x.requires_grad_(), use_cache=False).last_hidden_state
        logit = model.lm_head(states[0, position])[token]
        gradients = torch.autograd.grad(logit, kept)
    finally:
        config._attn_implementation = before
    n = x.shape[1]
    relevancy = torch.eye(n, dtype=torch.float64)
    for a, gradient in zip(kept, gradients, strict=True):
        c = (a * gradient)[0].clamp(min=0).mean(0).double()
        relevancy = relevancy + c @ relevancy
    return relevancy[position].detach()


@pytest.mark.parametrize("kv_heads", [4, 2])
def test_the_row_vector_form_equals_the_matrix_form(kv_heads: int) -> None:
    model = small_model(kv_heads)
    x = torch.randn(1, 23, 32)
    positions, tokens = torch.tensor([17, 18, 19, 22]), torch.tensor([5, 5, 31, 2])
    explained = explain_tokens(called(model, x), positions, tokens)
    for t in range(4):
        plain = plain_relevancy(model, x.clone(), int(positions[t]), int(tokens[t]))
        # Both sides use float32 forward and backward passes, with different orders of summation.
        torch.testing.assert_close(explained.relevancy[t].double(), plain, atol=2e-6, rtol=1e-4)


def test_one_forward_pass_equals_recomputing_each_prefix() -> None:
    model = small_model()
    x = torch.randn(1, 20, 32)
    positions, tokens = torch.tensor([14, 16, 19]), torch.tensor([1, 2, 3])
    together = explain_tokens(called(model, x), positions, tokens).relevancy
    for t, position in enumerate(positions.tolist()):
        prefix = called(model, x[:, : position + 1])
        alone = explain_tokens(prefix, positions[t : t + 1], tokens[t : t + 1]).relevancy[0]
        torch.testing.assert_close(together[t, : position + 1], alone, atol=2e-6, rtol=1e-4)
        assert together[t, position + 1 :].count_nonzero() == 0


def test_row_blocks_do_not_change_the_map(monkeypatch: pytest.MonkeyPatch) -> None:
    model = small_model()
    x = torch.randn(1, 50, 32)
    arguments = (called(model, x), torch.tensor([49]), torch.tensor([7]))
    one_block = explain_tokens(*arguments).relevancy
    monkeypatch.setattr("patchlight.methods.attention_hooks.observe._ROW_BLOCK", 7)
    torch.testing.assert_close(explain_tokens(*arguments).relevancy, one_block, atol=1e-6, rtol=1e-4)


def test_the_model_is_restored() -> None:
    model = small_model()
    before = language_model(model).config._attn_implementation
    explain_tokens(called(model, torch.randn(1, 9, 32)), torch.tensor([8]), torch.tensor([1]))
    assert language_model(model).config._attn_implementation == before
    assert all(p.requires_grad for p in model.parameters())


def test_a_batch_of_several_sequences_is_rejected() -> None:
    with pytest.raises(ValueError, match="expected one sequence, got a batch of 2"):
        explain_tokens(called(small_model(), torch.randn(2, 9, 32)), torch.tensor([8]), torch.tensor([1]))


def test_the_compiled_step_gets_contiguous_arrays() -> None:
    kernel = pytest.importorskip("patchlight.methods.compiled_step").clamp_and_softmax_backward
    explain_tokens(called(small_model(), torch.randn(1, 200, 32)), torch.tensor([150, 199]), torch.tensor([1, 2]))
    layouts = {
        argument.layout for signature in kernel.signatures for argument in signature if hasattr(argument, "layout")
    }
    assert layouts == {"C"}
