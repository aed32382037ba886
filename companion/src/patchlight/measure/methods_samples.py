"""Every method's maps of the words by which the embedded model names an object, on scenes that it has never seen.

In shards of a few scenes, so that a killed run goes on where it stopped. A shard's columns, n tokens of q answers:
scene, question, kind, attribute (places in KINDS and ATTRIBUTE_NAMES), found [n]; masks [n, 576] bool, the patches of
the object that the token names; maps/<method> [n, 576] float32; of each explained answer [q] asked_tokens, answer_tokens,
forward/<method>, backward/<method>, apart/<method>; asked and right, one number each.
"""

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

from ..embedded.answering import Asked, ask_scenes
from ..embedded.world.phrases import ATTRIBUTES
from ..embedded.world.pool import PooledScene, patch_majority
from ..embedded.world.questions import KINDS
from ..embedded.world.render import render_seed
from ..embedded.world.scenes import split_seed
from ..head.export import head_revision
from ..head.fastrm import FastRM
from ..head.shards import Rank, ShardPlan, claim
from ..methods.explain import Check, MethodMap, explain
from ..methods.names import METHODS, Method
from ..models.decoding import Prefill, decode
from ..models.loading import Loaded, LoadOptions, folder_revision, load
from ..models.reading import Reading
from ..models.sampling import Sampling

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


class Words(NamedTuple):
    """Tokens of an answer that name an object: their places, objects, whether found, and attributes."""

    places: list[int]
    targets: list[int]
    found: list[bool]
    attributes: list[int]


class Explainable(NamedTuple):
    """An answer in the right answer's words, of which some name an object that can be seen.

    log_probs as the answer's own steps gave them; query_states [n, d] of `words`, patch_states [P, d].
    """

    asked: Asked
    scene: PooledScene
    reading: Reading
    ids: list[int]
    log_probs: list[float]
    words: Words
    query_states: torch.Tensor
    patch_states: torch.Tensor


def collect_method_samples(model_folder: Path, out: Path, config: MethodSamplesConfig) -> Samples:
    """Fill `out` with the shards that it lacks, and read them all. Progress is by shard.

    Raises ValueError where `out` holds the maps of another model, head or config.
    """
    made_by = {"model": folder_revision(model_folder), "head": head_revision(model_folder / "fastrm")}
    claim(out, {**made_by, **asdict(config), "shard_scenes": _SHARD_SCENES, "methods": NAMES})
    plan = ShardPlan(out, "safetensors", config.scenes, _SHARD_SCENES)
    plan.sweep(Rank())
    missing = plan.missing(Rank())
    if missing:
        loaded, head = load_both(model_folder)
        for shard in tqdm(missing, desc="explain test scenes", unit="shard"):
            _collect_shard(loaded, head, plan, config, shard)
    parts = [load_file(plan.path(shard)) for shard in range(len(plan))]
    # a shard of which no answer can be scored has no columns
    names = {name: None for part in parts for name, column in part.items() if column.ndim}
    columns = {name: torch.cat([part[name] for part in parts if name in part]) for name in names}
    return Samples(columns, *(sum(int(part[name]) for part in parts) for name in ("asked", "right")))


def load_both(model_folder: Path) -> tuple[Loaded, FastRM]:
    """The model on the CPU, and its head."""
    loaded = load(LoadOptions(model=str(model_folder), device="cpu"))
    return loaded, FastRM.from_pretrained(model_folder / "fastrm", hidden_size=loaded.hidden_size, stage="post_norm")


def _collect_shard(loaded: Loaded, head: FastRM, plan: ShardPlan, config: MethodSamplesConfig, shard: int) -> None:
    items = plan.items_of(shard)
    scenes = range(config.first_scene + items.start, config.first_scene + items.stop)
    columns: dict[str, list[torch.Tensor]] = {}
    asked = right = 0
    for ids, item, explainable in answered(loaded, config, scenes):
        number = items.start * config.questions_per_scene + asked
        asked += 1
        right += ids == item.reference[:-1]
        for name, value in _columns_of(loaded, head, explainable, number) if explainable else ():
            columns.setdefault(name, []).append(value)
    tensors = {name: torch.cat(values) for name, values in columns.items()}
    tensors |= {"asked": torch.tensor(asked), "right": torch.tensor(right)}
    plan.write(shard, partial(save_file, tensors))


