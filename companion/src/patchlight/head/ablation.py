"""Measures which patches an answer rests on by barring regions of the image: the labels of the ablation teacher.

32 masks each bar the patches of about half of the image (`methods/barring.py`), and the fall of each answer token's
log-probability is measured. Such pairs of mask and fall are what the linear datamodelling score of vSTREAM (arXiv
2604.16587) judges maps by, so a head can be trained to predict them.

Regions. As in RISE (Petsiuk et al. 2018, arXiv 1806.07421), a mask is a coarse grid of square cells that is shifted at
random, and cells are barred as a whole. Single patches would not do: with half of them barred at random, enough of every
object stays visible to answer almost as before. Cells of a fixed grid would not do either: no map could be finer than a
cell, and an object on a border would always be cut in the same way; the shift lets each mask cut elsewhere. A cell is a
36th of the image's area: with more cells, 32 masks say too little about each; with fewer, several objects share one.
Exactly half of the cells are barred, not each with probability 1/2: otherwise most of the variation would be in how much
is barred, which any map predicts. Cells are squares of the source image, so where several frames show the same place, as
in LLaVA-NeXT's tiles and overview, they lose it together.
"""

import hashlib
import math
from collections.abc import Sequence
from typing import NamedTuple

import torch

from ..methods.attention_hooks.decoder_call import DecoderCall
from ..methods.barring import barred_passes
from ..models.reading import Frame

MASKS, CELLS = 32, 36
LEAST_SPREAD = 1e-3
"""Standard deviation in nats from which the falls of a token say something: below, they are rounding."""


class Ablation(NamedTuple):
    """K masks over P patches and what t tokens lost under them.

    masks `[K, P]` bool, True where a patch is barred, or `[t, K, P]` if each token has its own. deltas `[t, K]` float32:
    the fall of the token's log-probability in nats, negative if the token became more likely.
    """

    masks: torch.Tensor
    deltas: torch.Tensor


class Ablated(NamedTuple):
    """An ablation, and the pass in which nothing is barred: log_probs `[t]` in nats and likeliest `[t]` token ids."""

    ablation: Ablation
    log_probs: torch.Tensor
    likeliest: torch.Tensor


def ablate(
    call: DecoderCall,
    positions: torch.Tensor,
    token_ids: torch.Tensor,
    patch_columns: torch.Tensor,
    masks: torch.Tensor,
    *,
    autocast: torch.dtype | None = None,
) -> Ablated:
    """Measure the fall of each token's log-probability under masks `[K, P]` over the patches in `patch_columns` `[P]`.

    The pass in which nothing is barred runs in a batch with the others, so that all take the same code path and their
    differences are not those between two ways to compute attention.
    """
    barred = torch.zeros(len(masks) + 1, call.arguments["inputs_embeds"].shape[1], dtype=torch.bool)
    barred[1:, patch_columns] = masks
    passes = barred_passes(call, positions, token_ids, barred, autocast=autocast)
    plain = passes.log_probs[0]
    return Ablated(Ablation(masks, (plain - passes.log_probs[1:]).T.contiguous()), plain, passes.likeliest[0])


def region_masks(frames: Sequence[Frame], seed: int, *, count: int = MASKS, cells: int = CELLS) -> torch.Tensor:
    """Draw masks `[count, P]` bool over the patches of `frames`, True where a patch is barred.

    cells: a cell has this share of its image's area. The same frames and seed always give the same masks.
    """
    random = torch.Generator().manual_seed(seed)
    images = [_Patches.of([frame for frame in frames if frame.image == image]) for image in _images(frames)]
    order = torch.cat([_numbers(frames, image) for image in _images(frames)])
    masks = torch.zeros(count, len(order), dtype=torch.bool)
    for mask in masks:
        ids, first = [], 0
        for patches in images:
            shift = torch.rand(2, generator=random, dtype=torch.float64)
            cell = torch.floor(patches.centres / patches.side(cells) + shift).long()
            _, numbers = torch.unique(cell, dim=0, return_inverse=True)
            ids.append(numbers + first)
            first += int(numbers.max()) + 1
        # Of an odd number of cells, the half is rounded up or down at random.
        half = (first + int(torch.randint(2, (1,), generator=random))) // 2
        chosen = torch.zeros(first, dtype=torch.bool)
        chosen[torch.randperm(first, generator=random)[:half]] = True
        mask[order] = chosen[torch.cat(ids)]
    return masks


