"""Measures how well a score separates right from wrong answers: thresholds, AUROC, densities with bands.

The page computes the same values in src/math/statistics. The tests of the package and of the page compare their results
with src/math/statistics/fixtures/calibration.json.
"""

import math
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np

RightSide = Literal["below", "above"]
"""The side of a threshold on which right answers are expected: below for entropies, above for log-probabilities."""

Pooling = Literal["mean", "content-mean", "max", "min", "first-content", "last-content"]

MIN_FOR_BANDS = 30
"""Minimum number of values for bands."""
MIN_FOR_THRESHOLD = 10
"""Minimum number of right answers, and of wrong answers, that each half needs for a threshold."""
MAX_CELLS = 1024
"""Maximum number of cells that the AUROC bootstrap resamples."""
_Z95 = 1.959963984540054
_HASH_STEP = 0x9E3779B9

_POOL: dict[Pooling, Callable[[np.ndarray], float]] = {
    "mean": lambda values: _mean(values),
    "content-mean": lambda values: _mean(values),
    "max": lambda values: float(values.max()),
    "min": lambda values: float(values.min()),
    "first-content": lambda values: float(values[0]),
    "last-content": lambda values: float(values[-1]),
}
POOLINGS: tuple[Pooling, ...] = tuple(_POOL)


class Share(NamedTuple):
    """hits / n with its 95 % Wilson score interval (Wilson 1927, no continuity correction)."""

    hits: int
    n: int
    value: float
    low: float
    high: float


class Auroc(NamedTuple):
    """Of all pairs of a right and a wrong answer, the share whose values are in the expected order. Ties count as half.

    low, high: 95 % percentile bootstrap interval; answers are resampled within each class.
    """

    value: float
    low: float
    high: float


class GroupedAuroc(NamedTuple):
    """The AUROC of all pairs of a right and a wrong answer of the same group. Ties count as half.

    low, high: 95 % percentile bootstrap interval; answers are resampled within each class of each group. pairs: number
    of such pairs. groups: number of groups with both right and wrong answers. left_out: answers that are in no pair,
    because their group has only right or only wrong answers, or because they have none.
    """

    value: float
    low: float
    high: float
    pairs: int
    groups: int
    left_out: int


class Threshold(NamedTuple):
    """A threshold set on one half of the answers, with shares measured on the other half.

    threshold: the mean of mean_right and mean_wrong; all three are in the unit of the values. set_on: number of answers
    used to set the threshold. not_averaged: answers in the same half with an infinite value, which the means cannot
    include. true_positives: share of the right answers on `right_side`. false_positives: share of the
    wrong answers on `right_side`.
    """

    right_side: RightSide
    threshold: float
    mean_right: float
    mean_wrong: float
    set_on: int
    not_averaged: int
    share_below: Share
    right_below: Share
    right_above: Share
    true_positives: Share
    false_positives: Share


class Bands(NamedTuple):
    """A kernel density and its pointwise 95 % bootstrap interval, `[points]` each."""

    density: np.ndarray
    low: np.ndarray
    high: np.ndarray


def share_of(hits: int, n: int) -> Share:
    """Return hits / n with its interval. If n is 0, the value is NaN and the interval is [0, 1]."""
    if n == 0:
        return Share(hits, n, math.nan, 0.0, 1.0)
    p, z2 = hits / n, _Z95**2
    middle = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z95 / (1 + z2 / n) * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    return Share(hits, n, p, 0.0 if hits == 0 else middle - half, 1.0 if hits == n else middle + half)


def pool(values: Sequence[float] | np.ndarray, is_content: Sequence[bool] | None, pooling: Pooling) -> float:
    """Pool an answer's token values into one value, ignoring NaN. Return NaN if no values remain.

    A token at -inf puts the mean there too. Content poolings use all tokens if no content token has a value.
    """
    array = np.asarray(values, dtype=np.float64)
    used = ~np.isnan(array)
    if "content" in pooling and is_content is not None and (used & np.asarray(is_content, dtype=bool)).any():
        used = used & np.asarray(is_content, dtype=bool)
    return _POOL[pooling](array[used]) if used.any() else math.nan


