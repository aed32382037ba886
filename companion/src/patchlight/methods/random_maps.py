"""The control: the mean of five random maps, uniform on [0, 1), which any method must beat."""

from collections.abc import Generator

import torch

from .answer import Answer, Explains, Passes, Said, Weights

_MAPS = 5


def random_maps(seed: int) -> Explains:
    """A token's map is a function of `seed`, the token's place and the number of patches; the model is not run."""

    def explain(answer: Answer, passes: Passes) -> Generator[Said | Weights]:
        for t in answer.wanted:
            generator = torch.Generator().manual_seed(seed * 1_000_003 + t)
            yield Weights(t, torch.rand(_MAPS, len(answer.reading.patch_columns), generator=generator).mean(0))

    return explain
