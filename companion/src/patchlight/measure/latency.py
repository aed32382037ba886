"""Measures the time and memory that maps take at a model's full size. Uses random weights, which do not affect the
time.

    python -m patchlight.measure.latency --shape llava-1.5-7b --tokens 1 10 30 100

The FastRM paper (section 4, one A100, LLaVA-1.5-7B) reports 0.35 s for 100 tokens with FastRM. With its baseline, which
keeps every layer's attention and gradients and multiplies N x N matrices, the paper reports 15 s for 10 tokens and
14 min for 100 tokens. The two Chefer variants timed here are this package's row-vector implementations.
"""

import argparse
import resource
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch

from ..head.fastrm import FastRM
from ..head.labels import label_answer
from ..models.decoding import Prefill, decode
from ..models.families.registry import family_of
from ..models.sampling import Sampling
from ..report import figure, write_report
from .random_shapes import SHAPES, random_model, random_reading


@dataclass(frozen=True, kw_only=True)
class LatencyOptions:
    """What to time."""

    shape: str
    """One of SHAPES."""
    tokens: tuple[int, ...] = (1, 10, 30, 100)
    """Answer lengths in tokens."""
    text_tokens: int = 40
    """Text tokens of the prompt, in addition to the image tokens."""
    repeats: int = 3
    """Timed runs per method, after an untimed one; the median is reported."""
    device: str = "auto"
    dtype: str = "auto"
    """auto: bfloat16 on a GPU, float32 on a CPU."""

    def __post_init__(self) -> None:
        if self.shape not in SHAPES:
            raise ValueError(f"unknown shape {self.shape!r}, expected one of {', '.join(SHAPES)}")
        if min(self.tokens) < 1 or self.repeats < 1 or self.text_tokens < 4:
            raise ValueError(
                "tokens and repeats must be at least 1 and text_tokens at least 4, "
                f"got {self.tokens}, {self.repeats} and {self.text_tokens}"
            )


class Cost(NamedTuple):
    """Median milliseconds for a complete answer, and peak memory in bytes, including the weights."""

    ms: float
    peak_bytes: int


class Measured(NamedTuple):
    """The cost of one method for an answer of `tokens` tokens."""

    method: str
    tokens: int
    cost: Cost


class _Bench:
    """A model and head with random weights, one prompt, and the jobs to time on them."""

    def __init__(self, options: LatencyOptions):
        self.device = _device(options.device)
        dtype = torch.bfloat16 if self.device.type == "cuda" else torch.float32
        self.dtype = dtype if options.dtype == "auto" else getattr(torch, options.dtype)
        config: Any = SHAPES[options.shape]()
        self.model = random_model(config, self.device, self.dtype)
        with torch.device(self.device):
            self.head = FastRM(config.text_config.hidden_size).to(self.dtype).eval()
        self.family = family_of(config)
        self.reading = random_reading(config, options.text_tokens)
        self.weight_bytes = sum(
            p.numel() * p.element_size() for part in (self.model, self.head) for p in part.parameters()
        )

    def generate(self, tokens: int) -> tuple[torch.Tensor, torch.Tensor, list[int]]:
        """Generate an answer; returns patch states [P, d], query states [T, d] and token ids."""
        prefill, *steps = decode(self.model, self.reading, Sampling(max_new_tokens=tokens, alternatives=1))
        assert isinstance(prefill, Prefill)
        tokens_made = [step for step in steps if not isinstance(step, Prefill)]
        queries = torch.stack([step.query_state for step in tokens_made])
        return prefill.patch_states, queries, [step.token_id for step in tokens_made]

    def streamed_maps(self, tokens: int) -> None:
        """Generate an answer and compute each token's map as soon as its state is available."""
        patches = torch.empty(0)
        with torch.inference_mode():
            for event in decode(self.model, self.reading, Sampling(max_new_tokens=tokens, alternatives=1)):
                if isinstance(event, Prefill):
                    patches = event.patch_states
                else:
                    self.head(event.query_state[None], patches).cpu()


