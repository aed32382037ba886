"""What maps cost, at a model's full size with random weights (time does not depend on them):
`python -m patchlight.measure.latency --shape llava-1.5-7b --tokens 1 10 30 100`.

The FastRM paper's figure (section 4, one A100, LLaVA-1.5-7B: 15 s for 10 tokens and 14 min for 100 by its baseline,
0.35 s for 100 by FastRM) compares with a baseline that keeps every layer's attention and gradients and multiplies
N x N matrices. The two Chefer variants timed here are this package's own, in their row-vector form.
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
    """What is timed."""

    shape: str
    """One of SHAPES."""
    tokens: tuple[int, ...] = (1, 10, 30, 100)
    """Lengths of the answer."""
    text_tokens: int = 40
    """Of the prompt, beside the picture's."""
    repeats: int = 3
    """Runs of each, after one that is not timed; the median is reported."""
    device: str = "auto"
    dtype: str = "auto"
    """auto: bfloat16 on a GPU, float32 on a CPU."""

    def __post_init__(self) -> None:
        if self.shape not in SHAPES:
            raise ValueError(f"shape {self.shape!r}: want one of {', '.join(SHAPES)}")
        if min(self.tokens) < 1 or self.repeats < 1 or self.text_tokens < 4:
            raise ValueError(f"tokens {self.tokens}, repeats {self.repeats}, text tokens {self.text_tokens}: too few")


class Cost(NamedTuple):
    """Median milliseconds of a whole answer, and the most bytes that were in use at once, weights included."""

    ms: float
    peak_bytes: int


class Measured(NamedTuple):
    """One method on answers of `tokens` tokens."""

    method: str
    tokens: int
    cost: Cost


class _Bench:
    """A model of random weights with one prompt, and what can be done with it."""

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
        """Patch states [P, d], query states [T, d] and the answer."""
        prefill, *steps = decode(self.model, self.reading, Sampling(max_new_tokens=tokens, alternatives=1))
        assert isinstance(prefill, Prefill)
        made = [step for step in steps if not isinstance(step, Prefill)]
        return prefill.patch_states, torch.stack([s.query_state for s in made]), [s.token_id for s in made]

    def streamed_maps(self, tokens: int) -> None:
        """Generation with a map a token, each as soon as its state is there."""
        patches = torch.empty(0)
        with torch.inference_mode():
            for event in decode(self.model, self.reading, Sampling(max_new_tokens=tokens, alternatives=1)):
                if isinstance(event, Prefill):
                    patches = event.patch_states
                else:
                    self.head(event.query_state[None], patches).cpu()


def measure_latency(options: LatencyOptions) -> tuple[list[Measured], dict[str, Any]]:
    """All methods at all lengths, and what they ran on."""
    bench = _Bench(options)
    found: list[Measured] = []
    for tokens in options.tokens:
        patches, queries, ids = bench.generate(tokens)
        # random weights may say the picture's own token, which cannot be read again
        picture = int(bench.reading.inputs["input_ids"][0, bench.reading.patch_columns[0]])
        ids = [0 if token == picture else token for token in ids]

        def maps(queries: torch.Tensor = queries, patches: torch.Tensor = patches) -> None:
            with torch.inference_mode():
                bench.head(queries, patches).cpu()

        def each_map(queries: torch.Tensor = queries, patches: torch.Tensor = patches) -> None:
            with torch.inference_mode():
                for query in queries:
                    bench.head(query[None], patches).cpu()

        def label(method: Any, ids: list[int] = ids) -> None:
            label_answer(bench.model, bench.family, bench.reading, ids, method=method)

        jobs: dict[str, Callable[[], object]] = {
            "answer": lambda tokens=tokens: bench.generate(tokens),
            "answer with FastRM maps as it streams": lambda tokens=tokens: bench.streamed_maps(tokens),
            "FastRM, token by token": each_map,
            "FastRM, all tokens at once": maps,
            "Chefer, incremental": lambda: label("incremental"),
            "Chefer, exact": lambda: label("exact"),
        }
        for name, job in jobs.items():
            found.append(Measured(name, tokens, _cost(job, options.repeats, bench.device)))
            print(
                f"{name}, {tokens} tokens: {found[-1].cost.ms:.1f} ms, {found[-1].cost.peak_bytes / 1e9:.2f} GB",
                flush=True,
            )
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
    return found, facts


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
    """Gives a function that says, after the context, the most bytes that were in use within it."""
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


def write_latency_report(out: Path, found: list[Measured], facts: dict[str, Any], command: str) -> None:
    """`out`: figures by method and length, with what was measured on what."""
    figures = []
    for method, tokens, cost in found:
        figures += [
            figure(f"{method}, {tokens} tokens", cost.ms, unit="ms"),
            figure(f"{method}, {tokens} tokens, peak memory", cost.peak_bytes / 1e9, unit="GB"),
        ]
    title = f"Cost of maps at the shape of {facts['shape']}, random weights"
    write_report(out.parent, out.stem, title, command, figures, **facts)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Time and memory of FastRM and Chefer maps at a model's full size.")
    parser.add_argument("--shape", choices=SHAPES, required=True)
    parser.add_argument("--tokens", type=int, nargs="+", default=[1, 10, 30, 100], help="lengths of the answer")
    parser.add_argument("--text-tokens", type=int, default=40, help="words of the prompt")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="auto", choices=("auto", "float32", "bfloat16", "float16"))
    parser.add_argument("--out", type=Path, help="report (default: latency-SHAPE.json)")
    given = parser.parse_args(arguments)
    options = LatencyOptions(
        shape=given.shape,
        tokens=tuple(given.tokens),
        text_tokens=given.text_tokens,
        repeats=given.repeats,
        device=given.device,
        dtype=given.dtype,
    )
    found, facts = measure_latency(options)
    out = given.out or Path(f"latency-{options.shape}.json")
    lengths = " ".join(map(str, options.tokens))
    write_latency_report(
        out, found, facts, f"python -m patchlight.measure.latency --shape {options.shape} --tokens {lengths}"
    )
    print(out)


if __name__ == "__main__":
    main()
