"""Groups answer tokens by picture, so that the patch states of a picture are read and normalised once for all its tokens.

At d = 4096, the states of a picture are 576 * 4096 numbers. A batch of 128 tokens from anywhere would read, convert and
normalise them 128 times.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch

from .fastrm import FastRM
from .sample_store import HeadSamples


class PictureLogits(NamedTuple):
    """A head's logits `[n, P]` for n tokens of one picture. places `[n]`: the tokens' positions among those asked for."""

    places: torch.Tensor
    logits: torch.Tensor


class PictureBatches:
    """Draws batches in which each of `tokens` is equally likely, and at most `picture_tokens` come from one picture.

    All the randomness is in the generator that `draw` takes, so its state is all that a checkpoint needs.
    """

    def __init__(self, samples: HeadSamples, tokens: torch.Tensor, *, batch: int, picture_tokens: int):
        self._batch, self._picture_tokens = batch, picture_tokens
        self._rows = [tokens[places] for _, places in by_picture(samples, tokens)]
        counts = torch.tensor([len(rows) for rows in self._rows], dtype=torch.float64)
        # A picture gives min(n, picture_tokens) of its n tokens. To compensate, it is drawn n / min(n, picture_tokens)
        # times as often.
        self._weights = (counts / picture_tokens).clamp(min=1)

    def draw(self, random: torch.Generator) -> torch.Tensor:
        """Return the token rows of a batch. A picture's rows follow each other; a picture may be drawn repeatedly."""
        # Each picture gives at least one token, so this many are always enough.
        pictures = torch.multinomial(self._weights, self._batch, replacement=True, generator=random)
        chosen, missing = [], self._batch
        for picture in pictures.tolist():
            rows = self._rows[picture]
            take = min(len(rows), self._picture_tokens, missing)
            chosen.append(rows[torch.randperm(len(rows), generator=random)[:take]])
            missing -= take
            if missing == 0:
                break
        return torch.cat(chosen)


def by_picture(samples: HeadSamples, tokens: torch.Tensor) -> list[tuple[int, torch.Tensor]]:
    """Return each picture of the token rows with the positions of its tokens in `tokens`."""
    images = samples.columns["image"][tokens]
    order = images.argsort(stable=True)
    names, counts = images[order].unique_consecutive(return_counts=True)
    return list(zip(names.tolist(), order.split(counts.tolist()), strict=True))


def logits_by_picture(head: FastRM, samples: HeadSamples, tokens: torch.Tensor) -> Iterator[PictureLogits]:
    """Yield the head's logits for the token rows, picture by picture, on the head's device."""
    device = head.query.weight.device
    u, c = head.fold_queries(samples.columns["query_states"][tokens].to(device).float())
    for image, places in by_picture(samples, tokens):
        chosen = places.to(device)
        states = samples.picture_states(image).to(device).float()
        yield PictureLogits(places, head.patch_logits(u[chosen], c[chosen], states))
