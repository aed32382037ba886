"""Collects every method's maps for words that name an object in the embedded model's answers about unseen scenes.

Maps are stored in shards of a few scenes, so that an interrupted run can resume. A shard with n tokens of q explained
answers has these columns:
scene, question, kind, attribute [n] (indices in KINDS and ATTRIBUTE_NAMES); found [n] (see `TokenizedQuestion`);
masks [n, 576] bool, the patches of the object that the token names; maps/<method> [n, 576] float32;
explained_tokens, answer_tokens, forward/<method>, backward/<method>, difference/<method> [q], where difference is the
largest difference between an explained and a streamed log-probability; questions and right, the numbers of questions
and of right answers.
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

from ..embedded.answering import TokenizedQuestion, ask_scenes
from ..embedded.world.phrases import ATTRIBUTES
from ..embedded.world.pool import PooledScene, patch_majority
from ..embedded.world.questions import KINDS
from ..embedded.world.render import render_seed
from ..embedded.world.scenes import split_seed
from ..head.export import head_revision
from ..head.fastrm import FastRM
from ..head.shards import Rank, ShardPlan
from ..head.work_folder import claimed
from ..methods.explain import Check, MethodMap, explain
from ..methods.names import METHODS, Method
from ..models.decoding import Prefill, decode
from ..models.loading import Loaded, LoadOptions, load
from ..models.model_files import folder_revision
from ..models.reading import Reading
from ..models.sampling import Sampling

FASTRM = "fastrm"
NAMES: tuple[str, ...] = (FASTRM, *METHODS)
ATTRIBUTE_NAMES = (*ATTRIBUTES, "object")
_SHARD_SCENES = 4


@dataclass(frozen=True, kw_only=True)
class MethodSamplesConfig:
    """Which questions to explain; the same config always produces the same tokens."""

    first_scene: int = 256
    """First scene of the test split; the head's classification threshold was chosen on earlier ones."""
    scenes: int = 128
    questions_per_scene: int = 8
    description_share: float = 0.03
    seed: int = 21
    max_new_tokens: int = 81


class Samples(NamedTuple):
    """The joined columns of all shards.

    questions: the number of questions. right: how many of their answers match the reference.
    """

    columns: Mapping[str, torch.Tensor]
    questions: int
    right: int


class ObjectWords(NamedTuple):
    """The tokens of an answer that name a visible object.

    places: token indices; targets: object indices; found: see `TokenizedQuestion`; attributes: indices in
    ATTRIBUTE_NAMES.
    """

    places: list[int]
    targets: list[int]
    found: list[bool]
    attributes: list[int]


class ExplainableAnswer(NamedTuple):
    """An answer that has the same tokens as the reference and contains words that name a visible object.

    log_probs: in nats, from the decoding steps. query_states [n, d]: states of the n tokens in `words`. patch_states
    [P, d].
    """

    question: TokenizedQuestion
    scene: PooledScene
    reading: Reading
    ids: list[int]
    log_probs: list[float]
    words: ObjectWords
    query_states: torch.Tensor
    patch_states: torch.Tensor


def collect_method_samples(model_folder: Path, out: Path, config: MethodSamplesConfig) -> Samples:
    """Collect the missing shards into `out`, showing progress by shard, and read all shards.

    Raises ValueError if `out` contains maps from another model, head or config, or is in use.
    """
    made_by = {"model": folder_revision(model_folder), "head": head_revision(model_folder / "fastrm")}
    facts = {**made_by, **asdict(config), "shard_scenes": _SHARD_SCENES, "methods": NAMES, "format": 2}
    with claimed(out, facts):
        plan = ShardPlan(out, "safetensors", config.scenes, _SHARD_SCENES)
        plan.sweep(Rank())
        missing = plan.missing(Rank())
        if missing:
            loaded, head = load_both(model_folder)
            for shard in tqdm(missing, desc="explain test scenes", unit="shard"):
                _collect_shard(loaded, head, plan, config, shard)
    parts = [load_file(plan.path(shard)) for shard in range(len(plan))]
    # A shard in which no answer can be explained has no columns.
    names = {name: None for part in parts for name, column in part.items() if column.ndim}
    columns = {name: torch.cat([part[name] for part in parts if name in part]) for name in names}
    return Samples(columns, *(sum(int(part[name]) for part in parts) for name in ("questions", "right")))


def load_both(model_folder: Path) -> tuple[Loaded, FastRM]:
    """Load the model and its head on the CPU."""
    loaded = load(LoadOptions(model=str(model_folder), device="cpu"))
    return loaded, FastRM.from_pretrained(model_folder / "fastrm", model=loaded)


