"""A decoder's attention handed to a recorder as it is computed, layer by layer, for methods that need no gradient below
a layer. No layer's matrix is kept for the next one."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch

from .decoder_call import DecoderCall
from .replace import Attending, attention_of, register_attention, without_weight_gradients

_NAME = "patchlight_recorded"


class Attended(NamedTuple):
    """One layer's attention. a [heads, n, n] float32 probabilities; v [heads, n, width], key-value heads repeated;
    seen [n, n] bool, what each row may see; out [1, heads, n, width] the heads' outputs."""

    layer: int
    a: torch.Tensor
    v: torch.Tensor
    seen: torch.Tensor
    out: torch.Tensor


class _Recording:
    """Who is told of the pass that is running; it returns the outputs that the layer goes on with."""

    record: Callable[[Attended], torch.Tensor]


_recording = _Recording()


def _attend(of: Attending) -> torch.Tensor:
    if of.q.shape[0] != 1:
        raise ValueError(f"one sequence at a time, got a batch of {of.q.shape[0]}")
    scores = torch.matmul(of.q, of.k.transpose(-1, -2)).float() * of.scaling
    a = torch.softmax(scores + of.mask, dim=-1)
    out = torch.matmul(a.to(of.v.dtype), of.v)
    seen = of.mask[0, 0] > torch.finfo(of.mask.dtype).min / 2
    return _recording.record(Attended(of.layer, a[0], of.v[0], seen, out))


register_attention(_NAME, _attend)


@contextmanager
def _recorded(call: DecoderCall, record: Callable[[Attended], torch.Tensor]) -> Iterator[None]:
    _recording.record = record
    try:
        with attention_of(call.decoder, _NAME):
            yield
    finally:
        del _recording.record


@torch.no_grad()
def record_attention(call: DecoderCall, positions: torch.Tensor, look: Callable[[Attended], None]) -> torch.Tensor:
    """One forward pass of which `look` sees each layer's attention, first layer first; logits [t, vocabulary] of
    `positions` [t]."""

    def record(attended: Attended) -> torch.Tensor:
        look(attended)
        return attended.out

    with _recorded(call, record):
        states = call.decoder(**{**call.arguments, "use_cache": False}).last_hidden_state
    return call.lm_head(states[0, positions.to(states.device)])


class LocalSlopes(NamedTuple):
    """Attention of one layer at the explained rows, and how the tokens' scores, read off this very layer, depend on it.

    a [t, heads, n] float32; g [t, heads, n] float32, ds_t/da at row p_t, 0 where the row may not see.
    """

    layer: int
    a: torch.Tensor
    g: torch.Tensor


def local_slopes(
    call: DecoderCall,
    positions: torch.Tensor,
    tokens: torch.Tensor,
    first_layer: int,
    look: Callable[[LocalSlopes], None],
) -> torch.Tensor:
    """One forward pass; each layer from `first_layer` on is read as if it were the last, and differentiated alone.

    The score of token t is `s = lm_head(norm(h_l[p_t]))[y_t]`, of the last layer the token's own logit. Within a layer
    row p_t of `a` acts through the heads' outputs at p_t only, `o = sum_j a_j v_j`, so ds/da_j = ds/do . v_j, and one
    backward pass from the layer's output to `o` serves all tokens at once. Returns logits [t, vocabulary].
    """
    layers, rows = call.decoder.layers, positions.to(call.arguments["inputs_embeds"].device)
    kept: dict[str, Attended] = {}

    def record(attended: Attended) -> torch.Tensor:
        if attended.layer < first_layer:
            return attended.out
        out = attended.out.detach().requires_grad_()
        kept["now"] = attended._replace(out=out)
        return out

    def read(module: torch.nn.Module, given: object, output: torch.Tensor) -> torch.Tensor:
        if not kept:
            return output
        attended = kept.pop("now")
        at = rows.to(output.device)
        scores = call.lm_head(call.decoder.norm(output[:, at])[0])
        chosen = scores.gather(1, tokens.to(scores.device)[:, None]).sum()
        (slope,) = torch.autograd.grad(chosen, attended.out)
        g = torch.einsum("htw,hnw->thn", slope[0, :, at].float(), attended.v.float())
        g *= attended.seen[at][:, None]
        look(LocalSlopes(attended.layer, attended.a[:, at].transpose(0, 1), g))
        return output.detach()

    handles = [layer.register_forward_hook(read) for layer in layers]
    try:
        with _recorded(call, record), without_weight_gradients(call.lm_head), torch.enable_grad():
            states = call.decoder(**{**call.arguments, "use_cache": False}).last_hidden_state
    finally:
        for handle in handles:
            handle.remove()
    with torch.no_grad():
        return call.lm_head(states[0, rows.to(states.device)])
