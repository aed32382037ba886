"""What the embedded model's states should hold while it is trained, and the losses that say how far they do.

From answers alone the binding of words to patches hardly forms. So patches are asked for their object, the ends of a
question's phrases for the objects that fit, and pairs of phrases for which side one object lies of the other.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from transformers import PreTrainedTokenizerFast

from ..world.phrases import ATTRIBUTES
from ..world.pool import PooledScene
from ..world.questions import MARGIN, ground_axes
from ..world.scenes import IMAGE_PX, project
from .packing import PackedBatch
from .vocabulary import PAD, token_id

WORD_GROUPS = ("color", "shape", "material", "size")
MAX_FITTING = 8


class ObjectTargets(NamedTuple):
    """What is to be said of the object at `k` places of each image: words [b, k, 4] class numbers (0 for no object);
    places [b, k, 3]: x, y in -1..1, depth over 10, NaN for no object."""

    words: torch.Tensor
    places: torch.Tensor


class AlignmentHead(nn.Module):
    """Reads from states what they should hold; only training has it.

    From a patch's projected feature its object's words, by dot product with their embeddings, and its place (centre
    in the image, depth); from the language model's state half way up, at the end of a phrase that mentions objects,
    how many fit it, and the words and place of the one that does; a layer above, at the end of a second such phrase,
    on which side of it the first object lies. All but the first are linear maps.
    """

    def __init__(self, hidden: int, tokenizer: PreTrainedTokenizerFast):
        super().__init__()
        self.norm = nn.LayerNorm(hidden, elementwise_affine=False)
        self.place = nn.Linear(hidden, 3)
        self.fitting = nn.Linear(hidden, MAX_FITTING + 1)
        self.fit_words = nn.Linear(hidden, sum(1 + len(ATTRIBUTES[name]) for name in WORD_GROUPS))
        self.fit_place = nn.Linear(hidden, 3)
        self.sides = nn.Linear(hidden, 2)
        self.scale = nn.Parameter(torch.zeros(()))
        for name in WORD_GROUPS:
            ids = [token_id(tokenizer, word) for word in (PAD, *ATTRIBUTES[name])]
            self.register_buffer(name, torch.tensor(ids), persistent=False)

    def patch_loss(
        self, features: torch.Tensor, embedding: torch.Tensor, target: ObjectTargets
    ) -> tuple[torch.Tensor, dict[str, float]]:
        """features [b, k, d]; also the accuracy of each group of words on patches that show an object."""
        x = self.norm(features.float())
        total = features.new_zeros((), dtype=torch.float32)
        accuracy = {}
        object_share = (target.words[..., 0] > 0).float().mean().clamp(min=0.05)
        for column, name in enumerate(WORD_GROUPS):
            logits = x @ embedding[getattr(self, name)].T * self.scale.exp()
            word = target.words[..., column]
            each = F.cross_entropy(logits.flatten(0, 1), word.flatten(), reduction="none").view_as(word)
            on = word > 0
            total = total + each[on].mean() + each[~on].mean() * (1 - object_share)
            accuracy[name] = (logits.argmax(-1) == word)[on].float().mean().item()
        known = ~target.places.isnan().any(-1)
        total = total + 4 * F.smooth_l1_loss(self.place(x)[known], target.places[known], beta=0.1)
        return total, accuracy

    def mention_loss(
        self, states: torch.Tensor, fitting: torch.Tensor, target: ObjectTargets
    ) -> tuple[torch.Tensor, dict[str, float]]:
        """states [b, m, d]; fitting [b, m], -1 where no mention ends; also how often number and words are right."""
        ends = fitting >= 0
        x, number = self.norm(states[ends].float()), fitting[ends].clamp(max=MAX_FITTING)
        logits = self.fitting(x)
        total = F.cross_entropy(logits, number)
        one = number == 1
        right = one.new_ones(int(one.sum()))
        sizes = [1 + len(ATTRIBUTES[name]) for name in WORD_GROUPS]
        for part, word in zip(self.fit_words(x[one]).split(sizes, -1), target.words[ends][one].unbind(-1), strict=True):
            total = total + F.cross_entropy(part, word)
            right &= part.argmax(-1) == word
        total = total + 4 * F.smooth_l1_loss(self.fit_place(x[one]), target.places[ends][one], beta=0.1)
        return total, {
            "number": (logits.argmax(-1) == number).float().mean().item(),
            "grounded": right.float().mean().item(),
        }

    def side_loss(self, states: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, float]:
        """states [b, m, d]; target [b, m, 2] as `side_targets` gives it; also how often a side is right."""
        known = ~target.isnan()
        logits, wanted = self.sides(self.norm(states.float()))[known], target[known]
        if not len(wanted):
            return states.new_zeros(()).float(), math.nan
        loss = F.binary_cross_entropy_with_logits(logits, wanted)
        return loss, ((logits > 0) == (wanted > 0.5)).float().mean().item()


def object_targets(scenes: list[PooledScene], objects: torch.Tensor) -> ObjectTargets:
    """objects [b, k]: object numbers, -1 for none."""
    words, places = [], []
    for item, row in zip(scenes, objects.cpu().numpy(), strict=True):
        table = [[0, 0, 0, 0]]
        table += [[1 + ATTRIBUTES[n].index(getattr(o, n)) for n in WORD_GROUPS] for o in item.scene.objects]
        centers = np.array([[*o.center, o.radius] for o in item.scene.objects])
        place = project(item.scene.camera, centers) / (IMAGE_PX / 2, IMAGE_PX / 2, 10) - (1, 1, 0)
        words.append(np.array(table)[row + 1])
        places.append(np.vstack([np.full((1, 3), np.nan), place])[row + 1])
    return ObjectTargets(
        torch.from_numpy(np.stack(words)).to(objects.device),
        torch.from_numpy(np.stack(places)).float().to(objects.device),
    )


def side_targets(scenes: list[PooledScene], batch: PackedBatch) -> torch.Tensor:
    """[b, m, 2]: at the end of a second mention, 1 where the first object lies right of, and behind, the second, 0
    where left of, and in front; NaN elsewhere and where they differ by less than a question would ask."""
    targets = np.full((*batch.fit.shape, 2), np.nan, dtype=np.float32)
    for b, k in (batch.fit_before >= 0).nonzero().tolist():
        one, other = int(batch.fit_before[b, k]), int(batch.fit[b, k])
        for column, axis in enumerate(ground_axes(scenes[b].scene)):
            if abs(axis[one] - axis[other]) >= MARGIN:
                targets[b, k, column] = axis[one] > axis[other]
    return torch.from_numpy(targets).to(batch.fit.device)
