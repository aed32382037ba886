"""Every method's maps of the words by which the embedded model names an object, on scenes that it has never seen.

In shards of a few scenes, so that a killed run goes on where it stopped. A shard's columns, n tokens of q answers:
scene, question, kind, attribute (places in KINDS and ATTRIBUTE_NAMES), found [n]; masks [n, 576] bool, the patches of
the object that the token names; maps/<method> [n, 576] float32; and of each explained answer asked_tokens, answer_tokens
[q] and ms/<method>, forward/<method>, backward/<method>, apart/<method> [q]; asked and right, one number each.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from tqdm import tqdm

from .answering import Asked, ask_scenes
from .decoding import Prefill, Sampling, decode
from .head import FastRM
from .loading import Loaded, LoadOptions, load
from .methods import METHODS, Check, Cost, Method, MethodMap, explain
from .phrases import ATTRIBUTES
from .pool import PooledScene, patch_majority
from .questions import KINDS
from .reading import Reading
from .render import render_seed
from .scenes import split_seed
from .shards import Rank, ShardPlan, claim

FASTRM = "fastrm"
NAMES: tuple[str, ...] = (FASTRM, *METHODS)
ATTRIBUTE_NAMES = (*ATTRIBUTES, "object")
_SHARD_SCENES = 4


@dataclass(frozen=True, kw_only=True)
class MethodSamplesConfig:
    """Which questions are explained; the same config always gives the same tokens."""

    first_scene: int = 256
    """Of the test split; the head's classification threshold was chosen on scenes before it."""
    scenes: int = 128
    questions_per_scene: int = 8
    description_share: float = 0.03
    seed: int = 21
    max_new_tokens: int = 81


class Samples(NamedTuple):
    """All shards' columns, joined; `asked` questions in all, of which `right` were answered in the right words."""

    columns: Mapping[str, torch.Tensor]
    asked: int
    right: int


class _Words(NamedTuple):
    """Tokens of an answer that name an object: their places, objects, whether found, and attributes."""

    places: list[int]
    targets: list[int]
    found: list[bool]
    attributes: list[int]


def collect_method_samples(model_folder: Path, out: Path, config: MethodSamplesConfig) -> Samples:
    """Fill `out` with the shards that it lacks, and read them all. Progress is by shard."""
    claim(out, {**asdict(config), "shard_scenes": _SHARD_SCENES, "methods": NAMES})
    plan = ShardPlan(out, "safetensors", config.scenes, _SHARD_SCENES)
    plan.sweep(Rank())
    missing = plan.missing(Rank())
    if missing:
        loaded = load(LoadOptions(model=str(model_folder), device="cpu"))
        head = FastRM.from_pretrained(model_folder / "fastrm", hidden_size=loaded.hidden_size, stage="post_norm")
        for shard in tqdm(missing, desc="explain test scenes", unit="shard"):
            _collect_shard(loaded, head, plan, config, shard)
    parts = [load_file(plan.path(shard)) for shard in range(len(plan))]
    # a shard of which no answer can be scored has no columns
    names = {name: None for part in parts for name, column in part.items() if column.ndim}
    columns = {name: torch.cat([part[name] for part in parts if name in part]) for name in names}
    return Samples(columns, *(sum(int(part[name]) for part in parts) for name in ("asked", "right")))


def _collect_shard(loaded: Loaded, head: FastRM, plan: ShardPlan, config: MethodSamplesConfig, shard: int) -> None:
    items = plan.items_of(shard)
    scenes = range(config.first_scene + items.start, config.first_scene + items.stop)
    pool = {index: _rendered(index) for index in scenes}
    asked = ask_scenes(
        pool,
        scenes,
        loaded.processor.tokenizer,
        per_scene=config.questions_per_scene,
        seed=config.seed,
        description_share=config.description_share,
    )
    columns: dict[str, list[torch.Tensor]] = {}
    right = 0
    for number, item in enumerate(asked, shard * _SHARD_SCENES * config.questions_per_scene):
        ids, rows = _explained(loaded, head, item, pool[item.scene], config.max_new_tokens, number)
        right += ids == item.reference[:-1]
        for name, value in rows:
            columns.setdefault(name, []).append(value)
    tensors = {name: torch.cat(values) for name, values in columns.items()}
    tensors |= {"asked": torch.tensor(len(asked)), "right": torch.tensor(right)}
    plan.write(shard, partial(save_file, tensors))


