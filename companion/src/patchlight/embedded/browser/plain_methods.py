"""Plain implementations of the gradient and attention methods, by autograd over complete attention matrices.

They follow the formulas directly and are slow. They serve as the reference for the exported graphs, with which they
share only the model.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface, LlavaForConditionalGeneration

from ..training.llava_parts import language_model

_NAME = "patchlight_plain"


class PlainAnswer:
    """One pass over embeds [n, d] with all intermediate values kept; rows [T] predict tokens [T].

    is_patch [n] bool. Methods return [T, n] unless stated otherwise. Columns after a token's row are meaningless.
    """

    def __init__(
        self, model: LlavaForConditionalGeneration, embeds: Tensor, rows: Tensor, tokens: Tensor, is_patch: Tensor
    ):
        self._model, self._decoder = model, language_model(model)
        self._rows, self._tokens, self._is_patch = rows.tolist(), tokens.tolist(), is_patch
        self._A: list[Tensor] = []
        self._normed: list[Tensor] = []
        self._outputs: list[Tensor] = []
        with _recording(self._decoder, self._A, self._normed, self._outputs):
            x = embeds[None].clone().requires_grad_()
            states = self._decoder(inputs_embeds=x, use_cache=False).last_hidden_state[0]
        self.logits = model.lm_head(states)
        self.states = states.detach()

    def chefer(self) -> Tensor:
        """Return each token's row of R after the matrix recursion `R <- R + C_l R`."""
        maps = []
        for row, token in zip(self._rows, self._tokens, strict=True):
            R = torch.eye(len(self.states))
            for A, G in zip(self._A, self._gradients(row, token, self._A), strict=True):
                R = R + (A.detach() * G)[0].clamp(min=0).mean(0) @ R
            maps.append(R[row])
        return torch.stack(maps)

    def gradcam(self) -> Tensor:
        """Return attention GradCAM. Averages gradients over the prefix, because the row cannot see later columns."""
        maps = []
        for row, token in zip(self._rows, self._tokens, strict=True):
            [G] = self._gradients(row, token, self._A[-1:])
            w = G[0, :, : row + 1, : row + 1].mean((1, 2))
            maps.append((w[:, None] * self._A[-1].detach()[0, :, row]).mean(0).clamp(min=0))
        return torch.stack(maps)

    def feature_gradcam(self, layer: int) -> Tensor:
        """Return GradCAM on F, the layer's normalised input."""
        F, maps = self._normed[layer].detach()[0], []
        for row, token in zip(self._rows, self._tokens, strict=True):
            [G] = self._gradients(row, token, [self._normed[layer]])
            w = G[0][self._is_patch].clamp(min=0).mean(0)
            maps.append((F @ w).clamp(min=0))
        return torch.stack(maps)

    def lens_gradients(self) -> Tensor:
        """Return DEX-AR's G [T, L, h, n]."""
        columns = torch.arange(len(self.states))
        gradients = []
        for row, token in zip(self._rows, self._tokens, strict=True):
            for A, output in zip(self._A, self._outputs, strict=True):
                s = self._model.lm_head(self._decoder.norm(output))[0, row, token]
                [G] = torch.autograd.grad(s, A, retain_graph=True)
                gradients.append(G[0, :, row].clamp(min=0) * (columns <= row))
        return torch.stack(gradients).unflatten(0, (len(self._rows), -1))

    def dex_ar(self) -> tuple[Tensor, Tensor]:
        """Return DEX-AR's maps [T, P] and grounding weights [T]."""
        G = self.lens_gradients()
        image, text = G[..., self._is_patch], G[..., ~self._is_patch]
        S_img, S_txt = image.amax(-1), text.amax(-1)
        w = (S_img - S_txt).clamp(min=0)
        scaled = (image - image.min()) / (image.max() - image.min())
        delta = (S_img.amax((1, 2)) - S_txt.amax((1, 2))).clamp(min=0)
        return torch.einsum("tlh,tlhp->tp", w, scaled), delta

    def rollout(self) -> Tensor:
        """Return the tokens' rows of the complete product `B_L ... B_1`."""
        R = torch.eye(len(self.states))
        for A in self._A:
            B = A.detach()[0].mean(0) + torch.eye(len(self.states))
            R = B / B.sum(-1, keepdim=True) @ R
        return R[self._rows]

    def attention(self) -> Tensor:
        """Return the last layer's attention, averaged over heads."""
        return self._A[-1].detach()[0].mean(0)[self._rows]

    def _gradients(self, row: int, token: int, of: list[Tensor]) -> tuple[Tensor, ...]:
        return torch.autograd.grad(self.logits[row, token], of, retain_graph=True)


@contextmanager
def _recording(decoder: Any, A: list[Tensor], normed: list[Tensor], outputs: list[Tensor]) -> Iterator[None]:
    """Record the attention matrices and each layer's normalised input and output while the context is active."""

    def attention(module, query, key, value, attention_mask, scaling=None, **_):
        n = query.shape[2]
        later = torch.ones(n, n, dtype=torch.bool).triu(1)
        a = (query @ key.transpose(-1, -2) * scaling).masked_fill(later, float("-inf")).softmax(-1)
        A.append(a)
        return (a @ value).transpose(1, 2), None

    def keep(into: list[Tensor]):
        return lambda module, inputs, output: into.append(output)

    AttentionInterface.register(_NAME, attention)
    before = decoder.config._attn_implementation
    handles = [layer.input_layernorm.register_forward_hook(keep(normed)) for layer in decoder.layers]
    handles += [layer.register_forward_hook(keep(outputs)) for layer in decoder.layers]
    decoder.config._attn_implementation = _NAME
    try:
        yield
    finally:
        decoder.config._attn_implementation = before
        for handle in handles:
            handle.remove()
