"""Collects samples for the embedded model's FastRM head: answers, last hidden states and the labels of a teacher.

The scenes' labels say which object each word names. (`head/collection.py` collects samples for any other model and
dataset.) A shard, in the block form of `head/sample_store.py`, with the prompts as there, covers a fixed range of
scenes. Additional columns: scene, target [t] and found [t] (see `TokenizedQuestion`; -1 and False in answers that
differ from the reference), right, image_share, attention [t, layers * heads, 576] fp16 (`attention_of_heads`). Samples
by ablation have the masks and falls described there, too.
"""

from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors.torch import save_file
from tqdm import tqdm
from transformers import AutoTokenizer, LlavaForConditionalGeneration

from ..head.ablation import Ablation, mask_seed
from ..head.labels import TEACHER_NAMES, TEACHERS, Teacher, label_columns, without_itself
from ..head.sample_store import shard_questions
from ..head.shard_content import mask_tensors, prompt_tensors, scaled, shard_metadata
from ..head.shards import Rank, ShardPlan
from ..head.work_folder import claimed
from ..methods.attention import attention_of_heads
from ..methods.attention_hooks.decoder_call import DecoderCall
from ..methods.relevancy import explain_tokens
from ..models.loading import folder_revision
from ..models.reading import Frame, Rect
from .answering import TokenizedQuestion, ask_scenes, embed_images, prompt_embeds
from .training.llava_parts import language_model, word_embeddings
from .training.model import load_model
from .training.packing import PATCHES, PromptPieces, prompt_pieces
from .world.pool import ScenePool
from .world.scenes import GRID, IMAGE_PX

SHARD_SCENES = 32
FRAME = Frame("image", Rect(0, 0, IMAGE_PX, IMAGE_PX), GRID, GRID, IMAGE_PX, IMAGE_PX)
"""How the embedded model reads every image."""


@dataclass(frozen=True)
class CollectConfig:
    """Which questions to explain; the same config always produces the same samples."""

    split: str
    first_scene: int
    scenes: int
    questions_per_scene: int = 4
    description_share: float = 0.03
    seed: int = 11
    autocast: bool = True
    """Compute matrix products in bfloat16; the recursion stays in float32. Not for ablation, whose labels are differences
    of log-probabilities."""
    max_answer_tokens: int = 80
    teacher: Teacher = "chefer"
    """What labels the tokens (`head/labels.py`)."""

    def __post_init__(self) -> None:
        if self.teacher not in TEACHER_NAMES:
            raise ValueError(f"unknown teacher {self.teacher!r}: use one of {', '.join(TEACHER_NAMES)}")

    @property
    def manifest(self) -> dict[str, object]:
        """Manifest fields. Without a teacher, it is `chefer`, as in folders from before there were others."""
        fields = asdict(self)
        if self.teacher == "chefer":
            del fields["teacher"]
        return {**fields, "hasAttention": True, "method": "chefer-exact" if self.teacher == "chefer" else self.teacher}


class ExplainedAnswer(NamedTuple):
    """A greedy answer of t tokens, not counting the end token, and its explanation.

    right: whether the answer equals the reference. relevancy [t, 576]; query_states [t, d]; image_states [576, d];
    image_share [t]: share of each token's relevancy that lies on the image; NaN by ablation. prompt_ids [m],
    prompt_states [m, d] and prompt_relevancy [t, m]: of the prompt's text tokens. ablation: None by other teachers. attention
    [t, layers * heads, 576]: the tokens' attention rows.
    """

    ids: list[int]
    right: bool
    relevancy: torch.Tensor
    query_states: torch.Tensor
    image_states: torch.Tensor
    image_share: torch.Tensor
    prompt_ids: torch.Tensor
    prompt_states: torch.Tensor
    prompt_relevancy: torch.Tensor
    attention: torch.Tensor
    ablation: Ablation | None


