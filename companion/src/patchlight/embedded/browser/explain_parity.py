"""Compares the page's gradient and attention graphs with autograd on held-out questions."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from transformers import AutoTokenizer

from ...report import figure, write_report
from ..training.model import load_model
from ..training.packing import PATCHES, prompt_pieces
from .browser_model import BrowserExplainer, BrowserModel
from .plain_methods import PlainAnswer

COMMAND = "python -m patchlight.embedded.pipeline --only explain"


class ExplainParity(NamedTuple):
    """The largest errors of the exported graphs. questions: number of answers compared. tokens: number of tokens
    compared in these answers.

    errors: per method, the largest relative L2 difference, over a token's columns, between the exported graph and the
    plain implementation on the same inputs. logit_error: the largest difference, in nats, between an answer token's
    log-probability in the explained pass and in the streaming steps.
    """

    questions: int
    tokens: int
    errors: dict[str, float]
    logit_error: float


def check_explain_parity(
    hf_folder: Path,
    model_folder: Path,
    samples: Sequence[tuple[np.ndarray, str]],
    *,
    limit: int = 24,
    per_answer: int = 3,
) -> ExplainParity:
    """Compare `per_answer` tokens of each sample's answer, and write the report.

    samples: images [336, 336, 3] uint8 with questions. limit: maximum answer length, in tokens.
    """
    model = load_model(hf_folder, attention="eager").requires_grad_(False)
    tokenizer = AutoTokenizer.from_pretrained(hf_folder)
    browser, explainer, pieces = BrowserModel(model_folder), BrowserExplainer(model_folder), prompt_pieces(tokenizer)
    errors: dict[str, float] = {}
    logit_error, tokens = 0.0, 0
    for image, question in samples:
        question_ids = [*tokenizer(question, add_special_tokens=False).input_ids, *pieces.after]
        features = browser.image_features(image)
        answer = browser.answer(features, pieces.before, question_ids, limit=limit)
        if not answer.ids:
            continue
        parts = [browser.embeddings(pieces.before), features, browser.embeddings([*question_ids, *answer.ids[:-1]])]
        embeds = np.concatenate(parts, axis=1)[0]
        first = len(pieces.before) + PATCHES + len(question_ids) - 1
        traced = explainer.trace(embeds)
        streamed = log_softmax(answer.logits[: len(answer.ids)])
        explained = log_softmax(traced["logits"][first : first + len(answer.ids)])
        picked = np.arange(len(answer.ids)), answer.ids
        logit_error = max(logit_error, float(np.abs(streamed[picked] - explained[picked]).max()))

        is_patch = torch.zeros(len(embeds), dtype=torch.bool)
        is_patch[len(pieces.before) : len(pieces.before) + PATCHES] = True
        chosen = np.unique(np.linspace(0, len(answer.ids) - 1, per_answer).astype(int))
        rows, ids = first + chosen, np.array(answer.ids)[chosen]
        plain = PlainAnswer(model, torch.from_numpy(embeds), torch.from_numpy(rows), torch.from_numpy(ids), is_patch)
        actual = exported_maps(explainer, traced, rows, ids, is_patch.numpy())
        for method, expected in plain_maps(plain, explainer.facts["featureLayer"]).items():
            for t, row in enumerate(rows):
                error = relative_error(actual[method][t][..., : row + 1], expected[t][..., : row + 1])
                errors[method] = max(errors.get(method, 0.0), error)
        tokens += len(rows)
    parity = ExplainParity(len(samples), tokens, errors, logit_error)
    _write(model_folder / "report", parity)
    return parity


def exported_maps(
    explainer: BrowserExplainer, traced: dict[str, np.ndarray], rows: np.ndarray, ids: np.ndarray, is_patch: np.ndarray
) -> dict[str, list[np.ndarray]]:
    """Run the graphs as the page does.

    Returns, per method and token, one value per column; for DEX-AR, the gradients [L, h, n].
    """
    inputs = traced | {"rows": rows, "tokens": ids}
    rollout, attention = explainer.explain("attention", inputs)
    maps = {
        "rollout": list(rollout),
        "attention": list(attention),
        "gradcam": list(explainer.explain("gradcam", inputs)[0]),
        "dex-ar": list(explainer.explain("dex-ar", inputs)[0]),
    }
    for method in ("chefer", "feature-gradcam"):
        maps[method] = []
        for row, token in zip(rows, ids, strict=True):
            prefix = {name: values[: row + 1] for name, values in traced.items()}
            per_token = {"token": np.array([token]), "is_patch": is_patch[: row + 1].astype(np.float32)}
            maps[method].append(explainer.explain(method, prefix | per_token)[0])
    return maps


def plain_maps(plain: PlainAnswer, feature_layer: int) -> dict[str, np.ndarray]:
    """Return the plain implementation's values: per method, one array whose first axis is the tokens."""
    return {
        "rollout": plain.rollout().numpy(),
        "attention": plain.attention().numpy(),
        "gradcam": plain.gradcam().numpy(),
        "dex-ar": plain.lens_gradients().numpy(),
        "chefer": plain.chefer().numpy(),
        "feature-gradcam": plain.feature_gradcam(feature_layer).numpy(),
    }


def relative_error(actual: np.ndarray, expected: np.ndarray) -> float:
    """Return the L2 norm of the difference, divided by the norm of `expected` unless `expected` is 0."""
    norm = float(np.linalg.norm(expected))
    difference = float(np.linalg.norm(actual - expected))
    return difference / norm if norm > 0 else difference


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Return the log-softmax over the last axis, in float64."""
    shifted = logits.astype(np.float64) - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def _write(folder: Path, parity: ExplainParity) -> None:
    goal = {"goal": "<= 1e-4"}
    rows = [
        figure("questions", parity.questions),
        figure("tokens", parity.tokens),
        *(
            {"label": f"largest relative error of a token's values: {method}", "value": float(f"{error:.2g}"), **goal}
            for method, error in sorted(parity.errors.items())
        ),
        {
            "label": "largest difference between a log-probability and its streamed value",
            "value": float(f"{parity.logit_error:.2g}"),
            **goal,
        },
    ]
    title = "The page's gradient and attention graphs compared with autograd"
    write_report(folder, "explain", title, COMMAND, rows)
