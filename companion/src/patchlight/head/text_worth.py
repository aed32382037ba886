"""Judges the text output of a head on prompts that nothing else used, next to controls that should be worse.

mean map: the mean label of each position over the training prompts with the same number of tokens. mean word: the mean
label of each token of the vocabulary over the training prompts, which knows which words matter but not to which token
of the answer. shuffled projection: the head with the rows of W_q permuted. another token: the head's map for the next
token of the same answer, against the teacher's map of the real one; it is as good as the head if the head's maps do not
depend on the token. Each is scored at its own best threshold.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch

from ..bootstrap import Bootstrap
from .fastrm import FastRM
from .picture_batches import PictureTokens, by_picture, logits_by_picture
from .sample_store import HeadSamples
from .scores import labels_of
from .verdict import ConstantMaps
from .worth import HEAD, MEAN_MAP, GroupMaps, Worth, refusal, score, shuffled_projection

MEAN_WORD = "mean word"


def judge_text(
    head: FastRM,
    test: Mapping[int, Sequence[PictureTokens]],
    training: HeadSamples,
    rows: torch.Tensor,
    labelling_threshold: float,
) -> Worth:
    """Score a text output and its controls.

    test: the tokens of test prompts, by the number of their picture. training, rows: the samples and token rows from
    which the controls are made. All samples have the output "text".
    """
    groups = [group for number in sorted(test) for group in test[number]]
    names = [number for number in sorted(test) for group in test[number] for _ in group.rows]
    means, words = ConstantMaps(training, rows, labelling_threshold), MeanWords(training, rows, labelling_threshold)
    maps = {
        HEAD: _maps_of(head, groups),
        MEAN_MAP: ((group, _repeated(means.map_of(_width(group)), group)) for group in groups),
        MEAN_WORD: ((group, _repeated(words.map_of(group.samples.prompt_ids(group.image)), group)) for group in groups),
        "shuffled projection": _maps_of(shuffled_projection(head), groups),
        "another token": _maps_of(head, groups, of_next=True),
    }
    bootstrap = Bootstrap(np.array(names))
    scores = {name: score(part, bootstrap, labelling_threshold) for name, part in maps.items()}
    refused = None
    for control, description in (
        (MEAN_MAP, "the mean map of the training prompts"),
        (MEAN_WORD, "the mean of each word over the training prompts"),
    ):
        refused = refused or refusal(scores, control, description, what="text output")
    return Worth(scores, len(names), len(test), refused)


class MeanWords:
    """The mean label of each token id over the training tokens' prompts; for ids that do not occur there, the share of
    all text tokens that are labelled relevant.
    """

    def __init__(self, training: HeadSamples, rows: torch.Tensor, labelling_threshold: float):
        sums: dict[int, float] = {}
        counts: dict[int, int] = {}
        for prompt in by_picture(training, rows):
            labels = labels_of(prompt.relevancy(), labelling_threshold).sum(0).tolist()
            for token, relevant in zip(training.prompt_ids(prompt.image).tolist(), labels, strict=True):
                sums[token] = sums.get(token, 0.0) + relevant
                counts[token] = counts.get(token, 0) + len(prompt.rows)
        self._share = sum(sums.values()) / sum(counts.values())
        self._means = {token: sums[token] / counts[token] for token in sums}

    def map_of(self, ids: torch.Tensor) -> torch.Tensor:
        """Return the control's map for a prompt of these token ids `[m]`."""
        return torch.tensor([self._means.get(token, self._share) for token in ids.tolist()])


def _width(group: PictureTokens) -> int:
    return int(group.samples.patches[group.image])


def _repeated(values: torch.Tensor, group: PictureTokens) -> torch.Tensor:
    return values[None].expand(len(group.rows), -1)


def _maps_of(head: FastRM, groups: Sequence[PictureTokens], *, of_next: bool = False) -> Iterator[GroupMaps]:
    """Yield the head's maps; with `of_next`, those of each token's successor, left out if there is only one token."""
    with torch.no_grad():
        for group in groups:
            if of_next and len(group.rows) == 1:
                yield group, None
                continue
            asked = group._replace(rows=group.rows.roll(-1)) if of_next else group
            (part,) = logits_by_picture(head, [asked])
            yield group, part.logits.sigmoid().cpu()
