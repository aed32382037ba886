"""Chefer relevancy of answer tokens for any decoder of the library, exact and incremental, in its row-vector form.

`C_l = mean_h max(0, dS/dA_l * A_l)` and `R <- R + C_l R` from the first layer to the last (Chefer et al. 2021,
arXiv 2103.15679, equations 5 and 6, self-attention only), read at row `p_t`. One row is enough: with `r = e_{p_t}`
and `r <- r + r C_l` from the last layer to the first, the same numbers cost O(L N^2). Backward visits the layers in
that very order, so the work is done inside the backward pass of each attention (`methods/attention_hooks/observe.py`).

Exact: one teacher-forced forward over prompt and answer without a cache, then one backward a token from its raw
logit. No token sees what comes after it but inside an image, so this equals recomputing each prefix.
Incremental (lvlm-interpret's, most likely the one behind the FastRM paper): with a key-value cache; step t adds one
row to each layer's C_l, and the prompt's rows keep the gradients of token 0. It is another method, not a cheaper way
to the same numbers.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from .attention_hooks.decoder_call import DecoderCall, sliced
from .attention_hooks.observe import observe, observed_attention
from .attention_hooks.replace import without_weight_gradients

try:
    from .compiled_step import clamp_and_softmax_backward
except ModuleNotFoundError as missing:
    if missing.name != "numba":
        raise
    clamp_and_softmax_backward = None

# Devices whose relevancy step is compiled, which takes numba; on others torch's operations do the same.
_COMPILED_DEVICES = set() if clamp_and_softmax_backward is None else {"cpu"}


class Explained(NamedTuple):
    """Relevancy of `t` answer tokens over `n` positions, and what the forward pass said.

    relevancy [t, n] float32; logits [t, vocabulary]; query_states [t, d] and states [n, d]: last hidden states,
    `post_norm`, float32.
    """

    relevancy: torch.Tensor
    logits: torch.Tensor
    query_states: torch.Tensor
    states: torch.Tensor


class ObservedPass(NamedTuple):
    """A teacher-forced pass whose graph is kept. x [1, n, d] the decoder's inputs; positions [t] and logits [t,
    vocabulary] as explained; states [1, n, d] last hidden states, `post_norm`."""

    x: torch.Tensor
    positions: torch.Tensor
    logits: torch.Tensor
    states: torch.Tensor


def observed_pass(
    call: DecoderCall, positions: torch.Tensor, *, autocast: torch.dtype | None = None, keeps_graph: bool = True
) -> ObservedPass:
    """One forward pass over prompt and answer without a cache; `exact_row` reads it, and needs no context to do so."""
    embeds = call.arguments["inputs_embeds"]
    attention, last_mlp = observed_attention(call.decoder), _last_mlp_at(call.decoder, positions.unique())
    with attention, last_mlp, torch.set_grad_enabled(keeps_graph):
        x = embeds.detach().requires_grad_()
        with _lowered(x.device, autocast):
            states = _states(call.decoder, {**call.arguments, "inputs_embeds": x, "use_cache": False})
        positions = positions.to(states.device)  # in a model spread over devices not the embeddings'
        with without_weight_gradients(call.lm_head):
            logits = call.lm_head(states[0, positions].to(embeds.dtype))
    return ObservedPass(x, positions, logits, states)


def exact_row(passed: ObservedPass, t: int, token: int, *, is_last: bool = False) -> torch.Tensor:
    """[n] float32: token `t`'s exact relevancy over all columns, by one backward pass of its logit. The last one frees
    the graph."""
    row = _Row(passed.x.shape[1], int(passed.positions[t]), passed.x.device)
    observe(passed.logits[t, token], passed.x, row, retain_graph=not is_last)
    return row.r.to(passed.x.device)


def explain_tokens(
    call: DecoderCall, positions: torch.Tensor, token_ids: torch.Tensor, *, autocast: torch.dtype | None = None
) -> Explained:
    """Exact Chefer relevancy of tokens of one teacher-forced sequence, prompt and answer.

    positions [t] the row `p_t` whose logits predict each token; token_ids [t]. `autocast` lowers the precision of the
    matrix products. Raises ValueError on a batch of more than one sequence.
    """
    passed = observed_pass(call, positions, autocast=autocast)
    tokens = token_ids.tolist()
    rows = [exact_row(passed, t, token, is_last=t + 1 == len(tokens)) for t, token in enumerate(tokens)]
    x = passed.x
    relevancy = torch.stack(rows) if rows else x.new_zeros((0, x.shape[1]), dtype=torch.float32)
    states = passed.states[0].detach().float()
    return Explained(relevancy, passed.logits.detach(), states[passed.positions], states)


def explain_tokens_incrementally(
    call: DecoderCall, positions: torch.Tensor, token_ids: torch.Tensor, *, autocast: torch.dtype | None = None
) -> Explained:
    """Incremental Chefer relevancy: the answer's tokens one after the other on a key-value cache.

    As `explain_tokens`, but positions [t] must follow each other: the first is the prompt's last row.
    """
    first, n = int(positions[0]), int(positions[0]) + len(positions)
    relevancy = torch.zeros(len(positions), n, device=call.arguments["inputs_embeds"].device)
    logits, states = [], []
    for t, step in enumerate(incremental_steps(call, positions, token_ids, autocast=autocast)):
        relevancy[t, : first + t + 1] = step.row
        logits.append(step.logits)
        states.append(step.states)
    every = torch.cat(states)
    return Explained(relevancy, torch.stack(logits), every[positions.to(every.device)], every)


class IncrementalStep(NamedTuple):
    """One answer token. row [p_t + 1] float32 its relevancy over the columns so far; logits [vocabulary]; states [rows
    that this step ran, d] float32, `post_norm`."""

    row: torch.Tensor
    logits: torch.Tensor
    states: torch.Tensor


def incremental_steps(
    call: DecoderCall, positions: torch.Tensor, token_ids: torch.Tensor, *, autocast: torch.dtype | None = None
) -> Iterator[IncrementalStep]:
    """As `explain_tokens_incrementally`, a token at a time; between them the model is as it was."""
    embeds = call.arguments["inputs_embeds"]
    first, count = int(positions[0]), len(positions)
    if positions.tolist() != list(range(first, first + count)):
        raise ValueError(f"positions {positions.tolist()}: incremental relevancy wants them one after the other")
    n, prompt = first + count, first + 1
    cache = DynamicCache()
    C_prompt: dict[int, torch.Tensor] = {}
    C_answer: dict[int, torch.Tensor] = {}
    for t, token in enumerate(token_ids.tolist()):
        start, stop = (0, prompt) if t == 0 else (first + t, first + t + 1)
        arguments = sliced(call, start, stop)
        with observed_attention(call.decoder), without_weight_gradients(call.lm_head), torch.enable_grad():
            x = embeds[:, start:stop].detach().requires_grad_()
            with _lowered(x.device, autocast):
                fresh = _states(
                    call.decoder, {**arguments, "inputs_embeds": x, "past_key_values": cache, "use_cache": True}
                )
            logit = call.lm_head(fresh[0, -1:].to(embeds.dtype))
            found = _Contributions()
            observe(logit[0, token], x, found)
        _detach(cache)
        for layer, C in found.C.items():
            if t == 0:
                C_prompt[layer], C_answer[layer] = C, C.new_zeros(count, n)
            else:
                C_answer[layer][t, : C.shape[1]] = C[0]
        r = torch.zeros(n, device=embeds.device)
        r[first + t] = 1.0
        for layer in sorted(C_prompt, reverse=True):
            r = r.to(C_prompt[layer].device)
            gain = r[first:] @ C_answer[layer]  # its row 0 is empty: token 0's row is the prompt's last
            gain[:prompt] += r[:prompt] @ C_prompt[layer]
            r = r + gain
        yield IncrementalStep(r[:stop].to(embeds.device), logit[0].detach(), fresh[0].detach().float())


class _Row:
    """Exact: the row vector `r` [n] of the token whose backward pass is running."""

    def __init__(self, n: int, position: int, device: torch.device):
        self.r = torch.zeros(n, device=device)
        self.r[position] = 1.0

    def begin(self, layer: int, a: torch.Tensor) -> None:
        self.r = self.r.to(a.device)
        self._gain, self._heads = torch.zeros_like(self.r), len(a)

    def take(self, rows: slice, a: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
        gain = self._gain[: a.shape[-1]]
        if clamp_and_softmax_backward is not None and g.device.type in _COMPILED_DEVICES:
            clamp_and_softmax_backward(a.numpy(), g.numpy(), self.r[rows].numpy(), gain.numpy())
            return g
        p = a * g
        gain += torch.einsum("i,hij->j", self.r[rows], p.clamp(min=0))
        return p - a * p.sum(-1, keepdim=True)

    def end(self) -> None:
        self.r = self.r + self._gain / self._heads


class _Contributions:
    """Incremental: C_l [rows, columns] of each layer, as far as the queries that are running go."""

    def __init__(self) -> None:
        self.C: dict[int, torch.Tensor] = {}

    def begin(self, layer: int, a: torch.Tensor) -> None:
        self._heads = len(a)
        self._layer = self.C[layer] = torch.zeros(a.shape[1:], device=a.device)

    def take(self, rows: slice, a: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
        p = a * g
        self._layer[rows, : a.shape[-1]] = p.clamp(min=0).sum(0) / self._heads
        return p - a * p.sum(-1, keepdim=True)

    def end(self) -> None: ...


@contextmanager
def _last_mlp_at(decoder: Any, rows: torch.Tensor) -> Iterator[None]:
    """The last layer's MLP differentiated at `rows` alone: above its attention that layer works row by row, and only
    those rows are explained."""
    last = getattr(decoder.layers[-1], "mlp", None)
    if last is None:
        yield
        return
    whole, own = last.forward, last.__dict__.get("forward")  # a model spread over devices has one of its own

    def sparse(x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            out = whole(x)
        at = rows.to(x.device)
        return out.index_put((torch.zeros_like(at), at), whole(x[0, at]))

    last.forward = sparse
    try:
        yield
    finally:
        if own is None:
            del last.forward
        else:
            last.forward = own


def _detach(cache: DynamicCache) -> None:
    """Later steps' gradients end at what is stored: a row of attention has no other way to its own logit."""
    for layer in cache.layers:
        assert isinstance(layer, DynamicLayer)
        assert layer.keys is not None
        assert layer.values is not None
        layer.keys, layer.values = layer.keys.detach(), layer.values.detach()


def _lowered(device: torch.device, dtype: torch.dtype | None) -> torch.autocast:
    return torch.autocast(device.type, dtype=dtype or torch.bfloat16, enabled=dtype is not None)


def _states(decoder: Any, arguments: Mapping[str, Any]) -> torch.Tensor:
    return decoder(**arguments).last_hidden_state
