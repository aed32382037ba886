"""Trains a head on pictures that are still arriving: a constant learning rate while they do, then a falling one.

The planned steps are spread over the pictures; there are more if that takes too few to train once on each label. Once
all are labelled, or the head has stopped getting better on the pictures held out to check it, the rate falls along a
cosine for the last 30 % of the steps. The best head so far is kept.
"""

import io
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import torch

from ..head.fastrm import FastRM
from ..head.losses import WITHOUT_LEVEL
from ..head.map_scores import rank_correlation
from ..head.picture_batches import PictureBatches, PictureTokens, batch_loss, logits_by_picture
from ..head.platt import NO_PLATT, Platt, calibrated, platt_of
from ..head.scores import HeadCounts, NotFinite, best_threshold, count, curve_of
from ..head.whole_files import write_bytes
from .options import TrainOptions

WARMUP_STEPS, FALLING_SHARE, LOWEST_RATE = 100, 0.3, 1 / 50
MEASUREMENTS = 35
_BETTER = 1e-3


class Measured(NamedTuple):
    """A head on the pictures held out to check it: F1 at its best threshold, that threshold, and Spearman's correlation
    with the teacher, a mean over tokens. scale and offset: what its logits were calibrated with (`head/platt.py`).
    """

    f1: float
    threshold: float
    spearman: float
    scale: float = 1.0
    offset: float = 0.0

    @property
    def score(self) -> float:
        """What a better head has more of: a head must beat the mean map in both."""
        return self.f1 + self.spearman


