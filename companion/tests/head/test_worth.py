"""Tests that a head by ablation is judged by what was measured."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from patchlight.head.fastrm import FastRM
from patchlight.head.picture_batches import PictureTokens, by_picture
from patchlight.head.predictions import predict
from patchlight.head.sample_store import HeadSamples
from patchlight.head.verdict import ConstantMaps
from patchlight.head.worth import Worth, figures, judge_worth, table
from tests.head.test_training import D, planted_head, write_ablations, write_samples


def judged(head: FastRM, samples: HeadSamples) -> Worth:
    tokens = torch.arange(len(samples))
    test = {number: [group] for number, group in enumerate(by_picture(samples, tokens))}

    def nothing(_: PictureTokens) -> None:
        return None

    control = ConstantMaps(samples, tokens, 0.3)
    return judge_worth(head, test, control, blank=nothing, another=nothing, labelling_threshold=0.3)


def test_lds_is_the_mean_correlation_of_sums_and_falls(tmp_path: Path):
    samples, head = write_ablations(tmp_path, questions=24), planted_head()
    worth = judged(head, samples)
    expected = []
    for token in range(len(samples)):
        masks, falls = samples.ablation(torch.tensor([token]))
        values = predict(head, samples, torch.tensor([token]))[0]
        sums = [float(values[mask].sum()) for mask in masks[0]]
        expected.append(float(np.asarray(spearmanr(sums, falls[0].numpy()))[0]))
    assert worth.scores["head"].lds is not None
    # Sums in float32 may swap two of nearly the same size.
    assert worth.scores["head"].lds.value == pytest.approx(sum(expected) / len(expected), abs=2e-3)
    assert worth.refused is None
    assert table(worth).splitlines()[0].split() == ["F1", "pointing", "Spearman", "LDS"]


def test_a_head_that_predicts_no_falls_is_refused_for_that(tmp_path: Path):
    torch.manual_seed(0)
    worth = judged(FastRM(D), write_ablations(tmp_path, questions=24))
    assert worth.refused is not None
    assert "not better than the mean map of the training pictures: LDS" in worth.refused


def test_heads_of_other_teachers_have_no_lds(tmp_path: Path):
    worth = judged(planted_head(), write_samples(tmp_path, questions=24))
    assert worth.scores["head"].lds is None
    assert "LDS" not in table(worth)
    shown = figures(worth)["head"]
    assert isinstance(shown, dict)
    assert shown.keys() == {"f1", "pointing", "spearman"}
