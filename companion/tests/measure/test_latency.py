"""Tests the latency and memory measurement at a tiny size."""

import json
from pathlib import Path

import pytest
import torch

from patchlight.measure.latency import LatencyOptions, main, measure_latency
from patchlight.measure.random_shapes import SHAPES
from patchlight.models.memory import required_bytes, without_weights

METHODS = [
    "generation",
    "generation with streamed FastRM maps",
    "FastRM, token by token",
    "FastRM, all tokens at once",
    "incremental Chefer",
    "exact Chefer",
]


def test_the_command_times_each_method_at_each_length(tmp_path: Path):
    out = tmp_path / "latency-tiny.json"
    main(["--shape", "tiny", "--tokens", "1", "4", "--repeats", "1", "--device", "cpu", "--out", str(out)])
    report = json.loads(out.read_text())
    labels = [row["label"] for row in report["figures"]]
    assert labels == [
        label
        for tokens in (1, 4)
        for method in METHODS
        for label in (f"{tokens}-token answer, {method}", f"{tokens}-token answer, {method}, peak memory")
    ]
    assert all(row["value"] > 0 for row in report["figures"] if row["unit"] == "ms")
    assert (report["patches"], report["promptColumns"], report["hiddenSize"]) == (16, 56, 64)
    assert report["command"].endswith("--shape tiny --tokens 1 4")


def test_a_longer_answer_costs_more_and_memory_includes_the_weights():
    measured, facts = measure_latency(LatencyOptions(shape="tiny", tokens=(1, 24), repeats=3, device="cpu"))
    cost = {(method, tokens): cost for method, tokens, cost in measured}
    for method in METHODS:
        assert cost[method, 24].peak_bytes > facts["weightBytes"]
    # Every token needs its own passes, so 24 tokens cost several times as much as one, even on a busy machine.
    for method in ("generation", "incremental Chefer"):
        assert cost[method, 24].ms > 3 * cost[method, 1].ms


@pytest.mark.parametrize(("shape", "billions"), [("llava-1.5-7b", 7.06), ("llava-1.5-13b", 13.35)])
def test_the_shapes_match_llava(shape: str, billions: float):
    # The weights are counted without being allocated; the published checkpoints have this many.
    weights = required_bytes(without_weights(SHAPES[shape](), torch.float16), torch.float16).weights / 2
    assert weights / 1e9 == pytest.approx(billions, abs=0.01)


def test_unknown_shapes_are_refused():
    with pytest.raises(ValueError, match=r"expected one of llava-1\.5-7b, llava-1\.5-13b, tiny"):
        LatencyOptions(shape="huge")