def answered(
    loaded: Loaded, config: MethodSamplesConfig, scenes: range
) -> Iterator[tuple[list[int], Asked, Explainable | None]]:
    """Each question of some scenes with the model's own greedy answer, and what can be explained of it."""
    for index in scenes:
        pool = {index: _rendered(index)}
        for item in ask_scenes(
            pool,
            range(index, index + 1),
            loaded.processor.tokenizer,
            per_scene=config.questions_per_scene,
            seed=config.seed,
            description_share=config.description_share,
        ):
            yield _answered(loaded, item, pool[index], config.max_new_tokens)


def _answered(
    loaded: Loaded, item: Asked, scene: PooledScene, limit: int
) -> tuple[list[int], Asked, Explainable | None]:
    picture = Image.fromarray(np.ascontiguousarray(scene.image))
    reading = loaded.family.read(loaded.model, loaded.processor, picture, item.question.text)
    prefill, *events = decode(loaded.model, reading, Sampling(max_new_tokens=limit, alternatives=1))
    assert isinstance(prefill, Prefill)
    steps = [step for step in events if not isinstance(step, Prefill) and not step.is_end]
    ids = [step.token_id for step in steps]
    words = _words(loaded, item, ids, scene) if ids == item.reference[: len(ids)] else None
    if words is None or not words.places:
        return ids, item, None
    query = torch.stack([step.query_state for step in steps])[words.places]
    log_probs = [step.log_prob for step in steps]
    return ids, item, Explainable(item, scene, reading, ids, log_probs, words, query, prefill.patch_states)


def _rendered(index: int) -> PooledScene:
    scene, rendered = render_seed(split_seed("test", index))
    return PooledScene(scene, rendered.image, patch_majority(rendered.object_ids))


def _columns_of(loaded: Loaded, head: FastRM, of: Explainable, number: int) -> Iterator[tuple[str, torch.Tensor]]:
    words, n = of.words, len(of.words.places)
    yield "scene", torch.full((n,), of.asked.scene)
    yield "question", torch.full((n,), number)
    yield "kind", torch.full((n,), KINDS.index(of.asked.question.kind))
    yield "attribute", torch.tensor(words.attributes)
    yield "found", torch.tensor(words.found)
    yield "masks", torch.stack([torch.from_numpy(of.scene.patch_objects == target) for target in words.targets])
    yield "asked_tokens", torch.tensor([n])
    yield "answer_tokens", torch.tensor([len(of.ids)])
    with torch.no_grad():
        yield f"maps/{FASTRM}", head(of.query_states, of.patch_states)
    yield from _pass_columns(FASTRM, 0, 0, 0.0)
    for method in METHODS:
        yield from _method_columns(loaded, of, method, number)


def _method_columns(loaded: Loaded, of: Explainable, method: Method, seed: int) -> Iterator[tuple[str, torch.Tensor]]:
    maps, apart = [], 0.0
    for event in explain(loaded, of.reading, of.ids, method, of.words.places, log_probs=of.log_probs, seed=seed):
        if isinstance(event, Check):
            apart = event.largest_difference if event.is_same else float("inf")
        elif isinstance(event, MethodMap):
            maps.append(event.patches)
        else:
            yield f"maps/{method}", torch.stack(maps)
            yield from _pass_columns(method, event.forward_passes, event.backward_passes, apart)


def _pass_columns(name: str, forward: int, backward: int, apart: float) -> Iterator[tuple[str, torch.Tensor]]:
    yield f"forward/{name}", torch.tensor([forward])
    yield f"backward/{name}", torch.tensor([backward])
    yield f"apart/{name}", torch.tensor([apart])


def _words(loaded: Loaded, asked: Asked, ids: list[int], scene: PooledScene) -> Words:
    """Those that name an object of which a patch can be seen."""
    found = Words([], [], [], [])
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