@torch.no_grad()
def verify_draft(
    model: LlavaForConditionalGeneration, prompt: torch.Tensor, reference: list[int], eos: int, limit: int
) -> list[int]:
    """Return the greedy answer, including its end token, by verifying a draft.

    prompt [n, d]; limit: maximum answer length, in tokens. The first draft is the reference. At the first token that
    differs from the model's prediction, the prediction replaces the token, and the rest of the draft is verified again.
    The result is the same as with greedy decoding, and a correct draft costs a single forward pass.
    """
    embed, decoder = word_embeddings(model), language_model(model)
    draft, verified = list(reference), 0
    while verified < limit:
        x = torch.cat([prompt, embed(torch.tensor(draft[:-1]))])[None] if len(draft) > 1 else prompt[None]
        states = decoder(inputs_embeds=x, use_cache=False).last_hidden_state[0, prompt.shape[0] - 1 :]
        predicted = model.lm_head(states).argmax(-1).tolist()
        while verified < len(draft) and predicted[verified] == draft[verified]:
            verified += 1
            if draft[verified - 1] == eos:
                return draft[:verified]
        if verified == len(draft):
            draft.append(eos)
        else:
            draft = [*draft[:verified], predicted[verified], *draft[verified + 1 :]]
            verified += 1
            if draft[verified - 1] == eos:
                return draft[:verified]
            if verified == len(draft):
                draft.append(eos)
    return [*draft[:limit], eos]


def explain_answer(
    model: LlavaForConditionalGeneration,
    features: torch.Tensor,
    question: TokenizedQuestion,
    pieces: PromptPieces,
    config: CollectConfig,
) -> ExplainedAnswer:
    """Answer a question about an image with features [576, d] and explain every token of the answer."""
    prompt = prompt_embeds(model, features, pieces, question.prompt_after)
    answer = verify_draft(model, prompt, question.reference, pieces.eos, config.max_answer_tokens)
    ids = answer[:-1]
    sequence = answer_call(model, prompt, ids, pieces)
    labelled = _labelled(sequence, question, config)
    text = torch.tensor([*range(len(pieces.before)), *range(len(pieces.before) + PATCHES, prompt.shape[0])])
    return ExplainedAnswer(
        ids,
        answer == question.reference,
        labelled.relevancy[:, sequence.patch_columns],
        labelled.states[sequence.positions],
        labelled.states[sequence.patch_columns],
        labelled.image_share,
        torch.tensor([*pieces.before, *question.prompt_after]),
        labelled.states[text],
        labelled.words[:, text],
        attention_of_heads(sequence.call, sequence.positions, sequence.patch_columns),
        labelled.ablation,
    )


class AnswerCall(NamedTuple):
    """An answer of t tokens in one sequence with its prompt of N columns: the decoder's call, the columns `positions`
    [t] that predict the tokens, their ids [t], and the columns of the patches [576].
    """

    call: DecoderCall
    positions: torch.Tensor
    ids: torch.Tensor
    patch_columns: torch.Tensor


def answer_call(
    model: LlavaForConditionalGeneration, prompt: torch.Tensor, ids: list[int], pieces: PromptPieces
) -> AnswerCall:
    """Return the call for a prompt [N, d] (`prompt_embeds`) and an answer without its end token."""
    tokens = torch.tensor(ids, dtype=torch.long)
    x = torch.cat([prompt, word_embeddings(model)(tokens)])[None]
    call = DecoderCall(model, language_model(model), {"inputs_embeds": x})
    first = len(pieces.before)
    return AnswerCall(call, torch.arange(len(ids)) + prompt.shape[0] - 1, tokens, torch.arange(first, first + PATCHES))


class _Labelled(NamedTuple):
    """Labels over all columns of a sequence (see `ColumnLabels`), and its last hidden states [n, d]."""

    relevancy: torch.Tensor
    words: torch.Tensor
    states: torch.Tensor
    image_share: torch.Tensor
    ablation: Ablation | None


def _labelled(sequence: AnswerCall, question: TokenizedQuestion, config: CollectConfig) -> _Labelled:
    call, positions, ids, patches = sequence
    autocast = torch.bfloat16 if config.autocast and config.teacher != "ablation" else None
    if config.teacher == "chefer":
        explained = explain_tokens(call, positions, ids, autocast=autocast)
        rows = explained.relevancy
        share = rows[:, patches].sum(1) / rows.sum(1)
        return _Labelled(rows, without_itself(rows, positions), explained.states, share, None)
    key = f"{config.seed} {question.scene}".encode()
    seed = mask_seed(key, bytes(str(question.prompt_after), "ascii"), bytes(str(ids.tolist()), "ascii"))
    labels = label_columns(call, positions, ids, patches, [FRAME], teacher=config.teacher, seed=seed, autocast=autocast)
    with torch.no_grad():
        states = call.decoder(**call.arguments, use_cache=False).last_hidden_state[0].float()
    return _Labelled(labels.relevancy, labels.words, states, labels.image_share(patches), labels.ablation)


