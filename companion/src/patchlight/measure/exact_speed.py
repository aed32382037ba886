"""Times this package's exact Chefer relevancy against the plain implementation that other tools use.

    python -m patchlight.measure.exact_speed --model FOLDER --image IMAGE

For each token, the plain implementation runs a forward pass over the token's prefix with the library's eager attention,
a `backward()` from the token's logit that keeps the gradients of all attention matrices, and the N x N recursion
`R <- R + C_l R` over all layers. Only one row of the result is used. As in those tools, the weights require gradients,
so `backward()` also computes the weights' gradients, down through the vision tower. A lean variant without weight
gradients is also timed. This package runs one forward pass for the complete answer, a backward pass per token, and a
recursion on a single row vector (`methods/relevancy.py`). All implementations run alternately in one process and must
produce the same maps.

Labels for a head may be made with bfloat16 matrix products. The report says how close those maps are to the float32
ones, and, if this machine has instructions for them, how fast they are.
"""

import argparse
import copy
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image

from ..bootstrap import Bootstrap, Estimate
from ..head.label_precision import multiplies_bfloat16_faster
from ..head.labels import label_answer
from ..methods.attention_hooks.replace import without_weight_gradients
from ..methods.explain import MethodMap, explain
from ..methods.peak_memory import peak_memory
from ..models.decoding import Step, decode
from ..models.families.registry import extend
from ..models.loading import Loaded, LoadOptions, load
from ..models.pictures import read_pixels
from ..models.reading import Reading
from ..models.sampling import Sampling
from ..report import figure, processor_name, write_report
from .method_scores import binarised, f1, spearman

QUESTION = "Describe the image."
LENGTHS = (1, 10, 30, 100)
CLOSENESS_TOKENS, LABELLING_THRESHOLD = 30, 0.3


class Cost(NamedTuple):
    """Cost of one implementation.

    ms: median time for a complete answer; on a CPU, processor time, which excludes other processes. relative: this
    implementation's time divided by this package's in float32, median over rounds. peak_bytes: peak memory, minus the
    memory in use at the start.
    """

    ms: float
    relative: float
    peak_bytes: int


class Comparison(NamedTuple):
    """Costs of explaining an answer of `tokens` tokens."""

    tokens: int
    ours: Cost
    plain: Cost
    lean: Cost
    bfloat16: Cost | None
    """This package with bfloat16 matrix products; None on hardware without instructions for them."""


class Closeness(NamedTuple):
    """How close maps with bfloat16 matrix products are to those in float32; intervals are of resampled tokens.

    f1: of the patches labelled relevant, at 0.3 of each map's maximum. spearman: rank correlation of the patches.
    """

    f1: Estimate
    spearman: Estimate


def plain_maps(loaded: Loaded, reading: Reading, ids: Sequence[int], *, lean: bool = False) -> torch.Tensor:
    """Compute maps [T, P] with the plain implementation. lean: skip the gradients of the weights.

    Raises ValueError if the model's attention is not eager.
    """
    model: Any = loaded.model
    rows = []
    for t, token in enumerate(ids):
        inputs = extend(reading, ids[:t]).to(loaded.device)
        with _graph_from_embeddings(model) if lean else nullcontext():
            out = model(**inputs, output_attentions=True, use_cache=False)
        if len(out.attentions) != model.config.get_text_config().num_hidden_layers:
            raise ValueError(f"the attention is not eager: the model returned {len(out.attentions)} attention matrices")
        for a in out.attentions:
            a.retain_grad()
        out.logits[0, -1, token].backward()
        R = torch.eye(out.attentions[0].shape[-1], device=loaded.device)
        for a in out.attentions:
            R = R + (a[0].detach() * a.grad[0]).clamp(min=0).mean(0).float() @ R
        rows.append(R[-1, reading.patch_columns.to(R.device)].cpu())
        model.zero_grad()
    return torch.stack(rows)


def our_maps(loaded: Loaded, reading: Reading, ids: Sequence[int]) -> torch.Tensor:
    """Compute maps [T, P] with the function that the companion uses, but without the pass that checks
    log-probabilities.
    """
    log_probs = [0.0] * len(ids)  # passed in, so that no extra pass computes them
    events = explain(loaded, reading, ids, "chefer", range(len(ids)), log_probs=log_probs)
    return torch.stack([event.patches for event in events if isinstance(event, MethodMap)])


def bfloat16_maps(loaded: Loaded, reading: Reading, ids: Sequence[int]) -> torch.Tensor:
    """Compute maps [T, P] as the labels of a head, with bfloat16 matrix products."""
    return label_answer(loaded.model, loaded.family, reading, ids, autocast=torch.bfloat16).relevancy


def closeness(loaded: Loaded, reading: Reading, *, tokens: int) -> Closeness:
    """Compare the maps of the model's greedy answer in bfloat16 with those in float32."""
    ids = _answer(loaded, reading, tokens)
    exact, lower = our_maps(loaded, reading, ids), bfloat16_maps(loaded, reading, ids)
    labels = (binarised(maps, share=LABELLING_THRESHOLD) for maps in (lower, exact))
    resample = Bootstrap(np.arange(len(ids)))
    return Closeness(resample.estimate(f1(*labels)), resample.estimate(spearman(lower, exact)))


