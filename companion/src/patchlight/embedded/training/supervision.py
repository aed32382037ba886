"""Auxiliary supervision of the embedded model's hidden states during training.

Training on answers alone barely binds words to patches. Additional losses therefore require that a patch's feature
identifies its object, that the state at the end of a phrase identifies the objects that fit the phrase, and that the
state at the end of a second phrase identifies which side of the second object the first object is on.
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
    """Targets for the object at each of k positions per image.

    words [b, k, 4]: class number per group in WORD_GROUPS, 0 for no object. places [b, k, 4]: x and y in -1..1,
    depth / 10 and the logarithm of the number of patches / 4; NaN for no object.
    """

    words: torch.Tensor
    places: torch.Tensor


class AlignmentHead(nn.Module):
    """Predicts auxiliary targets from hidden states; used in training only.

    From a patch's projected feature: its object's words, by dot product with the word embeddings, and its place (centre
    in the image, depth, number of patches: attention weighted by its inverse counts objects instead of patches). From the language model's middle-layer state at the end of a phrase that mentions objects: how
    many objects fit the phrase and, if exactly one does, that object's words and place. One layer later, at the end of
    a second phrase: on which side of the second object the first one is. All predictions except the patch words are
    linear maps.
    """

    def __init__(self, hidden: int, tokenizer: PreTrainedTokenizerFast):
        super().__init__()
        self.norm = nn.LayerNorm(hidden, elementwise_affine=False)
        self.place = nn.Linear(hidden, 4)
        self.fitting = nn.Linear(hidden, MAX_FITTING + 1)
        self.fit_words = nn.Linear(hidden, sum(1 + len(ATTRIBUTES[name]) for name in WORD_GROUPS))
        self.fit_place = nn.Linear(hidden, 4)
        self.sides = nn.Linear(hidden, 2)
        self.scale = nn.Parameter(torch.zeros(()))
        for name in WORD_GROUPS:
            ids = [token_id(tokenizer, word) for word in (PAD, *ATTRIBUTES[name])]
            self.register_buffer(name, torch.tensor(ids), persistent=False)

    def patch_loss(
        self, features: torch.Tensor, embedding: torch.Tensor, target: ObjectTargets
    ) -> tuple[torch.Tensor, dict[str, float]]:
        """Return the loss for features [b, k, d] and, per word group, the accuracy on patches that show an object."""
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
        """Return the loss and accuracies for states [b, m, d]; fitting [b, m] is -1 where no mention ends."""
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
        """Return the loss and accuracy for states [b, m, d] and target [b, m, 2] from `side_targets`."""
        known = ~target.isnan()
        logits, expected = self.sides(self.norm(states.float()))[known], target[known]
        if not len(expected):
            return states.new_zeros(()).float(), math.nan
        loss = F.binary_cross_entropy_with_logits(logits, expected)
        return loss, ((logits > 0) == (expected > 0.5)).float().mean().item()


def object_targets(scenes: list[PooledScene], objects: torch.Tensor) -> ObjectTargets:
    """Return the targets for object numbers [b, k], -1 for none."""
    words, places = [], []
    for item, row in zip(scenes, objects.cpu().numpy(), strict=True):
        table = [[0, 0, 0, 0]]
        table += [[1 + ATTRIBUTES[n].index(getattr(o, n)) for n in WORD_GROUPS] for o in item.scene.objects]
        centers = np.array([[*o.center, o.radius] for o in item.scene.objects])
        place = project(item.scene.camera, centers) / (IMAGE_PX / 2, IMAGE_PX / 2, 10) - (1, 1, 0)
        patches = np.bincount(item.patch_objects[item.patch_objects >= 0], minlength=len(centers))
        place = np.column_stack([place, np.log(patches.clip(1)) / 4])
        words.append(np.array(table)[row + 1])
        places.append(np.vstack([np.full((1, 4), np.nan), place])[row + 1])
    return ObjectTargets(
        torch.from_numpy(np.stack(words)).to(objects.device),
        torch.from_numpy(np.stack(places)).float().to(objects.device),
    )


def side_targets(scenes: list[PooledScene], batch: PackedBatch) -> torch.Tensor:
    """Return the side targets [b, m, 2] (right of, behind) at the end of second mentions.

    1 if the first object is to the right of, or behind, the second; 0 if it is to the left, or in front. NaN elsewhere,
    and if the objects are less than MARGIN apart on that axis.
    """
    targets = np.full((*batch.fit.shape, 2), np.nan, dtype=np.float32)
    for b, k in (batch.fit_before >= 0).nonzero().tolist():
        one, other = int(batch.fit_before[b, k]), int(batch.fit[b, k])
        for column, axis in enumerate(ground_axes(scenes[b].scene)):
            if abs(axis[one] - axis[other]) >= MARGIN:
                targets[b, k, column] = axis[one] > axis[other]
    return torch.from_numpy(targets).to(batch.fit.device)
