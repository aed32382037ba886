"""Compares a calibration's answers with the answers of the PyTorch model and head.

The PyTorch side uses another runtime and the unfolded head, and computes maps from complete prompts instead of a shared
image prefix.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from transformers import AutoTokenizer

from ...calibration.entropy import bernoulli, kernel_density, sum_normalised
from ...calibration.statistics import share_of
from ...head.fastrm import FastRM
from ...models.answer_pieces import token_texts
from ...report import figure
from ..answering import TokenizedQuestion, embed_images, greedy_answers, prompt_embeds
from ..training.llava_parts import language_model, word_embeddings
from ..training.model import load_model
from ..training.packing import PATCHES, prompt_pieces
from ..world.questions import Question
from .answer_scenes import AnsweredScene, decode_webp

_KINDS = {"entropySum": sum_normalised, "entropyKde": kernel_density, "entropyBernoulli": bernoulli}
_NAMES = {"entropySum": "sum-normalised entropy", "entropyKde": "KDE entropy", "entropyBernoulli": "Bernoulli entropy"}


class CheckResult(NamedTuple):
    """Agreement with PyTorch.

    answers: number of answers compared. same: how many of them have identical tokens. log_probs and entropies: the
    largest difference, in nats, between a token's value in the calibration and its value in PyTorch, over the answers
    with identical tokens; entropies by column.
    """

    answers: int
    same: int
    log_probs: float
    entropies: dict[str, float]


class _ImageOnly(NamedTuple):
    image: np.ndarray


@torch.inference_mode()
def check_answers(
    hf_folder: Path, head_folder: Path, scenes: Sequence[AnsweredScene], answers: int, *, limit: int
) -> CheckResult:
    """Check up to `answers` answers, at most one per scene, spread over scenes and sets.

    limit: the maximum answer length, in tokens.
    """
    model, tokenizer = load_model(hf_folder), AutoTokenizer.from_pretrained(hf_folder)
    head, pieces = FastRM.from_pretrained(head_folder), prompt_pieces(tokenizer)
    chosen = [(scenes[k * len(scenes) // answers], k) for k in range(min(answers, len(scenes)))]
    same, log_probs, entropies = 0, 0.0, dict.fromkeys(_KINDS, 0.0)
    for scene, number in chosen:
        stored = scene.answers[number % len(scene.answers)]
        shown = _ImageOnly(decode_webp(scene.webp))
        text = stored["question"]
        after = [*tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids, *pieces.after]
        item = TokenizedQuestion(0, Question("", "", text, ()), after, [], [], [])
        [answer] = greedy_answers(model, [shown], [item], tokenizer, limit=limit)
        if token_texts(tokenizer, answer.ids) != stored["tokens"]:
            continue
        same += 1
        log_probs = max(log_probs, _difference(answer.log_probs, stored["logProbs"]))
        prompt = prompt_embeds(model, embed_images(model, shown.image[None])[0], pieces, after)
        ids = torch.tensor(answer.ids, dtype=torch.long)
        x = torch.cat([prompt, word_embeddings(model)(ids)])[None]
        states = language_model(model)(inputs_embeds=x, use_cache=False).last_hidden_state[0]
        first = len(pieces.before)
        maps = head(states[len(prompt) - 1 : -1], states[first : first + PATCHES])
        for name, entropy in _KINDS.items():
            entropies[name] = max(entropies[name], _difference(entropy(maps).tolist(), stored[name]))
    return CheckResult(len(chosen), same, log_probs, entropies)


def check_figures(checked: CheckResult) -> list[dict[str, object]]:
    """Return the figures for a report."""
    same = share_of(checked.same, checked.answers)
    return [
        figure("answers compared with PyTorch", checked.answers),
        figure("share identical token by token", same.value, interval=(same.low, same.high)),
        *(
            {"label": f"largest difference in a token's {name}, nats", "value": float(f"{value:.2g}")}
            for name, value in [
                ("log-probability", checked.log_probs),
                *((_NAMES[k], v) for k, v in checked.entropies.items()),
            ]
        ),
    ]


def _difference(actual: list[Any], stored: list[Any]) -> float:
    return float(np.abs(np.subtract(actual, stored)).max()) if actual else 0.0
