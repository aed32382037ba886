"""Pass a decoder's attention to a recorder while it is computed, layer by layer, for methods that need no gradients, or
only gradients within a single layer. A layer's attention matrix is not kept once the next layer runs.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch

from ...models.language_model import final_norm_of, layers_of
from .decoder_call import DecoderCall
from .replace import AttentionInputs, register_attention, use_attention, without_weight_gradients

_NAME = "patchlight_recorded"


class LayerAttention(NamedTuple):
    """One layer's attention.

    a [heads, n, n] float32: probabilities; v [heads, n, width], with key-value heads repeated; visible [n, n] bool: the
    columns that each row sees; out [1, heads, n, width]: the heads' outputs.
    """

    layer: int
    a: torch.Tensor
    v: torch.Tensor
    visible: torch.Tensor
    out: torch.Tensor


class _Recording:
    """Holds the recorder for the pass in progress. The recorder returns the outputs with which the layer continues."""

    record: Callable[[LayerAttention], torch.Tensor]


_recording = _Recording()


def _attend(inputs: AttentionInputs) -> torch.Tensor:
    q, k, v, mask = inputs.q, inputs.k, inputs.v, inputs.mask
    if q.shape[0] != 1:
        raise ValueError(f"expected one sequence, got a batch of {q.shape[0]}")
    scores = torch.matmul(q, k.transpose(-1, -2)).float() * inputs.scaling
    a = torch.softmax(scores + mask, dim=-1)
    out = torch.matmul(a.to(v.dtype), v)
    visible = mask[0, 0] > torch.finfo(mask.dtype).min / 2
    return _recording.record(LayerAttention(inputs.layer, a[0], v[0], visible, out))


register_attention(_NAME, _attend)


@contextmanager
def _recorded(call: DecoderCall, record: Callable[[LayerAttention], torch.Tensor]) -> Iterator[None]:
    _recording.record = record
    try:
        with use_attention(call.decoder, _NAME):
            yield
    finally:
        del _recording.record


@torch.no_grad()
def record_attention(
    call: DecoderCall, positions: torch.Tensor, on_layer: Callable[[LayerAttention], None]
) -> torch.Tensor:
    """Run one forward pass and call `on_layer` with each layer's attention, first layer first.

    Returns the logits [t, vocabulary] at `positions` [t].
    """

    def record(attention: LayerAttention) -> torch.Tensor:
        on_layer(attention)
        return attention.out

    with _recorded(call, record):
        states = call.decoder(**{**call.arguments, "use_cache": False}).last_hidden_state
    return call.logits(states[0, positions.to(states.device)])


class LocalGradients(NamedTuple):
    """One layer's attention at the explained rows, and the gradients of the token scores that are read from this layer.

    a [t, heads, n] float32; g [t, heads, n] float32: ds_t/da at row p_t, zero in columns that the row does not see.
    """

    layer: int
    a: torch.Tensor
    g: torch.Tensor


def local_gradients(
    call: DecoderCall,
    positions: torch.Tensor,
    tokens: torch.Tensor,
    first_layer: int,
    on_layer: Callable[[LocalGradients], None],
) -> torch.Tensor:
    """Run one forward pass; from `first_layer` on, score the tokens from each layer's output as if it were the last
    layer's, and differentiate the scores within that layer.

    The score of token t is `s = lm_head(norm(h_l[p_t]))[y_t]`; in the last layer this is the token's logit. Within a
    layer, row p_t of `a` acts only through the heads' outputs at p_t, `o = sum_j a_j v_j`, so ds/da_j = ds/do . v_j,
    and one backward pass from the layer's output to `o` serves all tokens at once. Calls `on_layer` with the gradients
    of each layer, and returns the logits [t, vocabulary].
    """
    layers, final_norm = layers_of(call.decoder), final_norm_of(call.decoder)
    rows = positions.to(call.arguments["inputs_embeds"].device)
    current: list[LayerAttention] = []

    def record(attention: LayerAttention) -> torch.Tensor:
        if attention.layer < first_layer:
            return attention.out
        out = attention.out.detach().requires_grad_()
        current.append(attention._replace(out=out))
        return out

    def differentiate(module: torch.nn.Module, args: object, output: torch.Tensor) -> torch.Tensor:
        if not current:
            return output
        attention = current.pop()
        at = rows.to(output.device)
        scores = call.logits(final_norm(output[:, at])[0])
        total = scores.gather(1, tokens.to(scores.device)[:, None]).sum()
        (gradient,) = torch.autograd.grad(total, attention.out)
        g = torch.einsum("htw,hnw->thn", gradient[0, :, at].float(), attention.v.float())
        g *= attention.visible[at][:, None]
        on_layer(LocalGradients(attention.layer, attention.a[:, at].transpose(0, 1), g))
        return output.detach()

    handles = [layer.register_forward_hook(differentiate) for layer in layers]
    try:
        with _recorded(call, record), without_weight_gradients(call.lm_head), torch.enable_grad():
            states = call.decoder(**{**call.arguments, "use_cache": False}).last_hidden_state
    finally:
        for handle in handles:
            handle.remove()
    with torch.no_grad():
        return call.logits(states[0, rows.to(states.device)])
