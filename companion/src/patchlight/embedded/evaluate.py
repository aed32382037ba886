"""Held-out figures of the embedded model and its head: reports that the documents are made from, and, while it is
trained, how often it is right."""

import math
from collections import Counter, defaultdict
from pathlib import Path
from random import Random

import numpy as np
import torch
from transformers import AutoTokenizer, LlavaForConditionalGeneration, PreTrainedTokenizerFast

from ..head.fastrm import FastRM
from ..head.sample_store import HeadSamples
from ..head.scores import THRESHOLDS, best_threshold, labels_of, measure
from ..head.training import predict
from ..report import figure, write_report
from .answering import Asked, Greedy, ask_scenes, greedy_answers
from .training.packed_forward import encode_patches, text_states
from .training.packing import IGNORED, PATCHES, PackedBatch, pack_scenes
from .world.phrases import ATTRIBUTES
from .world.pool import ScenePool
from .world.questions import KINDS, answer_text, normalize_answer
from .world.scenes import Scene

COMMAND = "python -m patchlight.embedded.pipeline --only {step}"


def is_right(asked: Asked, answer: str) -> bool:
    """Exact match of the normalised answer (descriptions are scored by `described_right` instead)."""
    return normalize_answer(answer) == normalize_answer(answer_text(asked.question.words))


