"""The control: the mean of five random maps, uniform on [0, 1). Any method should score better."""

from collections.abc import Generator

import torch

from .answer import Answer, ExplanationMethod, Logits, Passes, TokenRelevancy

_MAPS = 5


def random_maps(seed: int) -> ExplanationMethod:
    """Return a method whose maps depend only on `seed`, the token's index and the number of patches.

    It does not run the model.
    """

    def explain(answer: Answer, passes: Passes) -> Generator[Logits | TokenRelevancy]:
        for t in answer.token_indices:
            generator = torch.Generator().manual_seed(seed * 1_000_003 + t)
            maps = torch.rand(_MAPS, len(answer.reading.patch_columns), generator=generator)
            yield TokenRelevancy(t, maps.mean(0))

    return explain
