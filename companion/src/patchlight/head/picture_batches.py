"""Groups answer tokens by picture, so that the patch states of a picture are read and normalised once for all its tokens.

At d = 4096, the states of a picture are 576 * 4096 numbers. A batch of 128 tokens from anywhere would read, convert and
normalise them 128 times.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest
from typing import NamedTuple

import torch

from .ablation import Ablation
from .fastrm import FastRM
from .losses import Loss, loss_of, pearson_of
from .sample_store import HeadSamples


class PictureTokens(NamedTuple):
    """Token rows of one image in a store; `places` are their positions in a list of rows that may cover more images."""

    samples: HeadSamples
    image: int
    rows: torch.Tensor
    places: torch.Tensor

    def relevancy(self) -> torch.Tensor:
        """Return the teacher's maps `[n, P]`. The tokens share a picture, so there is no padding."""
        return self.samples.relevancy(self.rows).values

    def ablation(self) -> Ablation:
        """Return each token's masks `[n, K, P]` and falls `[n, K]`. Raises ValueError if the teacher is another."""
        return self.samples.ablation(self.rows)


class PictureLogits(NamedTuple):
    """A head's logits `[n, P]` for n tokens of one picture. places `[n]`: the tokens' positions among those asked for."""

    places: torch.Tensor
    logits: torch.Tensor


class PictureBatches:
    """Draws batches in which each token is equally likely, and at most `picture_tokens` come from one picture at a time.

    first: pictures whose tokens are all drawn once before any other, in turn, so that a batch has many pictures. All
    the randomness is in the generator that `draw` takes, so its state is all that a checkpoint needs.
    """

    def __init__(
        self,
        pictures: Sequence[PictureTokens],
        *,
        batch: int,
        picture_tokens: int,
        first: Sequence[PictureTokens] = (),
    ):
        self._pictures, self._batch, self._picture_tokens = pictures, batch, picture_tokens
        counts = torch.tensor([len(picture.rows) for picture in pictures], dtype=torch.float64)
        # A picture gives min(n, picture_tokens) of its n tokens. To compensate, it is drawn n / min(n, picture_tokens)
        # times as often.
        self._weights = (counts / picture_tokens).clamp(min=1)
        parts = [[picture._replace(rows=rows) for rows in picture.rows.split(picture_tokens)] for picture in first]
        self._first = deque(part for turn in zip_longest(*parts) for part in turn if part is not None)
        self.first_batches = -(-sum(len(picture.rows) for picture in first) // batch)

    def draw(self, random: torch.Generator) -> list[PictureTokens]:
        """Return the tokens of a batch by picture. A picture may be drawn repeatedly."""
        batch, size = [], 0
        while self._first and size < self._batch:
            picture = self._first.popleft()
            rows, rest = picture.rows[: self._batch - size], picture.rows[self._batch - size :]
            batch.append(picture._replace(rows=rows, places=torch.arange(size, size + len(rows))))
            size += len(rows)
            if len(rest):
                self._first.appendleft(picture._replace(rows=rest))
        if size == self._batch:
            return batch
        # Each picture gives at least one token, so this many are always enough.
        drawn = torch.multinomial(self._weights, self._batch, replacement=True, generator=random)
        for number in drawn.tolist():
            picture = self._pictures[number]
            take = min(len(picture.rows), self._picture_tokens, self._batch - size)
            rows = picture.rows[torch.randperm(len(picture.rows), generator=random)[:take]]
            batch.append(picture._replace(rows=rows, places=torch.arange(size, size + take)))
            size += take
            if size == self._batch:
                break
        return batch


def by_picture(samples: HeadSamples, tokens: torch.Tensor) -> list[PictureTokens]:
    """Group token rows by picture."""
    images = samples.columns["image"][tokens]
    order = images.argsort(stable=True)
    names, counts = images[order].unique_consecutive(return_counts=True)
    groups = zip(names.tolist(), order.split(counts.tolist()), strict=True)
    return [PictureTokens(samples, image, tokens[places], places) for image, places in groups]


def logits_by_picture(
    head: FastRM,
    pictures: Sequence[PictureTokens],
    *,
    states_of: Callable[[PictureTokens], torch.Tensor] | None = None,
) -> Iterator[PictureLogits]:
    """Yield the head's logits for the tokens, picture by picture, on the head's device.

    states_of: replaces the patch states `[P, d]` of a picture, for controls.
    """
    if not pictures:
        return
    device = head.query.weight.device
    queries = torch.cat([picture.samples.columns["query_states"][picture.rows] for picture in pictures])
    folded = head.fold_queries(queries.to(device).float())
    counts = [len(picture.rows) for picture in pictures]
    for picture, u, c in zip(pictures, *(part.split(counts) for part in folded), strict=True):
        states = states_of(picture) if states_of else picture.samples.picture_states(picture.image)
        attention = picture.samples.columns["attention"][picture.rows].to(device) if head.attention else None
        yield PictureLogits(picture.places, head.patch_logits(u, c, states.to(device).float(), attention))


def batch_loss(
    head: FastRM,
    pictures: Sequence[PictureTokens],
    loss: Loss,
    labelling_threshold: float,
    *,
    bce_weight: float = 1.0,
) -> torch.Tensor:
    """Return the loss of a head over the tokens of a batch, against the maps of their teacher or, for `pearson`, against
    what ablation measured. bce_weight: see `loss_of`.
    """
    logits = (part.logits for part in logits_by_picture(head, pictures))
    pairs = zip(logits, pictures, strict=True)
    if loss == "pearson":
        ablations = ((part, picture.ablation()) for part, picture in pairs)
        return pearson_of(
            (part, Ablation(*(values.to(part.device) for values in ablation))) for part, ablation in ablations
        )
    maps = ((part, picture.relevancy().to(part.device)) for part, picture in pairs)
    return loss_of(maps, loss, labelling_threshold, bce_weight=bce_weight)
