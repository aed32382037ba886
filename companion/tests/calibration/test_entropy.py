"""Entropies of maps, compared with SciPy."""

import numpy as np
import pytest
import torch
from scipy import stats

from patchlight.calibration.entropy import bernoulli, kernel_density, sum_normalised


@pytest.fixture
def maps() -> torch.Tensor:
    """Three maps of 40 scores between 0 and 1, most of them small, as in real maps."""
    return torch.from_numpy(np.random.default_rng(0).random((3, 40)) ** 4)


def test_sum_normalised_entropy_equals_scipy_s(maps: torch.Tensor):
    np.testing.assert_allclose(sum_normalised(maps), stats.entropy(maps.numpy(), axis=1), rtol=1e-12)
    assert sum_normalised(torch.eye(4)).tolist() == [0, 0, 0, 0]


def test_kernel_density_entropy_equals_scipy_s(maps: torch.Tensor):
    expected = [stats.entropy(stats.gaussian_kde(row, "scott")(row)) for row in maps.numpy()]
    np.testing.assert_allclose(kernel_density(maps), expected, rtol=1e-10)


def test_a_flat_map_has_the_largest_entropy():
    flat = torch.full((1, 40), 0.3)
    np.testing.assert_allclose(sum_normalised(flat), np.log(40), rtol=1e-6)
    np.testing.assert_allclose(kernel_density(flat), np.log(40), rtol=1e-12)


@pytest.mark.parametrize("scale", [1, 2.0**-1000, 2.0**1000])
def test_entropies_do_not_depend_on_the_scale_of_the_scores(maps: torch.Tensor, scale: float):
    np.testing.assert_allclose(sum_normalised(maps * scale), sum_normalised(maps), rtol=1e-12)
    np.testing.assert_allclose(kernel_density(maps * scale), kernel_density(maps), rtol=1e-12)


def test_kernel_density_entropy_of_nearly_equal_scores_is_that_of_their_differences():
    """The scores differ in their last bits only, so their differences are exact and have a density of their own."""
    steps = torch.from_numpy(np.random.default_rng(1).integers(0, 9, (2, 40))).double()
    np.testing.assert_allclose(kernel_density(1 + steps * 2**-52), kernel_density(steps), rtol=1e-12)


def test_a_map_without_scores_has_no_entropy():
    assert all(torch.isnan(entropy(torch.zeros(2, 0))).all() for entropy in (sum_normalised, kernel_density, bernoulli))
    assert torch.isnan(sum_normalised(torch.zeros(1, 4))).all()


def test_bernoulli_entropy_is_the_mean_over_patches(maps: torch.Tensor):
    expected = stats.entropy(np.stack([maps.numpy(), 1 - maps.numpy()]), axis=0).mean(1)
    np.testing.assert_allclose(bernoulli(maps), expected, rtol=1e-12)
    assert bernoulli(torch.tensor([[0.0, 1.0]])).item() == 0


def test_a_map_with_nan_has_no_entropy():
    maps = torch.tensor([[0.1, float("nan"), 0.3], [0.1, float("inf"), 0.3]])
    assert all(torch.isnan(entropy(maps)).all() for entropy in (sum_normalised, kernel_density, bernoulli))
