"""Evaluates the embedded model's answers on unseen scenes, and writes the report that documents are built from.

`exact_by_kind` is a quick check during training.
"""

import math
from collections import Counter, defaultdict
from pathlib import Path
from random import Random

import numpy as np
import torch
from transformers import AutoTokenizer, LlavaForConditionalGeneration, PreTrainedTokenizerFast

from ..bootstrap import Bootstrap, Estimate, Ratio
from ..models.answer_pieces import answer_text as shown_text
from ..report import figure, write_report
from .answering import GreedyAnswer, TokenizedQuestion, ask_scenes, greedy_answers
from .training.packed_forward import encode_patches, text_states
from .training.packing import IGNORED, PATCHES, PackedBatch, pack_scenes
from .world.phrases import ATTRIBUTES
from .world.pool import ScenePool
from .world.questions import KINDS, answer_text, normalize_answer
from .world.scenes import Scene

COMMAND = "python -m patchlight.embedded.pipeline --only {step}"
PRECISION, RECALL = "descriptions: precision of objects", "descriptions: recall of objects"
_GOALS = {
    "overall": ">= 0.92",
    "count": ">= 0.80",
    PRECISION: ">= 0.85",
}


def is_right(item: TokenizedQuestion, answer: str) -> bool:
    """Return whether the normalised answer matches the reference exactly. For descriptions, use `score_description`."""
    return normalize_answer(answer) == normalize_answer(answer_text(item.question.words))


def score_description(scene: Scene, answer: str) -> tuple[int, int]:
    """Return how many of the mentioned objects are in the scene, and how many objects the description mentions.

    Each object in the scene counts only once.
    """
    remaining: Counter[tuple[str, ...]] = Counter((o.size, o.color, o.material, o.shape) for o in scene.objects)
    words = normalize_answer(answer).split()
    mentioned = right = 0
    for k in range(len(words) - 3):
        phrase = tuple(words[k : k + 4])
        if all(word in values for word, values in zip(phrase, ATTRIBUTES.values(), strict=True)):
            mentioned += 1
            if remaining[phrase] > 0:
                remaining[phrase] -= 1
                right += 1
    return right, mentioned


