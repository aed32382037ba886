"""Batches for training: one image with many question-answer pairs, each pair seeing the image and itself only.

Packing is exact: pairs share the image's columns under a block mask and restart their positions after it, so a pair
gives the same logits as it would alone. Patches may be left out (`keep`), with the others' positions unchanged.
"""

from random import Random
from typing import NamedTuple

import numpy as np
import torch
from transformers import PreTrainedTokenizerFast

from .model import PROMPT
from .pool import PooledScene
from .questions import answer_text, ask
from .scenes import GRID
from .vocabulary import BOS, EOS, token_id

PATCHES = GRID * GRID
IGNORED = -100


class PackedBatch(NamedTuple):
    """`n` is the longest sequence: prefix, kept patches, packed text.

    pixels [b, 336, 336, 3] uint8; keep [b, k] patch numbers; prefix [p] ids; text [b, m] ids; positions [b, n];
    group [b, n] (0 prefix and image, 1.. a pair, -1 padding); labels [b, m] (IGNORED where no loss);
    objects [b, k] object number of each kept patch, -1 for background.
    """

    pixels: torch.Tensor
    keep: torch.Tensor
    prefix: torch.Tensor
    text: torch.Tensor
    positions: torch.Tensor
    group: torch.Tensor
    labels: torch.Tensor
    objects: torch.Tensor


class PromptPieces(NamedTuple):
    """Token ids before the image and around the question."""

    before: list[int]
    after: list[int]
    eos: int


def prompt_pieces(tokenizer: PreTrainedTokenizerFast) -> PromptPieces:
    """PROMPT split at its image and question."""
    before, rest = PROMPT.split("<image>")
    _, after = rest.split("{question}")
    encode = lambda text: tokenizer(text, add_special_tokens=False).input_ids  # noqa: E731
    return PromptPieces([token_id(tokenizer, BOS), *encode(before)], encode(after), token_id(tokenizer, EOS))


def choose_patches(patch_objects: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """`count` patch numbers, ascending: those that show objects first, then random background."""
    if count >= PATCHES:
        return np.arange(PATCHES)
    return np.sort(np.argsort(rng.random(PATCHES) - 1.0 * (patch_objects >= 0), kind="stable")[:count])


def pack_scenes(
    scenes: list[PooledScene],
    tokenizer: PreTrainedTokenizerFast,
    *,
    seed: int,
    patches: int,
    text_tokens: int,
    description_share: float,
) -> PackedBatch:
    """Ask each scene questions until `text_tokens` are filled (0: none); the batch is a function of scenes and `seed`."""
    pieces = prompt_pieces(tokenizer)
    encode = tokenizer.backend_tokenizer
    random, numpy_random = Random(seed), np.random.default_rng(seed)
    rows = []
    for item in scenes:
        ids: list[int] = []
        labels: list[int] = []
        groups: list[int] = []
        offsets: list[int] = []
        kind = "description" if random.random() < description_share else None
        for group in range(1, 100):
            question = ask(item.scene, random, kind)
            kind = None
            text = question.text if random.random() < 0.7 else question.text[0].lower() + question.text[1:]
            asked = [*encode.encode(text, add_special_tokens=False).ids, *pieces.after]
            answer = [*encode.encode(answer_text(question.words), add_special_tokens=False).ids, pieces.eos]
            if len(ids) + len(asked) + len(answer) > text_tokens:
                break
            pair = asked + answer[:-1]
            ids += pair
            labels += [IGNORED] * (len(asked) - 1) + answer
            groups += [group] * len(pair)
            offsets += range(len(pair))
        keep = choose_patches(item.patch_objects, patches, numpy_random)
        rows.append((item, keep, ids, labels, groups, offsets))
    longest = max(text_tokens, 1)  # one shape for all batches, so that a compiled model stays compiled
    before = len(pieces.before)

    def padded(values: list[int], fill: int) -> list[int]:
        return values + [fill] * (longest - len(values))

    first = before + PATCHES
    positions = [
        [*range(before), *(before + keep), *(first + o for o in padded(offsets, 0))]
        for _, keep, _, _, _, offsets in rows
    ]
    group = [[0] * (before + patches) + padded(groups, -1) for *_, groups, _ in rows]
    return PackedBatch(
        torch.from_numpy(np.stack([row[0].image for row in rows])),
        torch.from_numpy(np.stack([row[1] for row in rows])),
        torch.tensor(pieces.before),
        torch.tensor([padded(row[2], 0) for row in rows]),
        torch.tensor(np.array(positions)),
        torch.tensor(group),
        torch.tensor([padded(row[3], IGNORED) for row in rows]),
        torch.from_numpy(np.stack([row[0].patch_objects[row[1]].astype(np.int64) for row in rows])),
    )


def block_mask(group: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """[b, n] groups to an additive mask [b, 1, n, n]: causal, each pair seeing group 0 and itself."""
    n = group.shape[1]
    causal = torch.ones(n, n, dtype=torch.bool, device=group.device).tril()
    same = (group[:, None, :] == group[:, :, None]) | (group[:, None, :] == 0)
    allowed = (same & causal) | torch.eye(n, dtype=torch.bool, device=group.device)
    return torch.zeros(allowed.shape, dtype=dtype, device=group.device).masked_fill_(~allowed, torch.finfo(dtype).min)[
        :, None
    ]
