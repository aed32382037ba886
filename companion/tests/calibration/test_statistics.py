"""Calibration statistics, compared with SciPy."""

import json
import math

import numpy as np
import pytest
from scipy import stats

from patchlight.calibration.content_tokens import content_tokens
from patchlight.calibration.statistics import (
    MIN_FOR_BANDS,
    MIN_FOR_THRESHOLD,
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


def test_density_equals_scipy_s(right: np.ndarray):
    kernel = stats.gaussian_kde(right, "scott")
    assert scott_bandwidth(right) == pytest.approx(math.sqrt(kernel.covariance[0, 0]), rel=1e-12)
    grid = np.linspace(2, 6, 50)
    np.testing.assert_allclose(density(right, grid, scott_bandwidth(right)), kernel(grid), rtol=1e-10)


def test_equal_values_have_no_bandwidth():
    assert math.isnan(scott_bandwidth(np.full(50, 0.1)))
    assert math.isnan(scott_bandwidth(np.array([1.0])))


def test_bands_have_the_width_of_the_density_s_standard_error(right: np.ndarray):
    """The variance of a mean of kernels has a closed form. 2000 resamples estimate a 95 % limit to within about 4 %."""
    grid, width = np.linspace(3, 5, 9), scott_bandwidth(right)
    result = bands(right, grid, width, resamples=2000)
    error = stats.norm.pdf(grid[:, None], right, width).std(axis=1) / math.sqrt(len(right))
    np.testing.assert_allclose((result.high - result.low) / 2, 1.96 * error, rtol=0.1)
    assert (result.low < result.density).all()
    assert (result.density < result.high).all()


def test_bands_of_too_few_values_are_refused():
    with pytest.raises(ValueError, match=f"at least {MIN_FOR_BANDS} values, got 29"):
        bands(np.arange(29.0), np.arange(3.0), 1.0)


@pytest.mark.parametrize("digits", [10, 1, 0])
def test_auroc_equals_the_mann_whitney_u_with_ties(right: np.ndarray, wrong: np.ndarray, digits: int):
    right, wrong = right.round(digits), wrong.round(digits)
    expected = stats.mannwhitneyu(right, wrong).statistic / (len(right) * len(wrong))
    assert auroc(right, wrong, "above") == pytest.approx(expected, rel=1e-12)
    assert auroc(right, wrong, "below") == pytest.approx(1 - expected, rel=1e-12)


def test_the_auroc_interval_equals_scipy_s_bootstrap(right: np.ndarray, wrong: np.ndarray):
    def value(a: np.ndarray, b: np.ndarray) -> float:
        return stats.mannwhitneyu(b, a).statistic / (len(a) * len(b))

    expected = stats.bootstrap(
        (right, wrong), value, n_resamples=1000, vectorized=False, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    result = auroc_interval(right, wrong, "below", resamples=4000)
    assert result is not None
    # The 2.5 % quantile of 1000 resamples has a standard error of about a tenth of the interval's half-width.
    width = expected.high - expected.low
    assert result.low == pytest.approx(expected.low, abs=0.1 * width)
    assert result.high == pytest.approx(expected.high, abs=0.1 * width)
    assert result.low < result.value < result.high


def test_the_auroc_interval_of_many_distinct_values_has_the_expected_width():
    random = np.random.default_rng(0)
    right, wrong = random.normal(0, 1, 6000), random.normal(0.5, 1, 3000)
    result = auroc_interval(right, wrong, "below", resamples=500)
    assert result is not None
    assert result.value == pytest.approx(stats.norm.cdf(0.5 / math.sqrt(2)), abs=0.02)
    # Standard error by equation 1 of Hanley and McNeil (1982).
    a = result.value
    q1, q2 = a / (2 - a), 2 * a * a / (1 + a)
    error = math.sqrt((a * (1 - a) + 2999 * (q1 - a * a) + 5999 * (q2 - a * a)) / (6000 * 3000))
    assert result.high - result.low == pytest.approx(2 * 1.96 * error, rel=0.15)


def test_an_empty_class_has_no_auroc(right: np.ndarray):
    assert math.isnan(auroc(right, np.array([]), "below"))
    assert auroc_interval(right, np.array([]), "below") is None


@pytest.mark.parametrize(("hits", "n"), [(0, 10), (10, 10), (3, 7), (841, 1000)])
def test_shares_have_the_wilson_interval(hits: int, n: int):
    expected = stats.binomtest(hits, n).proportion_ci(method="wilson")
    assert share_of(hits, n)[2:] == pytest.approx((hits / n, expected.low, expected.high), rel=1e-12)


def test_the_interval_of_an_empty_share_is_zero_to_one():
    assert math.isnan(share_of(0, 0).value)
    assert share_of(0, 0)[3:] == (0, 1)


def test_a_threshold_is_set_on_one_half_and_checked_on_the_other(right: np.ndarray, wrong: np.ndarray):
    values, is_right = np.concatenate([right, wrong]), np.arange(420) < 300
    rows = np.arange(420)
    result = calibrate_threshold(values, is_right, rows, "below", seed=1)
    on = is_set_half(rows, 1)
    assert result.threshold == pytest.approx((values[on & is_right].mean() + values[on & ~is_right].mean()) / 2)
    below = values[~on] < result.threshold
    assert result.share_below.hits == below.sum()
    assert result.share_below.n == (~on).sum() == 420 - result.set_on
    assert result.right_below.value == pytest.approx(is_right[~on][below].mean())
    assert result.right_above.value == pytest.approx(is_right[~on][~below].mean())
    assert result.true_positives.value == pytest.approx(below[is_right[~on]].mean())
    assert result.false_positives.value == pytest.approx(below[~is_right[~on]].mean())
    # Negating the values and swapping the side gives the same shares.
    mirrored = calibrate_threshold(-values, is_right, rows, "above", seed=1)
    assert mirrored.true_positives == result.true_positives
    assert mirrored.right_above == result.right_below


def test_a_threshold_for_a_single_class_is_refused(right: np.ndarray):
    with pytest.raises(ValueError, match=f"has 0 wrong answers; it needs at least {MIN_FOR_THRESHOLD}"):
        calibrate_threshold(right, np.ones(300, dtype=bool), np.arange(300), "below")


def test_halves_are_equal_in_size_and_depend_on_the_seed():
    rows = np.arange(100_000)
    first, second = is_set_half(rows, 0), is_set_half(rows, 1)
    # Four standard deviations of a fair coin.
    assert abs(first.mean() - 0.5) < 4 * 0.5 / math.sqrt(100_000)
    assert abs((first == second).mean() - 0.5) < 4 * 0.5 / math.sqrt(100_000)


def test_poolings_ignore_nan():
    assert [pool([3, math.nan, 1, 2], [False, True, True, True], name) for name in POOLINGS] == [2, 1.5, 3, 1, 1, 2]


def test_content_poolings_use_all_tokens_if_there_is_no_content_token():
    assert pool([3, 1], [False, False], "content-mean") == 2
    assert math.isnan(pool([], [], "first-content"))


@pytest.mark.parametrize(
    ("texts", "words", "content"),
    [
        (["The", " sphere", " is", " red", "."], [0, 1, 2, 3, 3], [1, 3]),
        (["Yes", ",", " it", " is", "."], [0, 0, 1, 2, 2], [0]),
        (["Not", " on", " the", " left"], [0, 1, 2, 3], [0, 3]),
        # The complete word decides: no piece of "would" is content, but every piece of "cylinders" is.
        ([" wo", "uld", " cy", "lind", "ers"], [0, 0, 1, 1, 1], [2, 3, 4]),
        (["It", "’s", " 3"], [0, 0, 1], [2]),
    ],
)
def test_function_words_and_punctuation_are_not_content(texts: list[str], words: list[int], content: list[int]):
    assert [index for index, is_content in enumerate(content_tokens(texts, words)) if is_content] == content


def test_the_page_s_fixture_is_up_to_date():
    """Compares with a tolerance, since sums may round differently on another machine."""

    def compare(actual: object, expected: object) -> None:
        if isinstance(expected, dict) and isinstance(actual, dict):
            assert actual.keys() == expected.keys()
            for name in expected:
                compare(actual[name], expected[name])
        elif isinstance(expected, list) and isinstance(actual, list):
            assert len(actual) == len(expected)
            for one, other in zip(actual, expected, strict=True):
                compare(one, other)
        else:
            assert actual == (pytest.approx(expected, rel=1e-9, abs=1e-12) if isinstance(expected, float) else expected)

    committed = json.loads(calibration_fixture.FIXTURE.read_text())
    compare(calibration_fixture.without_nan(calibration_fixture.fixture()), committed)
