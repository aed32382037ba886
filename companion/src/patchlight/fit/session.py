"""One run of `patchlight fit`: labelling and training take turns until the head is finished, judged and installed.

fit_head -> _Session.run -> (label_pictures -> Reservoir.add, Trainer.advance)* -> judge_worth -> fit_text
-> install_head

Everything that a killed run continues from is in the subfolder `fit` of the output folder: the pictures' hashes,
the journal and the files of the labelled pictures, and a checkpoint of the training. It is removed when a head is
installed. A refused head leaves the labels there, so that other training options can be tried on them.
"""

import json
import shutil
import time
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple, NoReturn

import torch

from ..head.fastrm import FACTS_FILE, FIT_FOLDER, REPORT_FILE, FastRM, HeadFacts
from ..head.labels import TEACHERS, refusal_of
from ..head.losses import check_loss
from ..head.picture_batches import PictureBatches, PictureTokens
from ..head.sample_store import HeadSamples, shard_questions
from ..head.scores import NotFinite
from ..head.training import CHECKPOINT_FILE, CONFIG_FILE, CURVE_FILE
from ..head.verdict import ConstantMaps
from ..head.whole_files import write_json
from ..head.work_folder import claimed, locked
from ..head.worth import HeadRefused, Worth, figures, judge_worth
from ..models.loading import Loaded
from .checkpoint_clock import CheckpointClock
from .install import install_head
from .labelling import blank_states, usable_rows
from .options import LabelOptions, TrainOptions
from .pictures import Picture, PictureSet
from .progress import Progress
from .questions import Questioner
from .reservoir import MIN_HELD, Reservoir
from .run_folder import check_origin, check_pictures, manifest_of, remove, sweep
from .text_output import TextOutput, fit_text
from .trainer import Trainer
from .workers import check_workers, label_pictures, suggested_workers

ROUND_PICTURES = 8
FAIR_SHARE = 0.5
"""Labelling may end early once this share of the training pictures is labelled."""
_MAX_HELD = 100


class Fitted(NamedTuple):
    """An installed head and its worth, and its text output. skipped: why pictures and questions could not be used, in
    order.
    """

    head: FastRM
    worth: Worth
    text: TextOutput
    tokens: int
    skipped: list[str]


def check_model(loaded: Loaded, options: LabelOptions) -> None:
    """Raise ValueError if the model rules out the teacher that labels its answers."""
    if reason := refusal_of(loaded.model, options.teacher):
        raise ValueError(
            f"no head can be fitted to {loaded.name}, because its answers cannot be labelled with "
            f"{TEACHERS[options.teacher]}: {reason}; --teacher ablation needs nothing of the layers"
        )


def fit_head(
    loaded: Loaded,
    pictures: PictureSet,
    out: Path,
    label: LabelOptions,
    train: TrainOptions,
    *,
    workers: int | None = None,
    name: str = "fastrm",
    overwrite: bool = False,
) -> Fitted:
    """Fit a head to a model and install it in `out`, with its browser export, report and learning curve.

    Continues a run of the same inputs in `out` that was killed. workers: number of processes that label pictures; None
    for what suits the model. With `overwrite`, replaces a head in `out` once the new one is finished. Raises ValueError
    if the model rules the labels out, if the loss does not fit the teacher, if `out` holds a head or is in use, or if a run of other inputs is in it, naming
    what differs. Raises HeadRefused if the head is no better than the mean map.
    """
    check_model(loaded, label)
    check_loss(train.loss, has_masks=label.teacher == "ablation")
    workers = suggested_workers(loaded) if workers is None else workers
    check_workers(loaded, workers)
    with locked(out):
        sweep(out / FIT_FOLDER)
        if (out / FACTS_FILE).exists() and not overwrite:
            raise ValueError(
                f"{out} holds a finished head: use another folder with --out, or replace the head with --overwrite"
            )
        folder = out / FIT_FOLDER
        check_origin(folder)
        check_pictures(folder, pictures)
        with claimed(folder, manifest_of(loaded, pictures, label)):
            fitted = _Session(loaded, pictures.pictures, folder, label, train, workers).run(out, name)
        remove(folder)
        return fitted


