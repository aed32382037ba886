"""Two baselines from attention alone, weak by repute, both read at row p_t; docs/methods.md says what was measured.

Rollout (Abnar and Zuidema 2020): `B_l` = mean over heads of A_l, plus I, its rows normalised; row p_t of `B_L ... B_1`.
As a row vector: `r = e_{p_t}`, then `r <- r B_l` from the last layer to the first.
Raw attention: the last layer's, mean over heads.
"""

from collections.abc import Generator

import torch

from .answer import Answer, Passes, Said, Weights
from .attention_hooks.record import Attended, record_attention


def rollout(answer: Answer, passes: Passes) -> Generator[Said | Weights]:
    """One forward pass; the mean over heads of each layer is kept."""
    means: list[torch.Tensor] = []
    logits = record_attention(answer.call(), answer.positions, lambda of: means.append(of.a.mean(0)))
    passes.forward += 1
    yield Said(logits)
    for t in answer.wanted:
        r = torch.zeros(len(means[-1]), device=means[-1].device)
        r[int(answer.positions[t])] = 1.0
        for mean in reversed(means):
            share = r.to(mean.device) / (mean.sum(1) + 1)
            r = share @ mean + share
        yield answer.weights(t, r)


def raw_attention(answer: Answer, passes: Passes) -> Generator[Said | Weights]:
    """One forward pass."""
    last: list[torch.Tensor] = []

    def look(attended: Attended) -> None:
        last[:] = [attended.a[:, answer.positions.to(attended.a.device)].mean(0)]

    logits = record_attention(answer.call(), answer.positions, look)
    passes.forward += 1
    yield Said(logits)
    for t in answer.wanted:
        yield answer.weights(t, last[0][t])
