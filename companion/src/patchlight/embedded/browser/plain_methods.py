"""The gradient and attention methods straight from their formulas, by autograd over whole attention matrices.

Slow, and sharing nothing with the exported graphs but the model: what those are held to.
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
    """One pass over embeds [n, d], everything kept: n columns, T tokens that rows [T] predict.

    is_patch [n] bool. Each method gives [T, n], of which the columns up to the row count.
    """

    def __init__(
        self, model: LlavaForConditionalGeneration, embeds: Tensor, rows: Tensor, tokens: Tensor, is_patch: Tensor
    ):
        self._model, self._decoder = model, language_model(model)
        self._rows, self._tokens, self._is_patch = rows.tolist(), tokens.tolist(), is_patch
        self._A: list[Tensor] = []
        self._normed: list[Tensor] = []
        self._outputs: list[Tensor] = []
        with _watched(self._decoder, self._A, self._normed, self._outputs):
            x = embeds[None].clone().requires_grad_()
            states = self._decoder(inputs_embeds=x, use_cache=False).last_hidden_state[0]
        self.logits = model.lm_head(states)
        self.states = states.detach()

    def chefer(self) -> Tensor:
        """The matrix recursion `R <- R + C_l R`, all rows of it, read at the token's."""
        found = []
        for row, token in zip(self._rows, self._tokens, strict=True):
            R = torch.eye(len(self.states))
            for A, G in zip(self._A, self._gradients(row, token, self._A), strict=True):
                R = R + (A.detach() * G)[0].clamp(min=0).mean(0) @ R
            found.append(R[row])
        return torch.stack(found)

    def gradcam(self) -> Tensor:
        """Of the prefix: what the token's row cannot see has no part in the mean."""
        found = []
        for row, token in zip(self._rows, self._tokens, strict=True):
            [G] = self._gradients(row, token, self._A[-1:])
            w = G[0, :, : row + 1, : row + 1].mean((1, 2))
            found.append((w[:, None] * self._A[-1].detach()[0, :, row]).mean(0).clamp(min=0))
        return torch.stack(found)

    def feature_gradcam(self, layer: int) -> Tensor:
        """`F` is the layer's normalised input."""
        F, found = self._normed[layer].detach()[0], []
        for row, token in zip(self._rows, self._tokens, strict=True):
            [G] = self._gradients(row, token, [self._normed[layer]])
            w = G[0][self._is_patch].clamp(min=0).mean(0)
            found.append((F @ w).clamp(min=0))
        return torch.stack(found)

    def lens_gradients(self) -> Tensor:
        """DEX-AR's G [T, L, h, n]."""
        columns = torch.arange(len(self.states))
        found = []
        for row, token in zip(self._rows, self._tokens, strict=True):
            for A, output in zip(self._A, self._outputs, strict=True):
                s = self._model.lm_head(self._decoder.norm(output))[0, row, token]
                [G] = torch.autograd.grad(s, A, retain_graph=True)
                found.append(G[0, :, row].clamp(min=0) * (columns <= row))
        return torch.stack(found).unflatten(0, (len(self._rows), -1))

    def dex_ar(self) -> tuple[Tensor, Tensor]:
        """Maps [T, P] and groundings [T]."""
        G = self.lens_gradients()
        image, text = G[..., self._is_patch], G[..., ~self._is_patch]
        S_img, S_txt = image.amax(-1), text.amax(-1)
        w = (S_img - S_txt).clamp(min=0)
        scaled = (image - image.min()) / (image.max() - image.min())
        delta = (S_img.amax((1, 2)) - S_txt.amax((1, 2))).clamp(min=0)
        return torch.einsum("tlh,tlhp->tp", w, scaled), delta

    def rollout(self) -> Tensor:
        """The whole product `B_L ... B_1`."""
        R = torch.eye(len(self.states))
        for A in self._A:
            B = A.detach()[0].mean(0) + torch.eye(len(self.states))
            R = B / B.sum(-1, keepdim=True) @ R
        return R[self._rows]

    def attention(self) -> Tensor:
        """The last layer's, mean over heads."""
        return self._A[-1].detach()[0].mean(0)[self._rows]

    def _gradients(self, row: int, token: int, of: list[Tensor]) -> tuple[Tensor, ...]:
        return torch.autograd.grad(self.logits[row, token], of, retain_graph=True)


@contextmanager
def _watched(decoder: Any, A: list[Tensor], normed: list[Tensor], outputs: list[Tensor]) -> Iterator[None]:
    """Attention that keeps its matrices, and each layer's normalised input and output kept."""

    def attention(module, query, key, value, attention_mask, scaling=None, **_):
        n = query.shape[2]
        later = torch.ones(n, n, dtype=torch.bool).triu(1)
        a = (query @ key.transpose(-1, -2) * scaling).masked_fill(later, float("-inf")).softmax(-1)
        A.append(a)
        return (a @ value).transpose(1, 2), None

    def keep(into: list[Tensor]):
        return lambda module, given, output: into.append(output)

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
