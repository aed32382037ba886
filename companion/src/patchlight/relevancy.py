"""Chefer relevancy of answer tokens, exact, in its row-vector form.

`C_l = mean_h max(0, dS/dA_l * A_l)` and `R <- R + C_l R` from the first layer to the last (Chefer et al. 2021,
arXiv 2103.15679, equations 5 and 6, self-attention only), read at row `p_t`. One row is enough: with `r = e_{p_t}`
and `r <- r + r C_l` from the last layer to the first, the same numbers cost O(L N^2). Backward visits the layers in
that very order, so the recursion runs inside the backward pass of each attention and no N x N gradient outlives
its row block: memory is the attention probabilities and nothing more.

Exact: one teacher-forced forward over prompt and answer without a cache, then one backward a token from its raw
logit. The mask is causal, so this equals recomputing each prefix.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numba
import numpy as np
import torch
from torch import nn
from transformers import AttentionInterface, AttentionMaskInterface, LlavaForConditionalGeneration
from transformers.masking_utils import eager_mask
from transformers.models.llama.modeling_llama import LlamaDecoderLayer

from .llava_parts import language_model

_NAME = "patchlight_relevancy"
_ROW_BLOCK = 160


class Explained(NamedTuple):
    """Relevancy of `t` answer tokens over `n` positions, and what the forward pass said.

    relevancy [t, n] float32; logits [t, vocabulary]; query_states [t, d] and states [n, d]: last hidden states,
    `post_norm`.
    """

    relevancy: torch.Tensor
    logits: torch.Tensor
    query_states: torch.Tensor
    states: torch.Tensor


class _Recursion:
    """The row vector `r` [n] of the token whose backward pass is running."""

    r: torch.Tensor


_running = _Recursion()


@numba.njit(cache=True, fastmath=True, nogil=True)
def _clamp_and_softmax_backward(a, g, r, relevancy):
    """One row block, all heads [h, rows, n]: `relevancy += r max(0, g a)`; `g` becomes the scores' gradient."""
    for h in range(a.shape[0]):
        for i in range(a.shape[1]):
            total = np.float32(0.0)
            weight = r[i]
            for j in range(a.shape[2]):
                p = a[h, i, j] * g[h, i, j]
                total += p
                relevancy[j] += weight * max(p, np.float32(0.0))
                g[h, i, j] = p
            for j in range(a.shape[2]):
                g[h, i, j] -= a[h, i, j] * total


class _RecursiveAttention(torch.autograd.Function):
    """Softmax attention whose backward also advances `_running.r` by one layer."""

    @staticmethod
    def forward(ctx, q, k, v, mask, scaling, is_first):
        scores = torch.matmul(q, k.transpose(-1, -2)).float() * scaling
        a = torch.softmax(scores + mask, dim=-1)
        ctx.save_for_backward(q, k, v, a)
        ctx.scaling = scaling
        ctx.is_first = is_first
        return torch.matmul(a.to(v.dtype), v)

    @staticmethod
    def backward(ctx, *grads):
        q, k, v, a = ctx.saved_tensors
        grad_out = grads[0]
        if q.shape[0] != 1:
            raise ValueError(f"one sequence at a time, got a batch of {q.shape[0]}")
        dq, dk, dv = torch.zeros_like(q), torch.zeros_like(k), torch.zeros_like(v)
        r = _running.r
        heads, n = q.shape[1], q.shape[2]
        relevancy = torch.zeros_like(r)
        alive = (grad_out[0].abs().amax(dim=(0, 2)) > 0).tolist()
        for start in range(0, n, _ROW_BLOCK):
            stop = min(start + _ROW_BLOCK, n)
            if not any(alive[start:stop]):
                continue
            rows = slice(start, stop)
            # rows that the token cannot reach carry no gradient (the top layer has one row, later positions none)
            if sum(alive[rows]) == 1:
                start = start + alive[rows].index(True)
                stop = start + 1
                rows = slice(start, stop)
            upstream, block = grad_out[0, :, rows], a[0, :, rows, :stop]
            g = torch.bmm(upstream, v[0, :, :stop].transpose(1, 2)).float()
            if g.device.type == "cpu":
                _clamp_and_softmax_backward(block.numpy(), g.numpy(), r[rows].numpy(), relevancy[:stop].numpy())
            else:
                p = block * g
                relevancy[:stop] += torch.einsum("i,hij->j", r[rows], p.clamp(min=0))
                g = p - block * p.sum(-1, keepdim=True)
            if ctx.is_first:
                continue  # the recursion ends here: nobody asks for gradients below
            g = g.to(q.dtype)
            dq[0, :, rows] = torch.bmm(g, k[0, :, :stop]) * ctx.scaling
            dk[0, :, :stop] += torch.bmm(g.transpose(1, 2), q[0, :, rows]) * ctx.scaling
            dv[0, :, :stop] += torch.bmm(block.transpose(1, 2).to(v.dtype), upstream)
        _running.r = r + relevancy / heads
        if ctx.is_first:
            return None, None, None, None, None, None
        return dq, dk, dv, None, None, None