def collect(model_folder: Path, pool_folder: Path, out: Path, config: CollectConfig, *, workers: int) -> None:
    """Collect the missing shards into `out`, showing progress by shard.

    Raises ValueError if `out` was started with another config or model, is in use, or holds a damaged shard.
    """
    manifest = {
        **config.manifest,
        "samples": config.scenes,
        "shardSamples": SHARD_SCENES,
        "modelRevision": folder_revision(model_folder),
        "hasPrompts": True,
        "stage": "post_norm",
    }
    with claimed(out, manifest):
        plan = ShardPlan.of(out, "safetensors", manifest)
        plan.sweep(Rank())
        for shard in plan.finished(Rank()):
            shard_questions(plan.path(shard))  # raises if it is damaged
        _collect_missing(plan, model_folder, pool_folder, config, workers)


def _collect_missing(
    plan: ShardPlan, model_folder: Path, pool_folder: Path, config: CollectConfig, workers: int
) -> None:
    missing = plan.missing(Rank())
    if not missing:
        return
    with ProcessPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as executor:
        jobs = [executor.submit(_collect_shard, model_folder, pool_folder, plan, config, s) for s in missing]
        bar = tqdm(total=len(jobs), desc=f"explain {config.split}", unit="shard")
        tokens = 0
        for job in as_completed(jobs):
            tokens += job.result()
            bar.update()
            bar.set_postfix(tokens=tokens)


_loaded: dict[Path, LlavaForConditionalGeneration] = {}


def _collect_shard(model_folder: Path, pool_folder: Path, plan: ShardPlan, config: CollectConfig, shard: int) -> int:
    if model_folder not in _loaded:
        _loaded[model_folder] = load_model(model_folder)
    model = _loaded[model_folder]
    tokenizer = AutoTokenizer.from_pretrained(model_folder)
    pieces = prompt_pieces(tokenizer)
    items = plan.items_of(shard)
    first = config.first_scene + items.start
    scenes = range(first, config.first_scene + items.stop)
    pool = ScenePool(pool_folder, config.split, scenes.stop)
    questions = ask_scenes(
        pool,
        scenes,
        tokenizer,
        per_scene=config.questions_per_scene,
        seed=config.seed,
        description_share=config.description_share,
    )
    columns: dict[str, list[torch.Tensor]] = {}
    states: dict[int, torch.Tensor] = {}
    prompts: list[tuple[torch.Tensor, torch.Tensor]] = []
    prompt_maps: list[torch.Tensor] = []
    ablations: list[Ablation] = []
    with torch.no_grad():
        features = {i: embed_images(model, np.array(pool[i].image)[None])[0] for i in scenes}
    for number, item in enumerate(questions):
        answer = explain_answer(model, features[item.scene], item, pieces, config)
        states.setdefault(item.scene, answer.image_states.half())
        t = len(answer.ids)
        same = answer.ids == item.reference[: len(answer.ids)]
        relevancy, peak = scaled(answer.relevancy)
        prompt_relevancy, prompt_peak = scaled(answer.prompt_relevancy)
        prompt_maps.append(prompt_relevancy.flatten())
        prompts.append((answer.prompt_ids, answer.prompt_states.half()))
        row = {
            "relevancy": relevancy,
            "peak": peak,
            "prompt_peak": prompt_peak,
            "image_share": answer.image_share,
            "query_states": answer.query_states.half(),
            "token": torch.tensor(answer.ids),
            "target": torch.tensor(item.targets[:t] if same else [-1] * t),
            "found": torch.tensor(item.found[:t] if same else [False] * t, dtype=torch.bool),
            "image": torch.full((t,), item.scene - first),
            "scene": torch.full((t,), item.scene),
            "prompt": torch.full((t,), number),
            "question": torch.full((t,), number),
            "right": torch.full((t,), answer.right),
            "attention": answer.attention.half(),
        }
        if answer.ablation is not None:
            row["deltas"] = answer.ablation.deltas
            ablations.append(answer.ablation)
        for name, value in row.items():
            columns.setdefault(name, []).append(value)
    tensors = {name: torch.cat(values) for name, values in columns.items()}
    tensors["image_states"] = torch.stack([states[i] for i in scenes])
    tensors["question_count"] = torch.tensor(len(questions))
    tensors |= prompt_tensors(prompts, prompt_maps) | mask_tensors(ablations)
    plan.write(shard, partial(save_file, tensors, metadata=shard_metadata(TEACHERS[config.teacher])))
    return len(tensors["token"])
