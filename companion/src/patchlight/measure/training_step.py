"""Measures a training step of a FastRM head next to what it cannot do without: its matrix products, and Adam.

A step of 128 tokens takes six products of `[128, d]` with `[d, d]` or `[d, 128]`: two forward, and two backward for each
of these. States are random, which does not change the times. Samples lie in a real store, as `patchlight train` reads
them.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch

from ..head.answer_sample import SampleAnswer
from ..head.fastrm import FastRM
from ..head.labels import Labels
from ..head.losses import MAP_LOSSES, Loss
from ..head.picture_batches import PictureBatches, batch_loss, by_picture
from ..head.sample_store import HeadSamples
from ..head.shard_content import ShardContent
from ..report import figure, processor_name, write_report

PATCHES, TOKENS, PICTURES, TOKENS_PER_PICTURE = 576, 128, 16, 24
PRODUCTS = 6


class Times(NamedTuple):
    """Times of one operation over all rounds, in seconds. wall: the median and the least. processor: processor time of
    all threads, divided by their number; it depends less on what else the machine is doing.
    """

    median: float
    least: float
    processor: float


def write_samples(folder: Path, hidden_size: int) -> HeadSamples:
    """Write random samples to `folder` and open them."""
    content = ShardContent()
    for number in range(PICTURES):
        states, queries = torch.randn(PATCHES, hidden_size), torch.randn(TOKENS_PER_PICTURE, hidden_size)
        ids, zeros = list(range(TOKENS_PER_PICTURE)), torch.zeros(TOKENS_PER_PICTURE)
        relevancy = torch.rand(TOKENS_PER_PICTURE, PATCHES) ** 4
        labels = Labels(relevancy, zeros, torch.tensor(ids), zeros, relevancy[:, :1])
        answer = SampleAnswer("", ids, zeros.tolist(), [0], states, states[:1], queries, (), labels, True, 0, 0)
        content.add(str(number), None, answer, None)
    content.write(folder / "00000.safetensors")
    return HeadSamples(folder)


def measure(run: Callable[[], object], rounds: int) -> Times:
    """Time `run` after one round that is not counted."""
    run()
    wall, processor = [], []
    for _ in range(rounds):
        started, used = time.perf_counter(), time.process_time()
        run()
        wall.append(time.perf_counter() - started)
        processor.append((time.process_time() - used) / torch.get_num_threads())
    return Times(statistics.median(wall), min(wall), statistics.median(processor))


def measure_step(samples: HeadSamples, loss: Loss, rounds: int) -> Times:
    """Time complete steps: draw, read, forward, backward, Adam."""
    head = FastRM(samples.hidden_size)
    optimizer = torch.optim.Adam(head.parameters(), lr=1e-5, fused=True)
    batches = PictureBatches(by_picture(samples, torch.arange(len(samples))), batch=TOKENS, picture_tokens=16)
    random = torch.Generator().manual_seed(0)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        batch_loss(head, batches.draw(random), loss, 0.3).backward()
        optimizer.step()

    return measure(step, rounds)


def measure_floor(hidden_size: int, rounds: int) -> Times:
    """Time the six matrix products and Adam alone."""
    weights = [torch.nn.Parameter(torch.randn(hidden_size, hidden_size)) for _ in range(2)]
    for weight in weights:
        weight.grad = torch.randn_like(weight)
    optimizer = torch.optim.Adam(weights, lr=1e-5, fused=True)
    tokens, out = torch.randn(TOKENS, hidden_size), torch.empty(hidden_size, hidden_size)

    @torch.no_grad()
    def floor() -> None:
        for weight in weights:
            torch.mm(tokens, weight)
            torch.mm(tokens, weight.T)
            torch.mm(tokens.T, tokens, out=out)
        optimizer.step()

    return measure(floor, rounds)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Measure a training step of a FastRM head.")
    parser.add_argument("--widths", type=int, nargs="+", default=[192, 4096], help="hidden sizes")
    parser.add_argument("--losses", nargs="+", choices=MAP_LOSSES, default=["bce", "bce+kl"])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, help="folder for the report")
    args = parser.parse_args(arguments)
    cores = torch.get_num_threads()
    figures = []
    for width in args.widths:
        with tempfile.TemporaryDirectory() as folder:
            samples = write_samples(Path(folder), width)
        floor = measure_floor(width, args.rounds)
        for loss in args.losses:
            goal = "<= 1000" if width == 4096 else ""
            step = measure_step(samples, loss, args.rounds)
            name = f"d = {width}, {loss}"
            figures += [
                figure(f"{name}: a step, fastest of {args.rounds}", step.least * 1000, unit="ms", goal=goal),
                figure(f"{name}: a step, median", step.median * 1000, unit="ms"),
                figure(f"{name}: a step, processor time per core", step.processor * 1000, unit="ms"),
                figure(f"{name}: relative to the floor, processor time", step.processor / floor.processor, unit="×"),
            ]
        figures += [figure(f"d = {width}: floor, processor time per core", floor.processor * 1000, unit="ms")]
    for row in figures:
        print(f"{row['label']}: {row['value']} {row.get('unit', '')}")
    if args.out:
        where = f"{cores} of {os.cpu_count()} cores, {processor_name()}"
        title = f"A training step of {TOKENS} tokens, {PATCHES} patches ({where})"
        write_report(args.out, "training", title, "npm run bench -- --only training --write", figures)


if __name__ == "__main__":
    main()
