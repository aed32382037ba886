"""Tests the stream of explanations: what is not written, and the committed samples that the page's tests read."""

import io
from typing import Any

import numpy as np
import pytest

from patchlight.wire.explanation import ExplanationWriter, TokenMap, parse_explanation
from patchlight.wire.run import read_run
from tests.makers.explanation_fixture import ROWS, sent_about
from tests.makers.run_fixture import FIXTURE

MODEL: Any = {"name": "m", "revision": "0", "dtype": "float32", "device": "cpu"}


@pytest.mark.parametrize(
    ("token_index", "values", "reason"),
    [
        (0, [0, 0], "expected the map of token 1, got the map of token 0"),
        (1, [0, 0, 0], r"expected values of token 1 of shape \(2,\), got \(3,\)"),
        (1, [np.nan, 0], "the map of token 1 is not finite: 1 of 2 values"),
    ],
)
def test_invalid_maps_are_not_written(token_index: int, values: list[float], reason: str):
    writer = ExplanationWriter(
        io.BytesIO(),
        {"id": "a", "method": "chefer", "model": MODEL, "tokenIndices": [1, 0], "patches": 2, "promptTokens": 1},
    )
    with pytest.raises(ValueError, match=reason):
        writer.map(TokenMap(token_index, np.array(values, np.float32), None, None, None, 1))


def test_the_committed_explanations_are_up_to_date():
    for path, content in sent_about(read_run(FIXTURE)).items():
        if path == ROWS:
            assert path.read_bytes() == content
            continue
        committed, current = parse_explanation(path.read_bytes()), parse_explanation(content)
        assert current.header["model"] == committed.header["model"]
        assert current.header["tokenIndices"] == committed.header["tokenIndices"]
        for expected, actual in zip(committed.maps, current.maps, strict=True):
            # The order of float32 sums may differ on another machine.
            np.testing.assert_allclose(actual.values, expected.values, rtol=1e-3, atol=1e-5)
            assert (actual.prompt is None) == (expected.prompt is None)
