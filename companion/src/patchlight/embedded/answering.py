"""Asks the embedded model questions from its own dataset: prompts, greedy answers and the objects that tokens name."""

from random import Random
from typing import NamedTuple, Protocol

import numpy as np
import torch
from transformers import LlavaForConditionalGeneration, PreTrainedTokenizerFast

from .training.llava_parts import language_model, word_embeddings
from .training.packed_forward import encode_patches
from .training.packing import PATCHES, PromptPieces, prompt_pieces
from .world.pool import PooledScene
from .world.questions import AnswerWord, Question, answer_text, ask, found_words


class HasImage(Protocol):
    """Anything with an image [336, 336, 3] uint8."""

    @property
    def image(self) -> np.ndarray: ...


class ImageSource(Protocol):
    """A source of images, accessed by index."""

    def __getitem__(self, index: int, /) -> HasImage: ...


class SceneSource(Protocol):
    """A source of rendered scenes, accessed by index: a pool or a list."""

    def __getitem__(self, index: int, /) -> PooledScene: ...


class TokenizedQuestion(NamedTuple):
    """A tokenized question about scene number `scene`.

    prompt_after: ids after the image. reference [r]: ids of the reference answer, including the end token. targets [r]:
    index of the object that each token names, or -1. found [r]: whether the model must find the token's word in the
    image (see `found_words`).
    """

    scene: int
    question: Question
    prompt_after: list[int]
    reference: list[int]
    targets: list[int]
    found: list[bool]


class GreedyAnswer(NamedTuple):
    """A greedy answer: token ids without the end token, and a log-probability in nats per token."""

    ids: list[int]
    log_probs: list[float]


def ask_scenes(
    pool: SceneSource,
    scenes: range,
    tokenizer: PreTrainedTokenizerFast,
    *,
    per_scene: int,
    seed: int,
    description_share: float = 0.0,
    kind: str | None = None,
) -> list[TokenizedQuestion]:
    """Return `per_scene` questions about each scene, without repetition.

    description_share: share of description questions. kind: ask only questions of this kind; the same question can then
    occur more than once. The same scenes and `seed` always give the same questions.
    """
    pieces = prompt_pieces(tokenizer)
    questions: list[TokenizedQuestion] = []
    for index in scenes:
        random = Random(seed * 1_000_003 + index)
        seen: set[str] = set()
        item = pool[index]
        while len(seen) < per_scene:
            chosen_kind = "description" if kind is None and random.random() < description_share else kind
            question = ask(item.scene, random, chosen_kind)
            if question.text in seen and kind is None:
                continue
            seen.add(question.text if kind is None else f"{question.text}{len(seen)}")
            questions.append(tokenize(index, question, tokenizer, pieces))
    return questions


def tokenize(
    scene: int, question: Question, tokenizer: PreTrainedTokenizerFast, pieces: PromptPieces
) -> TokenizedQuestion:
    """Tokenize a question and its reference answer, and label each answer token with the object that it names."""
    encode = tokenizer.backend_tokenizer
    after = [*encode.encode(question.text, add_special_tokens=False).ids, *pieces.after]
    reference = encode.encode(answer_text(question.words), add_special_tokens=False).ids
    targets: list[int] = []
    found: list[bool] = []
    for word, is_found in zip(question.words, found_words(question), strict=True):
        tokens = len(encode.encode(_cased(word, not targets), add_special_tokens=False).ids)
        targets += [word.target] * tokens
        found += [is_found] * tokens
    if len(targets) != len(reference):
        raise ValueError(
            f"the answer's words have {len(targets)} tokens, but the answer has {len(reference)}: {question}"
        )
    return TokenizedQuestion(scene, question, after, [*reference, pieces.eos], [*targets, -1], [*found, False])


def _cased(word: AnswerWord, first: bool) -> str:
    return word.text[0].upper() + word.text[1:] if first else word.text