def scott_bandwidth(values: np.ndarray) -> float:
    """Return Scott's bandwidth: the standard deviation (with n - 1) times n^(-1/5).

    NaN for fewer than two values, if all values are equal, and if a value is not finite.
    """
    if len(values) == 0 or not np.isfinite(values).all() or values.min() == values.max():
        return math.nan
    offsets, first, second = offsets_of(values)
    bandwidth = float(offsets.std(ddof=1)) * len(values) ** (-1 / 5) / second / first
    return bandwidth if bandwidth > 0 else math.nan


def offsets_of(values: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Return the distances of finite values `[n]` from their minimum, times two powers of two.

    The factors bring the largest distance near 1, so that squares neither overflow nor underflow. The differences of
    nearly equal values are exact. At least two values must differ.
    """
    low, high = float(values.min()), float(values.max())
    first = 1.0 if math.isfinite(high - low) else 0.25
    exponent = math.floor(math.log2(high * first - low * first))
    second = 2.0 ** -max(-1020, min(1020, exponent))
    return (values * first - low * first) * second, first, second


def density(values: np.ndarray, grid: np.ndarray, bandwidth: float) -> np.ndarray:
    """Return the Gaussian kernel density `[points]` of values `[n]` at the grid points `[points]`."""
    kernels = np.exp(-0.5 * ((grid[:, None] - values) / bandwidth) ** 2)
    return kernels.sum(1) / (len(values) * bandwidth * math.sqrt(2 * math.pi))


def bands(values: np.ndarray, grid: np.ndarray, bandwidth: float, *, resamples: int = 200, seed: int = 0) -> Bands:
    """Return the kernel density with bootstrap bands. All resamples use the given bandwidth.

    Raises ValueError for fewer than MIN_FOR_BANDS values.
    """
    if len(values) < MIN_FOR_BANDS:
        raise ValueError(f"bands need at least {MIN_FOR_BANDS} values, got {len(values)}")
    generator = np.random.default_rng(seed)
    kernels = np.exp(-0.5 * ((grid[:, None] - values) / bandwidth) ** 2)
    scale = len(values) * bandwidth * math.sqrt(2 * math.pi)
    densities = np.empty((resamples, len(grid)))
    for row in densities:
        counts = np.bincount(generator.integers(len(values), size=len(values)), minlength=len(values))
        row[:] = kernels @ counts / scale
    low, high = np.percentile(densities, [2.5, 97.5], axis=0)
    return Bands(kernels.sum(1) / scale, low, high)


def auroc(right: np.ndarray, wrong: np.ndarray, right_side: RightSide) -> float:
    """Return the AUROC: the Mann-Whitney U divided by the number of pairs. NaN if a class is empty.

    Infinite values rank first or last. Raises ValueError if a value is NaN.
    """
    if len(right) == 0 or len(wrong) == 0:
        return math.nan
    counts = _cells(right, wrong)
    return float(_ordered(counts[0][None], counts[1][None], right_side)[0])


def auroc_interval(
    right: np.ndarray, wrong: np.ndarray, right_side: RightSide, *, resamples: int = 1000, seed: int = 0
) -> Auroc | None:
    """Return the AUROC with its bootstrap interval, or None if a class is empty.

    If there are more than MAX_CELLS distinct values, they are grouped into cells with equal numbers of answers. The
    resampled AUROCs are corrected for the amount by which this grouping shifts the AUROC of all answers. Raises
    ValueError if a value is NaN.
    """
    value = auroc(right, wrong, right_side)
    if math.isnan(value):
        return None
    rights, wrongs = _cells(right, wrong)
    rights, wrongs = _merged(rights, wrongs)
    centre = _ordered(rights[None], wrongs[None], right_side)[0]
    generator = np.random.default_rng(seed)
    resampled = _ordered(*_resampled(rights, wrongs, generator, resamples), right_side)
    low, high = np.percentile(resampled - centre + value, [2.5, 97.5])
    return Auroc(value, max(0.0, float(low)), min(1.0, float(high)))


def grouped_auroc(
    values: np.ndarray,
    is_right: np.ndarray,
    groups: np.ndarray,
    right_side: RightSide,
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> GroupedAuroc | None:
    """Return the AUROC within groups (the stratified Mann-Whitney statistic): all ordered pairs of answers of the same
    group, divided by all such pairs. Return None if no group has both right and wrong answers.

    groups: the group of each answer `[n]`; a negative number means none. Raises ValueError if a value is NaN.
    """
    below = pairs = 0.0
    centre, resampled, used, count = 0.0, np.zeros(resamples), 0, 0
    generator = np.random.default_rng(seed)
    for group in np.unique(groups[groups >= 0]):
        chosen = groups == group
        rights, wrongs = _cells(values[chosen & is_right], values[chosen & ~is_right])
        size = rights.sum() * wrongs.sum()
        if size == 0:
            continue
        count, used, pairs = count + 1, used + int(chosen.sum()), pairs + size
        below += size * _ordered(rights[None], wrongs[None], "below")[0]
        rights, wrongs = _merged(rights, wrongs)
        centre += size * _ordered(rights[None], wrongs[None], "below")[0]
        resampled += size * _ordered(*_resampled(rights, wrongs, generator, resamples), "below")
    if pairs == 0:
        return None
    shares = (resampled - centre + below) / pairs
    value, shares = (below / pairs, shares) if right_side == "below" else (1 - below / pairs, 1 - shares)
    low, high = np.percentile(shares, [2.5, 97.5])
    ends = max(0.0, float(low)), min(1.0, float(high))
    return GroupedAuroc(float(value), *ends, int(pairs), count, len(values) - used)


def group_alone_auroc(
    is_right: np.ndarray, groups: np.ndarray, rows: np.ndarray, *, resamples: int = 1000, seed: int = 0
) -> GroupedAuroc | None:
    """Return the AUROC of the groups alone, where each answer's value is its group's share of right answers.

    The shares are measured on one half of the answers and applied to the other, and the other way round; only pairs
    within a half are compared. A group that the other half does not have gets that half's overall share. rows: the
    answers' indices in the file. Answers without a group (a negative number) are left out.
    """
    halves = np.where(groups < 0, -1, is_set_half(rows, seed).astype(int))
    values = np.zeros(len(groups))
    for half in (0, 1):
        other = halves == 1 - half
        overall = is_right[other].mean() if other.any() else 0.0
        for group in np.unique(groups[halves == half]):
            same = other & (groups == group)
            values[(halves == half) & (groups == group)] = is_right[same].mean() if same.any() else overall
    return grouped_auroc(values, is_right, halves, "above", resamples=resamples, seed=seed)


def is_set_half(rows: np.ndarray, seed: int) -> np.ndarray:
    """Return whether each row belongs to the half that thresholds are set on.

    The choice depends on a hash (Wellons' lowbias32) of the seed and the row's index in the file.
    """
    x = (rows.astype(np.uint64) + np.uint64(seed * _HASH_STEP % 2**32)).astype(np.uint32)
    x = (x ^ (x >> np.uint32(16))) * np.uint32(0x7FEB352D)
    x = (x ^ (x >> np.uint32(15))) * np.uint32(0x846CA68B)
    return (x ^ (x >> np.uint32(16))) < np.uint32(2**31)


def calibrate_threshold(
    values: np.ndarray, is_right: np.ndarray, rows: np.ndarray, right_side: RightSide, *, seed: int = 0
) -> Threshold:
    """Set a threshold, the mean of the two class means, on one half of the answers and check it on the other.

    An infinite value is not in a class mean; it is below or above the threshold like any other value. rows: the
    answers' indices in the file. Raises ValueError if a half has fewer than MIN_FOR_THRESHOLD right or wrong answers (in
    the first half, with a finite value), or if a value is NaN.
    """
    _refuse_nan(values)
    half, finite = is_set_half(rows, seed), np.isfinite(values)
    on = half & finite
    not_averaged = int((half & ~finite).sum())
    for part, use in ((on, "set on"), (~half, "checked on")):
        for side, name in ((is_right, "right"), (~is_right, "wrong")):
            if (n := int((part & side).sum())) < MIN_FOR_THRESHOLD:
                which = "answers with a finite value" if not_averaged and use == "set on" else "answers"
                raise ValueError(
                    f"the half that the threshold is {use} has {n} {name} {which}; it needs at least "
                    f"{MIN_FOR_THRESHOLD}"
                )
    mean_right, mean_wrong = _mean(values[on & is_right]), _mean(values[on & ~is_right])
    total = mean_right + mean_wrong
    threshold = total / 2 if math.isfinite(total) else mean_right / 2 + mean_wrong / 2
    right, below = is_right[~half], values[~half] < threshold
    trusted = below if right_side == "below" else ~below
    return Threshold(
        right_side,
        threshold,
        mean_right,
        mean_wrong,
        int(on.sum()),
        not_averaged,
        _share(below, np.ones_like(below)),
        _share(right, below),
        _share(right, ~below),
        _share(trusted, right),
        _share(trusted, ~right),
    )


def _share(hits: np.ndarray, of: np.ndarray) -> Share:
    return share_of(int((hits & of).sum()), int(of.sum()))


def _mean(values: np.ndarray) -> float:
    """Return the mean, also of values whose sum overflows."""
    with np.errstate(over="ignore", invalid="ignore"):
        mean = float(values.mean())
        return mean if math.isfinite(mean) or not np.isfinite(values).all() else float((values / len(values)).sum())


def _refuse_nan(values: np.ndarray) -> None:
    if n := int(np.isnan(values).sum()):
        raise ValueError(f"{n} of {len(values)} values are NaN: leave them out first and count them")


def _merged(rights: np.ndarray, wrongs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Merge neighbouring cells into at most MAX_CELLS with about the same number of answers each."""
    if len(rights) <= MAX_CELLS:
        return rights, wrongs
    total = rights + wrongs
    cell = ((np.cumsum(total) - total) * MAX_CELLS // total.sum()).astype(int)
    merged = [np.bincount(cell, counts, minlength=MAX_CELLS) for counts in (rights, wrongs)]
    return merged[0], merged[1]


def _resampled(
    rights: np.ndarray, wrongs: np.ndarray, generator: np.random.Generator, resamples: int
) -> tuple[np.ndarray, np.ndarray]:
    """Resample both classes' counts; each result is `[resamples, cells]`."""
    drawn = [
        generator.multinomial(int(counts.sum()), counts / counts.sum(), size=resamples) for counts in (rights, wrongs)
    ]
    return drawn[0], drawn[1]


def _cells(right: np.ndarray, wrong: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Count right and wrong answers per distinct value, in ascending order of the values."""
    _refuse_nan(np.concatenate([right, wrong]))
    values = np.unique(np.concatenate([right, wrong]))
    counts = [np.bincount(np.searchsorted(values, group), minlength=len(values)) for group in (right, wrong)]
    return counts[0].astype(np.float64), counts[1].astype(np.float64)


def _ordered(right: np.ndarray, wrong: np.ndarray, right_side: RightSide) -> np.ndarray:
    """Return AUROCs `[resamples]` from the counts of right and wrong answers per cell, each `[resamples, cells]`."""
    before = np.cumsum(right, axis=1) - right
    below = (wrong * (before + right / 2)).sum(1) / (right.sum(1) * wrong.sum(1))
    return below if right_side == "below" else 1 - below
