"""Training batches that pack many question-answer pairs with one image; each pair sees only the image and itself.

Packing is exact: pairs share the image's columns under a block mask, and the positions of each pair start right after
the image, so a pair gets the same logits as it would alone. Patches can be omitted from the vision tower's input
(`keep`) or the language model's input (`read`); the positions of the remaining patches do not change.
"""

from random import Random
from typing import NamedTuple

import numpy as np
import torch
from transformers import PreTrainedTokenizerFast

from ..world.pool import PooledScene
from ..world.questions import KINDS, Mention, answer_text, ask
from ..world.scenes import GRID
from .model import PROMPT
from .vocabulary import BOS, EOS, token_id

PATCHES = GRID * GRID
IGNORED = -100


class PackedBatch(NamedTuple):
    """A batch of b images; a sequence has n = p + r + m tokens: prefix, read patches, packed text.

    pixels [b, 336, 336, 3] uint8; keep [b, k] patch numbers; read [b, r] columns of `keep`; prefix [p] ids;
    text [b, m] ids; positions [b, n].
    group [b, n]: 0 for prefix and image, 1 and up for the pairs, -1 for padding. labels [b, m]: IGNORED for tokens
    without a loss. kinds [b, m]: index in KINDS of each text token's pair, -1 for padding. objects [b, k]: object
    number per kept patch, -1 for background. multiplicity [b, r]: how many patches, including omitted ones, each read
    patch represents.
    fitting [b, m]: at the end of a mention, the number of objects that fit it, else -1. fit [b, m]: the object if
    exactly one fits, else -1. fit_before [b, m]: at the end of each mention with a `fit`, except the first, the `fit`
    of the previous such mention, else -1.
    """

    pixels: torch.Tensor
    keep: torch.Tensor
    read: torch.Tensor
    prefix: torch.Tensor
    text: torch.Tensor
    positions: torch.Tensor
    group: torch.Tensor
    labels: torch.Tensor
    kinds: torch.Tensor
    objects: torch.Tensor
    multiplicity: torch.Tensor
    fitting: torch.Tensor
    fit: torch.Tensor
    fit_before: torch.Tensor


class PromptPieces(NamedTuple):
    """Token ids before the image (`before`) and after the question (`after`), and the end token."""

    before: list[int]
    after: list[int]
    eos: int


def prompt_pieces(tokenizer: PreTrainedTokenizerFast) -> PromptPieces:
    """Split PROMPT at its image and question and tokenize the pieces."""
    before, rest = PROMPT.split("<image>")
    _, after = rest.split("{question}")
    encode = lambda text: tokenizer(text, add_special_tokens=False).input_ids  # noqa: E731
    return PromptPieces([token_id(tokenizer, BOS), *encode(before)], encode(after), token_id(tokenizer, EOS))