def _rendered(index: int) -> PooledScene:
    scene, rendered = render_seed(split_seed("test", index))
    return PooledScene(scene, rendered.image, patch_majority(rendered.object_ids))


def _explained(
    loaded: Loaded, head: FastRM, asked: Asked, scene: PooledScene, limit: int, number: int
) -> tuple[list[int], list[tuple[str, torch.Tensor]]]:
    """The model's own greedy answer, and its tokens' columns where it names objects in the right answer's words."""
    picture = Image.fromarray(np.ascontiguousarray(scene.image))
    reading = loaded.family.read(loaded.model, loaded.processor, picture, asked.question.text)
    prefill, *events = decode(loaded.model, reading, Sampling(max_new_tokens=limit, alternatives=1))
    assert isinstance(prefill, Prefill)
    steps = [step for step in events if not isinstance(step, Prefill) and not step.is_end]
    ids = [step.token_id for step in steps]
    if ids != asked.reference[: len(ids)]:
        return ids, []
    words = _words(loaded, asked, ids, scene)
    if not words.places:
        return ids, []
    log_probs = [step.log_prob for step in steps]
    query = torch.stack([step.query_state for step in steps])[words.places]
    rows = [
        ("scene", torch.full((len(words.places),), asked.scene)),
        ("question", torch.full((len(words.places),), number)),
        ("kind", torch.full((len(words.places),), KINDS.index(asked.question.kind))),
        ("attribute", torch.tensor(words.attributes)),
        ("found", torch.tensor(words.found)),
        ("masks", torch.stack([torch.from_numpy(scene.patch_objects == target) for target in words.targets])),
        ("asked_tokens", torch.tensor([len(words.places)])),
        ("answer_tokens", torch.tensor([len(ids)])),
    ]
    rows += _by_head(head, query, prefill.patch_states)
    for method in METHODS:
        rows += _by_method(loaded, reading, ids, log_probs, words.places, method, number)
    return ids, rows


def _words(loaded: Loaded, asked: Asked, ids: list[int], scene: PooledScene) -> _Words:
    """Those that name an object of which a patch can be seen."""
    found = _Words([], [], [], [])
    for place, token in enumerate(ids):
        target = asked.targets[place]
        if target < 0 or not (scene.patch_objects == target).any():
            continue
        word = loaded.processor.tokenizer.decode([token]).strip().lower()
        attribute = next((k for k, values in enumerate(ATTRIBUTES.values()) if word in values), len(ATTRIBUTES))
        found.places.append(place)
        found.targets.append(target)
        found.found.append(asked.found[place])
        found.attributes.append(attribute)
    return found


@torch.inference_mode()
def _by_head(head: FastRM, query: torch.Tensor, patches: torch.Tensor) -> Iterator[tuple[str, torch.Tensor]]:
    start = time.perf_counter()
    maps = head(query, patches).clone()
    ms = (time.perf_counter() - start) * 1000
    yield f"maps/{FASTRM}", maps
    yield from _cost_columns(FASTRM, Cost(len(query), ms, 0, 0, 0), 0.0)


def _by_method(
    loaded: Loaded,
    reading: Reading,
    ids: list[int],
    log_probs: list[float],
    places: list[int],
    method: Method,
    seed: int,
) -> Iterator[tuple[str, torch.Tensor]]:
    maps, apart = [], 0.0
    for event in explain(loaded, reading, ids, method, places, log_probs=log_probs, seed=seed):
        if isinstance(event, Check):
            apart = event.largest_difference if event.is_same else float("inf")
        elif isinstance(event, MethodMap):
            maps.append(event.patches)
        else:
            yield f"maps/{method}", torch.stack(maps)
            yield from _cost_columns(method, event, apart)


def _cost_columns(name: str, cost: Cost, apart: float) -> Iterator[tuple[str, torch.Tensor]]:
    yield f"ms/{name}", torch.tensor([cost.ms], dtype=torch.float64)
    yield f"forward/{name}", torch.tensor([cost.forward_passes])
    yield f"backward/{name}", torch.tensor([cost.backward_passes])
    yield f"apart/{name}", torch.tensor([apart])
