"""Bootstrap intervals for statistics over grouped items, such as the tokens of a scene: percentile intervals (Efron and
Tibshirani 1993, section 13.3). Groups are resampled, not single items.
"""

from typing import NamedTuple

import numpy as np

RESAMPLES = 2000


class Ratio(NamedTuple):
    """A statistic over n items: sum(over) / sum(under). Both arrays are [n]. For a mean, `under` is 1 everywhere."""

    over: np.ndarray
    under: np.ndarray

    @staticmethod
    def mean(values: np.ndarray) -> "Ratio":
        """The mean of values [n]; for bools, the share that are true."""
        return Ratio(np.asarray(values, np.float64), np.ones(len(values)))


class Estimate(NamedTuple):
    """A value with its 95 % interval. `draws` [RESAMPLES]: the value in each resample, for paired differences."""

    value: float
    low: float
    high: float
    draws: np.ndarray

    @property
    def interval(self) -> tuple[float, float]:
        return self.low, self.high

    def rounded(self, decimals: int = 4) -> list[float] | None:
        """Return value, low and high for a report; None if the value is undefined."""
        if np.isnan(self.value):
            return None
        return [round(number, decimals) for number in (self.value, self.low, self.high)]

    def minus(self, other: "Estimate") -> "Estimate":
        """Estimate the difference `self - other`. Both estimates must use the same items and resamples."""
        return _estimate(self.value - other.value, self.draws - other.draws)


class Bootstrap:
    """Bootstrap that resamples groups, because the items within a group are not independent. All estimates share the
    same resamples.
    """

    def __init__(self, groups: np.ndarray, *, resamples: int = RESAMPLES, seed: int = 0):
        """Draw the resamples. groups [n]: the group of each item, such as the scene of each token."""
        names, self._places = np.unique(groups, return_inverse=True)
        self._count = count = len(names)
        draws = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=resamples)
        self._times = draws.astype(np.float64)

    def estimate(self, ratio: Ratio, rows: np.ndarray | None = None) -> Estimate:
        """Estimate a statistic from the items selected by `rows` ([n] bool), or from all items; NaN if no item is
        selected.
        """
        over, under = (np.asarray(part, np.float64) for part in ratio)
        if rows is not None:
            over, under = over * rows, under * rows
        sums = [np.bincount(self._places, part, self._count) for part in (over, under)]
        totals = [self._times @ part for part in sums]
        draws = np.divide(totals[0], totals[1], out=np.full(len(self._times), np.nan), where=totals[1] > 0)
        total = sums[1].sum()
        return _estimate(float(sums[0].sum() / total) if total > 0 else float("nan"), draws)


def _estimate(value: float, draws: np.ndarray) -> Estimate:
    if np.isnan(draws).all():
        return Estimate(value, float("nan"), float("nan"), draws)
    low, high = np.nanpercentile(draws, [2.5, 97.5])
    return Estimate(value, float(low), float(high), draws)
