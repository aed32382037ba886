"""What each method takes on the embedded model, on one core: processor time, so that other work does not count."""

import statistics
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import torch

from ..head.fastrm import FastRM
from ..methods.explain import explain
from ..methods.names import METHODS
from ..methods.peak_memory import peak_memory
from ..models.loading import Loaded
from .methods_samples import FASTRM, Explainable, MethodSamplesConfig, answered, load_both

_REPEATS = 3


class MethodCost(NamedTuple):
    """ms_per_token of one core; peak_bytes at once, above what was in use before."""

    ms_per_token: float
    peak_bytes: int


def measure_costs(model_folder: Path, config: MethodSamplesConfig, *, answers: int) -> dict[str, MethodCost]:
    """Medians over the first `answers` that can be explained, all of whose tokens that name an object are asked for.

    FastRM reads states that the answer left behind; the others begin from the answer's tokens.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        loaded, head = load_both(model_folder)
        scenes = range(config.first_scene, config.first_scene + config.scenes)
        some = islice((of for *_, of in answered(loaded, config, scenes) if of is not None), answers)
        costs = [_costs_of(loaded, head, of) for of in some]
    finally:
        torch.set_num_threads(threads)
    if not costs:
        raise ValueError(f"none of the answers about {config.scenes} scenes can be explained: take more scenes")
    return {name: _median([each[name] for each in costs]) for name in costs[0]}


def _costs_of(loaded: Loaded, head: FastRM, of: Explainable) -> dict[str, MethodCost]:
    def by_head() -> None:
        with torch.no_grad():
            head(of.query_states, of.patch_states)

    ways: dict[str, Callable[[], object]] = {FASTRM: by_head}
    for method in METHODS:
        ways[method] = lambda method=method: list(
            explain(loaded, of.reading, of.ids, method, of.words.places, log_probs=of.log_probs)
        )
    return {name: _measured(way, len(of.words.places)) for name, way in ways.items()}


def _measured(way: Callable[[], object], tokens: int) -> MethodCost:
    """The least time of some, after one that is not timed."""
    way()
    times = []
    with peak_memory(torch.device("cpu")) as peak:
        for _ in range(_REPEATS):
            start = time.process_time()
            way()
            times.append((time.process_time() - start) * 1000)
    return MethodCost(min(times) / tokens, peak())


def _median(costs: list[MethodCost]) -> MethodCost:
    ms, peaks = zip(*costs, strict=True)
    return MethodCost(statistics.median(ms), round(statistics.median(peaks)))
