"""Chefer relevancy of selected answer tokens, one token at a time (Chefer et al. 2021; see `relevancy.py`)."""

from collections.abc import Generator

import torch

from .answer import Answer, Logits, Passes, Pause, TokenRelevancy
from .relevancy import exact_row, incremental_steps, observed_pass


def chefer(answer: Answer, passes: Passes) -> Generator[Logits | TokenRelevancy]:
    """Compute exact relevancy with one forward pass, then one backward pass per token."""
    observed = observed_pass(answer.call(), answer.positions)
    passes.forward += 1
    yield Logits(observed.logits.detach())
    for k, t in enumerate(answer.token_indices):
        row = exact_row(observed, t, answer.ids[t], is_last=k + 1 == len(answer.token_indices))
        passes.backward += 1
        yield answer.relevancy(t, row)


def chefer_incremental(answer: Answer, passes: Passes) -> Generator[Logits | Pause | TokenRelevancy]:
    """Compute incremental relevancy as lvlm-interpret does: for every token up to the last requested one, one forward
    pass with a key-value cache and one backward pass.

    Those passes yield the logits of the whole answer only at the end, so an additional pass with the same attention
    computes the logits first.
    """
    call, positions = answer.call(), answer.positions
    logits = observed_pass(call, positions, keeps_graph=False).logits
    passes.forward += 1
    yield Logits(logits)
    rows: dict[int, torch.Tensor] = {}
    waiting = list(answer.token_indices)
    count = max(waiting, default=-1) + 1
    for t, step in enumerate(incremental_steps(call, positions[:count], answer.tokens[:count])):
        passes.forward += 1
        passes.backward += 1
        if t in waiting:
            rows[t] = step.row
        while waiting and waiting[0] in rows:
            yield answer.relevancy(waiting[0], rows[waiting.pop(0)])
        yield Pause()
