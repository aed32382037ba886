"""Exact Chefer relevancy against the plain form that other tools use:
`python -m patchlight.measure.exact_speed --model FOLDER`.

Plain: for each token a forward pass over its prefix on the library's eager attention, `backward()` from its logit with
the gradients of all attention matrices kept whole, and the N x N recursion `R <- R + C_l R` over all layers, of which
one row is read. As in those tools, weights ask for gradients as they come from the file, so that their gradients are
computed, too, down through the vision tower. A leaner plain form leaves those out and is timed beside it. Ours: one
forward pass for the whole answer, a backward pass a token, and one row vector (`methods/relevancy.py`). All run in
turn in one process and must give the same maps.
"""

import argparse
import copy
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import torch
from PIL import Image

from ..methods.attention_hooks.replace import without_weight_gradients
from ..methods.explain import MethodMap, explain
from ..methods.peak_memory import peak_memory
from ..models.decoding import Step, decode
from ..models.families.registry import extend
from ..models.loading import Loaded, LoadOptions, load
from ..models.reading import Reading
from ..models.sampling import Sampling
from ..report import figure, write_report

QUESTION = "Describe the image."
LENGTHS = (1, 10, 30, 100)


class Cost(NamedTuple):
    """One way: median milliseconds of a whole answer (on a CPU of processor time, so that other work does not count), the
    median over rounds of its time over ours, and the most bytes in use at once above the start."""

    ms: float
    over_ours: float
    peak_bytes: int


class Compared(NamedTuple):
    """An answer of `tokens` tokens, each way."""

    tokens: int
    ours: Cost
    plain: Cost
    lean: Cost


def plain_maps(loaded: Loaded, reading: Reading, ids: Sequence[int], *, lean: bool = False) -> torch.Tensor:
    """[T, P]: the plain form; lean: without gradients of weights. The model's attention must be eager."""
    model: Any = loaded.model
    rows = []
    for t, token in enumerate(ids):
        inputs = extend(reading, ids[:t]).to(loaded.device)
        with _embeddings_alone(model) if lean else nullcontext():
            out = model(**inputs, output_attentions=True, use_cache=False)
        if len(out.attentions) != model.config.get_text_config().num_hidden_layers:
            raise ValueError(f"{len(out.attentions)} attention matrices came back: the attention is not eager")
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
    """[T, P]: by the one call that the page's maps come from, without its check against the ordinary pass."""
    log_probs = [0.0] * len(ids)  # handed in, so that no further pass is run
    events = explain(loaded, reading, ids, "chefer", range(len(ids)), log_probs=log_probs)
    return torch.stack([event.patches for event in events if isinstance(event, MethodMap)])


def compare(loaded: Loaded, plain: Loaded, reading: Reading, *, tokens: int, rounds: int) -> Compared:
    """All ways in turn, on the model's own greedy answer. `plain` is the same model on eager attention.

    Raises ValueError where the maps differ: times of different results are not compared.
    """
    ids = _answer(loaded, reading, tokens)
    ways: dict[str, Callable[[], torch.Tensor]] = {
        "ours": lambda: our_maps(loaded, reading, ids),
        "plain": lambda: plain_maps(plain, reading, ids),
        "lean": lambda: plain_maps(plain, reading, ids, lean=True),
    }
    clock = time.process_time if loaded.device.type == "cpu" else time.perf_counter
    times: dict[str, list[float]] = {name: [] for name in ways}
    peaks = dict.fromkeys(ways, 0)
    for _ in range(rounds):
        maps: dict[str, torch.Tensor] = {}
        for name, way in ways.items():
            with peak_memory(loaded.device) as peak:
                start = clock()
                maps[name] = way()
                times[name].append((clock() - start) * 1000)
            peaks[name] = max(peaks[name], peak())
            apart = (maps[name] - maps["ours"]).abs().amax(1) / maps["ours"].amax(1).clamp(min=1e-30)
            if not apart.max() <= 1e-3:  # NaN is no agreement
                raise ValueError(f"the maps differ by {apart.max():.2g} of their maximum")

    def cost(name: str) -> Cost:
        over = [other / ours for ours, other in zip(times["ours"], times[name], strict=True)]
        return Cost(statistics.median(times[name]), statistics.median(over), peaks[name])

    return Compared(tokens, cost("ours"), cost("plain"), cost("lean"))


def eager_twin(loaded: Loaded) -> Loaded:
    """A copy of the model whose language model computes attention the plain way."""
    model: Any = copy.deepcopy(loaded.model)
    decoder: Any = loaded.family.decoder(model)
    for part in decoder.modules():
        if hasattr(part, "config"):
            part.config._attn_implementation = "eager"
    return loaded._replace(model=model)


@contextmanager
def _embeddings_alone(model: Any) -> Iterator[None]:
    """A graph that begins at the embeddings: no weight asks for a gradient."""

    def ask(module: torch.nn.Module, given: object, output: torch.Tensor) -> torch.Tensor:
        return output.requires_grad_()

    handle = model.get_input_embeddings().register_forward_hook(ask)
    try:
        with without_weight_gradients(model), torch.enable_grad():
            yield
    finally:
        handle.remove()


def _answer(loaded: Loaded, reading: Reading, tokens: int) -> list[int]:
    """Greedy, past its end token, to the length that is wanted."""
    config = loaded.model.generation_config
    ends, config.eos_token_id = config.eos_token_id, None
    try:
        steps = decode(loaded.model, reading, Sampling(max_new_tokens=tokens, alternatives=1))
        return [step.token_id for step in steps if isinstance(step, Step)]
    finally:
        config.eos_token_id = ends


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Time exact Chefer maps against the plain form.")
    parser.add_argument("--model", required=True, help="hub id or folder")
    parser.add_argument("--image", type=Path, required=True, help="picture that the question is about")
    parser.add_argument("--tokens", type=int, nargs="+", default=list(LENGTHS), help="lengths of the answer")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--out", type=Path, help="folder that the report goes to")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    loaded = load(LoadOptions(model=given.model))
    plain = eager_twin(loaded)
    with Image.open(given.image) as picture:
        reading = loaded.family.read(loaded.model, loaded.processor, picture.convert("RGB"), QUESTION)
    compare(loaded, plain, reading, tokens=1, rounds=1)  # warms up
    figures = [figure("columns of the prompt", reading.inputs["input_ids"].shape[1])]
    for tokens in given.tokens:
        found = compare(loaded, plain, reading, tokens=tokens, rounds=given.rounds)
        goal = ">= 10" if tokens == 100 else ""
        for name, cost in (("this package", found.ours), ("plain form", found.plain), ("lean plain form", found.lean)):
            figures.append(figure(f"{tokens} tokens, {name}", cost.ms, unit="ms"))
            figures.append(figure(f"{tokens} tokens, {name}, peak memory", cost.peak_bytes / 1e6, unit="MB"))
        for name, cost in (("plain form", found.plain), ("lean plain form", found.lean)):
            label = f"{tokens} tokens, {name} over this package"
            figures.append(figure(label, cost.over_ours, unit="×", goal=goal if name == "plain form" else ""))
        print(found, flush=True)
    if given.out:
        what = "--model models/patchlight-scenes --image public/samples/scene-1.png"
        command = f"python -m patchlight.measure.exact_speed {what}"
        where = "one core" if loaded.device.type == "cpu" else str(loaded.device)
        title = f"Exact Chefer maps of an answer ({loaded.name}, {where}, {platform.machine()})"
        write_report(given.out, "exact", title, f"{command} --out bench/report", figures)


if __name__ == "__main__":
    main()
