"""Compares the browser model's answers, hidden states and maps with PyTorch on many questions."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from transformers import AutoTokenizer

from ...calibration.statistics import share_of
from ...head.fastrm import FastRM, read_text_head
from ...report import figure
from ..answering import TokenizedQuestion, embed_images, greedy_answers, prompt_embeds
from ..training.llava_parts import language_model, word_embeddings
from ..training.model import load_model
from ..training.packing import PATCHES, prompt_pieces
from ..world.questions import Question
from .browser_model import BrowserModel

COMMAND = "python -m patchlight.embedded.pipeline --only export"


class Parity(NamedTuple):
    """How closely the exported graphs in onnxruntime agree with PyTorch in float32.

    questions: number of questions compared. identical_share: share of greedy answers with identical tokens.
    hidden_error: largest relative L2 difference between the two runtimes' last hidden states at a position in the
    prompt or in the common start of the two answers. head_error: largest absolute difference between the two runtimes'
    probabilities for a patch; each runtime uses its own hidden states. text_error: the same for a text token of the
    prompt; None if the head has no text output.
    """

    questions: int
    identical_share: float
    hidden_error: float
    head_error: float
    text_error: float | None


class _ImageOnly(NamedTuple):
    image: np.ndarray


@torch.inference_mode()
def check_parity(
    hf_folder: Path,
    head_folder: Path,
    model_folder: Path,
    samples: Sequence[tuple[np.ndarray, str]],
    *,
    limit: int = 80,
) -> Parity:
    """Compare answers, states and maps, and write `model_folder/report/parity.json`.

    samples: images [336, 336, 3] uint8 with questions. limit: maximum answer length, in tokens.
    """
    model = load_model(hf_folder)
    tokenizer = AutoTokenizer.from_pretrained(hf_folder)
    head, text_head = FastRM.from_pretrained(head_folder), read_text_head(head_folder)
    browser = BrowserModel(model_folder)
    pieces = prompt_pieces(tokenizer)
    images = [_ImageOnly(image) for image, _ in samples]
    questions = [
        TokenizedQuestion(
            number,
            Question("", "", text, ()),
            [*tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids, *pieces.after],
            [],
            [],
            [],
        )
        for number, (_, text) in enumerate(samples)
    ]
    answers = greedy_answers(model, images, questions, tokenizer, limit=limit)
    same, hidden_error, head_error, text_error = 0, 0.0, 0.0, 0.0
    for item, shown, answer in zip(questions, images, answers, strict=True):
        features = embed_images(model, shown.image[None])[0]
        prompt = prompt_embeds(model, features, pieces, item.prompt_after)
        ids = torch.tensor(answer.ids, dtype=torch.long)
        x = torch.cat([prompt, word_embeddings(model)(ids)])[None]
        expected = language_model(model)(inputs_embeds=x, use_cache=False).last_hidden_state[0].numpy()
        actual = browser.answer(browser.image_features(shown.image), pieces.before, item.prompt_after, limit=limit)
        same += actual.ids == answer.ids
        common = _common_length(actual.ids, answer.ids)
        n = min(len(prompt) + common, len(actual.states))
        expected, states = expected[:n], actual.states[:n]
        error = np.linalg.norm(states - expected, axis=1) / np.linalg.norm(expected, axis=1)
        hidden_error = max(hidden_error, float(error.max()))
        patches, queries = slice(len(pieces.before), len(pieces.before) + PATCHES), slice(len(prompt) - 1, n)
        maps = head(torch.from_numpy(expected[queries]), torch.from_numpy(expected[patches])).numpy()
        difference = np.abs(browser.relevancy(states[queries], states[patches]) - maps)
        head_error = max(head_error, float(difference.max()))
        if text_head is not None:
            words = [*range(patches.start), *range(patches.stop, len(prompt))]
            maps = text_head(torch.from_numpy(expected[queries]), torch.from_numpy(expected[words])).numpy()
            difference = np.abs(browser.text_relevancy(states[queries], states[words]) - maps)
            text_error = max(text_error, float(difference.max()))
    parity = Parity(
        len(samples), same / len(samples), hidden_error, head_error, None if text_head is None else text_error
    )
    _write_report(model_folder / "report" / "parity.json", parity)
    return parity


def _common_length(a: list[int], b: list[int]) -> int:
    return next((k for k, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def _write_report(path: Path, parity: Parity) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    same = share_of(round(parity.identical_share * parity.questions), parity.questions)
    figures = [
        {"label": "questions", "value": parity.questions, "goal": ">= 200"},
        figure("identical greedy answers", same.value, interval=(same.low, same.high), goal=">= 0.99"),
        {
            "label": "largest relative error of a hidden state",
            "value": float(f"{parity.hidden_error:.3g}"),
            "goal": "<= 0.01",
        },
        {
            "label": "largest error of a patch probability",
            "value": float(f"{parity.head_error:.3g}"),
            "goal": "<= 0.005",
        },
    ]
    if parity.text_error is not None:
        figures.append(
            {
                "label": "largest error of a text token's probability",
                "value": float(f"{parity.text_error:.3g}"),
                "goal": "<= 0.005",
            }
        )
    body = {
        "title": "The browser model compared with PyTorch",
        "command": COMMAND,
        "measuredOn": time.strftime("%Y-%m-%d"),
        "figures": figures,
    }
    path.write_text(json.dumps(body, indent=1) + "\n")