def compare(loaded: Loaded, plain: Loaded, reading: Reading, *, tokens: int, rounds: int) -> Comparison:
    """Time all implementations alternately on the model's greedy answer; `plain` is the model with eager attention.

    Raises ValueError if the maps differ, because times of different results are not comparable.
    """
    ids = _answer(loaded, reading, tokens)
    jobs: dict[str, Callable[[], torch.Tensor]] = {
        "ours": lambda: our_maps(loaded, reading, ids),
        "plain": lambda: plain_maps(plain, reading, ids),
        "lean": lambda: plain_maps(plain, reading, ids, lean=True),
    }
    if multiplies_bfloat16_faster(loaded.device):
        jobs["bfloat16"] = lambda: bfloat16_maps(loaded, reading, ids)
    clock = time.process_time if loaded.device.type == "cpu" else time.perf_counter
    times: dict[str, list[float]] = {name: [] for name in jobs}
    peaks = dict.fromkeys(jobs, 0)
    for _ in range(rounds):
        maps: dict[str, torch.Tensor] = {}
        for name, job in jobs.items():
            with peak_memory(loaded.device) as peak:
                start = clock()
                maps[name] = job()
                times[name].append((clock() - start) * 1000)
            peaks[name] = max(peaks[name], peak())
            difference = (maps[name] - maps["ours"]).abs().amax(1) / maps["ours"].amax(1).clamp(min=1e-30)
            if name != "bfloat16" and not difference.max() <= 1e-3:  # also true for NaN
                raise ValueError(f"the maps differ by {difference.max():.2g} of their maximum")

    def cost(name: str) -> Cost:
        ratios = [other / ours for ours, other in zip(times["ours"], times[name], strict=True)]
        return Cost(statistics.median(times[name]), statistics.median(ratios), peaks[name])

    lower = cost("bfloat16") if "bfloat16" in jobs else None
    return Comparison(tokens, cost("ours"), cost("plain"), cost("lean"), lower)


def eager_twin(loaded: Loaded) -> Loaded:
    """Return a copy of the model whose language model uses eager attention."""
    model: Any = copy.deepcopy(loaded.model)
    decoder: Any = loaded.family.decoder(model)
    for part in decoder.modules():
        if hasattr(part, "config"):
            part.config._attn_implementation = "eager"
    return loaded._replace(model=model)


@contextmanager
def _graph_from_embeddings(model: Any) -> Iterator[None]:
    """Make the autograd graph start at the embeddings, so that no weight requires a gradient."""

    def require_grad(module: torch.nn.Module, inputs: object, output: torch.Tensor) -> torch.Tensor:
        return output.requires_grad_()

    handle = model.get_input_embeddings().register_forward_hook(require_grad)
    try:
        with without_weight_gradients(model), torch.enable_grad():
            yield
    finally:
        handle.remove()


def _answer(loaded: Loaded, reading: Reading, tokens: int) -> list[int]:
    """Decode exactly `tokens` tokens greedily, ignoring the end token."""
    config = loaded.model.generation_config
    eos, config.eos_token_id = config.eos_token_id, None
    try:
        steps = decode(loaded.model, reading, Sampling(max_new_tokens=tokens, alternatives=1))
        return [step.token_id for step in steps if isinstance(step, Step)]
    finally:
        config.eos_token_id = eos


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description="Compare the speed of exact Chefer maps with the plain implementation."
    )
    parser.add_argument("--model", required=True, help="hub id or folder")
    parser.add_argument("--image", type=Path, required=True, help="image that the question is about")
    parser.add_argument("--tokens", type=int, nargs="+", default=list(LENGTHS), help="answer lengths")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--out", type=Path, help="folder for the report")
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)
    loaded = load(LoadOptions(model=args.model))
    plain = eager_twin(loaded)
    with Image.open(args.image) as image:
        reading = loaded.family.read(loaded.model, loaded.processor, read_pixels(image), QUESTION)
    compare(loaded, plain, reading, tokens=1, rounds=1)  # warm-up
    figures = [figure("prompt columns", reading.inputs["input_ids"].shape[1])]
    for tokens in args.tokens:
        costs = compare(loaded, plain, reading, tokens=tokens, rounds=args.rounds)
        goal = ">= 8" if tokens == 100 else ""
        plain_name, lean_name = "plain implementation", "lean plain implementation"
        for name, cost in (("this package", costs.ours), (plain_name, costs.plain), (lean_name, costs.lean)):
            figures.append(figure(f"{tokens}-token answer, {name}", cost.ms, unit="ms"))
            figures.append(figure(f"{tokens}-token answer, {name}, peak memory", cost.peak_bytes / 1e6, unit="MB"))
        if costs.bfloat16:
            figures.append(figure(f"{tokens}-token answer, bfloat16", costs.bfloat16.ms, unit="ms"))
            ratio = costs.plain.relative / costs.bfloat16.relative
            goal_16 = ">= 15" if tokens == 100 else ""
            label = f"{tokens}-token answer, bfloat16, speed-up over the {plain_name}"
            figures.append(figure(label, ratio, unit="×", goal=goal_16))
        for name, cost in ((plain_name, costs.plain), (lean_name, costs.lean)):
            label = f"{tokens}-token answer, speed-up over the {name}"
            figures.append(figure(label, cost.relative, unit="×", goal=goal if name == plain_name else ""))
        print(costs, flush=True)
    close = closeness(loaded, reading, tokens=CLOSENESS_TOKENS)
    for name, estimate in (("F1", close.f1), ("Spearman", close.spearman)):
        label = f"{CLOSENESS_TOKENS}-token answer, bfloat16 against float32, {name}"
        figures.append(figure(label, estimate.value, interval=estimate.interval))
    if args.out:
        what = "--model models/patchlight-scenes --image public/samples/scene-1.png"
        command = f"python -m patchlight.measure.exact_speed {what}"
        where = "one core" if loaded.device.type == "cpu" else str(loaded.device)
        title = f"Exact Chefer maps for a complete answer ({loaded.name}, {where}, {processor_name()})"
        write_report(args.out, "exact", title, f"{command} --out bench/report", figures)


if __name__ == "__main__":
    main()
