"""Do the page's gradient and attention graphs give what autograd gives? Figures over held-out questions."""

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
    """Over `tokens` tokens of `questions` answers.

    errors: by method, the largest relative L2 difference of one token's values over all its columns, from the plain
    form on the same inputs. logit_error: largest difference of a log-probability of the answer's tokens, of the pass
    that is explained from the steps that streamed them.
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
    """`samples`: images [336, 336, 3] uint8 with questions; `per_answer` tokens of each. Also a report."""
    model = load_model(hf_folder, attention="eager").requires_grad_(False)
    tokenizer = AutoTokenizer.from_pretrained(hf_folder)
    browser, explainer, pieces = BrowserModel(model_folder), BrowserExplainer(model_folder), prompt_pieces(tokenizer)
    errors: dict[str, float] = {}
    logit_error, tokens = 0.0, 0
    for image, question in samples:
        asked = [*tokenizer(question, add_special_tokens=False).input_ids, *pieces.after]
        features = browser.image_features(image)
        answer = browser.answer(features, pieces.before, asked, limit=limit)
        if not answer.ids:
            continue
        parts = [browser.embeddings(pieces.before), features, browser.embeddings([*asked, *answer.ids[:-1]])]
        embeds = np.concatenate(parts, axis=1)[0]
        first = len(pieces.before) + PATCHES + len(asked) - 1
        traced = explainer.trace(embeds)
        streamed = log_softmax(answer.logits[: len(answer.ids)])
        again = log_softmax(traced["logits"][first : first + len(answer.ids)])
        picked = np.arange(len(answer.ids)), answer.ids
        logit_error = max(logit_error, float(np.abs(streamed[picked] - again[picked]).max()))

        is_patch = torch.zeros(len(embeds), dtype=torch.bool)
        is_patch[len(pieces.before) : len(pieces.before) + PATCHES] = True
        chosen = np.unique(np.linspace(0, len(answer.ids) - 1, per_answer).astype(int))
        rows, ids = first + chosen, np.array(answer.ids)[chosen]
        plain = PlainAnswer(model, torch.from_numpy(embeds), torch.from_numpy(rows), torch.from_numpy(ids), is_patch)
        found = exported_maps(explainer, traced, rows, ids, is_patch.numpy())
        for method, wanted in plain_maps(plain, explainer.facts["featureLayer"]).items():
            for t, row in enumerate(rows):
                error = relative_error(found[method][t][..., : row + 1], wanted[t][..., : row + 1])
                errors[method] = max(errors.get(method, 0.0), error)
        tokens += len(rows)
    parity = ExplainParity(len(samples), tokens, errors, logit_error)
    _write(model_folder / "report", parity)
    return parity


def exported_maps(
    explainer: BrowserExplainer, traced: dict[str, np.ndarray], rows: np.ndarray, ids: np.ndarray, is_patch: np.ndarray
) -> dict[str, list[np.ndarray]]:
    """As the page runs the graphs: by method a token's values over its columns; of DEX-AR its gradients [L, h, n]."""
    given = traced | {"rows": rows, "tokens": ids}
    rollout, attention = explainer.explain("attention", given)
    found = {
        "rollout": list(rollout),
        "attention": list(attention),
        "gradcam": list(explainer.explain("gradcam", given)[0]),
        "dex-ar": list(explainer.explain("dex-ar", given)[0]),
    }
    for method in ("chefer", "feature-gradcam"):
        found[method] = []
        for row, token in zip(rows, ids, strict=True):
            cut = {name: values[: row + 1] for name, values in traced.items()}
            own = {"token": np.array([token]), "is_patch": is_patch[: row + 1].astype(np.float32)}
            found[method].append(explainer.explain(method, cut | own)[0])
    return found


def plain_maps(plain: PlainAnswer, feature_layer: int) -> dict[str, np.ndarray]:
    """The same, from the formulas."""
    return {
        "rollout": plain.rollout().numpy(),
        "attention": plain.attention().numpy(),
        "gradcam": plain.gradcam().numpy(),
        "dex-ar": plain.lens_gradients().numpy(),
        "chefer": plain.chefer().numpy(),
        "feature-gradcam": plain.feature_gradcam(feature_layer).numpy(),
    }


def relative_error(found: np.ndarray, wanted: np.ndarray) -> float:
    """L2; 0 where both are 0."""
    size = float(np.linalg.norm(wanted))
    apart = float(np.linalg.norm(found - wanted))
    return apart / size if size > 0 else apart


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Over the last axis, in float64."""
    shifted = logits.astype(np.float64) - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def _write(folder: Path, parity: ExplainParity) -> None:
    small = {"goal": "<= 1e-4"}
    rows = [
        figure("questions", parity.questions),
        figure("tokens", parity.tokens),
        *(
            {"label": f"largest relative error of a token's values: {method}", "value": float(f"{error:.2g}"), **small}
            for method, error in sorted(parity.errors.items())
        ),
        {
            "label": "largest difference of a log-probability from the streamed one",
            "value": float(f"{parity.logit_error:.2g}"),
            **small,
        },
    ]
    title = "The page's gradient and attention graphs against autograd"
    write_report(folder, "explain", title, COMMAND, rows)
