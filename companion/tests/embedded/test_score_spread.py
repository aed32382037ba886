"""Tests the spread of patch scores against NumPy's histogram."""

import numpy as np
import pytest
import torch

from patchlight.bootstrap import Bootstrap
from patchlight.embedded.score_spread import EDGES, spread_of, spread_table


def test_bins_are_those_of_numpy_and_maps_are_scaled_one_by_one():
    maps = torch.rand(40, 576, generator=torch.Generator().manual_seed(0)) ** 3
    spread = spread_of(maps * torch.linspace(0.01, 9, 40)[:, None], Bootstrap(np.arange(40) // 4))
    relative = (maps.double() / maps.double().amax(1, keepdim=True)).flatten().numpy()
    counts, _ = np.histogram(relative, EDGES)
    # Scaling in float32 may move a score by a rounding error across an edge: one of 23,040 patches at most.
    np.testing.assert_allclose([share.value * relative.size for share in spread], counts, atol=1.01)
    assert sum(share.value for share in spread) == pytest.approx(1)
    assert all(share.low < share.value < share.high for share in spread)


def test_a_score_on_an_edge_counts_above_it_and_the_maximum_counts_in_the_last_bin():
    edges = torch.tensor([EDGES], dtype=torch.float64)
    spread = spread_of(edges, Bootstrap(np.zeros(1)))
    assert [round(share.value * len(EDGES)) for share in spread] == [1] * 19 + [2]


def test_the_table_has_a_row_for_each_bin():
    spread = spread_of(torch.eye(3), Bootstrap(np.arange(3)))
    table = spread_table({"FastRM": spread, "exact Chefer": spread})
    assert table["columns"] == ["score", "FastRM", "exact Chefer"]
    rows = table["rows"]
    assert isinstance(rows, list)
    assert rows[0] == ["0.00 to 0.05", *["0.66667 (0.66667 to 0.66667)"] * 2]
    assert len(rows) == 20
