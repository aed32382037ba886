"""Observe a decoder's attention during its backward pass.

Implements softmax attention with a custom backward pass, which processes each layer's attention matrix in blocks of
rows and sends each block's probabilities and gradients to a sink, so no N x N gradient is stored for any head. The
backward pass visits the layers from last to first.
"""

from contextlib import AbstractContextManager
from typing import Protocol

import torch
from torch import nn

from .replace import AttentionInputs, register_attention, use_attention

_NAME = "patchlight_observed"
# Rows per block: few enough for a CPU's cache, many enough to keep a GPU busy.
_ROW_BLOCK, _GPU_ROW_BLOCK = 160, 1024


class Sink(Protocol):
    """Receives each layer's attention and its gradient, last layer first."""

    def begin(self, layer: int, a: torch.Tensor) -> None:
        """Start a layer. a [heads, rows, columns]: the layer's attention probabilities."""
        ...

    def take(self, rows: slice, a: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
        """Process a block of rows and return the gradient of its scores.

        a and g [heads, rows in the block, columns up to the last visible one]: the probabilities and their gradient.
        """
        ...

    def end(self) -> None:
        """Finish the layer."""
        ...


class _Running:
    """The sink of the backward pass in progress."""

    sink: Sink


_running = _Running()


def observe(logit: torch.Tensor, x: torch.Tensor, sink: Sink, *, retain_graph: bool = False) -> None:
    """Run the backward pass from one logit to the decoder's inputs `x`, sending each layer's attention to `sink`."""
    _running.sink = sink
    try:
        torch.autograd.grad(logit, x, retain_graph=retain_graph)
    finally:
        del _running.sink  # the sink may hold attention matrices of all layers


class _ObservedAttention(torch.autograd.Function):
    """Softmax attention whose backward pass sends each block's probabilities and gradients to `_running.sink`."""

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
            raise ValueError(f"expected one sequence, got a batch of {q.shape[0]}")
        is_first = ctx.layer == 0
        dq, dk, dv = torch.zeros_like(q), torch.zeros_like(k), torch.zeros_like(v)
        n, size = q.shape[2], row_block(q.device)
        sink = _running.sink
        sink.begin(ctx.layer, a[0])
        has_gradient = (grad_out[0].abs().amax(dim=(0, 2)) > 0).tolist()
        for start in range(0, n, size):
            stop = min(start + size, n)
            # Skip rows without gradient: all but one in the last layer, and all after the token in every layer.
            count = sum(has_gradient[start:stop])
            if count == 0:
                continue
            if count == 1:
                start = start + has_gradient[start:stop].index(True)
                stop = start + 1
            rows, columns = slice(start, stop), max(ctx.reach[start:stop]) + 1
            upstream, block = grad_out[0, :, rows], a[0, :, rows, :columns]
            g = torch.bmm(upstream, v[0, :, :columns].transpose(1, 2)).float()
            g = sink.take(rows, block, g)
            if is_first:
                continue  # no gradient is needed below the first layer
            g = g.to(q.dtype)
            dq[0, :, rows].baddbmm_(g, k[0, :, :columns], alpha=ctx.scaling)
            dk[0, :, :columns].baddbmm_(g.transpose(1, 2), q[0, :, rows], alpha=ctx.scaling)
            dv[0, :, :columns].baddbmm_(block.transpose(1, 2).to(v.dtype), upstream)
        sink.end()
        if is_first:
            return None, None, None, None, None, None
        return dq, dk, dv, None, None, None


def row_block(device: torch.device) -> int:
    """Return the number of rows per block of the backward pass."""
    return _ROW_BLOCK if device.type == "cpu" else _GPU_ROW_BLOCK


def _reach(mask: torch.Tensor) -> list[int]:
    """The last column that each row sees: its own under a causal mask, or the image's last within an image."""
    seen = mask[0, 0] > torch.finfo(mask.dtype).min / 2
    return (seen * torch.arange(mask.shape[-1], device=mask.device)).amax(-1).tolist()


def _attend(inputs: AttentionInputs) -> torch.Tensor:
    return _ObservedAttention.apply(inputs.q, inputs.k, inputs.v, inputs.mask, inputs.scaling, inputs.layer)


register_attention(_NAME, _attend)


def observed_attention(decoder: nn.Module) -> AbstractContextManager[None]:
    """Within this context, the decoder uses the observed attention; see `use_attention`."""
    return use_attention(decoder, _NAME)
