"""Trains a FastRM head on stored samples (FastRM paper, section 3), with checkpoints to resume from.

Until it is finished, a run keeps its files in the subfolder `training` of its output folder. A head is written only if
it is better than a constant map (`verdict.py`); so a failed run leaves an earlier head as it was.

Then the head's text output is trained by the same recipe, with a run of its own in the subfolder `text`.
"""

import io
import json
import math
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, NoReturn, get_args

import torch
from tqdm import tqdm

from .fastrm import FACTS_FILE, REPORT_FILE, RUN_FOLDER, TEXT_FOLDER, FastRM, Features, HeadFacts, read_head_facts
from .losses import LOSSES, WITHOUT_LEVEL, Loss, check_loss, check_weight
from .picture_batches import PictureBatches, batch_loss, by_picture
from .platt import MOST_TOKENS, calibrated, platt_of
from .predictions import count_tokens
from .sample_store import HeadSamples, attention_rows, left_out, token_rows
from .scores import HeadCounts, NotFinite, best_threshold, curve_of
from .verdict import TrainingFailed, Verdict, advice, judge
from .whole_files import write_bytes, write_json
from .work_folder import locked

CHECKPOINT_FILE, CURVE_FILE, CONFIG_FILE = "checkpoint.pt", "head-curve.jsonl", "head-config.json"
MEASURE_STEPS, MEASURE_TOKENS = 100, 1500
DEFAULT_THRESHOLD = 0.4
"""Classification threshold of a text output that has no held-out tokens, as of a head."""


@dataclass(frozen=True, kw_only=True)
class HeadConfig:
    """Training options. The defaults are the paper's recipe; its ablations vary some of them."""

    steps: int = 3500
    """Number of optimiser steps."""
    batch: int = 128
    """Tokens per step."""
    picture_tokens: int = 16
    """Most tokens of one picture per step. Fewer pictures make a step cheaper, because their patch states are shared."""
    loss: Loss = "bce"
    """The paper's binary cross-entropy, or another of `losses.py`; pearson is for samples by ablation only."""
    bce_weight: float = 1.0
    """What `bce+kl` multiplies its cross-entropy by."""
    rank: int | None = None
    """Width of query and key; None for d, as in the paper."""
    features: Features = "states"
    """What the head reads: last hidden states, as in the paper, or also the tokens' attention rows (FastRM+)."""
    learning_rate: float = 2e-5
    """The default suits d = 4096. Narrower heads need a higher rate (`suggested_learning_rate`)."""
    schedule: Literal["constant", "cosine"] = "constant"
    """Learning rate schedule; cosine decays to 1/50 of the rate."""
    labelling_threshold: float = 0.3
    """A patch is labelled relevant if it has at least this share of its map's maximum."""
    samples: int | None = None
    """Tokens to train on, drawn at random from those not held out; None uses all of them."""
    validation_share: float = 0.04
    """Share of the questions held out to check the training and to choose the learning rate and classification
    threshold."""
    seed: int = 5
    """Seed for the initial weights, the choice of `samples` and the batches."""
    checkpoint_steps: int = 500
    """Steps between checkpoints."""

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "picture_tokens", "checkpoint_steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: use 1 or more")
        if self.schedule not in ("constant", "cosine"):
            raise ValueError(f"unknown schedule {self.schedule!r}: use constant or cosine")
        if self.loss not in LOSSES:
            raise ValueError(f"unknown loss {self.loss!r}: use one of {', '.join(LOSSES)}")
        if self.features not in get_args(Features):
            raise ValueError(f"unknown features {self.features!r}: use {' or '.join(get_args(Features))}")
        check_weight(self.bce_weight)
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"learning_rate is {self.learning_rate}: it must be above 0 and finite")
        if not 0 < self.labelling_threshold < 1:
            raise ValueError(f"labelling_threshold is {self.labelling_threshold}: it must be above 0 and below 1")
        if not 0 <= self.validation_share < 1:
            raise ValueError(f"validation_share is {self.validation_share}: it must be at least 0 and below 1")
        if self.samples is not None and self.samples < 1:
            raise ValueError(f"samples is {self.samples}: use 1 or more tokens")


class Split(NamedTuple):
    """Token rows used for training, and held-out token rows. No question has tokens in both."""

    training: torch.Tensor
    held: torch.Tensor


