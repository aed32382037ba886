"""Tests for the reports on the embedded model and its head."""

import numpy as np
import pytest
import torch

from patchlight.bootstrap import Bootstrap
from patchlight.embedded.evaluate import _score_ratios, _share_right
from patchlight.head.scores import THRESHOLDS, count, curve_of


def test_scores_as_ratios_equal_those_of_the_curve() -> None:
    generator = torch.Generator().manual_seed(0)
    predicted, relevancy = (torch.rand(40, 576, generator=generator) for _ in range(2))
    counts = count(predicted, relevancy, 0.7)
    curve, bootstrap = curve_of(counts), Bootstrap(np.arange(40) // 4)
    for step in (0, 30, 50, 97, len(THRESHOLDS) - 1):
        ratios = _score_ratios(counts, step)
        for name, ratio in ratios._asdict().items():
            estimate = bootstrap.estimate(ratio)
            expected = getattr(curve, name)[step].item()
            if np.isnan(estimate.value):  # no patch is predicted relevant
                assert (name, expected) == ("precision", 0)
            else:
                assert estimate.value == pytest.approx(expected, abs=1e-12)
                assert estimate.low <= estimate.value <= estimate.high


def test_answers_of_one_scene_count_as_one_observation() -> None:
    right = np.arange(200) % 4 > 0
    independent = _share_right(list(zip(range(200), right, strict=True)))
    # Eight answers per scene, either all right or all wrong. They are wrong in a quarter of the scenes.
    together = _share_right([(k // 8, k // 8 % 4 > 0) for k in range(192)])
    assert independent.value == together.value == 0.75
    ratio = (together.high - together.low) / (independent.high - independent.low)
    assert ratio == pytest.approx(np.sqrt(8 * 200 / 192), rel=0.15)
