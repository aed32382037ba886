"""DEX-AR (arXiv 2603.06302): gradients of each layer's own guess at the token, of the heads that look at the image.

For each layer l >= l0, `s = lm_head(norm(h_l[p_t]))[y_t]` and `G = max(0, ds/dA_l)` at row p_t, not multiplied by A.
Per head `S_img` = max of G over the patches, `S_txt` = max over the text's columns up to p_t; head weight
`w = max(0, S_img - S_txt)`. Token map `sum_{l,h} w G`, G min-max scaled over [T, layers, heads, patches] of the answer.
Token weight `delta_t = max(0, max_{l,h} S_img - max_{l,h} S_txt)`; sequence map `sum_t delta_t map_t`.

Choices: l0 is the first layer. S_img, S_txt and delta are of G as it is, before scaling. Columns that a row may not see
(later ones, those outside a sliding window) have no gradient. Image tokens that are no patch (line breaks, class
token) are on neither side.
"""

from collections.abc import Generator, Sequence
from typing import Protocol

import torch

from .answer import Answer, Passes, Said, Weights
from .attention_hooks.record import LocalSlopes, local_slopes


class _Grounded(Protocol):
    @property
    def patches(self) -> torch.Tensor: ...
    @property
    def grounding(self) -> float | None: ...


def dex_ar(answer: Answer, passes: Passes, *, first_layer: int = 0) -> Generator[Said | Weights]:
    """One forward pass, and in each layer a backward pass through it alone for all tokens at once.

    All of the answer's tokens are always computed, for G is scaled over all of them; the wanted ones are given.
    """
    call = answer.call()
    sums = _Sums(answer)
    logits = local_slopes(call, answer.positions, answer.tokens, first_layer, sums.add)
    passes.forward += 1
    passes.backward += len(call.decoder.layers) - first_layer
    yield Said(logits)
    maps, deltas = sums.maps(), sums.deltas()
    for t in answer.wanted:
        yield Weights(t, maps[t].clone(), grounding=float(deltas[t]))


def sequence_map(maps: Sequence[_Grounded]) -> torch.Tensor:
    """[P] float32: `sum_t delta_t map_t` of DEX-AR's maps of an answer's tokens."""
    total = torch.zeros_like(maps[0].patches)
    for one in maps:
        if one.grounding is None:
            raise ValueError("a map without a token weight: a sequence map is made from DEX-AR's maps")
        total = total + one.grounding * one.patches
    return total


class _Sums:
    """`sum w G`, `sum w` and the extremes of G: `sum w (G - min) / (max - min)` needs no more, so G is not kept."""

    def __init__(self, answer: Answer):
        reading, start = answer.reading, answer.prompt_length
        self._patches = reading.patch_columns
        later = torch.arange(start, start + len(answer.ids) - 1)
        self._text = torch.cat([reading.prompt_columns, later])
        count = len(answer.ids)
        self._wG = torch.zeros(count, len(self._patches))
        self._w, self._image, self._words = torch.zeros(count), torch.zeros(count), torch.zeros(count)
        self._min, self._max = torch.inf, -torch.inf

    def add(self, slopes: LocalSlopes) -> None:
        G = slopes.g.clamp(min=0)  # 0 in columns past p_t
        patches = G[..., self._patches.to(G.device)]
        S_img, S_txt = patches.amax(-1), G[..., self._text.to(G.device)].amax(-1)
        w = (S_img - S_txt).clamp(min=0)
        self._wG += torch.einsum("th,thp->tp", w, patches).cpu()
        self._w += w.sum(1).cpu()
        self._image = torch.maximum(self._image, S_img.amax(1).cpu())
        self._words = torch.maximum(self._words, S_txt.amax(1).cpu())
        self._min, self._max = min(self._min, float(patches.min())), max(self._max, float(patches.max()))

    def maps(self) -> torch.Tensor:
        """[T, P]; all 0 where G is the same everywhere."""
        if self._max <= self._min:
            return torch.zeros_like(self._wG)
        return ((self._wG - self._min * self._w[:, None]) / (self._max - self._min)).clamp(min=0)

    def deltas(self) -> torch.Tensor:
        """[T]."""
        return (self._image - self._words).clamp(min=0)
