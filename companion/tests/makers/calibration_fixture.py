"""Writes src/math/statistics/fixtures/calibration.json, a reference for the Python and TypeScript tests.

Run `python -m tests.makers.calibration_fixture`. Inputs are seeded. Expected values come from SciPy if it has the
statistic (densities, U, Wilson intervals), otherwise from patchlight.calibration.statistics, which is itself tested
against SciPy.
"""

import json
import math
from typing import Any

import numpy as np
import torch
from scipy import stats

from patchlight.calibration import entropy, statistics
from patchlight.calibration.content_tokens import FUNCTION_WORDS, content_tokens
from tests.helpers.paths import ROOT

FIXTURE = ROOT / "src" / "math" / "statistics" / "fixtures" / "calibration.json"
ANSWERS = (
    (["The", " large", " sphere", " is", " red", "."], [0, 1, 2, 3, 4, 4]),
    (["Yes", ",", " it", "'s", " on", " the", " left", "."], [0, 0, 1, 1, 2, 3, 4, 4]),
    (["No", "."], [0, 0]),
    (["There", " are", " 3", " «cy", "lind", "ers", "»", "."], [0, 1, 2, 3, 3, 3, 3, 3]),
    (["It’s", " what", " they", " are", "!"], [0, 1, 2, 3, 3]),
    (["红", "色", "的", "。"], [0, 1, 2, 3]),
    (["", " Wo", "uld", " would-be", " THE"], [0, 1, 1, 2, 3]),
)


def fixture() -> dict[str, Any]:
    """Return the content of the file."""
    random = np.random.default_rng(20)
    maps = random.random((6, 48)) ** 4
    maps[1] = 0.3
    maps[2] = np.eye(48)[5]
    maps[3] = 0
    maps[4, 10:] = 0
    tensor = torch.from_numpy(maps)
    right = np.round(random.normal(4.2, 0.5, 240), 5)
    wrong = np.round(random.normal(4.7, 0.6, 110), 5)
    grid = np.linspace(2, 7, 33)
    tied = {"right": np.round(right, 1), "wrong": np.round(wrong, 1)}
    values = np.concatenate([right, wrong])
    is_right = np.arange(len(values)) < len(right)
    rows = random.permutation(1000)[: len(values)]
    threshold = statistics.calibrate_threshold(values, is_right, rows, "below", seed=7)
    above = statistics.calibrate_threshold(-values, is_right, rows, "above", seed=7)
    tokens = [0.5, math.nan, 0.1, 0.9, 0.3]
    poolings = [
        {
            "values": token_values,
            "isContent": content,
            "pooled": {name: statistics.pool(token_values, content, name) for name in statistics.POOLINGS},
        }
        for token_values, content in (
            (tokens, [True, True, False, True, True]),
            (tokens, [False, True, False, False, False]),
            (tokens, None),
            ([], []),
            ([math.nan], [True]),
        )
    ]
    shares = [(0, 10), (10, 10), (3, 7), (841, 1000), (1, 1)]
    return {
        "entropies": {
            "maps": maps.tolist(),
            "sum": entropy.sum_normalised(tensor).tolist(),
            "kde": entropy.kernel_density(tensor).tolist(),
            "bernoulli": entropy.bernoulli(tensor).tolist(),
        },
        "right": right.tolist(),
        "wrong": wrong.tolist(),
        "density": {
            "from": 2,
            "to": 7,
            "points": 33,
            "bandwidth": stats.gaussian_kde(right, "scott").factor * right.std(ddof=1),
            "right": stats.gaussian_kde(right, "scott")(grid).tolist(),
        },
        "bands": {
            name: column.tolist()
            for name, column in statistics.bands(
                right, grid, statistics.scott_bandwidth(right), resamples=20_000, seed=1
            )
            ._asdict()
            .items()
        },
        "auroc": {
            name: {
                "value": 1 - stats.mannwhitneyu(case["right"], case["wrong"]).statistic / (len(right) * len(wrong)),
                **dict(
                    zip(
                        ("low", "high"),
                        (statistics.auroc_interval(case["right"], case["wrong"], "below", resamples=20_000) or ())[1:],
                        strict=True,
                    )
                ),
            }
            for name, case in (("plain", {"right": right, "wrong": wrong}), ("tied", tied))
        },
        "shares": [
            {"hits": hits, "n": n, **_interval(stats.binomtest(hits, n).proportion_ci(method="wilson"))}
            for hits, n in shares
        ],
        "threshold": {"rows": rows.tolist(), "seed": 7, "below": _plain(threshold), "above": _plain(above)},
        "halves": [
            {"seed": seed, "isSet": statistics.is_set_half(np.arange(64), seed).tolist()} for seed in (0, 1, 12345)
        ],
        "poolings": poolings,
        "content": [
            {"texts": texts, "words": words, "isContent": content_tokens(texts, words)} for texts, words in ANSWERS
        ],
        "functionWords": sorted(FUNCTION_WORDS),
        "extremes": _extremes(),
        "infinite": _infinite(right, wrong, rows),
        "grouped": _grouped(values, is_right, rows),
    }