def choose_patches(patch_objects: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Choose `count` patches. Returns their indices in `patch_objects`, in ascending order.

    Chooses patches that show objects before background patches, and at random within each group.
    """
    n = len(patch_objects)
    if count >= n:
        return np.arange(n)
    return np.sort(np.argsort(rng.random(n) - 1.0 * (patch_objects >= 0), kind="stable")[:count])


def pack_scenes(
    scenes: list[PooledScene],
    tokenizer: PreTrainedTokenizerFast,
    *,
    seed: int,
    patches: int,
    text_tokens: int,
    description_share: float,
    read_patches: int = PATCHES,
) -> PackedBatch:
    """Pack each scene with questions of at most `text_tokens` tokens in total, or with no questions if `text_tokens` is
    0.

    Keeps `patches` patches per image, of which the language model reads `read_patches`. The same scenes and `seed`
    always give the same batch.
    """
    pieces = prompt_pieces(tokenizer)
    random, numpy_random = Random(seed), np.random.default_rng(seed)
    rows = [
        _pack_row(item, tokenizer, pieces, random, numpy_random, patches, read_patches, text_tokens, description_share)
        for item in scenes
    ]
    longest = max(text_tokens, 1)  # one shape for all batches, so that a compiled model is not recompiled
    before = len(pieces.before)

    def padded(values: list[int], fill: int) -> list[int]:
        return values + [fill] * (longest - len(values))

    first = before + PATCHES
    positions = [
        [*range(before), *(before + row.keep[row.read]), *(first + o for o in padded(row.offsets, 0))] for row in rows
    ]
    seen = [0] * (before + len(rows[0].read))
    objects = [item.patch_objects[row.keep].astype(np.int64) for item, row in zip(scenes, rows, strict=True)]
    return PackedBatch(
        pixels=torch.from_numpy(np.stack([item.image for item in scenes])),
        keep=torch.from_numpy(np.stack([row.keep for row in rows])),
        read=torch.from_numpy(np.stack([row.read for row in rows])),
        prefix=torch.tensor(pieces.before),
        text=torch.tensor([padded(row.ids, 0) for row in rows]),
        positions=torch.tensor(np.array(positions)),
        group=torch.tensor([seen + padded(row.groups, -1) for row in rows]),
        labels=torch.tensor([padded(row.labels, IGNORED) for row in rows]),
        kinds=torch.tensor([padded(row.kinds, -1) for row in rows]),
        objects=torch.from_numpy(np.stack(objects)),
        multiplicity=torch.from_numpy(np.stack([row.multiplicity for row in rows])),
        fitting=torch.tensor([padded(row.fitting, -1) for row in rows]),
        fit=torch.tensor([padded(row.fit, -1) for row in rows]),
        fit_before=torch.tensor([padded(row.fit_before, -1) for row in rows]),
    )


class _Row(NamedTuple):
    """One image's part of a `PackedBatch`, before padding. offsets: text positions, counted from the image's end."""

    keep: np.ndarray
    read: np.ndarray
    ids: list[int]
    labels: list[int]
    groups: list[int]
    offsets: list[int]
    kinds: list[int]
    fitting: list[int]
    fit: list[int]
    fit_before: list[int]
    multiplicity: np.ndarray


def _pack_row(
    item: PooledScene,
    tokenizer: PreTrainedTokenizerFast,
    pieces: PromptPieces,
    random: Random,
    numpy_random: np.random.Generator,
    patches: int,
    read_patches: int,
    text_tokens: int,
    description_share: float,
) -> _Row:
    encode = tokenizer.backend_tokenizer
    fitting: list[int] = []
    fit: list[int] = []
    fit_before: list[int] = []
    ids: list[int] = []
    labels: list[int] = []
    groups: list[int] = []
    offsets: list[int] = []
    kinds: list[int] = []
    kind = "description" if random.random() < description_share else None
    for group in range(1, 100):
        question = ask(item.scene, random, kind)
        kind = None
        text = question.text if random.random() < 0.7 else question.text[0].lower() + question.text[1:]
        encoded = encode.encode(text, add_special_tokens=False)
        prompt_ids = [*encoded.ids, *pieces.after]
        answer = [*encode.encode(answer_text(question.words), add_special_tokens=False).ids, pieces.eos]
        if len(ids) + len(prompt_ids) + len(answer) > text_tokens:
            break
        pair = prompt_ids + answer[:-1]
        ids += pair
        labels += [IGNORED] * (len(prompt_ids) - 1) + answer
        groups += [group] * len(pair)
        offsets += range(len(pair))
        kinds += [KINDS.index(question.kind)] * len(pair)
        ends = _mention_ends(text, question.mentions, [stop for _, stop in encoded.offsets])
        fitting += [len(ends[k]) if k in ends else -1 for k in range(len(pair))]
        one = {end: objects[0] for end, objects in ends.items() if len(objects) == 1}
        fit += [one.get(k, -1) for k in range(len(pair))]
        before = dict(zip([*one][1:], one.values(), strict=False))
        fit_before += [before.get(k, -1) for k in range(len(pair))]
    keep = choose_patches(item.patch_objects, patches, numpy_random)
    read = choose_patches(item.patch_objects[keep], read_patches, numpy_random)
    multiplicity = _multiplicity(item.patch_objects, item.patch_objects[keep][read])
    return _Row(keep, read, ids, labels, groups, offsets, kinds, fitting, fit, fit_before, multiplicity)


def _mention_ends(text: str, mentions: tuple[Mention, ...], token_ends: list[int]) -> dict[int, tuple[int, ...]]:
    """Map the index of each mention's last token to the objects that fit the mention."""
    ends, start = {}, 0
    for mention in mentions:
        start = text.index(mention.text, start) + len(mention.text)
        ends[token_ends.index(start)] = mention.objects
    return ends


def _multiplicity(patch_objects: np.ndarray, read_objects: np.ndarray) -> np.ndarray:
    """Return how many patches each read patch represents, [r] float32.

    The read patches that show objects represent equal shares of all patches that show objects; the same holds for
    background patches. If the logarithm of this number is added to each read patch's attention scores, a softmax over
    the read patches approximates the softmax over all patches. What the model learns about proportions in the image,
    especially for counting, then also holds for complete images.
    """
    multiplicity = np.ones(len(read_objects), np.float32)
    for every, read in ((patch_objects >= 0, read_objects >= 0), (patch_objects < 0, read_objects < 0)):
        multiplicity[read] = every.sum() / max(read.sum(), 1)
    return multiplicity


def block_mask(group: torch.Tensor, multiplicity: torch.Tensor, before: int, dtype: torch.dtype) -> torch.Tensor:
    """Return the additive attention mask [b, 1, n, n] for groups [b, n].

    The mask is causal, and a pair sees only group 0 and itself. The r columns starting at `before` are patches; the
    mask adds the logarithm of their multiplicity [b, r].
    """
    n = group.shape[1]
    causal = torch.ones(n, n, dtype=torch.bool, device=group.device).tril()
    same = (group[:, None, :] == group[:, :, None]) | (group[:, None, :] == 0)
    allowed = (same & causal) | torch.eye(n, dtype=torch.bool, device=group.device)
    mask = torch.zeros(allowed.shape, dtype=dtype, device=group.device)
    mask[:, :, before : before + multiplicity.shape[1]] = multiplicity.log().to(dtype)[:, None]
    return mask.masked_fill_(~allowed, torch.finfo(dtype).min)[:, None]