def measure_latency(options: LatencyOptions) -> tuple[list[Measured], dict[str, Any]]:
    """Time all methods at all answer lengths. Returns the costs, and facts about the model and the machine."""
    bench = _Bench(options)
    measured: list[Measured] = []
    for tokens in options.tokens:
        patches, queries, ids = bench.generate(tokens)
        # A model with random weights can generate image tokens, but an answer that is read back must not contain any.
        image_token = int(bench.reading.inputs["input_ids"][0, bench.reading.patch_columns[0]])
        ids = [0 if token == image_token else token for token in ids]

        def maps(queries: torch.Tensor = queries, patches: torch.Tensor = patches) -> None:
            with torch.inference_mode():
                bench.head(queries, patches).cpu()

        def each_map(queries: torch.Tensor = queries, patches: torch.Tensor = patches) -> None:
            with torch.inference_mode():
                for query in queries:
                    bench.head(query[None], patches).cpu()

        def label(teacher: Any, ids: list[int] = ids) -> None:
            label_answer(bench.model, bench.family, bench.reading, ids, teacher=teacher)

        jobs: dict[str, Callable[[], object]] = {
            "generation": lambda tokens=tokens: bench.generate(tokens),
            "generation with streamed FastRM maps": lambda tokens=tokens: bench.streamed_maps(tokens),
            "FastRM, token by token": each_map,
            "FastRM, all tokens at once": maps,
            "incremental Chefer": lambda: label("chefer-incremental"),
            "exact Chefer": lambda: label("chefer"),
        }
        for name, job in jobs.items():
            cost = _cost(job, options.repeats, bench.device)
            measured.append(Measured(name, tokens, cost))
            print(f"{tokens}-token answer, {name}: {cost.ms:.1f} ms, {cost.peak_bytes / 1e9:.2f} GB", flush=True)
    facts = {
        "shape": options.shape,
        "device": torch.cuda.get_device_name(bench.device) if bench.device.type == "cuda" else "CPU",
        "threads": torch.get_num_threads(),
        "dtype": str(bench.dtype).removeprefix("torch."),
        "torch": torch.__version__,
        "promptColumns": bench.reading.inputs["input_ids"].shape[1],
        "patches": len(bench.reading.patch_columns),
        "hiddenSize": bench.head.hidden_size,
        "weightBytes": bench.weight_bytes,
        "peak": "allocated on the GPU" if bench.device.type == "cuda" else "resident set, sampled",
        "repeats": options.repeats,
    }
    return measured, facts


def _cost(job: Callable[[], object], repeats: int, device: torch.device) -> Cost:
    job()
    times = []
    with _peak(device) as peak:
        for _ in range(repeats):
            _wait(device)
            start = time.perf_counter()
            job()
            _wait(device)
            times.append((time.perf_counter() - start) * 1000)
    return Cost(statistics.median(times), peak())


@contextmanager
def _peak(device: torch.device) -> Iterator[Callable[[], int]]:
    """Yield a function that returns the context's peak memory in bytes. Call the function after leaving the context."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        yield lambda: torch.cuda.max_memory_allocated(device)
        return
    statistics_file, page = Path("/proc/self/statm"), resource.getpagesize()
    highest, done = 0, threading.Event()

    def watch() -> None:
        nonlocal highest
        while not done.is_set():
            highest = max(highest, int(statistics_file.read_text().split()[1]) * page)
            done.wait(0.002)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield lambda: highest
    finally:
        done.set()
        thread.join()


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _device(name: str) -> torch.device:
    return torch.device(("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name)


def write_latency_report(out: Path, measured: list[Measured], facts: dict[str, Any], command: str) -> None:
    """Write the report to `out`: figures by method and answer length, and facts about the model and the machine."""
    figures = []
    for method, tokens, cost in measured:
        figures += [
            figure(f"{tokens}-token answer, {method}", cost.ms, unit="ms"),
            figure(f"{tokens}-token answer, {method}, peak memory", cost.peak_bytes / 1e9, unit="GB"),
        ]
    title = f"Cost of maps for a {facts['shape']} model with random weights"
    write_report(out.parent, out.stem, title, command, figures, **facts)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description="Measure time and memory of FastRM and Chefer maps at a model's full size."
    )
    parser.add_argument("--shape", choices=SHAPES, required=True)
    parser.add_argument("--tokens", type=int, nargs="+", default=[1, 10, 30, 100], help="answer lengths")
    parser.add_argument("--text-tokens", type=int, default=40, help="text tokens of the prompt")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="auto", choices=("auto", "float32", "bfloat16", "float16"))
    parser.add_argument("--out", type=Path, help="report file (default: latency-SHAPE.json)")
    args = parser.parse_args(arguments)
    options = LatencyOptions(
        shape=args.shape,
        tokens=tuple(args.tokens),
        text_tokens=args.text_tokens,
        repeats=args.repeats,
        device=args.device,
        dtype=args.dtype,
    )
    measured, facts = measure_latency(options)
    out = args.out or Path(f"latency-{options.shape}.json")
    lengths = " ".join(map(str, options.tokens))
    write_latency_report(
        out, measured, facts, f"python -m patchlight.measure.latency --shape {options.shape} --tokens {lengths}"
    )
    print(out)


if __name__ == "__main__":
    main()