def _attention(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **_: object,
) -> tuple[torch.Tensor, None]:
    groups = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(groups, dim=1), value.repeat_interleave(groups, dim=1)
    n = query.shape[2]
    if attention_mask is None:
        attention_mask = torch.full((n, n), float("-inf"), device=query.device).triu(1)
    scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
    is_first = module.layer_idx == 0
    out = _RecursiveAttention.apply(query, key, value, attention_mask[..., :n].float(), scaling, is_first)
    return out.transpose(1, 2), None


AttentionInterface.register(_NAME, _attention)
AttentionMaskInterface.register(_NAME, eager_mask)


@contextmanager
def _recursive_attention(model: LlavaForConditionalGeneration, rows: torch.Tensor) -> Iterator[None]:
    """The language model's attention replaced for the time of the context; parameters ask for no gradient.

    Above its attention the last layer works row by row and only `rows` are explained, so its MLP is differentiated
    at those rows alone.
    """
    decoder = language_model(model)
    config = decoder.config
    before = config._attn_implementation
    wanted = [p for p in model.parameters() if p.requires_grad]
    config._attn_implementation = _NAME
    for p in wanted:
        p.requires_grad_(False)
    layer = decoder.layers[-1]
    assert isinstance(layer, LlamaDecoderLayer)
    last = layer.mlp
    whole = last.forward

    def sparse(x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            out = whole(x)
        return out.index_put((torch.zeros_like(rows), rows), whole(x[0, rows]))

    last.forward = sparse
    try:
        yield
    finally:
        del last.forward
        config._attn_implementation = before
        for p in wanted:
            p.requires_grad_(True)


def explain_tokens(
    model: LlavaForConditionalGeneration,
    inputs_embeds: torch.Tensor,
    positions: torch.Tensor,
    token_ids: torch.Tensor,
    *,
    autocast: torch.dtype | None = None,
) -> Explained:
    """Exact Chefer relevancy of tokens of one teacher-forced sequence.

    inputs_embeds [1, n, d] prompt (image features in place) and answer; positions [t] the row `p_t` whose logits
    predict each token; token_ids [t]. `autocast` lowers the precision of the matrix products. Raises ValueError on a
    batch of more than one sequence.
    """
    n = inputs_embeds.shape[1]
    rows: list[torch.Tensor] = []
    with _recursive_attention(model, positions.unique()), torch.enable_grad():
        x = inputs_embeds.detach().requires_grad_()
        with torch.autocast(x.device.type, dtype=autocast or torch.bfloat16, enabled=autocast is not None):
            states = language_model(model)(inputs_embeds=x, use_cache=False).last_hidden_state
        logits = model.lm_head(states[0, positions].to(inputs_embeds.dtype))
        for t, token in enumerate(token_ids.tolist()):
            _running.r = torch.zeros(n, device=x.device)
            _running.r[positions[t]] = 1.0
            torch.autograd.grad(logits[t, token], x, retain_graph=t + 1 < len(token_ids))
            rows.append(_running.r)
    relevancy = torch.stack(rows) if rows else x.new_zeros((0, n))
    states = states[0].detach().float()
    return Explained(relevancy, logits.detach(), states[positions], states)
