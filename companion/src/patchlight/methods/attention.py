"""Two baselines that use attention alone, read at row p_t. They are known to be weak; docs/methods.md has their scores.

Rollout (Abnar and Zuidema 2020): `B_l` is A_l averaged over heads, plus I, with rows normalised. The map is row p_t of
`B_L ... B_1`. As a row vector: `r = e_{p_t}`, then `r <- r B_l` from the last layer to the first.
Raw attention: the last layer's attention averaged over heads.
"""

from collections.abc import Generator
from typing import NamedTuple

import torch

from .answer import Answer, Logits, Passes, TokenRelevancy
from .attention_hooks.decoder_call import DecoderCall
from .attention_hooks.record import LayerAttention, record_attention


def rollout(answer: Answer, passes: Passes) -> Generator[Logits | TokenRelevancy]:
    """Compute attention rollout with one forward pass. Each layer's attention is averaged over heads and kept."""
    means: list[torch.Tensor] = []
    logits = record_attention(answer.call(), answer.positions, lambda layer: means.append(layer.a.mean(0)))
    passes.forward += 1
    yield Logits(logits)
    for t in answer.token_indices:
        r = torch.zeros(len(means[-1]), device=means[-1].device)
        r[int(answer.positions[t])] = 1.0
        for mean in reversed(means):
            share = r.to(mean.device) / (mean.sum(1) + 1)
            r = share @ mean + share
        yield answer.relevancy(t, r)


def attention_of_heads(call: DecoderCall, positions: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    """Return the attention from positions [t] to columns [P] in all layers and heads, [t, layers * heads, P] float32,
    layer by layer: what FastRM+ reads. Takes one forward pass.
    """
    rows: list[torch.Tensor] = []

    def keep(layer: LayerAttention) -> None:
        rows.append(layer.a[:, positions.to(layer.a.device)][..., columns.to(layer.a.device)].transpose(0, 1))

    record_attention(call, positions, keep)
    return torch.cat([part.to(rows[0].device) for part in rows], dim=1)


def raw_attention(answer: Answer, passes: Passes) -> Generator[Logits | TokenRelevancy]:
    """Compute the last layer's attention averaged over heads, with one forward pass."""
    rows, logits = attention_rows(answer.call(), answer.positions)
    passes.forward += 1
    yield Logits(logits)
    for t in answer.token_indices:
        yield answer.relevancy(t, rows[t])


class AttentionRows(NamedTuple):
    """Raw attention of t tokens over n columns: rows `[t, n]` float32, and the logits `[t, vocabulary]` of the pass."""

    rows: torch.Tensor
    logits: torch.Tensor


def attention_rows(call: DecoderCall, positions: torch.Tensor) -> AttentionRows:
    """Compute the last layer's attention averaged over heads at rows `positions` `[t]`, with one forward pass."""
    last: list[torch.Tensor] = []

    def keep_last(layer: LayerAttention) -> None:
        last[:] = [layer.a[:, positions.to(layer.a.device)].mean(0)]

    logits = record_attention(call, positions, keep_last)
    return AttentionRows(last[0], logits)
