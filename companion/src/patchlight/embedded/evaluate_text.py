"""Compares the text output of the embedded model's head with its teacher, on held-out scenes."""

from pathlib import Path

import numpy as np
import torch

from ..bootstrap import Bootstrap, Ratio
from ..head.fastrm import FastRM
from ..head.picture_batches import PictureTokens, by_picture
from ..head.sample_store import HeadSamples, token_rows
from ..head.scores import labels_of
from ..head.text_worth import judge_text
from ..report import figure, write_report
from .evaluate import COMMAND, estimated


def evaluate_text(text: FastRM, held_out: Path, training: Path, report: Path) -> None:
    """Score the text output and its controls on all tokens of the held-out answers, with intervals from resampled
    scenes.

    The controls are made from the training samples.
    """
    stored, known = HeadSamples(held_out, output="text"), HeadSamples(training, output="text")
    tokens, threshold = token_rows(stored), text.facts.labelling_threshold
    groups = by_picture(stored, tokens)
    by_scene: dict[int, list[PictureTokens]] = {}
    for group in groups:
        by_scene.setdefault(int(stored.columns["scene"][group.rows[0]]), []).append(group)
    worth = judge_text(text, by_scene, known, token_rows(known), threshold)
    labels = [labels_of(group.relevancy(), threshold) for group in groups]
    relevant = torch.cat([part.sum(1) for part in labels]).numpy()
    words = np.concatenate([np.full(part.shape[0], part.shape[1]) for part in labels])
    scenes = torch.cat([stored.columns["scene"][group.rows] for group in groups]).numpy()
    figures = [
        figure("tokens evaluated", worth.tokens),
        figure("text tokens of a prompt, mean", stored.patches.double().mean().item()),
        estimated("share of text tokens labelled relevant", Bootstrap(scenes).estimate(Ratio(relevant, words))),
    ]
    for score, label in (
        ("f1", "F1 at its own best threshold"),
        ("pointing", "likeliest word is labelled relevant"),
        ("spearman", "Spearman's correlation with exact Chefer"),
    ):
        for name, scores in worth.scores.items():
            figures.append(estimated(f"{label}, {name}", getattr(scores, score)))
    write_report(
        report,
        "text",
        "Text output of the FastRM head compared with exact Chefer on held-out answers",
        COMMAND.format(step="text-report"),
        figures,
    )