class _Session:
    """The state of a run."""

    def __init__(
        self,
        loaded: Loaded,
        pictures: list[Picture],
        folder: Path,
        label: LabelOptions,
        train: TrainOptions,
        workers: int,
    ):
        self._loaded, self._pictures, self._folder = loaded, pictures, folder
        self._label, self._train_options, self._workers = label, train, workers
        held = max(MIN_HELD, min(_MAX_HELD, round(len(pictures) * label.held_share)))
        self._reservoir = Reservoir(folder, disk_bytes=label.disk_bytes, held=held, seed=label.seed)
        self._questioner = Questioner(loaded, most=label.questions, written=label.written, seed=label.seed)
        self._checkpoint, self._curve = folder / CHECKPOINT_FILE, folder / CURVE_FILE
        self._trainer = Trainer(loaded.hidden_size, train, loaded.device)
        if self._checkpoint.exists() and not self._trainer.restore(self._checkpoint):
            self._checkpoint.unlink()
        self._trim_curve()
        self._clock = CheckpointClock()
        self._progress = Progress(len(pictures))

    def run(self, out: Path, name: str) -> Fitted:
        try:
            self._train()
        except NotFinite as reason:
            self._refuse(
                reason.sentence,
                f"Try a lower --learning-rate (this run had {self._trainer.rate:g}): the same command uses the labels in "
                f"{self._folder} again. Or delete that folder, and run the command with --dtype float32.",
            )
        finally:
            self._progress.close()
        head = self._trainer.best_head()
        worth = self._judge(head)
        if worth.refused is not None:
            self._refuse(
                worth.refused,
                "Try more --steps or another --loss: the same command uses the labels in "
                f"{self._folder} again. Or try more pictures, or ones that are more like those that you will ask about: "
                "delete that folder, and run the command with them.",
                worth,
            )
        self._save()
        if self._label.teacher == "ablation":
            text = TextOutput(None, None, 0, "Ablation bars patches only, so it has no labels for the prompt's words.")
        else:
            text = fit_text(
                self._reservoir, self._loaded.hidden_size, self._train_options, self._loaded.device, self._folder
            )
        self._install(head, worth, text, out, name)
        return Fitted(head, worth, text, self._reservoir.tokens, self._skipped())

    def _train(self) -> None:
        """Label and train in turns, then train while the rate falls."""
        trainer, reservoir = self._trainer, self._reservoir
        fresh: dict[int, list[PictureTokens]] = {}
        with closing(self._rounds()) as rounds:
            for labelled in rounds:
                fresh.update(labelled)
                kept = reservoir.on_disk("training")
                first = [group for tokens in fresh.values() for group in tokens]
                groups = [group for number in kept if number not in fresh for group in kept[number]] + first
                if len(groups) < MIN_HELD:
                    continue
                self._steps(groups, trainer.steps_due(self._share()), first)
                fresh = {}
                if trainer.is_stuck:
                    break
        if reservoir.count("test") < MIN_HELD or not reservoir.on_disk("training"):
            skipped = self._skipped()
            raise ValueError(
                f"only {reservoir.count('check') + reservoir.count('test') + reservoir.count('training')} of "
                f"{len(self._pictures)} pictures have answers to learn from, too few for a head: delete "
                f"{self._folder}, and run the command with more pictures"
                + (f"; the first that has none: {skipped[0]}" if skipped else "")
            )
        groups = [group for tokens in reservoir.on_disk("training").values() for group in tokens]
        if not trainer.is_falling and not trainer.is_stuck:
            self._steps(groups, trainer.steps_due(1))
        trainer.start_falling()
        self._steps(groups, trainer.last_step - trainer.step)
        if trainer.best is None:
            trainer.measure(self._checked())

    def _rounds(self) -> Generator[dict[int, list[PictureTokens]], None, None]:
        """Label the pictures that are not labelled yet and yield the training tokens of each round by picture."""
        if self._trainer.is_falling:
            return
        missing = [number for number in range(len(self._pictures)) if number not in self._reservoir.entries]
        pictures = [self._pictures[number] for number in missing]
        labels = label_pictures(self._loaded, pictures, self._questioner, self._label, workers=self._workers)
        with closing(labels):
            for start in range(0, len(missing), ROUND_PICTURES):
                fresh = {}
                for number in missing[start : start + ROUND_PICTURES]:
                    started = time.perf_counter()
                    fresh[number] = self._reservoir.add(number, next(labels))
                    self._progress.labelled(time.perf_counter() - started)
                    self._show()
                yield fresh

    def _steps(self, groups: list[PictureTokens], steps: int, first: Sequence[PictureTokens] = ()) -> None:
        """Take steps, more if the tokens of `first` need more to be trained on once."""
        trainer, options = self._trainer, self._train_options
        batches = PictureBatches(groups, batch=options.batch, picture_tokens=options.picture_tokens, first=first)
        for _ in range(max(steps, batches.first_batches)):
            started = time.perf_counter()
            trainer.advance(batches)
            self._progress.trained(time.perf_counter() - started, 1)
            if trainer.is_measured_now():
                self._measure()
                if trainer.is_stuck and not trainer.is_falling:
                    return
            if self._clock.is_due:
                self._save()
            if trainer.step % 10 == 0:
                self._show()

    def _measure(self) -> None:
        trainer = self._trainer
        measured = trainer.measure(self._checked(), is_counted=self._share() >= FAIR_SHARE)
        self._progress.measured(measured)
        row = {
            "step": trainer.step,
            "pictures": len(self._reservoir.entries),
            "tokens": self._reservoir.tokens,
            "loss": trainer.loss,
            "best_f1": measured.f1,
            "best_threshold": measured.threshold,
            "spearman": measured.spearman,
        }
        with self._curve.open("a") as file:
            file.write(json.dumps(row) + "\n")

    def _share(self) -> float:
        """Return the share of the training pictures that are labelled. Held-out pictures come first, so all that are
        left are for training.
        """
        labelled = self._reservoir.count("training")
        return labelled / max(1, labelled + len(self._pictures) - len(self._reservoir.entries))

    def _checked(self) -> list[PictureTokens]:
        return [group for tokens in self._reservoir.on_disk("check").values() for group in tokens]

    def _save(self) -> None:
        with self._clock.saving():
            self._trainer.save(self._checkpoint)

    def _show(self) -> None:
        self._progress.show(
            pictures=len(self._reservoir.entries),
            tokens=self._reservoir.tokens,
            step=self._trainer.step,
            last_step=self._trainer.last_step,
            is_labelling=not self._trainer.is_falling,
        )

    def _trim_curve(self) -> None:
        """Drop rows after the checkpoint, and a last line that is incomplete."""
        lines = self._curve.read_text().splitlines(keepends=True) if self._curve.exists() else []
        whole = [line for line in lines if line.endswith("\n")]
        self._curve.write_text("".join(line for line in whole if json.loads(line)["step"] <= self._trainer.step))

    def _judge(self, head: FastRM) -> Worth:
        reservoir, threshold = self._reservoir, self._train_options.labelling_threshold
        training = HeadSamples.of_files(reservoir.paths("training"), hold=False)
        control = ConstantMaps(training, usable_rows(training), threshold)
        test = reservoir.on_disk("test")
        numbers = {id(group.samples): number for number, groups in test.items() for group in groups}
        grids = {number: reservoir.entries[number].grid for number in test}
        order = sorted(test)
        grey: dict[tuple[int, str], torch.Tensor] = {}

        def blank(group: PictureTokens) -> torch.Tensor | None:
            number = numbers[id(group.samples)]
            question = self._question_of(number)
            key = number, question
            if key not in grey:
                grey.clear()
                grey[key] = blank_states(self._loaded, self._pictures[number], question, self._label.answers)
            states = grey[key]
            return states if len(states) == group.relevancy().shape[1] else None

        def another(group: PictureTokens) -> torch.Tensor | None:
            number = numbers[id(group.samples)]
            place = order.index(number)
            for other in (*order[place + 1 :], *order[:place]):
                states = test[other][0].samples.picture_states(test[other][0].image)
                if grids[other] == grids[number] and len(states) == group.relevancy().shape[1]:
                    return states
            return None

        return judge_worth(head, test, control, blank=blank, another=another, labelling_threshold=threshold)

    def _question_of(self, number: int) -> str:
        """Return the first question about a picture that was answered."""
        path = next(path for path in self._reservoir.paths("test") if int(path.stem) == number)
        return next(entry["id"] for entry in shard_questions(path) if "skipped" not in entry)

    def _skipped(self) -> list[str]:
        entries = self._reservoir.entries
        return [problem for number in sorted(entries) for problem in entries[number].problems]

    def _report(
        self, path: Path, status: str, reason: str, worth: Worth | None, text: TextOutput | None = None
    ) -> None:
        reservoir, trainer = self._reservoir, self._trainer
        write_json(
            path,
            {
                "status": status,
                "reason": reason,
                "figures": None if worth is None else figures(worth),
                "text": None
                if text is None
                else {"refused": text.refused, "figures": None if text.worth is None else figures(text.worth)},
                "firstLoss": trainer.first_loss,
                "lastLoss": trainer.loss,
                "steps": trainer.step,
                "pictures": {role: reservoir.count(role) for role in ("training", "check", "test")},
                "picturesOnDisk": len(reservoir.on_disk("training")),
                "tokens": reservoir.tokens,
                "skipped": self._skipped(),
                "labels": asdict(self._label),
                "options": {**asdict(self._train_options), "learning_rate": trainer.rate},
            },
        )

    def _refuse(self, reason: str, advice: str, worth: Worth | None = None) -> NoReturn:
        """End the run without a head, and keep its labels, its curve and a report."""
        report = self._folder / REPORT_FILE
        self._report(report, "failed", reason, worth)
        self._checkpoint.unlink(missing_ok=True)
        raise HeadRefused(f"no head was installed. {reason} {advice} The figures are in {report}.", worth)

    def _install(self, head: FastRM, worth: Worth, text: TextOutput, out: Path, name: str) -> None:
        loaded, best = self._loaded, self._trainer.best
        assert best is not None
        facts = HeadFacts(
            hidden_size=loaded.hidden_size,
            stage="post_norm",
            teacher=TEACHERS[self._label.teacher],
            labelling_threshold=self._train_options.labelling_threshold,
            classification_threshold=best.threshold,
            model=loaded.name,
            model_revision=loaded.revision,
            model_weights=loaded.weights,
            label_precision=self._label.answers.label_precision(loaded).name,
            name=name,
            rank=self._train_options.rank,
        )
        # A folder without facts holds no head. They are removed first and written last.
        (out / FACTS_FILE).unlink(missing_ok=True)
        head_scores, mean_scores = (worth.scores[name] for name in ("head", "mean map"))
        label, own, mean = "F1", head_scores.f1, mean_scores.f1
        if head_scores.lds is not None and mean_scores.lds is not None:
            label, own, mean = "LDS", head_scores.lds, mean_scores.lds
        reason = f"On held-out pictures, the head's {label} is {own.value:.3f}; the mean map has {mean.value:.3f}."
        self._report(out / REPORT_FILE, "passed", reason, worth, text)
        shutil.copyfile(self._curve, out / CURVE_FILE)
        write_json(out / CONFIG_FILE, asdict(self._train_options))
        install_head(out, head, facts, text)