def split_tokens(samples: HeadSamples, config: HeadConfig) -> Split:
    """Split the tokens by question. The last questions are held out, which keeps consecutive questions about one image
    together.

    Raises ValueError if no token can be trained on.
    """
    tokens = token_rows(samples)
    if len(tokens) == 0:
        raise ValueError("no token of these samples has a map to train on: all maps are zero or explain another token")
    questions = samples.columns["question"][tokens]
    cut = int(questions.max().item() * (1 - config.validation_share))
    training, held = tokens[questions <= cut], tokens[questions > cut]
    if config.samples is not None and config.samples < len(training):
        order = torch.randperm(len(training), generator=torch.Generator().manual_seed(config.seed))
        training = training[order[: config.samples].sort().values]
    return Split(training, held)


class TrainedText(NamedTuple):
    """A text output and how it compares with a constant map. head: None if it was not written."""

    head: FastRM | None
    verdict: Verdict


class Trained(NamedTuple):
    """A head that was trained and written, and how it compares with a constant map. text: its text output; None if
    there were no samples for one.
    """

    head: FastRM
    verdict: Verdict
    text: TrainedText | None = None


def train_head(
    samples: Path | HeadSamples,
    out: Path,
    facts: HeadFacts,
    config: HeadConfig,
    *,
    open_text: Callable[[], HeadSamples] | None = None,
    device: str = "cpu",
    choose_threshold: bool = False,
    overwrite: bool = False,
    keep_failed: bool = False,
) -> Trained:
    """Train a head on all shards of `samples` and save it, its config, its learning curve and a report to `out`.

    open_text: opens samples with the output "text", for a text output. It is trained once the head is, and left out if
    it is no better than a constant map.

    Resumes from a checkpoint in `out`. With `choose_threshold`, the saved classification threshold is the value with
    the best F1 on the held-out tokens; that of a text output always is. With `overwrite`, replaces a head in `out` once
    the new one is finished. With `keep_failed`, writes the head even if it is no better than a constant map; its report
    says so. A head whose numbers are not finite is never written.

    After a loss that leaves the level of the logits open (`kl`, `pearson`), scale and offset are fitted on the held-out
    tokens (`platt.py`), so that the head's values are probabilities.

    Raises ValueError if the samples do not match `facts` or the loss, `out` holds a head or is in use, or the checkpoint
    was made with another config or other samples. Raises TrainingFailed if the loss is not finite, or if the head is no better
    than a constant map.
    """
    if not isinstance(samples, HeadSamples):
        samples = HeadSamples(samples, attention=config.features == "attention")
    if samples.hidden_size != facts.hidden_size:
        raise ValueError(f"the samples have hidden size {samples.hidden_size}, the facts have {facts.hidden_size}")
    if open_text is not None and (config.features == "attention" or config.loss == "pearson"):
        raise ValueError("a text output cannot be trained on attention rows or by pearson: both are about patches")
    if samples.teacher not in (None, facts.teacher):
        raise ValueError(f"the samples' teacher is {samples.teacher!r}, that of the facts {facts.teacher!r}")
    check_loss(config.loss, has_masks=samples.has_masks)
    with locked(out):
        if (out / FACTS_FILE).exists() and not overwrite:
            raise ValueError(
                f"{out} holds a finished head ({read_head_facts(out).name}): use another folder, or "
                "replace the head with --overwrite"
            )
        folder = out / RUN_FOLDER
        run = _Run(folder, config, samples, device)
        verdict = run.train("head")
        if verdict.status == "broken" or (verdict.status == "failed" and not keep_failed):
            run.fail(verdict)
        head, best = run.head.cpu().eval(), run.best_threshold()
        samples.release()
        text = None if open_text is None else _train_text(open_text(), folder / TEXT_FOLDER, config, device)
        # A folder without facts holds no head. They are removed first and written last, so that weights, report and
        # facts always belong together.
        (out / FACTS_FILE).unlink(missing_ok=True)
        shutil.rmtree(out / TEXT_FOLDER, ignore_errors=True)
        if text is not None and text.run is not None and text.head is not None:
            text.run.write(out / TEXT_FOLDER, text.verdict)
            text.head.save_pretrained(out / TEXT_FOLDER, replace(facts, classification_threshold=text.threshold))
        run.write(out, verdict)
        head.save_pretrained(out, replace(facts, classification_threshold=best) if choose_threshold and best else facts)
        shutil.rmtree(folder)
        return Trained(head, verdict, None if text is None else TrainedText(text.head, text.verdict))


