"""How far entropy tells right answers from wrong ones: thresholds, AUROC, densities with bands.

The page computes the same in src/math; src/math/statistics/fixtures/calibration.json holds both to the same numbers.
"""

import math
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np

RightSide = Literal["below", "above"]
"""On which side of a threshold right answers are expected: below for entropies, above for log-probabilities."""

Pooling = Literal["mean", "content-mean", "max", "min", "first-content", "last-content"]

LEAST_FOR_BANDS = 30
"""Fewer values have no bands."""
LEAST_FOR_THRESHOLD = 10
"""Fewer right or wrong answers in a half carry no threshold."""
MOST_CELLS = 1024
_Z95 = 1.959963984540054
_HASH_STEP = 0x9E3779B9

_POOL: dict[Pooling, Callable[[np.ndarray], float]] = {
    "mean": lambda values: float(values.mean()),
    "content-mean": lambda values: float(values.mean()),
    "max": lambda values: float(values.max()),
    "min": lambda values: float(values.min()),
    "first-content": lambda values: float(values[0]),
    "last-content": lambda values: float(values[-1]),
}
POOLINGS: tuple[Pooling, ...] = tuple(_POOL)


class Share(NamedTuple):
    """So many of n, with Wilson's score interval (95 %, 1927, no continuity correction)."""

    hits: int
    n: int
    value: float
    low: float
    high: float


class Auroc(NamedTuple):
    """The share of pairs of a right and a wrong answer in the expected order, ties counting half, and its 95 %
    percentile bootstrap interval, resampled within each class."""

    value: float
    low: float
    high: float


class Threshold(NamedTuple):
    """Set on one half of the answers (`set_on` of them); the shares are of the other half.

    threshold, mean_right, mean_wrong: in the values' unit, the first the mean of the other two. true_positives: right
    answers on the right side, of all right ones; false_positives: wrong ones there, of all wrong ones.
    """

    right_side: RightSide
    threshold: float
    mean_right: float
    mean_wrong: float
    set_on: int
    share_below: Share
    right_below: Share
    right_above: Share
    true_positives: Share
    false_positives: Share


class Bands(NamedTuple):
    """Each [points]: a kernel density and its pointwise 95 % bootstrap interval."""

    density: np.ndarray
    low: np.ndarray
    high: np.ndarray


def share_of(hits: int, n: int) -> Share:
    """NaN, from 0 to 1, of nothing."""
    if n == 0:
        return Share(hits, n, math.nan, 0.0, 1.0)
    p, z2 = hits / n, _Z95**2
    middle = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z95 / (1 + z2 / n) * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    return Share(hits, n, p, 0.0 if hits == 0 else middle - half, 1.0 if hits == n else middle + half)


def pool(values: Sequence[float] | np.ndarray, is_content: Sequence[bool] | None, pooling: Pooling) -> float:
    """One answer's value of its tokens': NaNs are left out, NaN where nothing is left.

    The content poolings take all tokens where none of what is left carries content.
    """
    given = np.asarray(values, dtype=np.float64)
    known = ~np.isnan(given)
    if "content" in pooling and is_content is not None and (known & np.asarray(is_content, dtype=bool)).any():
        known = known & np.asarray(is_content, dtype=bool)
    return _POOL[pooling](given[known]) if known.any() else math.nan


def scott_bandwidth(values: np.ndarray) -> float:
    """Deviation (n - 1) times n^(-1/5); NaN for fewer than two values, and for values that are all the same."""
    if len(values) < 2 or np.ptp(values) == 0:
        return math.nan
    return float(values.std(ddof=1) * len(values) ** (-1 / 5))


def density(values: np.ndarray, grid: np.ndarray, bandwidth: float) -> np.ndarray:
    """Gaussian kernel density at each grid point: [points]."""
    kernels = np.exp(-0.5 * ((grid[:, None] - values) / bandwidth) ** 2)
    return kernels.sum(1) / (len(values) * bandwidth * math.sqrt(2 * math.pi))


def bands(values: np.ndarray, grid: np.ndarray, bandwidth: float, *, resamples: int = 200, seed: int = 0) -> Bands:
    """The bandwidth is kept. Raises ValueError for fewer than LEAST_FOR_BANDS values."""
    if len(values) < LEAST_FOR_BANDS:
        raise ValueError(f"{len(values)} values: bands need at least {LEAST_FOR_BANDS}")
    generator = np.random.default_rng(seed)
    kernels = np.exp(-0.5 * ((grid[:, None] - values) / bandwidth) ** 2)
    scale = len(values) * bandwidth * math.sqrt(2 * math.pi)
    found = np.empty((resamples, len(grid)))
    for drawn in found:
        times = np.bincount(generator.integers(len(values), size=len(values)), minlength=len(values))
        drawn[:] = kernels @ times / scale
    low, high = np.percentile(found, [2.5, 97.5], axis=0)
    return Bands(kernels.sum(1) / scale, low, high)


