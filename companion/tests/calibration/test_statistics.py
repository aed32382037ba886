"""Calibrations' statistics against SciPy's."""

import json
import math

import numpy as np
import pytest
from scipy import stats

from patchlight.calibration.content_tokens import content_tokens
from patchlight.calibration.statistics import (
    LEAST_FOR_BANDS,
    LEAST_FOR_THRESHOLD,
    POOLINGS,
    auroc,
    auroc_interval,
    bands,
    calibrate_threshold,
    density,
    is_set_half,
    pool,
    scott_bandwidth,
    share_of,
)
from tests.makers import calibration_fixture


@pytest.fixture
def right() -> np.ndarray:
    return np.random.default_rng(3).normal(4, 0.5, 300)


@pytest.fixture
def wrong() -> np.ndarray:
    return np.random.default_rng(4).normal(4.6, 0.7, 120)


def test_the_density_is_scipy_s(right: np.ndarray):
    kernel = stats.gaussian_kde(right, "scott")
    assert scott_bandwidth(right) == pytest.approx(math.sqrt(kernel.covariance[0, 0]), rel=1e-12)
    grid = np.linspace(2, 6, 50)
    np.testing.assert_allclose(density(right, grid, scott_bandwidth(right)), kernel(grid), rtol=1e-10)


def test_equal_values_have_no_bandwidth():
    assert math.isnan(scott_bandwidth(np.full(50, 0.1)))
    assert math.isnan(scott_bandwidth(np.array([1.0])))


def test_bands_are_as_wide_as_the_density_s_standard_error(right: np.ndarray):
    """The variance of a mean of kernels, in closed form; 2000 resamples know a 95 % point to some 4 % of it."""
    grid, width = np.linspace(3, 5, 9), scott_bandwidth(right)
    found = bands(right, grid, width, resamples=2000)
    error = stats.norm.pdf(grid[:, None], right, width).std(axis=1) / math.sqrt(len(right))
    np.testing.assert_allclose((found.high - found.low) / 2, 1.96 * error, rtol=0.1)
    assert (found.low < found.density).all()
    assert (found.density < found.high).all()


def test_bands_of_few_are_refused():
    with pytest.raises(ValueError, match=f"29 values.*{LEAST_FOR_BANDS}"):
        bands(np.arange(29.0), np.arange(3.0), 1.0)


@pytest.mark.parametrize("digits", [10, 1, 0])
def test_auroc_is_mann_and_whitney_s_u_ties_and_all(right: np.ndarray, wrong: np.ndarray, digits: int):
    right, wrong = right.round(digits), wrong.round(digits)
    wanted = stats.mannwhitneyu(right, wrong).statistic / (len(right) * len(wrong))
    assert auroc(right, wrong, "above") == pytest.approx(wanted, rel=1e-12)
    assert auroc(right, wrong, "below") == pytest.approx(1 - wanted, rel=1e-12)


def test_the_interval_covers_what_scipy_s_bootstrap_covers(right: np.ndarray, wrong: np.ndarray):
    def value(a: np.ndarray, b: np.ndarray) -> float:
        return stats.mannwhitneyu(b, a).statistic / (len(a) * len(b))

    wanted = stats.bootstrap(
        (right, wrong), value, n_resamples=1000, vectorized=False, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    found = auroc_interval(right, wrong, "below", resamples=4000)
    assert found is not None
    # A 2.5 % point of 1000 resamples has a standard error of about a tenth of the interval's half.
    width = wanted.high - wanted.low
    assert found.low == pytest.approx(wanted.low, abs=0.1 * width)
    assert found.high == pytest.approx(wanted.high, abs=0.1 * width)
    assert found.low < found.value < found.high


def test_many_different_values_are_resampled_in_cells():
    random = np.random.default_rng(0)
    right, wrong = random.normal(0, 1, 6000), random.normal(0.5, 1, 3000)
    found = auroc_interval(right, wrong, "below", resamples=500)
    assert found is not None
    assert found.value == pytest.approx(stats.norm.cdf(0.5 / math.sqrt(2)), abs=0.02)
    # Hanley and McNeil 1982, equation 1, for the standard error.
    a = found.value
    q1, q2 = a / (2 - a), 2 * a * a / (1 + a)
    error = math.sqrt((a * (1 - a) + 2999 * (q1 - a * a) + 5999 * (q2 - a * a)) / (6000 * 3000))
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.15)


def test_an_empty_class_has_no_auroc(right: np.ndarray):
    assert math.isnan(auroc(right, np.array([]), "below"))
    assert auroc_interval(right, np.array([]), "below") is None


