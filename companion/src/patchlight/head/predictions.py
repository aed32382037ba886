"""A head's maps of stored token rows, and how they compare with the rows' labels."""

import torch

from .fastrm import FastRM
from .picture_batches import by_picture, logits_by_picture
from .sample_store import HeadSamples
from .scores import HeadCounts, count


@torch.no_grad()
def predict(head: FastRM, samples: HeadSamples, tokens: torch.Tensor) -> torch.Tensor:
    """Return probabilities `[t, P]` of the token rows, on the CPU. Values on padding are 0."""
    width = int(samples.patches[samples.columns["image"][tokens]].max()) if len(tokens) else 0
    probabilities = torch.zeros(len(tokens), width)
    for places, logits in logits_by_picture(head, by_picture(samples, tokens)):
        probabilities[places, : logits.shape[1]] = logits.sigmoid().cpu()
    return probabilities


@torch.no_grad()
def count_tokens(head: FastRM, samples: HeadSamples, tokens: torch.Tensor, labelling_threshold: float) -> HeadCounts:
    """Compare the head's maps for the token rows with the tokens' labels, picture by picture."""
    pictures = by_picture(samples, tokens)
    parts = [
        count(part.logits.sigmoid().cpu(), picture.relevancy(), labelling_threshold)
        for picture, part in zip(pictures, logits_by_picture(head, pictures), strict=True)
    ]
    if not parts:
        none = torch.zeros(1, 1)
        return count(none, none, labelling_threshold, none.bool())
    return HeadCounts(*(torch.cat(column) for column in zip(*parts, strict=True)))
