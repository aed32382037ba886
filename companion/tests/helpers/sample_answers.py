"""Labelled answers made of given or random numbers, to be stored as training samples."""

import torch

from patchlight.head.answer_sample import SampleAnswer
from patchlight.head.labels import Labels

PROMPT = [1, 7, 7, 2]


def random_answer(patch_states: torch.Tensor, query_states: torch.Tensor, random: torch.Generator) -> SampleAnswer:
    """Return an answer with a random map for each query state `[t, d]` over patch states `[P, d]` and four words."""
    t, zeros = len(query_states), torch.zeros(len(query_states))
    ids = list(range(t))
    labels = Labels(
        torch.rand(t, len(patch_states), generator=random),
        zeros,
        torch.tensor(ids),
        zeros,
        torch.rand(t, len(PROMPT), generator=random),
    )
    prompt_states = patch_states[: len(PROMPT)]
    return SampleAnswer(
        "", ids, zeros.tolist(), PROMPT, patch_states, prompt_states, query_states, (), labels, True, 0, 0
    )