@pytest.mark.parametrize(("hits", "n"), [(0, 10), (10, 10), (3, 7), (841, 1000)])
def test_shares_have_wilson_s_interval(hits: int, n: int):
    wanted = stats.binomtest(hits, n).proportion_ci(method="wilson")
    assert share_of(hits, n)[2:] == pytest.approx((hits / n, wanted.low, wanted.high), rel=1e-12)


def test_a_share_of_nothing_is_anything():
    assert math.isnan(share_of(0, 0).value)
    assert share_of(0, 0)[3:] == (0, 1)


def test_a_threshold_is_set_on_one_half_and_checked_on_the_other(right: np.ndarray, wrong: np.ndarray):
    values, is_right = np.concatenate([right, wrong]), np.arange(420) < 300
    rows = np.arange(420)
    found = calibrate_threshold(values, is_right, rows, "below", seed=1)
    on = is_set_half(rows, 1)
    assert found.threshold == pytest.approx((values[on & is_right].mean() + values[on & ~is_right].mean()) / 2)
    below = values[~on] < found.threshold
    assert found.share_below.hits == below.sum()
    assert found.share_below.n == (~on).sum() == 420 - found.set_on
    assert found.right_below.value == pytest.approx(is_right[~on][below].mean())
    assert found.right_above.value == pytest.approx(is_right[~on][~below].mean())
    assert found.true_positives.value == pytest.approx(below[is_right[~on]].mean())
    assert found.false_positives.value == pytest.approx(below[~is_right[~on]].mean())
    # What is on the other side of the mirror is the same.
    mirrored = calibrate_threshold(-values, is_right, rows, "above", seed=1)
    assert mirrored.true_positives == found.true_positives
    assert mirrored.right_above == found.right_below


def test_a_threshold_of_one_class_is_refused(right: np.ndarray):
    with pytest.raises(ValueError, match=f"there are 0 wrong answers.*at least {LEAST_FOR_THRESHOLD}"):
        calibrate_threshold(right, np.ones(300, dtype=bool), np.arange(300), "below")


def test_halves_are_halves_and_depend_on_the_seed():
    rows = np.arange(100_000)
    first, second = is_set_half(rows, 0), is_set_half(rows, 1)
    # Four standard deviations of a fair coin.
    assert abs(first.mean() - 0.5) < 4 * 0.5 / math.sqrt(100_000)
    assert abs((first == second).mean() - 0.5) < 4 * 0.5 / math.sqrt(100_000)


def test_poolings_leave_out_what_is_no_number():
    assert [pool([3, math.nan, 1, 2], [False, True, True, True], name) for name in POOLINGS] == [2, 1.5, 3, 1, 1, 2]


def test_an_answer_without_content_is_pooled_over_all_of_it():
    assert pool([3, 1], [False, False], "content-mean") == 2
    assert math.isnan(pool([], [], "first-content"))


@pytest.mark.parametrize(
    ("texts", "words", "content"),
    [
        (["The", " sphere", " is", " red", "."], [0, 1, 2, 3, 3], [1, 3]),
        (["Yes", ",", " it", " is", "."], [0, 0, 1, 2, 2], [0]),
        (["Not", " on", " the", " left"], [0, 1, 2, 3], [0, 3]),
        # Pieces belong to their words: "would" has none, "cylinders" has three.
        ([" wo", "uld", " cy", "lind", "ers"], [0, 0, 1, 1, 1], [2, 3, 4]),
        (["It", "’s", " 3"], [0, 0, 1], [2]),
    ],
)
def test_content_is_what_is_no_function_word(texts: list[str], words: list[int], content: list[int]):
    assert [place for place, carries in enumerate(content_tokens(texts, words)) if carries] == content


def test_the_page_s_fixture_is_what_is_computed_here():
    """Sums may round otherwise on another machine."""

    def compare(found: object, wanted: object) -> None:
        if isinstance(wanted, dict) and isinstance(found, dict):
            assert found.keys() == wanted.keys()
            for name in wanted:
                compare(found[name], wanted[name])
        elif isinstance(wanted, list) and isinstance(found, list):
            assert len(found) == len(wanted)
            for one, other in zip(found, wanted, strict=True):
                compare(one, other)
        else:
            assert found == (pytest.approx(wanted, rel=1e-9, abs=1e-12) if isinstance(wanted, float) else wanted)

    kept = json.loads(calibration_fixture.FIXTURE.read_text())
    compare(calibration_fixture.without_nan(calibration_fixture.fixture()), kept)
