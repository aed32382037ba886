"""How the scores of patches are spread within their maps (FastRM paper, v1 figure 2 and v2 figure 3).

Scores are relative to their map's maximum, because probabilities and Chefer relevancy have other scales.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import torch

from ..bootstrap import Bootstrap, Estimate, Ratio

BIN = 0.05
"""Width of a bin."""
EDGES = [round(BIN * k, 2) for k in range(21)]


def spread_of(maps: torch.Tensor, bootstrap: Bootstrap) -> list[Estimate]:
    """Estimate, for each bin, the share of the patches of maps `[n, P]` whose score, relative to its map's maximum, is
    in it. A bin includes its lower edge; the last one both. Each map needs a maximum above 0.
    """
    relative = maps.double() / maps.double().amax(1, keepdim=True)
    # 0.15 / 0.05 is a little below 3 in floating point; scores are not known to a millionth of a bin.
    bins = (relative / BIN + 1e-6).floor().clamp(max=len(EDGES) - 2).long()
    patches = np.full(len(maps), maps.shape[1], np.float64)
    return [bootstrap.estimate(Ratio((bins == k).sum(1).numpy(), patches)) for k in range(len(EDGES) - 1)]


def spread_table(spread: Mapping[str, Sequence[Estimate]]) -> dict[str, object]:
    """Return the shares of all patches as a table for documents, one column for each name."""
    rows = [
        [f"{low:.2f} to {high:.2f}", *(_shown(bins[k]) for bins in spread.values())]
        for k, (low, high) in enumerate(pairwise(EDGES))
    ]
    title = "Share of all patches by their score relative to their map's maximum, with 95 % intervals"
    return {"title": title, "columns": ["score", *spread], "rows": rows}


def _shown(share: Estimate) -> str:
    return f"{share.value:.5f} ({share.low:.5f} to {share.high:.5f})"