class _Patches(NamedTuple):
    """The centres `[p, 2]` of an image's patches (x, y) in source pixels, and the area that its frames cover."""

    centres: torch.Tensor
    area: float

    @classmethod
    def of(cls, frames: Sequence[Frame]) -> "_Patches":
        centres, boxes = [], []
        for frame in frames:
            x, y, width, height = frame.crop
            xs = x + (torch.arange(frame.cols, dtype=torch.float64) + 0.5) * width / frame.cols
            ys = y + (torch.arange(frame.rows, dtype=torch.float64) + 0.5) * height / frame.rows
            centres.append(torch.stack([xs.repeat(frame.rows), ys.repeat_interleave(frame.cols)], dim=1))
            boxes.append((x, y, x + width, y + height))
        left, top, right, bottom = zip(*boxes, strict=True)
        return cls(torch.cat(centres), (max(right) - min(left)) * (max(bottom) - min(top)))

    def side(self, cells: int) -> float:
        """Return the side of a cell in source pixels."""
        return math.sqrt(self.area / cells)


def _images(frames: Sequence[Frame]) -> list[int]:
    return sorted({frame.image for frame in frames})


def _numbers(frames: Sequence[Frame], image: int) -> torch.Tensor:
    """Return which of all patches belong to an image, in order."""
    owner = torch.cat([torch.full((frame.rows * frame.cols,), frame.image) for frame in frames])
    return (owner == image).nonzero()[:, 0]


def mask_seed(*parts: bytes) -> int:
    """Return a seed for the masks of one question from what identifies it, such as its token ids and its pixels."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little") + part)
    return int.from_bytes(digest.digest()[:7], "little")


def has_effect(deltas: torch.Tensor) -> torch.Tensor:
    """Return which tokens `[t]` bool lost different amounts under different masks, by falls `[t, K]`.

    The others depend on no region, or on all alike: nothing can be learned from them.
    """
    return deltas.isfinite().all(1) & (deltas.double().nan_to_num().std(1, correction=0) >= LEAST_SPREAD)


def patch_effects(ablation: Ablation) -> torch.Tensor:
    """Estimate what each patch adds to each token's log-probability: a map `[t, P]` float32 in nats, 0 where barring a
    patch does not lower it, and 0 everywhere for tokens without an effect (`has_effect`).

    Ridge regression of the falls on the masks, with an intercept that is not penalised: with `M` `[K, P]` and the falls
    `d` centred over the masks, `M^T (M M^T + p I)^-1 d`. Unlike the difference of two means, it does not credit a patch
    with what others did that happened to be barred with it, and with 32 masks much of that difference is such luck. There
    are fewer masks than cells, so plain least squares would fit all noise; the penalty `p` is the mean eigenvalue of
    `M M^T`, so a pattern of masks of average variance is believed by half.
    """
    masks, deltas = ablation.masks.double(), ablation.deltas
    effects = has_effect(deltas)
    falls = deltas.double().where(effects[:, None], 0)
    centred = masks - masks.mean(0)
    gram = centred @ centred.T
    penalty = gram.diagonal().mean()
    if penalty == 0:
        return torch.zeros(len(deltas), masks.shape[1])
    solved = torch.linalg.solve(gram + penalty * torch.eye(len(gram), dtype=torch.float64), falls.T)
    # The falls need not be centred: their mean is lost in the product, because the masks' columns sum to 0.
    return (centred.T @ solved).T.clamp(min=0).float()