class _Text(NamedTuple):
    """The run of a text output, if there is anything to learn, and its result; head: None if it is not to be written."""

    run: "_Run | None"
    head: FastRM | None
    verdict: Verdict
    threshold: float


def _train_text(samples: HeadSamples, folder: Path, config: HeadConfig, device: str) -> _Text:
    if len(token_rows(samples)) == 0:
        return _Text(None, None, Verdict("failed", "No map has any relevancy on the prompt's text.", {}), 0)
    try:
        run = _Run(folder, config, samples, device)
    except NotFinite as reason:
        return _Text(None, None, Verdict("broken", reason.sentence, {}), 0)
    verdict = run.train("text output")
    is_good = verdict.status in ("passed", "untested")
    threshold = (run.best_threshold() if is_good else None) or DEFAULT_THRESHOLD
    return _Text(run, run.head.cpu().eval() if is_good else None, verdict, threshold)


def _check_states(samples: HeadSamples, tokens: torch.Tensor) -> None:
    broken = int((~samples.columns["query_states"][tokens].isfinite().all(1)).sum())
    if broken:
        raise NotFinite(
            f"the hidden states of {broken} of {len(tokens)} tokens are not finite: collect the samples again in "
            "another number format, such as --dtype float32"
        )


class _Run:
    """The state of a training run: everything that a checkpoint stores."""

    def __init__(self, folder: Path, config: HeadConfig, samples: HeadSamples, device: str):
        self._data, self._split = samples, split_tokens(samples, config)
        _check_states(samples, torch.cat(self._split))
        split = self._split
        torch.manual_seed(config.seed)
        folder.mkdir(exist_ok=True, parents=True)
        self._folder, self._path, self._curve = folder, folder / CHECKPOINT_FILE, folder / CURVE_FILE
        self._config = config
        self._samples = {
            "sha256": samples.fingerprint(),
            "questions": samples.questions,
            "tokens": len(split.training),
            "heldOutTokens": len(split.held),
            "leftOutTokens": left_out(samples),
            "missingShards": samples.missing,
        }
        self._options = {**asdict(config), "samples (SHA-256)": self._samples["sha256"]}
        rows = attention_rows(samples) if config.features == "attention" else None
        self.head = FastRM(samples.hidden_size, rank=config.rank, attention_rows=rows).to(device)
        self._optimizer = torch.optim.Adam(self.head.parameters(), lr=config.learning_rate, fused=True)
        lowest = config.learning_rate / 50 if config.schedule == "cosine" else config.learning_rate
        self._schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self._optimizer, config.steps, lowest)
        self._random = torch.Generator().manual_seed(config.seed)
        self.step, self._loss, self._first_loss = 0, float("nan"), float("nan")
        if self._path.exists():
            self._restore()
        # The last line may be incomplete if the process was killed. It is later than the checkpoint then.
        lines = self._curve.read_text().splitlines(keepends=True) if self._curve.exists() else []
        rows = [line.rstrip("\n") for line in lines if line.endswith("\n")]
        kept = [row for row in rows if self.step and json.loads(row)["step"] <= self.step]
        self._curve.write_text("".join(f"{row}\n" for row in kept))

    def train(self, what: str) -> Verdict:
        """Take the steps that are left, and judge the result. what: "head" or "text output"."""
        config, split = self._config, self._split
        batches = PictureBatches(
            by_picture(self._data, split.training), batch=config.batch, picture_tokens=config.picture_tokens
        )
        bar = tqdm(range(self.step, config.steps), initial=self.step, total=config.steps, desc=what, unit="step")
        try:
            for step in bar:
                drawn = batches.draw(self._random)
                self._advance(
                    batch_loss(self.head, drawn, config.loss, config.labelling_threshold, bce_weight=config.bce_weight)
                )
                if step % MEASURE_STEPS == MEASURE_STEPS - 1 or step == config.steps - 1:
                    row = self._record(self._counts(self._shown(), split.held[:MEASURE_TOKENS]))
                    bar.set_postfix(loss=f"{row['loss']:.4f}", f1=f"{row['best_f1']:.3f}")
                if self.step % config.checkpoint_steps == 0 or self.step == config.steps:
                    self._save()
            self.head = self._shown()
            return judge(self.head, self._data, split.training, split.held, config.labelling_threshold, what=what)
        except NotFinite as reason:
            return Verdict("broken", f"At step {self.step} of {config.steps}, {reason}.", {"step": self.step})

    def best_threshold(self) -> float | None:
        """Return the threshold with the best F1 on the held-out tokens; None if there are none."""
        held = self._split.held
        return best_threshold(curve_of(self._counts(self.head, held))) if len(held) else None

    def _shown(self) -> FastRM:
        """Return the head as it would be read: calibrated if its loss leaves the level of the logits open."""
        if self._config.loss not in WITHOUT_LEVEL:
            return self.head
        tokens = self._split.held if len(self._split.held) else self._split.training
        pictures = by_picture(self._data, tokens[:: -(-len(tokens) // MOST_TOKENS)])
        return calibrated(self.head, platt_of(self.head, pictures, self._config.labelling_threshold))

    def _counts(self, head: FastRM, tokens: torch.Tensor) -> HeadCounts:
        return count_tokens(head, self._data, tokens, self._config.labelling_threshold)

    def _advance(self, loss: torch.Tensor) -> None:
        """Take a step. Raises NotFinite if the loss is NaN or infinite."""
        if not loss.isfinite():
            raise NotFinite(f"the loss is {loss.item()}")
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._optimizer.step()
        self._schedule.step()
        self.step, self._loss = self.step + 1, loss.item()
        if self.step == 1:
            self._first_loss = self._loss

    def _record(self, counts: HeadCounts) -> dict[str, float]:
        """Append a row to the learning curve and return it."""
        curve = curve_of(counts)
        row = {
            "step": self.step,
            "loss": self._loss,
            "best_f1": curve.f1.max().item(),
            "best_threshold": best_threshold(curve),
            "f1_at_half": curve.f1[50].item(),
            "accuracy_at_half": curve.accuracy[50].item(),
            "learning_rate": self._schedule.get_last_lr()[0],
        }
        with self._curve.open("a") as file:
            file.write(json.dumps(row) + "\n")
        return row

    def _save(self) -> None:
        state = {
            "options": self._options,
            "step": self.step,
            "losses": (self._first_loss, self._loss),
            "head": self.head.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "schedule": self._schedule.state_dict(),
            "random": self._random.get_state(),
        }
        content = io.BytesIO()
        torch.save(state, content)
        write_bytes(self._path, content.getbuffer())

    def write(self, out: Path, verdict: Verdict) -> None:
        """Write the report, the config and the learning curve to a folder."""
        out.mkdir(parents=True, exist_ok=True)
        sizes = {"tokens": len(self._split.training), "questions": self._data.questions}
        write_json(out / CONFIG_FILE, {**asdict(self._config), **sizes})
        shutil.copyfile(self._curve, out / CURVE_FILE)
        self._report(out / REPORT_FILE, verdict)

    def _report(self, path: Path, verdict: Verdict) -> None:
        """Write what the head was trained on, and the verdict."""
        losses = {"firstLoss": self._first_loss, "lastLoss": self._loss}
        content = {**verdict._asdict(), **losses, "samples": self._samples, "options": asdict(self._config)}
        write_json(path, content)

    def fail(self, verdict: Verdict) -> NoReturn:
        """End the run without a head: keep its curve and a report, and raise TrainingFailed."""
        self._report(self._folder / REPORT_FILE, verdict)
        self._path.unlink(missing_ok=True)
        what = advice(self._config.learning_rate, self.head.hidden_size, (self._first_loss, self._loss))
        raise TrainingFailed(
            f"training failed: {verdict.reason} {what} No head was written; {self._folder} has the learning curve and "
            "a report."
        )

    def _restore(self) -> None:
        try:
            state: dict[str, Any] = torch.load(self._path, weights_only=True, map_location="cpu")
        except Exception as error:  # torch raises several unrelated types for damaged files
            raise ValueError(f"{self._path} is damaged ({error}): delete it to train from the start") from None
        # Checkpoints from before these options existed were made with these values.
        old, new = {"bce_weight": 1.0, "features": "states", **state["options"]}, self._options
        if old != new:
            shown = "; ".join(
                f"{name}: {old.get(name)!r}, now {new[name]!r}" for name in new if old.get(name) != new[name]
            )
            raise ValueError(
                f"{self._path} has other options or samples ({shown}): use the same, delete it, or use another folder"
            )
        self.step, (self._first_loss, self._loss) = state["step"], state["losses"]
        self.head.load_state_dict(state["head"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._schedule.load_state_dict(state["schedule"])
        self._random.set_state(state["random"])
