"""Calibration statistics, compared with SciPy."""

import json
import math
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
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
    group_alone_auroc,
    grouped_auroc,
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


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=2, max_size=8))
def test_the_bandwidth_of_extreme_values_is_exact_to_rounding(values: list[float]):
    """Compares with rational numbers, which neither round nor overflow."""
    exact = [Fraction(value) for value in values]
    mean = sum(exact, Fraction()) / len(exact)
    variance = sum(((value - mean) ** 2 for value in exact), Fraction()) / (len(exact) - 1)
    # The square root of a variance that is not a float: scale it by an even power of two.
    shift = variance.numerator.bit_length() - variance.denominator.bit_length()
    shift -= shift % 2
    root = math.sqrt(variance / Fraction(2) ** shift)
    actual = scott_bandwidth(np.array(values))
    if variance == 0:
        assert math.isnan(actual)
    elif root * len(values) ** -0.2 * Fraction(2) ** (shift // 2) > Fraction(2) ** -1000:
        expected = Fraction(root * len(values) ** -0.2) * Fraction(2) ** (shift // 2)
        assert actual == (math.inf if expected > Fraction(np.finfo(float).max) else pytest.approx(float(expected)))
    else:  # too small to compare relative to its rounding error
        assert math.isnan(actual) or actual > 0


def test_a_bandwidth_needs_finite_values():
    assert math.isnan(scott_bandwidth(np.array([1.0, math.inf])))
    assert math.isnan(scott_bandwidth(np.array([1.0, math.nan, 2.0])))
    assert math.isnan(scott_bandwidth(np.array([])))


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


_ranked = st.lists(st.sampled_from([-math.inf, -1e308, -2.0, -1.0, 5e-324, 1.0, math.inf]), min_size=1, max_size=12)


@given(_ranked, _ranked)
def test_infinite_values_rank_first_or_last(right: list[float], wrong: list[float]):
    pairs = [1.0 if r < w else 0.5 if r == w else 0.0 for r, w in product(right, wrong)]
    assert auroc(np.array(right), np.array(wrong), "below") == pytest.approx(sum(pairs) / len(pairs))


def test_values_that_are_not_numbers_are_refused(right: np.ndarray, wrong: np.ndarray):
    right[:2] = math.nan
    with pytest.raises(ValueError, match="2 of 420 values are NaN: leave them out first"):
        auroc(right, wrong, "below")
    is_right = np.arange(420) < 300
    with pytest.raises(ValueError, match="2 of 420 values are NaN"):
        calibrate_threshold(np.concatenate([right, wrong]), is_right, np.arange(420), "below")


def within_groups(values: np.ndarray, is_right: np.ndarray, groups: np.ndarray) -> tuple[float, int, int, int]:
    """The reference: weighs SciPy's U of each group by the group's pairs. Returns AUROC above, pairs, groups, left out."""
    ordered, pairs, count, used = 0.0, 0, 0, 0
    for group in set(groups[groups >= 0].tolist()):
        right, wrong = values[(groups == group) & is_right], values[(groups == group) & ~is_right]
        if len(right) and len(wrong):
            ordered += stats.mannwhitneyu(right, wrong).statistic
            pairs, count, used = pairs + len(right) * len(wrong), count + 1, used + len(right) + len(wrong)
    return ordered / pairs if pairs else math.nan, pairs, count, len(values) - used


@pytest.mark.parametrize("digits", [10, 0])
def test_auroc_within_groups_compares_only_pairs_of_one_group(digits: int):
    random = np.random.default_rng(5)
    groups = random.integers(-1, 9, 800)
    is_right = random.random(800) < np.clip(groups, 0, 8) / 8
    values = np.round(groups + random.normal(is_right * 0.5, 1), digits)
    values[::50] = -math.inf
    result = grouped_auroc(values, is_right, groups, "above")
    expected = within_groups(values, is_right, groups)
    assert result is not None
    assert (result.value, result.pairs, result.groups, result.left_out) == pytest.approx(expected, rel=1e-12)
    assert result.low < result.value < result.high
    below = grouped_auroc(values, is_right, groups, "below")
    assert below is not None
    assert below.value == pytest.approx(1 - expected[0], rel=1e-12)
    # The groups themselves separate the answers, which the AUROC of all pairs includes.
    assert auroc(values[is_right], values[~is_right], "above") > result.value + 0.1


def test_one_group_has_the_auroc_of_all_pairs(right: np.ndarray, wrong: np.ndarray):
    values, is_right = np.concatenate([right, wrong]), np.arange(420) < 300
    result = grouped_auroc(values, is_right, np.zeros(420, int), "below")
    expected = auroc_interval(right, wrong, "below")
    assert result is not None
    assert expected is not None
    assert result.value == pytest.approx(expected.value, rel=1e-12)
    assert result.low == pytest.approx(expected.low, abs=0.01)
    assert result.high == pytest.approx(expected.high, abs=0.01)


def test_groups_of_a_single_class_have_no_pairs():
    assert grouped_auroc(np.arange(4.0), np.array([True, True, False, False]), np.array([0, 0, 1, -1]), "above") is None


def test_the_groups_alone_are_rated_on_one_half_and_compared_on_the_other():
    random = np.random.default_rng(6)
    groups, rows = random.integers(-1, 12, 900), random.permutation(2000)[:900]
    is_right = random.random(900) < (groups + 1) / 14
    on = is_set_half(rows, 3)
    rates = np.zeros(900)
    for k in np.flatnonzero(groups >= 0):
        rates[k] = np.mean([is_right[j] for j in range(900) if on[j] != on[k] and groups[j] == groups[k]])
    expected = within_groups(rates, is_right, np.where(groups < 0, -1, on.astype(int)))
    result = group_alone_auroc(is_right, groups, rows, seed=3)
    assert result is not None
    assert (result.value, result.pairs, result.groups, result.left_out) == pytest.approx(expected, rel=1e-12)


def test_groups_that_say_nothing_have_an_auroc_of_one_half():
    random = np.random.default_rng(7)
    # 300 groups of about four answers: shares measured on the same answers would give 0.75.
    result = group_alone_auroc(random.random(1200) < 0.6, random.integers(0, 300, 1200), np.arange(1200))
    assert result is not None
    assert result.low < 0.5 < result.high


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


def test_infinite_values_are_not_averaged_but_counted_below_the_threshold(right: np.ndarray, wrong: np.ndarray):
    values, is_right, rows = -np.concatenate([right, wrong]), np.arange(420) < 300, np.arange(420)
    values[::20] = -math.inf
    result = calibrate_threshold(values, is_right, rows, "above", seed=1)
    half, finite = is_set_half(rows, 1), np.isfinite(values)
    means = values[half & finite & is_right].mean(), values[half & finite & ~is_right].mean()
    assert result.threshold == pytest.approx(sum(means) / 2)
    assert result.not_averaged == (half & ~finite).sum() > 0
    assert result.share_below.hits == (values[~half] < result.threshold).sum()
    assert result.share_below.n == (~half).sum()
    with pytest.raises(ValueError, match="0 wrong answers with a finite value"):
        calibrate_threshold(np.where(is_right, values, -math.inf), is_right, rows, "above", seed=1)


def test_the_means_of_the_largest_values_do_not_overflow():
    values, is_right = np.full(200, 1.7e308), np.arange(200) % 2 == 0
    assert calibrate_threshold(values, is_right, np.arange(200), "below").threshold == pytest.approx(1.7e308)
    assert pool([1.7e308, 1.7e308], None, "mean") == pytest.approx(1.7e308)
    assert pool([-math.inf, -1.0], None, "mean") == -math.inf


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