def embed_images(model: LlavaForConditionalGeneration, images: np.ndarray) -> torch.Tensor:
    """Encode images [b, 336, 336, 3] uint8 to projected features [b, 576, d]."""
    keep = torch.arange(PATCHES).expand(len(images), -1)
    return encode_patches(model, torch.from_numpy(images), keep)


def prompt_embeds(
    model: LlavaForConditionalGeneration, features: torch.Tensor, pieces: PromptPieces, after: list[int]
) -> torch.Tensor:
    """Return the prompt's embeddings [n, d]: the text before the image, the image features, and the text after them."""
    embed = word_embeddings(model)
    return torch.cat([embed(torch.tensor(pieces.before)), features, embed(torch.tensor(after))])


@torch.inference_mode()
def greedy_answers(
    model: LlavaForConditionalGeneration,
    pool: ImageSource,
    questions: list[TokenizedQuestion],
    tokenizer: PreTrainedTokenizerFast,
    *,
    scene_of: dict[int, int] | None = None,
    limit: int = 80,
) -> list[GreedyAnswer]:
    """Answer questions greedily. All questions about a scene form a batch that shares the image's key-value cache.

    scene_of: maps each scene to the scene whose image is shown instead. This is a control, in which accuracy must drop
    to chance. limit: maximum answer length, in tokens.
    """
    pieces = prompt_pieces(tokenizer)
    by_scene: dict[int, list[int]] = {}
    for number, item in enumerate(questions):
        by_scene.setdefault(item.scene, []).append(number)
    answers: list[GreedyAnswer] = [GreedyAnswer([], []) for _ in questions]
    for scene, numbers in by_scene.items():
        shown = scene if scene_of is None else scene_of[scene]
        features = embed_images(model, pool[shown].image[None])[0]
        rows = [questions[n].prompt_after for n in numbers]
        for n, answer in zip(numbers, _decode(model, features, pieces, rows, limit), strict=True):
            answers[n] = answer
    return answers


def _decode(
    model: LlavaForConditionalGeneration,
    features: torch.Tensor,
    pieces: PromptPieces,
    rows: list[list[int]],
    limit: int,
) -> list[GreedyAnswer]:
    """Decode rows that share the image's prefix. Shorter rows get masked padding between the prefix and their text."""
    embed, decoder = word_embeddings(model), language_model(model)
    before = torch.cat([embed(torch.tensor(pieces.before)), features])[None]
    cache = decoder(inputs_embeds=before, use_cache=True).past_key_values
    count, longest, prefix = len(rows), max(map(len, rows)), before.shape[1]
    cache.batch_repeat_interleave(count)
    ids = torch.tensor([[0] * (longest - len(r)) + r for r in rows])
    real = torch.tensor([[0] * (longest - len(r)) + [1] * len(r) for r in rows])
    mask = torch.cat([torch.ones(count, prefix, dtype=torch.long), real], dim=1)
    positions = prefix + (real.cumsum(1) - 1).clamp(min=0)
    chosen: list[list[int]] = [[] for _ in rows]
    log_probs: list[list[float]] = [[] for _ in rows]
    is_running = [True] * count
    for _ in range(limit):
        out = decoder(
            inputs_embeds=embed(ids),
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
        )
        scores = torch.log_softmax(model.lm_head(out.last_hidden_state[:, -1]).float(), dim=-1)
        best = scores.argmax(-1)
        for k, token in enumerate(best.tolist()):
            if is_running[k] and token == pieces.eos:
                is_running[k] = False
            if is_running[k]:
                chosen[k].append(token)
                log_probs[k].append(scores[k, token].item())
        if not any(is_running):
            break
        ids = best[:, None]
        mask = torch.cat([mask, torch.ones(count, 1, dtype=torch.long)], dim=1)
        positions = positions[:, -1:] + 1
    return [GreedyAnswer(i, p) for i, p in zip(chosen, log_probs, strict=True)]
