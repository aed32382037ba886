"""Evaluates the embedded model and its head on held-out scenes, and writes the reports that documents are built from.

`exact_by_kind` is a quick check during training.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

import numpy as np
import torch
from transformers import AutoTokenizer, LlavaForConditionalGeneration, PreTrainedTokenizerFast

from ..bootstrap import Bootstrap, Estimate, Ratio
from ..head.fastrm import FastRM
from ..head.map_scores import peak_hits
from ..head.predictions import predict
from ..head.scores import THRESHOLDS, HeadCounts, best_threshold, count, curve_of
from ..models.answer_pieces import answer_text as shown_text
from ..report import figure, write_report
from .answering import GreedyAnswer, TokenizedQuestion, ask_scenes, greedy_answers
from .calibration.question_sets import SETS, set_of
from .held_out import HeldOut
from .score_spread import BIN, EDGES, spread_of, spread_table
from .training.packed_forward import encode_patches, text_states
from .training.packing import IGNORED, PATCHES, PackedBatch, pack_scenes
from .world.phrases import ATTRIBUTES
from .world.pool import ScenePool
from .world.questions import KINDS, answer_text, normalize_answer
from .world.scenes import Scene

COMMAND = "python -m patchlight.embedded.pipeline --only {step}"
PRECISION, RECALL = "descriptions: precision of objects", "descriptions: recall of objects"
_GOALS = {
    "overall": ">= 0.80",
    PRECISION: ">= 0.75",
    **dict.fromkeys(("attribute", "existence", "count", "relation"), ">= 0.65"),
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


def evaluate_maps(
    head: FastRM,
    choice: HeldOut,
    held: HeldOut,
    kinds: Sequence[str],
    report: Path,
    *,
    labelling_threshold: float,
) -> float:
    """Compare the head with its teacher, and both with the objects' patches. Returns the best threshold.

    The threshold and the mean map are determined on the tokens of `choice`. All figures are for those of `held`, with
    intervals from resampling their scenes. kinds: of the questions of `held`; figures by question set are for the kinds
    that the set asks (`set_of`), and descriptions are in no set.
    """
    chosen, relevancy = choice.relevancy, held.relevancy
    predicted = predict(head, held.samples, held.rows)
    on_chosen = count(predict(head, choice.samples, choice.rows), chosen, labelling_threshold)
    held_out = count(predicted, relevancy, labelling_threshold)
    mean_map = chosen.mean(0, keepdim=True)
    mean_map = mean_map / mean_map.max()
    mean_choice, mean = (count(mean_map.expand_as(maps), maps, labelling_threshold) for maps in (chosen, relevancy))
    best = round(best_threshold(curve_of(on_chosen)) * 100)
    best_of_mean = int(curve_of(mean_choice).f1.argmax())
    bootstrap = Bootstrap(held.scenes)

    def row(label: str, ratio: Ratio, goal: str = "", rows: np.ndarray | None = None) -> dict[str, object]:
        return estimated(label, bootstrap.estimate(ratio, rows), goal)

    at_best, at_half = _score_ratios(held_out, best), _score_ratios(held_out, 50)
    every_patch = HeadCounts(
        held_out.positive[:, None], (held_out.total - held_out.positive)[:, None], held_out.positive, held_out.total
    )
    none = torch.zeros_like(held_out.positive)[:, None]
    no_patch = HeadCounts(none, none, held_out.positive, held_out.total)
    questions = held.samples.columns["question"][held.rows].tolist()
    sets = np.array([set_of(kinds[question]) or "" for question in questions])
    scores = {"FastRM": predicted, "exact Chefer": relevancy}
    spread = {name: spread_of(maps, bootstrap) for name, maps in scores.items()}
    figures = [
        figure("tokens used to choose the threshold", len(chosen)),
        figure("tokens evaluated", len(relevancy)),
        row("share of patches labelled relevant", Ratio(held_out.positive.numpy(), held_out.total.numpy())),
        figure("classification threshold", THRESHOLDS[best].item()),
        row("F1 at the threshold", at_best.f1, ">= 0.55"),
        row("accuracy at the threshold", at_best.accuracy),
        row("precision at the threshold", at_best.precision),
        row("recall at the threshold", at_best.recall),
        row("F1 at 0.5", at_half.f1),
        row("accuracy at 0.5", at_half.accuracy),
        row("F1 of a constant map (all patches relevant)", _score_ratios(every_patch, 0).f1),
        row("accuracy of a constant map (none relevant)", _score_ratios(no_patch, 0).accuracy),
        row("F1 of the dataset's mean map at its own threshold", _score_ratios(mean, best_of_mean).f1),
    ]
    for name in SETS:
        of_set = sets == name
        if not of_set.any():
            continue
        figures += [
            figure(f"tokens evaluated, {name}", int(of_set.sum())),
            row(f"accuracy at 0.5, {name}", at_half.accuracy, rows=of_set),
            row(f"F1 at 0.5, {name}", at_half.f1, rows=of_set),
            row(f"accuracy at the threshold, {name}", at_best.accuracy, rows=of_set),
            row(f"F1 at the threshold, {name}", at_best.f1, rows=of_set),
        ]
    figures += [
        estimated(f"share of patches below {BIN:.0%} of their map's maximum, {name}".replace("%", " %"), bins[0])
        for name, bins in spread.items()
    ]
    write_report(
        report,
        "head",
        "FastRM head compared with exact Chefer on held-out answers",
        COMMAND.format(step="head-report"),
        figures,
        tables=[spread_table(spread)],
        curve=_curve_with_intervals(held_out, bootstrap),
        spread={
            "edges": EDGES,
            "patches": int(held_out.total.sum()),
            "shares": {name: [share.rounded(6) for share in bins] for name, bins in spread.items()},
        },
    )
    _report_objects(held, predicted, report)
    return best / 100


def _curve_with_intervals(counts: HeadCounts, bootstrap: Bootstrap) -> dict[str, object]:
    """Return the scores at every threshold, and the intervals of accuracy and F1."""
    curve = curve_of(counts)
    ratios = [_score_ratios(counts, step) for step in range(len(THRESHOLDS))]
    intervals = {}
    for name in ("accuracy", "f1"):
        estimates = [bootstrap.estimate(getattr(of_step, name)) for of_step in ratios]
        intervals[name] = {
            "low": [round(estimate.low, 4) for estimate in estimates],
            "high": [round(estimate.high, 4) for estimate in estimates],
        }
    return {
        "threshold": THRESHOLDS.tolist(),
        **{name: [round(v, 4) for v in getattr(curve, name).tolist()] for name in curve._fields},
        "intervals": intervals,
    }


class _ScoreRatios(NamedTuple):
    accuracy: Ratio
    precision: Ratio
    recall: Ratio
    f1: Ratio


def _score_ratios(counts: HeadCounts, step: int) -> _ScoreRatios:
    """Return the scores of `curve_of` at a single threshold, as ratios over maps."""
    tp, fp = (part[:, step].double().numpy() for part in counts[:2])
    positive, total = (part.double().numpy() for part in counts[2:])
    return _ScoreRatios(
        accuracy=Ratio(total - positive - fp + tp, total),
        precision=Ratio(tp, tp + fp),
        recall=Ratio(tp, positive),
        f1=Ratio(2 * tp, tp + fp + positive),
    )


def _report_objects(held: HeldOut, predicted: torch.Tensor, report: Path) -> None:
    """Report the pointing game, and the share of each map that lies on the object, for tokens that name an object.

    Words that are not in the question, which the model had to find in the image, are reported separately from words
    repeated from the question. predicted [n, 576]: the head's maps of the held-out tokens.
    """
    named = held.objects.any(1)
    objects, found, scenes = held.objects[named], held.found[named], held.scenes[named.numpy()]
    maps = {
        "exact Chefer": held.relevancy[named],
        "FastRM": predicted[named],
        "random maps": torch.rand(objects.shape, generator=torch.Generator().manual_seed(0)),
    }
    figures = []
    for words, group in (("words not in the question", found), ("words repeated from the question", ~found)):
        if not group.any():
            continue
        bootstrap = Bootstrap(scenes[group.numpy()])
        inside = objects[group]

        def row(label: str, values: torch.Tensor, bootstrap: Bootstrap = bootstrap) -> dict[str, object]:
            return estimated(label, bootstrap.estimate(Ratio.mean(values.double().numpy())))

        figures += [
            figure(f"tokens, {words}", int(group.sum())),
            row(f"object's share of the patches, {words}", inside.double().mean(1)),
        ]
        for name, of_all in maps.items():
            values = of_all[group]
            mass = (values * inside).sum(1) / values.sum(1).clamp(min=1e-12)
            figures += [
                row(f"pointing game, {name}, {words}", peak_hits(values, inside)),
                row(f"mass on the object, {name}, {words}", mass),
            ]
    write_report(
        report,
        "objects",
        "Maps of tokens that name an object, compared with the object's patches",
        COMMAND.format(step="head-report"),
        figures,
    )