def described_right(scene: Scene, answer: str) -> tuple[int, int]:
    """How many of the objects that a description mentions are there, each counted once, and how many it mentions."""
    there: Counter[tuple[str, ...]] = Counter((o.size, o.color, o.material, o.shape) for o in scene.objects)
    words = normalize_answer(answer).split()
    mentioned = right = 0
    for k in range(len(words) - 3):
        said = tuple(words[k : k + 4])
        if all(word in values for word, values in zip(said, ATTRIBUTES.values(), strict=True)):
            mentioned += 1
            if there[said] > 0:
                there[said] -= 1
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
    """Greedy answers on unseen scenes, a kind at a time, and with the images swapped."""
    tokenizer = AutoTokenizer.from_pretrained(model_folder)
    per_scene = 8
    scenes = range(min(len(pool), questions // per_scene))
    asked = ask_scenes(pool, scenes, tokenizer, per_scene=per_scene, seed=seed)
    answers = greedy_answers(model, pool, asked, tokenizer)
    texts = [tokenizer.decode(a.ids) for a in answers]
    right = [is_right(q, text) for q, text in zip(asked, texts, strict=True)]
    groups: dict[str, list[bool]] = defaultdict(list)
    for q, ok in zip(asked, right, strict=True):
        groups[q.question.kind].append(ok)
        groups[f"{q.question.kind}: {q.question.variety}"].append(ok)
    described = ask_scenes(
        pool, range(min(len(pool), descriptions)), tokenizer, per_scene=1, seed=seed, kind="description"
    )
    counts = [
        described_right(pool[q.scene].scene, tokenizer.decode(a.ids))
        for q, a in zip(described, greedy_answers(model, pool, described, tokenizer), strict=True)
    ]
    mentioned_right, mentioned = np.array(counts).sum(0)
    there = sum(len(pool[q.scene].scene.objects) for q in described)
    colors = [q for q in asked if q.question.kind == "attribute"]
    swapped = _swap(scenes, seed)
    other = greedy_answers(model, pool, colors, tokenizer, scene_of=swapped)
    swapped_right: dict[str, list[bool]] = defaultdict(list)
    for q, a in zip(colors, other, strict=True):
        swapped_right[q.question.variety].append(is_right(q, tokenizer.decode(a.ids)))
    result = {
        "overall": float(np.mean(right)),
        "questions": float(len(asked)),
        "descriptions_right": float(mentioned_right / max(mentioned, 1)),
        "descriptions_recall": float(mentioned_right / max(there, 1)),
        "descriptions": float(len(described)),
        **{name: float(np.mean(values)) for name, values in sorted(groups.items())},
        **{f"swapped image, {name}": float(np.mean(values)) for name, values in sorted(swapped_right.items())},
        **{f"chance, {name}": 1 / len(values) for name, values in ATTRIBUTES.items()},
    }
    if report is not None:
        _report_answers(report, result, asked, answers, texts, right)
    return result


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
    """Share of questions, a kind at a time, whose every answer token is the likeliest: greedy exact match, at once.

    For descriptions it is the share of tokens, of which one error fails all.
    """
    right: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for first in range(0, min(scenes, len(pool)), batch_images):
        some = [pool[i] for i in range(first, min(first + batch_images, len(pool)))]
        batch = pack_scenes(some, tokenizer, seed=first, patches=PATCHES, text_tokens=360, description_share=0.5)
        batch = PackedBatch(*(t.to(device) for t in batch))
        with torch.autocast(device, dtype=torch.bfloat16):
            states = text_states(model, batch, encode_patches(model, batch.pixels, batch.keep)).last
            said = batch.labels != IGNORED
            hit = model.lm_head(states).argmax(-1) == batch.labels
        groups = batch.group[:, -batch.text.shape[1] :]
        for row in range(len(some)):
            for group in range(1, int(groups[row].max()) + 1):
                tokens = (groups[row] == group) & said[row]
                kind = KINDS[int(batch.kinds[row][tokens][0])]
                hits = hit[row][tokens].float()
                right[kind].append((hits.mean() if kind == "description" else hits.min()).item())
    return {kind: float(np.mean(values or [math.nan])) for kind, values in right.items()}


def _swap(scenes: range, seed: int) -> dict[int, int]:
    """Each scene to another one, by a rotated shuffle."""
    order = list(scenes)
    Random(seed).shuffle(order)
    return dict(zip(order, [*order[1:], order[0]], strict=True))


def _report_answers(
    report: Path,
    result: dict[str, float],
    asked: list[Asked],
    answers: list[Greedy],
    texts: list[str],
    right: list[bool],
) -> None:
    goals = {"overall": ">= 0.80", "descriptions_right": ">= 0.75"}
    figures = [
        figure(
            name,
            value,
            goal=goals.get(name, ">= 0.65" if name in ("attribute", "existence", "count", "relation") else ""),
        )
        for name, value in result.items()
    ]
    wrong = [
        {"question": q.question.text, "answer": text, "expected": answer_text(q.question.words)}
        for q, text, ok in zip(asked, texts, right, strict=True)
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


def evaluate_maps(head: FastRM, samples: Path, pool: ScenePool, report: Path, labelling_threshold: float) -> float:
    """The head against its teacher, and both against the objects' patches; returns the best threshold.

    The threshold (and the mean map) is chosen on every other scene and everything is reported on the rest.
    """
    stored = HeadSamples(samples)
    data = stored.columns
    tokens = (data["peak"] > 0).nonzero()[:, 0]
    chosen_on = data["scene"][tokens] % 2 == 0
    relevancy = stored.relevancy(tokens).values
    predicted = predict(head, stored, tokens)
    mean_map = relevancy[chosen_on].mean(0, keepdim=True)
    mean_map = mean_map / mean_map.max()
    choice, ours = (measure(predicted[s], relevancy[s], labelling_threshold) for s in (chosen_on, ~chosen_on))
    mean_choice, mean = (
        measure(mean_map.expand_as(relevancy[s]), relevancy[s], labelling_threshold) for s in (chosen_on, ~chosen_on)
    )
    share = labels_of(relevancy[~chosen_on], labelling_threshold).mean().item()
    best = round(best_threshold(choice) * 100)
    figures = [
        figure("tokens that the threshold is chosen on", int(chosen_on.sum())),
        figure("tokens reported on", int((~chosen_on).sum())),
        figure("share of patches labelled relevant", share),
        figure("classification threshold", THRESHOLDS[best].item()),
        figure("F1 at the threshold", ours.f1[best].item(), goal=">= 0.57"),
        figure("accuracy at the threshold", ours.accuracy[best].item()),
        figure("precision at the threshold", ours.precision[best].item()),
        figure("recall at the threshold", ours.recall[best].item()),
        figure("F1 at 0.5", ours.f1[50].item()),
        figure("accuracy at 0.5", ours.accuracy[50].item()),
        figure("F1 of a constant map (all patches relevant)", 2 * share / (1 + share)),
        figure("accuracy of a constant map (none relevant)", 1 - share),
        figure("F1 of the data set's mean map at its own threshold", mean.f1[mean_choice.f1.argmax()].item()),
    ]
    write_report(
        report,
        "head",
        "FastRM head against exact Chefer on held-out answers",
        COMMAND.format(step="head-report"),
        figures,
        curve={
            "threshold": THRESHOLDS.tolist(),
            **{name: [round(v, 4) for v in getattr(ours, name).tolist()] for name in ours._fields},
        },
    )
    _report_objects(data, tokens, relevancy, predicted, pool, report)
    return best / 100


def _report_objects(
    data: dict[str, torch.Tensor],
    tokens: torch.Tensor,
    relevancy: torch.Tensor,
    predicted: torch.Tensor,
    pool: ScenePool,
    report: Path,
) -> None:
    """Tokens that name an object: is the map's maximum on one of its patches, and how much of its mass?

    Told apart: words that the question does not hold, which had to be found in the image, and words repeated from it.
    """
    rows = (data["target"][tokens] >= 0).nonzero()[:, 0]
    masks = torch.zeros(len(rows), relevancy.shape[1], dtype=torch.bool)
    for mask, r in zip(masks, rows, strict=True):
        scene, target = int(data["scene"][tokens[r]]), int(data["target"][tokens[r]])
        mask.copy_(torch.from_numpy(pool[scene].patch_objects == target))
    seen = masks.any(1)
    rows, masks = rows[seen], masks[seen].float()
    found = data["found"][tokens[rows]]
    generator = torch.Generator().manual_seed(0)
    random_maps = torch.rand(masks.shape, generator=generator)
    figures = []
    for words, some in (("words not in the question", found), ("words repeated from the question", ~found)):
        if not some.any():
            continue
        figures += [
            figure(f"tokens, {words}", int(some.sum())),
            figure(f"object's share of the patches, {words}", masks[some].mean().item()),
        ]
        for name, maps in (
            ("Chefer, exact", relevancy[rows]),
            ("FastRM", predicted[rows]),
            ("random", random_maps),
        ):
            inside, each = masks[some], maps[some]
            hit = inside.gather(1, each.argmax(1, keepdim=True)).mean().item()
            mass = ((each * inside).sum(1) / each.sum(1).clamp(min=1e-12)).mean().item()
            figures += [
                figure(f"pointing game, {name}, {words}", hit),
                figure(f"mass on the object, {name}, {words}", mass),
            ]
    write_report(
        report,
        "objects",
        "Maps of tokens that name an object, against the object's patches",
        COMMAND.format(step="head-report"),
        figures,
    )
