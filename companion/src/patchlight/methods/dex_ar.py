"""DEX-AR (arXiv 2603.06302): gradients of the token's score read from each layer, weighted towards the heads that
attend to the image.

For each layer l >= l0, `s = lm_head(norm(h_l[p_t]))[y_t]` and `G = max(0, ds/dA_l)` at row p_t, not multiplied by A.
For each head, `S_img` is the maximum of G over the patches, `S_txt` is its maximum over the text columns up to p_t, and
the head's weight is `w = max(0, S_img - S_txt)`. The token map is `sum_{l,h} w G`, with G min-max scaled over [T,
layers, heads, patches] of the answer. The token weight is `delta_t = max(0, max_{l,h} S_img - max_{l,h} S_txt)`, and
the sequence map is `sum_t delta_t map_t`.

Choices made here: l0 is the first layer. S_img, S_txt and delta are computed from G before scaling. Columns that a row
cannot see (later ones, and those outside a sliding window) have zero gradient. Image tokens that are not patches (line
breaks, class token) count neither as image nor as text.
"""

from collections.abc import Generator, Sequence
from typing import Protocol

import torch

from .answer import Answer, Logits, Passes, TokenRelevancy
from .attention_hooks.record import LocalGradients, local_gradients


class _GroundedMap(Protocol):
    @property
    def patches(self) -> torch.Tensor: ...
    @property
    def grounding(self) -> float | None: ...


def dex_ar(answer: Answer, passes: Passes, *, first_layer: int = 0) -> Generator[Logits | TokenRelevancy]:
    """Compute DEX-AR maps with one forward pass and, for all tokens at once, one backward pass through each layer.

    Maps are computed for all answer tokens, because G is scaled over all of them; only the maps of `token_indices` are
    yielded.
    """
    call = answer.call()
    sums = _Sums(answer)
    logits = local_gradients(call, answer.positions, answer.tokens, first_layer, sums.add)
    passes.forward += 1
    passes.backward += len(call.decoder.layers) - first_layer
    yield Logits(logits)
    maps, deltas = sums.maps(), sums.deltas()
    for t in answer.token_indices:
        yield TokenRelevancy(t, maps[t].clone(), grounding=float(deltas[t]))


def sequence_map(maps: Sequence[_GroundedMap]) -> torch.Tensor:
    """Combine DEX-AR's maps of an answer's tokens into one map, `sum_t delta_t map_t`: [P] float32.

    Raises ValueError if a map has no token weight.
    """
    total = torch.zeros_like(maps[0].patches)
    for token_map in maps:
        if token_map.grounding is None:
            raise ValueError("a map has no token weight; a sequence map needs DEX-AR's maps")
        total = total + token_map.grounding * token_map.patches
    return total


class _Sums:
    """Running sums of `w G` and `w`, and the extremes of G. They suffice for `sum w (G - min) / (max - min)`, so G
    itself is not kept.
    """

    def __init__(self, answer: Answer):
        reading, start = answer.reading, answer.prompt_length
        self._patch_columns = reading.patch_columns
        later = torch.arange(start, start + len(answer.ids) - 1)
        self._text_columns = torch.cat([reading.prompt_columns, later])
        count = len(answer.ids)
        self._wG = torch.zeros(count, len(self._patch_columns))
        self._w, self._image_max, self._text_max = torch.zeros(count), torch.zeros(count), torch.zeros(count)
        self._min, self._max = torch.inf, -torch.inf

    def add(self, gradients: LocalGradients) -> None:
        G = gradients.g.clamp(min=0)  # zero in columns after p_t
        patches = G[..., self._patch_columns.to(G.device)]
        S_img, S_txt = patches.amax(-1), G[..., self._text_columns.to(G.device)].amax(-1)
        w = (S_img - S_txt).clamp(min=0)
        self._wG += torch.einsum("th,thp->tp", w, patches).cpu()
        self._w += w.sum(1).cpu()
        self._image_max = torch.maximum(self._image_max, S_img.amax(1).cpu())
        self._text_max = torch.maximum(self._text_max, S_txt.amax(1).cpu())
        self._min, self._max = min(self._min, float(patches.min())), max(self._max, float(patches.max()))

    def maps(self) -> torch.Tensor:
        """The token maps [T, P]; all zero if G is constant."""
        if self._max <= self._min:
            return torch.zeros_like(self._wG)
        return ((self._wG - self._min * self._w[:, None]) / (self._max - self._min)).clamp(min=0)

    def deltas(self) -> torch.Tensor:
        """The token weights [T]."""
        return (self._image_max - self._text_max).clamp(min=0)
