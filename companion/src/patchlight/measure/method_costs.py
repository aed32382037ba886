"""Measures what each method costs on the embedded model, in processor time of one core."""

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
from .methods_samples import FASTRM, ExplainableAnswer, MethodSamplesConfig, answer_questions, load_both

_REPEATS = 3


class MethodCost(NamedTuple):
    """Processor time of one core in ms per token, and peak memory in bytes, minus the memory in use at the start."""

    ms_per_token: float
    peak_bytes: int


def measure_costs(model_folder: Path, config: MethodSamplesConfig, *, answers: int) -> dict[str, MethodCost]:
    """Return the median cost per method over the first `answers` answers that can be explained.

    All tokens that name an object are explained in one call. FastRM uses the hidden states of the answer; the other
    methods start from the answer's tokens. Raises ValueError if no answer can be explained.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        loaded, head = load_both(model_folder)
        scenes = range(config.first_scene, config.first_scene + config.scenes)
        explainable = (answer for *_, answer in answer_questions(loaded, config, scenes) if answer is not None)
        costs = [_costs_of(loaded, head, answer) for answer in islice(explainable, answers)]
    finally:
        torch.set_num_threads(threads)
    if not costs:
        raise ValueError(f"no answer about the {config.scenes} scenes can be explained; use more scenes")
    return {name: _median([each[name] for each in costs]) for name in costs[0]}


def _costs_of(loaded: Loaded, head: FastRM, answer: ExplainableAnswer) -> dict[str, MethodCost]:
    def by_head() -> None:
        with torch.no_grad():
            head(answer.query_states, answer.patch_states)

    jobs: dict[str, Callable[[], object]] = {FASTRM: by_head}
    places = answer.words.places
    for method in METHODS:
        jobs[method] = lambda method=method: list(
            explain(loaded, answer.reading, answer.ids, method, places, log_probs=answer.log_probs)
        )
    return {name: _measure(job, len(places)) for name, job in jobs.items()}


def _measure(job: Callable[[], object], tokens: int) -> MethodCost:
    """Return the minimum time over several runs, after an untimed run, and the peak memory."""
    job()
    times = []
    with peak_memory(torch.device("cpu")) as peak:
        for _ in range(_REPEATS):
            start = time.process_time()
            job()
            times.append((time.process_time() - start) * 1000)
    return MethodCost(min(times) / tokens, peak())


def _median(costs: list[MethodCost]) -> MethodCost:
    ms, peaks = zip(*costs, strict=True)
    return MethodCost(statistics.median(ms), round(statistics.median(peaks)))