def auroc(right: np.ndarray, wrong: np.ndarray, right_side: RightSide) -> float:
    """Mann and Whitney's U over n m; NaN where a class is empty."""
    if len(right) == 0 or len(wrong) == 0:
        return math.nan
    counts = _cells(right, wrong)
    return float(_ordered(counts[0][None], counts[1][None], right_side)[0])


def auroc_interval(
    right: np.ndarray, wrong: np.ndarray, right_side: RightSide, *, resamples: int = 1000, seed: int = 0
) -> Auroc | None:
    """None where a class is empty. Past MOST_CELLS different values, cells of equal numbers of answers are resampled;
    what that moves the whole by is taken from each resample."""
    value = auroc(right, wrong, right_side)
    if math.isnan(value):
        return None
    rights, wrongs = _cells(right, wrong)
    if len(rights) > MOST_CELLS:
        total = rights + wrongs
        place = ((np.cumsum(total) - total) * MOST_CELLS // total.sum()).astype(int)
        rights, wrongs = (np.bincount(place, counts, minlength=MOST_CELLS) for counts in (rights, wrongs))
    centre = _ordered(rights[None], wrongs[None], right_side)[0]
    generator = np.random.default_rng(seed)
    drawn_rights, drawn_wrongs = (
        generator.multinomial(int(counts.sum()), counts / counts.sum(), size=resamples) for counts in (rights, wrongs)
    )
    low, high = np.percentile(_ordered(drawn_rights, drawn_wrongs, right_side) - centre + value, [2.5, 97.5])
    return Auroc(value, max(0.0, float(low)), min(1.0, float(high)))


def is_set_half(rows: np.ndarray, seed: int) -> np.ndarray:
    """Whether a threshold is set on a row, by its place in the file and the seed alone (Wellons' lowbias32)."""
    x = (rows.astype(np.uint64) + np.uint64(seed * _HASH_STEP % 2**32)).astype(np.uint32)
    x = (x ^ (x >> np.uint32(16))) * np.uint32(0x7FEB352D)
    x = (x ^ (x >> np.uint32(15))) * np.uint32(0x846CA68B)
    return (x ^ (x >> np.uint32(16))) < np.uint32(2**31)


def calibrate_threshold(
    values: np.ndarray, is_right: np.ndarray, rows: np.ndarray, right_side: RightSide, *, seed: int = 0
) -> Threshold:
    """Mean of the two classes' means, set on one half and checked on the other. `rows`: the answers' places in the file.

    Raises ValueError where a half has fewer than LEAST_FOR_THRESHOLD right or wrong answers.
    """
    on = is_set_half(rows, seed)
    for half, where in ((on, "set on"), (~on, "checked on")):
        for side, name in ((is_right, "right"), (~is_right, "wrong")):
            if (n := int((half & side).sum())) < LEAST_FOR_THRESHOLD:
                raise ValueError(
                    f"there are {n} {name} answers in the half that a threshold is {where}; "
                    f"it takes at least {LEAST_FOR_THRESHOLD}"
                )
    mean_right, mean_wrong = float(values[on & is_right].mean()), float(values[on & ~is_right].mean())
    threshold = (mean_right + mean_wrong) / 2
    right, below = is_right[~on], values[~on] < threshold
    trusted = below if right_side == "below" else ~below
    return Threshold(
        right_side,
        threshold,
        mean_right,
        mean_wrong,
        int(on.sum()),
        _share(below, np.ones_like(below)),
        _share(right, below),
        _share(right, ~below),
        _share(trusted, right),
        _share(trusted, ~right),
    )


def _share(hits: np.ndarray, of: np.ndarray) -> Share:
    return share_of(int((hits & of).sum()), int(of.sum()))


def _cells(right: np.ndarray, wrong: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many of each there are of every value, from the smallest on."""
    values = np.unique(np.concatenate([right, wrong]))
    counts = [np.bincount(np.searchsorted(values, some), minlength=len(values)) for some in (right, wrong)]
    return counts[0].astype(np.float64), counts[1].astype(np.float64)


def _ordered(right: np.ndarray, wrong: np.ndarray, right_side: RightSide) -> np.ndarray:
    """Of counts a cell, [resamples, cells] each: [resamples]."""
    before = np.cumsum(right, axis=1) - right
    below = (wrong * (before + right / 2)).sum(1) / (right.sum(1) * wrong.sum(1))
    return below if right_side == "below" else 1 - below
