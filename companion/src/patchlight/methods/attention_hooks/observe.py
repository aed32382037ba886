"""A decoder's attention, observed from inside its backward pass.

Softmax attention with a backward of its own: it walks each layer's attention matrix in blocks of rows and hands their probabilities and gradients to a
sink, so that nobody keeps a gradient of N x N a head. Backward visits the layers last to first.
"""

from contextlib import AbstractContextManager
from typing import Protocol

import torch
from torch import nn

from .replace import Attending, attention_of, register_attention

_NAME = "patchlight_observed"
# Rows of one block: on a CPU its products stay in the cache, on a GPU a launch has enough to do.
_ROW_BLOCK, _GPU_ROW_BLOCK = 160, 1024


class Sink(Protocol):
    """Takes each layer's attention and its gradient, last layer first."""

    def begin(self, layer: int, a: torch.Tensor) -> None:
        """a [heads, rows, columns]: the layer's attention probabilities."""
        ...

    def take(self, rows: slice, a: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
        """a and g [heads, these rows, first columns], probabilities and their gradient; returns the scores' gradient."""
        ...

    def end(self) -> None: ...


class _Running:
    """Whom the backward pass that is running serves."""

    sink: Sink


_running = _Running()


def observe(logit: torch.Tensor, x: torch.Tensor, sink: Sink, *, retain_graph: bool = False) -> None:
    """Run the backward pass of one logit down to the decoder's inputs `x`; each layer's attention goes to `sink`."""
    _running.sink = sink
    try:
        torch.autograd.grad(logit, x, retain_graph=retain_graph)
    finally:
        del _running.sink  # it may hold matrices of all layers


class _ObservedAttention(torch.autograd.Function):
    """Softmax attention whose backward hands each row block's probabilities and gradients to `_running.sink`."""

    @staticmethod
    def forward(ctx, q, k, v, mask, scaling, layer):
        scores = torch.matmul(q, k.transpose(-1, -2)).float() * scaling
        a = torch.softmax(scores + mask, dim=-1)
        ctx.save_for_backward(q, k, v, a)
        ctx.scaling, ctx.layer, ctx.reach = scaling, layer, _reach(mask)
        return torch.matmul(a.to(v.dtype), v)

    @staticmethod
    def backward(ctx, *grads):
        q, k, v, a = ctx.saved_tensors
        grad_out = grads[0]
        if q.shape[0] != 1:
            raise ValueError(f"one sequence at a time, got a batch of {q.shape[0]}")
        is_first = ctx.layer == 0
        dq, dk, dv = torch.zeros_like(q), torch.zeros_like(k), torch.zeros_like(v)
        n, size = q.shape[2], row_block(q.device)
        sink = _running.sink
        sink.begin(ctx.layer, a[0])
        alive = (grad_out[0].abs().amax(dim=(0, 2)) > 0).tolist()
        for start in range(0, n, size):
            stop = min(start + size, n)
            # rows that the token cannot reach carry no gradient (the top layer has one row, later positions none)
            count = sum(alive[start:stop])
            if count == 0:
                continue
            if count == 1:
                start = start + alive[start:stop].index(True)
                stop = start + 1
            rows, columns = slice(start, stop), max(ctx.reach[start:stop]) + 1
            upstream, block = grad_out[0, :, rows], a[0, :, rows, :columns]
            g = torch.bmm(upstream, v[0, :, :columns].transpose(1, 2)).float()
            g = sink.take(rows, block, g)
            if is_first:
                continue  # nobody asks for gradients below
            g = g.to(q.dtype)
            dq[0, :, rows] = torch.bmm(g, k[0, :, :columns]) * ctx.scaling
            dk[0, :, :columns] += torch.bmm(g.transpose(1, 2), q[0, :, rows]) * ctx.scaling
            dv[0, :, :columns] += torch.bmm(block.transpose(1, 2).to(v.dtype), upstream)
        sink.end()
        if is_first:
            return None, None, None, None, None, None
        return dq, dk, dv, None, None, None


def row_block(device: torch.device) -> int:
    """Rows that a backward pass takes at a time."""
    return _ROW_BLOCK if device.type == "cpu" else _GPU_ROW_BLOCK


def _reach(mask: torch.Tensor) -> list[int]:
    """The last column that each row may see: its own in a causal mask, the image's last one inside an image."""
    seen = mask[0, 0] > torch.finfo(mask.dtype).min / 2
    return (seen * torch.arange(mask.shape[-1], device=mask.device)).amax(-1).tolist()


def _attend(of: Attending) -> torch.Tensor:
    return _ObservedAttention.apply(of.q, of.k, of.v, of.mask, of.scaling, of.layer)


register_attention(_NAME, _attend)


def observed_attention(decoder: nn.Module) -> AbstractContextManager[None]:
    """The decoder's attention is the observed one for the time of the context, as `attention_of` says."""
    return attention_of(decoder, _NAME)