class Trainer:
    """A head in training, and everything that a checkpoint stores of it.

    loss: of the last step. best: measurement of the best head so far; None before the first.
    """

    def __init__(self, hidden_size: int, options: TrainOptions, device: str | torch.device):
        torch.manual_seed(options.seed)
        self.options = options
        self.rate = options.rate(hidden_size)
        self.head = FastRM(hidden_size, rank=options.rank).to(device)
        self._optimizer = torch.optim.Adam(self.head.parameters(), lr=self.rate, fused=True)
        self._random = torch.Generator().manual_seed(options.seed)
        self._falling_steps = max(1, round(options.steps * FALLING_SHARE))
        self._falls_at: int | None = None
        self._best_weights: dict[str, torch.Tensor] = {}
        self._since_best = 0
        self.step = 0
        self.loss = self.first_loss = math.nan
        self.best: Measured | None = None

    @property
    def is_falling(self) -> bool:
        """Whether the learning rate has started to fall."""
        return self._falls_at is not None

    @property
    def last_step(self) -> int:
        """The step at which training ends, as far as is known. Many labels take more steps than planned."""
        if self._falls_at is None:
            return max(self.options.steps, self.step + self._falling_steps)
        return self._falls_at + self._falling_steps

    @property
    def is_stuck(self) -> bool:
        """Whether the head has stopped getting better."""
        return self._since_best >= self.options.patience

    def steps_due(self, share: float) -> int:
        """Return how many steps are due once this share of the training pictures is labelled."""
        return round((self.options.steps - self._falling_steps) * share) - self.step

    def start_falling(self) -> None:
        """Let the learning rate fall from the next step on, unless it already does."""
        if self._falls_at is None:
            self._falls_at = self.step

    def advance(self, batches: PictureBatches) -> None:
        """Take a step. Raises NotFinite if the loss is NaN or infinite."""
        loss = batch_loss(
            self.head,
            batches.draw(self._random),
            self.options.loss,
            self.options.labelling_threshold,
            bce_weight=self.options.bce_weight,
        )
        if not loss.isfinite():
            raise NotFinite(f"at step {self.step + 1}, the loss is {loss.item()}")
        for group in self._optimizer.param_groups:
            group["lr"] = self._rate_now()
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._optimizer.step()
        self.step, self.loss = self.step + 1, loss.item()
        if self.step == 1:
            self.first_loss = self.loss

    def is_measured_now(self) -> bool:
        """Whether the head is due to be measured after this step."""
        return self.step % max(1, self.options.steps // MEASUREMENTS) == 0 or self.step == self.last_step

    def measure(self, pictures: Sequence[PictureTokens], *, is_counted: bool = True) -> Measured:
        """Measure the head on held-out tokens, and keep it if it is the best so far.

        is_counted: whether a measurement without a better head counts towards the patience.
        """
        measured = measure(
            self.head,
            pictures,
            self.options.labelling_threshold,
            has_level=self.options.loss not in WITHOUT_LEVEL,
        )
        if self.best is None or measured.score > self.best.score + _BETTER:
            self._since_best = 0
        elif is_counted:
            self._since_best += 1
        if self.best is None or measured.score >= self.best.score:
            self.best = measured
            self._best_weights = {name: value.detach().cpu().clone() for name, value in self.head.state_dict().items()}
        return measured

    def best_head(self) -> FastRM:
        """Return the best head, on the CPU, calibrated if its loss leaves the level of the logits open."""
        head = FastRM(self.head.hidden_size, rank=self.options.rank)
        head.load_state_dict(self._best_weights)
        platt = NO_PLATT if self.best is None else Platt(self.best.scale, self.best.offset)
        return (head if platt == NO_PLATT else calibrated(head, platt)).eval()

    def save(self, path: Path) -> None:
        state = {
            "options": asdict(self.options),
            "step": self.step,
            "falls_at": self._falls_at,
            "losses": (self.first_loss, self.loss),
            "best": None if self.best is None else tuple(self.best),
            "since_best": self._since_best,
            "best_weights": self._best_weights,
            "head": self.head.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "random": self._random.get_state(),
        }
        content = io.BytesIO()
        torch.save(state, content)
        write_bytes(path, content.getbuffer())

    def restore(self, path: Path) -> bool:
        """Continue from a checkpoint; False if it was made with other options. Raises ValueError if it is damaged."""
        try:
            state: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
        except Exception as error:  # torch raises several unrelated types for damaged files
            raise ValueError(f"{path} is damaged ({error}): delete it to train again on the same labels") from None
        # Checkpoints from before the cross-entropy had a weight were made with 1.
        if {"bce_weight": 1.0, **state["options"]} != asdict(self.options):
            return False
        self.step, self._falls_at, self._since_best = state["step"], state["falls_at"], state["since_best"]
        self.first_loss, self.loss = state["losses"]
        # Checkpoints from before heads were calibrated lack scale and offset; such a head is measured again.
        is_calibrated = state["best"] is not None and len(state["best"]) == len(Measured._fields)
        is_level = self.options.loss not in WITHOUT_LEVEL
        self.best = Measured(*state["best"]) if state["best"] is not None and (is_calibrated or is_level) else None
        self._best_weights = state["best_weights"]
        self.head.load_state_dict(state["head"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._random.set_state(state["random"])
        return True

    def _rate_now(self) -> float:
        rate = self.rate * min(1, (self.step + 1) / min(WARMUP_STEPS, max(1, self.options.steps // 10)))
        if self._falls_at is None:
            return rate
        done = min(1, (self.step - self._falls_at) / self._falling_steps)
        return rate * (LOWEST_RATE + (1 - LOWEST_RATE) * 0.5 * (1 + math.cos(math.pi * done)))


@torch.no_grad()
def measure(
    head: FastRM, pictures: Sequence[PictureTokens], labelling_threshold: float, *, has_level: bool = True
) -> Measured:
    """Measure a head on the tokens of pictures. has_level: whether its logits are those of probabilities; if not, it is
    calibrated on these tokens. Raises NotFinite if a probability is NaN.
    """
    platt = NO_PLATT if has_level else platt_of(head, pictures, labelling_threshold)
    head = head if has_level else calibrated(head, platt)
    counts, correlations = [], []
    for picture, part in zip(pictures, logits_by_picture(head, pictures), strict=True):
        maps, relevancy = part.logits.sigmoid().cpu(), picture.relevancy()
        counts.append(count(maps, relevancy, labelling_threshold))
        correlations.append(rank_correlation(maps, relevancy))
    curve = curve_of(HeadCounts(*(torch.cat(column) for column in zip(*counts, strict=True))))
    threshold = best_threshold(curve)
    f1, spearman = curve.f1[round(threshold * 100)].item(), torch.cat(correlations).mean().item()
    return Measured(f1, threshold, spearman, *platt)