def _extremes() -> dict[str, Any]:
    """Return maps and samples of extreme values: nearly equal, near the largest double, and denormal."""
    random = np.random.default_rng(21)
    maps = np.empty((6, 24))
    maps[0] = np.where(random.random(24) < 0.3, np.nextafter(0.3, 1), 0.3)
    maps[1] = 0.3 + random.integers(0, 9, 24) * 2**-54
    maps[2] = random.random(24) * 1.7e308
    maps[3] = random.integers(0, 30, 24) * 5e-324
    maps[4] = 0.1
    maps[5] = [1e308, *[0.0] * 23]
    tensor = torch.from_numpy(maps)
    samples = [*maps.tolist(), [-1.7e308, 1.7e308, 0.0], [5e-324, 0.0], [1e154, 3e154, 2e154], [1.0, math.inf], [2.0]]
    return {
        "maps": maps.tolist(),
        "sum": entropy.sum_normalised(tensor).tolist(),
        "kde": entropy.kernel_density(tensor).tolist(),
        "samples": [
            {"values": values, "bandwidth": statistics.scott_bandwidth(np.array(values))} for values in samples
        ],
    }


def _infinite(right: np.ndarray, wrong: np.ndarray, rows: np.ndarray) -> dict[str, Any]:
    """Return log-probabilities of which some are -inf, as after underflow, and their AUROC and threshold."""
    right, wrong = -right.copy(), -wrong.copy()
    right[::40], wrong[::9], wrong[4] = -math.inf, -math.inf, math.inf
    values, is_right = np.concatenate([right, wrong]), np.arange(len(right) + len(wrong)) < len(right)
    threshold = statistics.calibrate_threshold(values, is_right, rows, "above", seed=7)
    return {
        "right": right.tolist(),
        "wrong": wrong.tolist(),
        "auroc": stats.mannwhitneyu(right, wrong).statistic / (len(right) * len(wrong)),
        "threshold": _plain(threshold),
    }


def _grouped(values: np.ndarray, is_right: np.ndarray, rows: np.ndarray) -> dict[str, Any]:
    """Return groups of the answers, and the AUROC within groups and of the groups alone."""
    random = np.random.default_rng(22)
    groups = np.where(is_right, random.integers(-1, 5, len(values)), random.integers(0, 7, len(values)))
    groups[is_right & (groups == 4)] = 7
    tied = np.round(values, 1)
    return {
        "groups": groups.tolist(),
        "within": _camel(statistics.grouped_auroc(values, is_right, groups, "below", seed=1)),
        "tied": _camel(statistics.grouped_auroc(tied, is_right, groups, "below", seed=1)),
        "alone": _camel(statistics.group_alone_auroc(is_right, groups, rows, seed=7)),
    }


def _camel(area: statistics.GroupedAuroc | None) -> dict[str, Any]:
    assert area is not None
    return {"leftOut" if name == "left_out" else name: value for name, value in area._asdict().items()}


def _interval(interval: Any) -> dict[str, float]:
    return {"low": float(interval.low), "high": float(interval.high)}


def _plain(threshold: statistics.Threshold) -> dict[str, Any]:
    return {
        name: value._asdict() if isinstance(value, statistics.Share) else value
        for name, value in threshold._asdict().items()
    }


def without_nan(value: Any) -> Any:
    """Replace NaN with None and infinities with the strings that JavaScript reads, since JSON has neither."""
    if isinstance(value, float):
        return None if math.isnan(value) else {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, value)
    if isinstance(value, dict):
        return {name: without_nan(each) for name, each in value.items()}
    return [without_nan(each) for each in value] if isinstance(value, list | tuple) else value


def main() -> None:
    FIXTURE.parent.mkdir(exist_ok=True)
    FIXTURE.write_text(json.dumps(without_nan(fixture()), ensure_ascii=False, allow_nan=False) + "\n")


if __name__ == "__main__":
    main()