def evaluate_answers(
    model: LlavaForConditionalGeneration,
    model_folder: Path,
    pool: ScenePool,
    report: Path | None,
    *,
    questions: int,
    descriptions: int,
    seed: int = 77,
) -> dict[str, float]:
    """Score greedy answers about the scenes in `pool` by kind of question, and again with swapped images.

    Returns the scores by label. If `report` is given, also writes the scores, with intervals, to `report/answers.json`.
    """
    tokenizer = AutoTokenizer.from_pretrained(model_folder)
    per_scene = 8
    scenes = range(min(len(pool), questions // per_scene))
    items = ask_scenes(pool, scenes, tokenizer, per_scene=per_scene, seed=seed)
    answers = greedy_answers(model, pool, items, tokenizer)
    texts = [shown_text(tokenizer, a.ids) for a in answers]
    right = [is_right(q, text) for q, text in zip(items, texts, strict=True)]
    groups: dict[str, list[tuple[int, bool]]] = defaultdict(list)
    for q, ok in zip(items, right, strict=True):
        groups[q.question.kind].append((q.scene, ok))
        groups[f"{q.question.kind}: {q.question.variety}"].append((q.scene, ok))
    described = ask_scenes(
        pool, range(min(len(pool), descriptions)), tokenizer, per_scene=1, seed=seed, kind="description"
    )
    counts = [
        score_description(pool[q.scene].scene, shown_text(tokenizer, a.ids))
        for q, a in zip(described, greedy_answers(model, pool, described, tokenizer), strict=True)
    ]
    described_right, mentioned = np.array(counts, np.float64).T
    present = np.array([len(pool[q.scene].scene.objects) for q in described], np.float64)
    by_description = Bootstrap(np.array([q.scene for q in described]))
    colors = [q for q in items if q.question.kind == "attribute"]
    swapped = _swap(scenes, seed)
    other = greedy_answers(model, pool, colors, tokenizer, scene_of=swapped)
    swapped_right: dict[str, list[tuple[int, bool]]] = defaultdict(list)
    for q, a in zip(colors, other, strict=True):
        swapped_right[q.question.variety].append((q.scene, is_right(q, shown_text(tokenizer, a.ids))))
    estimates = {
        "overall": _share_right([(q.scene, ok) for q, ok in zip(items, right, strict=True)]),
        PRECISION: by_description.estimate(Ratio(described_right, mentioned)),
        RECALL: by_description.estimate(Ratio(described_right, present)),
        **{name: _share_right(answered) for name, answered in sorted(groups.items())},
        **{f"swapped image, {name}": _share_right(answered) for name, answered in sorted(swapped_right.items())},
    }
    chances = {f"chance, {name}": 1 / len(values) for name, values in ATTRIBUTES.items()}
    if report is not None:
        sizes = {"questions": len(items), "descriptions": len(described)}
        figures = [
            *(figure(name, value) for name, value in sizes.items()),
            *(estimated(name, estimate, _GOALS.get(name, "")) for name, estimate in estimates.items()),
            *(figure(name, value) for name, value in chances.items()),
        ]
        _report_answers(report, figures, items, answers, texts, right)
    return {name: 0.0 if math.isnan(e.value) else e.value for name, e in estimates.items()}


@torch.no_grad()
def exact_by_kind(
    model: LlavaForConditionalGeneration,
    pool: ScenePool,
    tokenizer: PreTrainedTokenizerFast,
    *,
    scenes: int = 96,
    batch_images: int = 8,
    device: str = "cpu",
) -> dict[str, float]:
    """Return, per kind, the share of questions that greedy decoding would answer exactly. Takes one forward pass per
    batch instead of decoding.

    An answer is exact if every token of the reference is the model's most likely token. A description would fail on a
    single wrong token, so descriptions are scored by their share of matching tokens instead.
    """
    right: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for first in range(0, min(scenes, len(pool)), batch_images):
        some = [pool[i] for i in range(first, min(first + batch_images, len(pool)))]
        batch = pack_scenes(some, tokenizer, seed=first, patches=PATCHES, text_tokens=360, description_share=0.5)
        batch = PackedBatch(*(t.to(device) for t in batch))
        with torch.autocast(device, dtype=torch.bfloat16):
            states = text_states(model, batch, encode_patches(model, batch.pixels, batch.keep)).last
            is_answer = batch.labels != IGNORED
            hit = model.lm_head(states).argmax(-1) == batch.labels
        groups = batch.group[:, -batch.text.shape[1] :]
        for row in range(len(some)):
            for group in range(1, int(groups[row].max()) + 1):
                tokens = (groups[row] == group) & is_answer[row]
                kind = KINDS[int(batch.kinds[row][tokens][0])]
                hits = hit[row][tokens].float()
                right[kind].append((hits.mean() if kind == "description" else hits.min()).item())
    return {kind: float(np.mean(values or [math.nan])) for kind, values in right.items()}


def estimated(label: str, estimate: Estimate, goal: str = "") -> dict[str, object]:
    """Return a figure with its interval, or 0 without an interval if the estimate is undefined, such as the precision
    when nothing is predicted.
    """
    if math.isnan(estimate.value):
        return figure(label, 0, goal=goal)
    return figure(label, estimate.value, interval=estimate.interval, goal=goal)


def _share_right(answered: list[tuple[int, bool]]) -> Estimate:
    """Estimate the share of right answers. answered: each answer's scene, and whether the answer is right."""
    scenes, right = np.array(answered).T
    return Bootstrap(scenes).estimate(Ratio.mean(right))


def _swap(scenes: range, seed: int) -> dict[int, int]:
    """Map each scene to another scene: the next one in a random order."""
    order = list(scenes)
    Random(seed).shuffle(order)
    return dict(zip(order, [*order[1:], order[0]], strict=True))


def _report_answers(
    report: Path,
    figures: list[dict[str, object]],
    questions: list[TokenizedQuestion],
    answers: list[GreedyAnswer],
    texts: list[str],
    right: list[bool],
) -> None:
    wrong = [
        {"question": q.question.text, "answer": text, "expected": answer_text(q.question.words)}
        for q, text, ok in zip(questions, texts, right, strict=True)
        if not ok
    ]
    confidence = [float(np.mean(a.log_probs)) if a.log_probs else 0.0 for a in answers]
    means = {
        name: float(np.mean([c for c, ok in zip(confidence, right, strict=True) if ok is flag] or [0.0]))
        for name, flag in (("right", True), ("wrong", False))
    }
    write_report(
        report,
        "answers",
        "Answers on unseen scenes (greedy, exact match)",
        COMMAND.format(step="answers"),
        figures,
        meanLogProbability=means,
        someWrongAnswers=wrong[:12],
    )
