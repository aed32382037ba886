"""Compares the scores of maps with plain counting or SciPy."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from patchlight.bootstrap import Bootstrap, Ratio
from patchlight.measure.method_scores import (
    binarised,
    f1,
    iou,
    mass_inside,
    pointing,
    spearman,
    top_iou,
)


def value(ratio: Ratio) -> float:
    return float(ratio.over.sum() / ratio.under.sum())


MAPS = torch.tensor([[0.0, 0.2, 1.0, 0.3], [0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
MASKS = torch.tensor([[0, 0, 1, 1], [1, 0, 0, 0], [1, 0, 0, 0]], dtype=torch.bool)


def test_pointing_counts_ties_by_their_share_and_an_empty_map_as_chance():
    assert pointing(MAPS, MASKS).over.tolist() == [1.0, 0.5, 0.25]


def test_mass_inside_is_a_share_of_the_sum():
    assert mass_inside(MAPS, MASKS).over.tolist() == pytest.approx([1.3 / 1.5, 0.5, 0.25])


def test_maps_are_binarised_at_a_share_of_their_maximum_or_at_a_probability():
    assert binarised(MAPS, share=0.3).tolist() == [[False, False, True, True], [True, True, False, False], [False] * 4]
    assert binarised(MAPS, threshold=0.4).sum().item() == 3
    assert iou(binarised(MAPS, share=0.3), MASKS).over.tolist() == [1.0, 0.5, 0.0]
    assert value(f1(binarised(MAPS, share=0.3), MASKS)) == pytest.approx(2 * 3 / (2 * 3 + 1 + 1))
    with pytest.raises(ValueError, match="got neither"):
        binarised(MAPS)


def test_spearman_matches_scipy_with_ties():
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randint(0, 6, (5, 40), generator=generator).float() for _ in range(2))
    expected: list[Any] = [spearmanr(x, y)[0] for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(spearman(a, b).over, expected, atol=1e-12)
    assert spearman(torch.zeros(1, 40), b[:1]).over.tolist() == [0.0]


def test_top_iou_compares_the_highest_tenth():
    a = torch.arange(20.0)[None]
    assert value(top_iou(a, a)) == 1
    assert value(top_iou(a, -a)) == 0
    b = a.clone()
    b[0, 18], b[0, 0] = 0, 18
    assert value(top_iou(a, b)) == pytest.approx(1 / 3)


def test_intervals_have_about_their_nominal_coverage():
    """The 5 tokens of a scene share an offset. Coverage in 200 datasets should be 95 % +- 5 % (3 standard errors)."""
    random = np.random.default_rng(1)
    scenes, covered = np.repeat(np.arange(60), 5), 0
    for _ in range(200):
        values = np.repeat(random.normal(0, 1, 60), 5) + random.normal(0, 1, 300)
        estimate = Bootstrap(scenes, resamples=400).estimate(Ratio(values, np.ones(300)))
        covered += estimate.low <= 0 <= estimate.high
    assert 0.90 <= covered / 200 <= 0.99


def test_differences_are_paired():
    random = np.random.default_rng(2)
    scenes, hard = np.arange(100), random.normal(0, 1, 100)
    bootstrap, ones = Bootstrap(scenes), np.ones(100)
    a, b = bootstrap.estimate(Ratio(hard + 0.1, ones)), bootstrap.estimate(Ratio(hard, ones))
    difference = a.minus(b)
    assert difference.value == pytest.approx(0.1)
    assert difference.high - difference.low < 1e-9 < a.high - a.low


def test_rows_select_tokens_and_no_tokens_give_nan():
    bootstrap, ones = Bootstrap(np.array([0, 0, 1])), np.ones(3)
    chosen = bootstrap.estimate(Ratio(np.array([1.0, 2.0, 6.0]), ones), np.array([True, False, True]))
    assert chosen.value == 3.5
    assert np.isnan(bootstrap.estimate(Ratio(ones, ones), np.zeros(3, bool)).value)
