"""Chefer relevancy of answer tokens for any transformers decoder, exact and incremental, in row-vector form.

`C_l = mean_h max(0, dS/dA_l * A_l)` and `R <- R + C_l R` from the first layer to the last (Chefer et al. 2021,
arXiv 2103.15679, equations 5 and 6, self-attention only), read at row `p_t`. Only one row is needed: starting from
`r = e_{p_t}`, `r <- r + r C_l` from the last layer to the first gives the same numbers in O(L N^2). The backward pass
visits the layers in the same order, so the update happens inside the backward pass of each attention
(`methods/attention_hooks/observe.py`).

Exact: one teacher-forced forward pass over prompt and answer without a cache, then one backward pass per token from its
raw logit. Tokens see later tokens only within an image, so the result equals recomputing each prefix.
Incremental (used by lvlm-interpret, and most likely by the FastRM paper): with a key-value cache, step t adds one row
to each layer's C_l, and the prompt's rows keep the gradients of token 0. This is a different method, not a faster way
to the same numbers.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
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

# Devices that use the compiled kernel, if numba is installed; others use the equivalent torch operations.
_COMPILED_DEVICES = set() if clamp_and_softmax_backward is None else {"cpu"}


class AnswerRelevancy(NamedTuple):
    """Relevancy of `t` answer tokens over `n` columns, and the outputs of the forward pass.

    relevancy [t, n] float32; logits [t, vocabulary]; query_states [t, d] and states [n, d]: last hidden states,
    `post_norm`, float32.
    """

    relevancy: torch.Tensor
    logits: torch.Tensor
    query_states: torch.Tensor
    states: torch.Tensor


class ObservedPass(NamedTuple):
    """A teacher-forced pass and its autograd graph.

    x [1, n, d]: the decoder's inputs; positions [t] and logits [t, vocabulary] of the tokens to explain; states
    [1, n, d]: last hidden states, `post_norm`.
    """

    x: torch.Tensor
    positions: torch.Tensor
    logits: torch.Tensor
    states: torch.Tensor


def observed_pass(
    call: DecoderCall, positions: torch.Tensor, *, autocast: torch.dtype | None = None, keeps_graph: bool = True
) -> ObservedPass:
    """Run the forward pass that `exact_row` differentiates, over prompt and answer without a cache."""
    embeds = call.arguments["inputs_embeds"]
    attention, last_layer = observed_attention(call.decoder), _last_layer_at(call.decoder, positions.unique())
    with attention, last_layer, torch.set_grad_enabled(keeps_graph):
        x = embeds.detach().requires_grad_()
        with _lowered(x.device, autocast):
            states = _states(call.decoder, {**call.arguments, "inputs_embeds": x, "use_cache": False})
        positions = positions.to(states.device)  # the embeddings may be on another device
        with without_weight_gradients(call.lm_head):
            logits = call.logits(states[0, positions].to(embeds.dtype))
    return ObservedPass(x, positions, logits, states)


def exact_row(observed: ObservedPass, t: int, token: int, *, is_last: bool = False) -> torch.Tensor:
    """Compute the exact relevancy of token `t` over all columns, [n] float32, with one backward pass from its logit.

    If `is_last` is set, the graph is freed.
    """
    row = _Row(observed.x.shape[1], int(observed.positions[t]), observed.x.device)
    observe(observed.logits[t, token], observed.x, row, retain_graph=not is_last)
    return row.r.to(observed.x.device)


def explain_tokens(
    call: DecoderCall, positions: torch.Tensor, token_ids: torch.Tensor, *, autocast: torch.dtype | None = None
) -> AnswerRelevancy:
    """Compute the exact Chefer relevancy of tokens in one teacher-forced sequence of prompt and answer.

    positions [t]: the row `p_t` whose logits predict each token; token_ids [t]. `autocast` sets a lower precision for
    matrix products. Raises ValueError for a batch of more than one sequence.
    """
    observed = observed_pass(call, positions, autocast=autocast)
    tokens = token_ids.tolist()
    rows = [exact_row(observed, t, token, is_last=t + 1 == len(tokens)) for t, token in enumerate(tokens)]
    x = observed.x
    relevancy = torch.stack(rows) if rows else x.new_zeros((0, x.shape[1]), dtype=torch.float32)
    states = observed.states[0].detach().float()
    return AnswerRelevancy(relevancy, observed.logits.detach(), states[observed.positions], states)


def explain_tokens_incrementally(
    call: DecoderCall, positions: torch.Tensor, token_ids: torch.Tensor, *, autocast: torch.dtype | None = None
) -> AnswerRelevancy:
    """Compute the incremental Chefer relevancy of an answer's tokens, one by one, with a key-value cache.

    Like `explain_tokens`, but positions [t] must be consecutive, starting with the prompt's last row.
    """
    first, n = int(positions[0]), int(positions[0]) + len(positions)
    relevancy = torch.zeros(len(positions), n, device=call.arguments["inputs_embeds"].device)
    logits, states = [], []
    for t, step in enumerate(incremental_steps(call, positions, token_ids, autocast=autocast)):
        relevancy[t, : first + t + 1] = step.row
        logits.append(step.logits)
        states.append(step.states)
    all_states = torch.cat(states)
    return AnswerRelevancy(relevancy, torch.stack(logits), all_states[positions.to(all_states.device)], all_states)


class IncrementalStep(NamedTuple):
    """One answer token.

    row [p_t + 1] float32: its relevancy over the columns so far; logits [vocabulary]; states [rows run in this step, d]
    float32: last hidden states, `post_norm`.
    """

    row: torch.Tensor
    logits: torch.Tensor
    states: torch.Tensor


def incremental_steps(
    call: DecoderCall, positions: torch.Tensor, token_ids: torch.Tensor, *, autocast: torch.dtype | None = None
) -> Iterator[IncrementalStep]:
    """Like `explain_tokens_incrementally`, but yield one token at a time. At each yield, the model is in its original
    state. Raises ValueError if positions are not consecutive.
    """
    embeds = call.arguments["inputs_embeds"]
    first, count = int(positions[0]), len(positions)
    if positions.tolist() != list(range(first, first + count)):
        raise ValueError(f"positions must be consecutive for incremental relevancy, got {positions.tolist()}")
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
                states = _states(
                    call.decoder, {**arguments, "inputs_embeds": x, "past_key_values": cache, "use_cache": True}
                )
            logits = call.logits(states[0, -1:].to(embeds.dtype))
            contributions = _Contributions()
            observe(logits[0, token], x, contributions)
        _detach(cache)
        for layer, C in contributions.C.items():
            if t == 0:
                C_prompt[layer], C_answer[layer] = C, C.new_zeros(count, n)
            else:
                C_answer[layer][t, : C.shape[1]] = C[0]
        r = torch.zeros(n, device=embeds.device)
        r[first + t] = 1.0
        for layer in sorted(C_prompt, reverse=True):
            r = r.to(C_prompt[layer].device)
            gain = r[first:] @ C_answer[layer]  # row 0 is empty, because token 0's row is the last row of the prompt
            gain[:prompt] += r[:prompt] @ C_prompt[layer]
            r = r + gain
        yield IncrementalStep(r[:stop].to(embeds.device), logits[0].detach(), states[0].detach().float())


class _Row:
    """Exact relevancy: the row vector `r` [n] of the token whose backward pass is running."""

    def __init__(self, n: int, position: int, device: torch.device):
        self.r = torch.zeros(n, device=device)
        self.r[position] = 1.0

    def begin(self, layer: int, a: torch.Tensor) -> None:
        self.r = self.r.to(a.device)
        self._gain, self._a = torch.zeros_like(self.r), a

    def take(self, rows: slice, a: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
        gain = self._gain[: a.shape[-1]]
        if clamp_and_softmax_backward is not None and g.device.type in _COMPILED_DEVICES:
            clamp_and_softmax_backward(self._a.numpy(), rows.start, g.numpy(), self.r.numpy(), gain.numpy())
            return g
        p = a * g
        gain += torch.einsum("i,hij->j", self.r[rows], p.clamp(min=0))
        return p - a * p.sum(-1, keepdim=True)

    def end(self) -> None:
        self.r = self.r + self._gain / len(self._a)
        del self._a


class _Contributions:
    """Incremental relevancy: C_l [rows, columns] of each layer, for the rows of the current step."""

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
def _last_layer_at(decoder: Any, rows: torch.Tensor) -> Iterator[None]:
    """Differentiate the last layer's MLP and its query and output projections only at `rows`. Only those rows are
    explained, and other rows reach them only as keys and values.
    """
    layer = decoder.layers[-1]
    attention = getattr(layer, "self_attn", None)
    parts = (getattr(layer, "mlp", None), getattr(attention, "q_proj", None), getattr(attention, "o_proj", None))
    with ExitStack() as stack:
        for part in parts:
            if part is not None:
                stack.enter_context(_differentiated_at(part, rows))
        yield


@contextmanager
def _differentiated_at(module: Any, rows: torch.Tensor) -> Iterator[None]:
    """Within this context, a module that processes each row separately [1, n, ...] has gradients only at `rows`."""
    # On a model split across devices, accelerate has set `forward` on the instance.
    forward, instance_forward = module.forward, module.__dict__.get("forward")

    def sparse(x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            out = forward(x)
        at = rows.to(x.device)
        return out.index_put((torch.zeros_like(at), at), forward(x[0, at]))

    module.forward = sparse
    try:
        yield
    finally:
        if instance_forward is None:
            del module.forward
        else:
            module.forward = instance_forward


def _detach(cache: DynamicCache) -> None:
    """Stop the gradients of later steps at the cached keys and values, which do not depend on the later rows'
    attention.
    """
    for layer in cache.layers:
        assert isinstance(layer, DynamicLayer)
        assert layer.keys is not None
        assert layer.values is not None
        layer.keys, layer.values = layer.keys.detach(), layer.values.detach()


def _lowered(device: torch.device, dtype: torch.dtype | None) -> torch.autocast:
    return torch.autocast(device.type, dtype=dtype or torch.bfloat16, enabled=dtype is not None)


def _states(decoder: Any, arguments: Mapping[str, Any]) -> torch.Tensor:
    return decoder(**arguments).last_hidden_state