def _collect_shard(loaded: Loaded, head: FastRM, plan: ShardPlan, config: MethodSamplesConfig, shard: int) -> None:
    items = plan.items_of(shard)
    scenes = range(config.first_scene + items.start, config.first_scene + items.stop)
    columns: dict[str, list[torch.Tensor]] = {}
    questions = right = 0
    for ids, item, explainable in answer_questions(loaded, config, scenes):
        number = items.start * config.questions_per_scene + questions
        questions += 1
        right += ids == item.reference[:-1]
        for name, value in _columns_of(loaded, head, explainable, number) if explainable else ():
            columns.setdefault(name, []).append(value)
    tensors = {name: torch.cat(values) for name, values in columns.items()}
    tensors |= {"questions": torch.tensor(questions), "right": torch.tensor(right)}
    plan.write(shard, partial(save_file, tensors))


def answer_questions(
    loaded: Loaded, config: MethodSamplesConfig, scenes: range
) -> Iterator[tuple[list[int], TokenizedQuestion, ExplainableAnswer | None]]:
    """Answer the questions about `scenes` greedily.

    For each question, yields the answer's token ids, the question, and an `ExplainableAnswer`, or None if the answer
    cannot be explained.
    """
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
            yield _answer_question(loaded, item, pool[index], config.max_new_tokens)


def _answer_question(
    loaded: Loaded, item: TokenizedQuestion, scene: PooledScene, limit: int
) -> tuple[list[int], TokenizedQuestion, ExplainableAnswer | None]:
    image = Image.fromarray(np.ascontiguousarray(scene.image))
    reading = loaded.family.read(loaded.model, loaded.processor, image, item.question.text)
    prefill, *events = decode(loaded.model, reading, Sampling(max_new_tokens=limit, alternatives=1))
    assert isinstance(prefill, Prefill)
    steps = [step for step in events if not isinstance(step, Prefill) and not step.is_end]
    ids = [step.token_id for step in steps]
    words = _object_words(loaded, item, ids, scene) if ids == item.reference[: len(ids)] else None
    if words is None or not words.places:
        return ids, item, None
    query = torch.stack([step.query_state for step in steps])[words.places]
    log_probs = [step.log_prob for step in steps]
    return ids, item, ExplainableAnswer(item, scene, reading, ids, log_probs, words, query, prefill.patch_states)


def _rendered(index: int) -> PooledScene:
    scene, rendered = render_seed(split_seed("test", index))
    return PooledScene(scene, rendered.image, patch_majority(rendered.object_ids))


def _columns_of(
    loaded: Loaded, head: FastRM, answer: ExplainableAnswer, number: int
) -> Iterator[tuple[str, torch.Tensor]]:
    words, n = answer.words, len(answer.words.places)
    yield "scene", torch.full((n,), answer.question.scene)
    yield "question", torch.full((n,), number)
    yield "kind", torch.full((n,), KINDS.index(answer.question.question.kind))
    yield "attribute", torch.tensor(words.attributes)
    yield "found", torch.tensor(words.found)
    yield "masks", torch.stack([torch.from_numpy(answer.scene.patch_objects == target) for target in words.targets])
    yield "explained_tokens", torch.tensor([n])
    yield "answer_tokens", torch.tensor([len(answer.ids)])
    with torch.no_grad():
        yield f"maps/{FASTRM}", head(answer.query_states, answer.patch_states)
    yield from _pass_columns(FASTRM, 0, 0, 0.0)
    for method in METHODS:
        yield from _method_columns(loaded, answer, method, number)


def _method_columns(
    loaded: Loaded, answer: ExplainableAnswer, method: Method, seed: int
) -> Iterator[tuple[str, torch.Tensor]]:
    maps, difference = [], 0.0
    places, log_probs = answer.words.places, answer.log_probs
    for event in explain(loaded, answer.reading, answer.ids, method, places, log_probs=log_probs, seed=seed):
        if isinstance(event, Check):
            difference = event.largest_difference if event.is_same else float("inf")
        elif isinstance(event, MethodMap):
            maps.append(event.patches)
        else:
            yield f"maps/{method}", torch.stack(maps)
            yield from _pass_columns(method, event.forward_passes, event.backward_passes, difference)


def _pass_columns(name: str, forward: int, backward: int, difference: float) -> Iterator[tuple[str, torch.Tensor]]:
    yield f"forward/{name}", torch.tensor([forward])
    yield f"backward/{name}", torch.tensor([backward])
    yield f"difference/{name}", torch.tensor([difference])


def _object_words(loaded: Loaded, question: TokenizedQuestion, ids: list[int], scene: PooledScene) -> ObjectWords:
    """Return the tokens that name an object with at least one visible patch."""
    words = ObjectWords([], [], [], [])
    for place, token in enumerate(ids):
        target = question.targets[place]
        if target < 0 or not (scene.patch_objects == target).any():
            continue
        word = loaded.processor.tokenizer.decode([token]).strip().lower()
        attribute = next((k for k, values in enumerate(ATTRIBUTES.values()) if word in values), len(ATTRIBUTES))
        words.places.append(place)
        words.targets.append(target)
        words.found.append(question.found[place])
        words.attributes.append(attribute)
    return words
