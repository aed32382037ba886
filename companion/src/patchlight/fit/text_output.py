"""Trains the head's text output on the labels of a run, once the head itself is good enough.

The output is a head of its own with the same recipe, whose keys are the prompt's text tokens. Its labels are those of
the pictures that are on disk.
"""

from pathlib import Path
from typing import NamedTuple

import torch
from tqdm import tqdm

from ..head.fastrm import FastRM
from ..head.picture_batches import PictureBatches, PictureTokens, by_picture
from ..head.sample_store import HeadSamples
from ..head.scores import NotFinite
from ..head.text_worth import judge_text
from ..head.worth import Worth
from .checkpoint_clock import CheckpointClock
from .labelling import usable_rows
from .options import TrainOptions
from .reservoir import MIN_HELD, Reservoir, Role
from .trainer import Trainer

CHECKPOINT_FILE = "text-checkpoint.pt"


class TextOutput(NamedTuple):
    """A text output and its worth. head: None if it is not good enough. refused: why not. threshold: with the best F1
    on the pictures that steered the training.
    """

    head: FastRM | None
    worth: Worth | None
    threshold: float
    refused: str | None


def fit_text(
    reservoir: Reservoir, hidden_size: int, options: TrainOptions, device: str | torch.device, folder: Path
) -> TextOutput:
    """Train and judge a text output. Continues from a checkpoint in `folder`."""
    training = HeadSamples.of_files(reservoir.paths("training"), output="text")
    rows = usable_rows(training)
    check, test = (_by_number(reservoir, role) for role in ("check", "test"))
    if not len(rows) or min(len(check), len(test)) < MIN_HELD:
        return TextOutput(None, None, 0, "Too few held-out pictures have answers with relevancy on the prompt's text.")
    trainer = Trainer(hidden_size, options, device)
    try:
        _train(trainer, by_picture(training, rows), [group for groups in check.values() for group in groups], folder)
    except NotFinite as reason:
        return TextOutput(None, None, 0, reason.sentence)
    head, best = trainer.best_head(), trainer.best
    assert best is not None
    worth = judge_text(head, test, training, rows, options.labelling_threshold)
    return TextOutput(None if worth.refused else head, worth, best.threshold, worth.refused)


def _by_number(reservoir: Reservoir, role: Role) -> dict[int, list[PictureTokens]]:
    """Return the usable tokens of the held-out pictures of a role that have any, by the pictures' numbers."""
    groups = {}
    for number, path in zip(sorted(reservoir.on_disk(role)), reservoir.paths(role), strict=True):
        samples = HeadSamples.of_files([path], output="text")
        groups[number] = by_picture(samples, usable_rows(samples))
    return {number: tokens for number, tokens in groups.items() if tokens}


def _train(trainer: Trainer, groups: list[PictureTokens], check: list[PictureTokens], folder: Path) -> None:
    checkpoint = folder / CHECKPOINT_FILE
    if checkpoint.exists() and not trainer.restore(checkpoint):
        checkpoint.unlink()
    options, clock = trainer.options, CheckpointClock()
    batches = PictureBatches(groups, batch=options.batch, picture_tokens=options.picture_tokens)
    with tqdm(initial=trainer.step, total=options.steps, desc="text output", unit="step") as bar:
        while trainer.step < trainer.last_step:
            if trainer.steps_due(1) <= 0 or trainer.is_stuck:
                trainer.start_falling()
            trainer.advance(batches)
            if trainer.is_measured_now():
                measured = trainer.measure(check)
                bar.set_postfix({"F1": f"{measured.f1:.3f}", "Spearman": f"{measured.spearman:.3f}"})
            if clock.is_due:
                with clock.saving():
                    trainer.save(checkpoint)
            bar.total = trainer.last_step
            bar.update()
    if trainer.best is None:
        trainer.measure(check)
