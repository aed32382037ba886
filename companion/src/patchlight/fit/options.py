"""Options of `patchlight fit`: what is labelled, and how the head is trained on it."""

import math
import re
from dataclasses import dataclass

from ..head.answer_sample import AnswerOptions
from ..head.label_precision import Precision
from ..head.labels import TEACHER_NAMES, Teacher
from ..head.learning_rate import suggested_learning_rate
from ..head.losses import LOSSES, Loss, check_weight

_UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


@dataclass(frozen=True, kw_only=True)
class LabelOptions:
    """What is labelled. A folder's labels can be used again with the same options only."""

    teacher: Teacher = "chefer"
    """What labels the tokens (`head/labels.py`)."""
    questions: int = 4
    """Most questions about one picture."""
    written: bool = True
    """Whether the model writes some of the questions; only if they do not come from a data set."""
    max_new_tokens: int = 40
    """Maximum length of an answer in tokens. By Chefer, every token costs a backward pass."""
    suffix: str = ""
    """Appended to each question."""
    precision: Precision = "auto"
    """Number format of the matrix products that make the labels; see `label_precision`."""
    disk_bytes: int = 2 * 10**9
    """Space for labelled pictures. Beyond it, random ones make room for new ones."""
    held_share: float = 0.1
    """Share of the pictures that are held out to steer the training, and again to judge the head."""
    seed: int = 0
    """Seed of the order of the pictures and the choice of those that stay on disk."""

    def __post_init__(self) -> None:
        if self.teacher not in TEACHER_NAMES:
            raise ValueError(f"unknown teacher {self.teacher!r}: use one of {', '.join(TEACHER_NAMES)}")
        for name in ("questions", "max_new_tokens", "disk_bytes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: use 1 or more")
        if not 0 < self.held_share <= 0.3:
            raise ValueError(f"held_share is {self.held_share}: it must be above 0 and at most 0.3")

    @property
    def answers(self) -> AnswerOptions:
        """How a question is answered, and its answer labelled."""
        return AnswerOptions(
            teacher=self.teacher, max_new_tokens=self.max_new_tokens, suffix=self.suffix, precision=self.precision
        )


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """How the head is trained. Other options start the training again, on the same labels."""

    steps: int = 3500
    """Planned optimiser steps."""
    batch: int = 128
    """Tokens per step."""
    picture_tokens: int = 16
    """Most tokens of one picture per step."""
    loss: Loss = "bce+kl"
    """What the head minimises (`head/losses.py`); pearson is for the ablation teacher only."""
    bce_weight: float = 1.0
    """What `bce+kl` multiplies its cross-entropy by."""
    rank: int | None = None
    """Width of query and key; None for the model's hidden size."""
    learning_rate: float | None = None
    """None for the rate that suits the hidden size."""
    labelling_threshold: float = 0.3
    """A patch is labelled relevant if it has at least this share of its map's maximum."""
    patience: int = 10
    """Measurements without a better head after which the learning rate starts to fall early."""
    seed: int = 5
    """Seed of the initial weights and the batches."""

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "picture_tokens", "patience"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: use 1 or more")
        if self.loss not in LOSSES:
            raise ValueError(f"unknown loss {self.loss!r}: use one of {', '.join(LOSSES)}")
        check_weight(self.bce_weight)
        if self.learning_rate is not None and not 0 < self.learning_rate < math.inf:
            raise ValueError(f"learning_rate is {self.learning_rate}: it must be above 0 and finite")
        if not 0 < self.labelling_threshold < 1:
            raise ValueError(f"labelling_threshold is {self.labelling_threshold}: it must be above 0 and below 1")

    def rate(self, hidden_size: int) -> float:
        """Return the learning rate for a hidden size."""
        return self.learning_rate or suggested_learning_rate(hidden_size)


def parse_bytes(text: str) -> int:
    """Parse a size such as 2GB or 500MB; a number alone is in bytes. Raises ValueError."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]B)?", text.strip().upper())
    if match is None:
        raise ValueError(f"{text!r} is not a size: use a number with KB, MB, GB or TB, such as 2GB")
    return round(float(match[1]) * _UNITS.get(match[2] or "", 1))
