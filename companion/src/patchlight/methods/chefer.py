"""Chefer's relevancy of chosen tokens of an answer, one after the other (Chefer et al. 2021, `relevancy.py`)."""

from collections.abc import Generator

import torch

from .answer import Answer, Passes, Pause, Said, Weights
from .relevancy import exact_row, incremental_steps, observed_pass


def chefer(answer: Answer, passes: Passes) -> Generator[Said | Weights]:
    """Exact: one forward pass, one backward pass a token."""
    passed = observed_pass(answer.call(), answer.positions)
    passes.forward += 1
    yield Said(passed.logits.detach())
    for k, t in enumerate(answer.wanted):
        row = exact_row(passed, t, answer.ids[t], is_last=k + 1 == len(answer.wanted))
        passes.backward += 1
        yield answer.weights(t, row)


def chefer_incremental(answer: Answer, passes: Passes) -> Generator[Said | Pause | Weights]:
    """As lvlm-interpret does it: a cached pass and a backward pass for every token up to the last wanted one.

    What it says of the whole answer is known only at its end, so a pass with the same attention says it beforehand.
    """
    call, positions = answer.call(), answer.positions
    said = observed_pass(call, positions, keeps_graph=False).logits
    passes.forward += 1
    yield Said(said)
    rows: dict[int, torch.Tensor] = {}
    waiting = list(answer.wanted)
    count = max(waiting, default=-1) + 1
    for t, step in enumerate(incremental_steps(call, positions[:count], answer.tokens[:count])):
        passes.forward += 1
        passes.backward += 1
        if t in waiting:
            rows[t] = step.row
        while waiting and waiting[0] in rows:
            yield answer.weights(waiting[0], rows[waiting.pop(0)])
        yield Pause()
