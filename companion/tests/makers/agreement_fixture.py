"""Writes src/math/maps/fixtures/agreement.json: pairs of maps, and their agreement as computed by SciPy and NumPy.

Run `python -m tests.makers.agreement_fixture` in companion/.
"""

import json
from typing import NamedTuple

import numpy as np
from scipy.stats import rankdata, spearmanr

from tests.helpers.paths import ROOT

FIXTURE = ROOT / "src/math/maps/fixtures/agreement.json"
SHARES = (0.05, 0.1, 0.2)


class Pair(NamedTuple):
    """Two maps [P] float32 and their classification thresholds."""

    name: str
    first: np.ndarray
    second: np.ndarray
    thresholds: tuple[float, float]


def top_patches(values: np.ndarray, share: float) -> set[int]:
    """Return the indices of the strongest patches; values must be distinct."""
    return set(np.argsort(values)[::-1][: max(1, round(share * len(values)))].tolist())


def figures(pair: Pair) -> dict[str, object]:
    """Return a pair's entry in the fixture."""
    first, second = pair.first, pair.second
    labels = second >= np.float32(pair.thresholds[1])
    predicted = first >= np.float32(pair.thresholds[0])
    hits = int((labels & predicted).sum())
    precision = hits / predicted.sum()
    recall = hits / labels.sum()
    has_ties = any(len(np.unique(values)) < len(values) for values in (first, second))
    tops = [(top_patches(first, share), top_patches(second, share)) for share in SHARES]
    return {
        "name": pair.name,
        "first": first.tolist(),
        "second": second.tolist(),
        "thresholds": pair.thresholds,
        "ranks": rankdata(first).tolist(),
        "spearman": float(np.asarray(spearmanr(first, second))[0]),
        # The sets are ambiguous if there are ties, which the test covers with separate cases.
        "iou": None if has_ties else [len(a & b) / len(a | b) for a, b in tops],
        "accuracy": float((labels == predicted).mean()),
        "f1": float(2 * precision * recall / (precision + recall)),
    }


def pairs() -> list[Pair]:
    rng = np.random.default_rng(7)
    scores = rng.gamma(0.5, size=144)
    near = scores * rng.lognormal(sigma=0.6, size=144)
    sparse = np.where(scores > 1, scores, 0)
    return [
        Pair("alike", _map(scores), _map(near), (0.3, 0.3)),
        Pair("unlike", _map(scores), _map(rng.random(144)), (0.2, 0.7)),
        Pair("opposed", _map(scores), _map(1 - scores / scores.max()), (0.1, 0.5)),
        Pair("many zeros", _map(sparse), _map(near), (0.3, 0.2)),
        Pair("few levels", _map(np.round(scores * 3)), _map(np.round(near * 3)), (0.3, 0.3)),
    ]


def _map(values: np.ndarray) -> np.ndarray:
    return (values / values.max()).astype(np.float32)


if __name__ == "__main__":
    FIXTURE.write_text(json.dumps([figures(pair) for pair in pairs()]) + "\n")
