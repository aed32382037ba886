"""Tests for the reports on the embedded model and its head."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from patchlight.bootstrap import Bootstrap
from patchlight.embedded.calibration.question_sets import SETS, set_of
from patchlight.embedded.collect import CollectConfig, collect
from patchlight.embedded.evaluate import _share_right
from patchlight.embedded.evaluate_heads import _score_ratios, evaluate_heads
from patchlight.embedded.evaluate_text import evaluate_text
from patchlight.embedded.held_out import HeldOut, question_kinds, read_held_out
from patchlight.embedded.world.pool import ScenePool
from patchlight.embedded.world.questions import KINDS
from patchlight.head.fastrm import FastRM, read_text_head
from patchlight.head.predictions import predict
from patchlight.head.sample_store import HeadSamples, token_rows
from patchlight.head.scores import THRESHOLDS, best_threshold, count, curve_of
from tests.helpers.paths import EMBEDDED


def test_scores_as_ratios_equal_those_of_the_curve() -> None:
    generator = torch.Generator().manual_seed(0)
    predicted, relevancy = (torch.rand(40, 576, generator=generator) for _ in range(2))
    counts = count(predicted, relevancy, 0.7)
    curve, bootstrap = curve_of(counts), Bootstrap(np.arange(40) // 4)
    for step in (0, 30, 50, 97, len(THRESHOLDS) - 1):
        ratios = _score_ratios(counts, step)
        for name, ratio in ratios._asdict().items():
            estimate = bootstrap.estimate(ratio)
            expected = getattr(curve, name)[step].item()
            if np.isnan(estimate.value):  # no patch is predicted relevant
                assert (name, expected) == ("precision", 0)
            else:
                assert estimate.value == pytest.approx(expected, abs=1e-12)
                assert estimate.low <= estimate.value <= estimate.high


def test_answers_of_one_scene_count_as_one_observation() -> None:
    right = np.arange(200) % 4 > 0
    independent = _share_right(list(zip(range(200), right, strict=True)))
    # Eight answers per scene, either all right or all wrong. They are wrong in a quarter of the scenes.
    together = _share_right([(k // 8, k // 8 % 4 > 0) for k in range(192)])
    assert independent.value == together.value == 0.75
    ratio = (together.high - together.low) / (independent.high - independent.low)
    assert ratio == pytest.approx(np.sqrt(8 * 200 / 192), rel=0.15)


def test_every_kind_of_question_but_descriptions_belongs_to_a_set() -> None:
    assert {kind: set_of(kind) for kind in KINDS} == {
        "attribute": "vqa-like",
        "count": "vqa-like",
        "existence": "pope-like",
        "relation": "gqa-like",
        "description": None,
    }


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("collected")
    ScenePool(folder / "scenes", "test", 4).fill(workers=1)
    config = CollectConfig("test", 0, 4, questions_per_scene=6, autocast=False, max_answer_tokens=12)
    collect(EMBEDDED, folder / "scenes", folder / "held-out", config, workers=1)
    return folder


def part_of(held: HeldOut, tokens: torch.Tensor) -> HeldOut:
    columns = (held.rows, held.relevancy, held.found, held.objects)
    rows, relevancy, found, objects = (column[tokens] for column in columns)
    return HeldOut(held.samples, rows, relevancy, held.scenes[tokens.numpy()], found, objects)


def figures_of(report: Path) -> dict[str, dict[str, Any]]:
    return {row["label"]: row for row in json.loads(report.read_text())["figures"]}


def test_the_head_s_report_has_figures_by_set_and_the_spread_of_scores(collected: Path, tmp_path: Path) -> None:
    pool = ScenePool(collected / "scenes", "test", 4)
    head = FastRM.from_pretrained(EMBEDDED / "fastrm")
    held, names = read_held_out(collected / "held-out", pool), question_kinds(collected / "held-out", pool)
    # The first two scenes choose the threshold, the others are reported.
    first = torch.from_numpy(held.scenes < 2)
    choice, held = part_of(held, first), part_of(held, ~first)
    heads = {"fastrm": head, "fastrm-paper": FastRM(192).eval()}
    bests = evaluate_heads(heads, choice, held, names, tmp_path, labelling_threshold=0.3)
    best = bests["fastrm"]
    report = json.loads((tmp_path / "head.json").read_text())
    figures = figures_of(tmp_path / "head.json")

    assert best == pytest.approx(
        best_threshold(curve_of(count(predict(head, choice.samples, choice.rows), choice.relevancy, 0.3)))
    )
    assert figures["tokens evaluated"]["value"] == len(held.rows)
    maps = predict(head, held.samples, held.rows).numpy()
    relevancy = held.relevancy.numpy()
    labels = relevancy >= np.float32(0.3) * relevancy.max(1, keepdims=True)
    kinds = np.array(names)[held.samples.columns["question"][held.rows].numpy()]
    total = 0
    for name in SETS:
        rows = np.array([set_of(kind) == name for kind in kinds])
        total += figures[f"tokens evaluated, {name}"]["value"]
        assert figures[f"tokens evaluated, {name}"]["value"] == rows.sum()
        for at, where in ((0.5, "0.5"), (best, "the threshold")):
            chosen, relevant = maps[rows] >= at, labels[rows]
            f1 = 2 * (chosen & relevant).sum() / max(1, chosen.sum() + relevant.sum())
            # Reports are rounded to four decimals; a probability may be a rounding error from the threshold.
            assert figures[f"F1 at {where}, {name}"]["value"] == pytest.approx(f1, abs=2e-3)
            accuracy = (chosen == relevant).mean() if rows.any() else 0
            assert figures[f"accuracy at {where}, {name}"]["value"] == pytest.approx(accuracy, abs=2e-3)
    assert 0 < total <= figures["tokens evaluated"]["value"]

    for name in ("FastRM", "exact Chefer"):
        shares = report["spread"]["shares"][name]
        assert sum(value for value, _, _ in shares) == pytest.approx(1, abs=1e-4)
        below = figures[f"share of patches below 5 % of their map's maximum, {name}"]
        assert [below["value"], *below["interval"]] == pytest.approx(shares[0], abs=1e-4)
    assert report["spread"]["patches"] == 576 * figures["tokens evaluated"]["value"]
    for name, interval in report["curve"]["intervals"].items():
        for value, low, high in zip(report["curve"][name], interval["low"], interval["high"], strict=True):
            assert low <= value <= high
    without = [label for label, row in figures.items() if "interval" not in row]
    assert without == [label for label in figures if label.startswith("tokens") or label == "classification threshold"]
    on_objects = figures_of(tmp_path / "objects.json")
    assert len(on_objects) == 20
    assert all(label.startswith("tokens") == ("interval" not in row) for label, row in on_objects.items())


def test_the_text_output_s_report_has_an_interval_for_every_share(collected: Path, tmp_path: Path) -> None:
    text = read_text_head(EMBEDDED / "fastrm")
    assert text is not None
    evaluate_text(text, collected / "held-out", collected / "held-out", tmp_path)
    figures = figures_of(tmp_path / "text.json")
    stored = HeadSamples(collected / "held-out", output="text")
    rows = token_rows(stored)
    relevancy, mask = stored.relevancy(rows)
    relevant = (relevancy >= 0.3 * relevancy.amax(1, keepdim=True))[mask].float().mean().item()
    assert figures["share of text tokens labelled relevant"]["value"] == pytest.approx(relevant, abs=1e-4)
    without = [label for label, row in figures.items() if "interval" not in row]
    assert without == ["tokens evaluated", "text tokens of a prompt, mean"]
