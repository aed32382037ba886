"""A finished answer that a method explains, and what methods give of it."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from ..models.families.registry import extend
from ..models.loading import Loaded
from ..models.reading import Reading
from .attention_hooks.decoder_call import DecoderCall, decoder_call


class Said(NamedTuple):
    """logits [T, vocabulary] of the pass that is explained, one row an answer token. A method's first word."""

    logits: Tensor


class Pause(NamedTuple):
    """Nothing to give yet: a long way to a map can be left here."""


class Weights(NamedTuple):
    """One token's map, float32 on the CPU. patches [P] as in `Reading.patch_columns`; prompt [m] as in
    `Reading.prompt_columns` and answer [token_index], of the earlier answer tokens, where the method weighs text;
    grounding: DEX-AR's token weight."""

    token_index: int
    patches: Tensor
    prompt: Tensor | None = None
    answer: Tensor | None = None
    grounding: float | None = None


@dataclass
class Passes:
    """Forward passes of the decoder, and backward passes: of a logit through several layers, or of scores through one
    layer, however many tokens at once."""

    forward: int = 0
    backward: int = 0


class Answer(NamedTuple):
    """T answer tokens `ids` of one reading, without the end token, and which of them to explain, in this order."""

    loaded: Loaded
    reading: Reading
    ids: tuple[int, ...]
    wanted: tuple[int, ...]

    @property
    def prompt_length(self) -> int:
        return self.reading.inputs["input_ids"].shape[1]

    @property
    def positions(self) -> Tensor:
        """[T] int64: the columns p_t whose logits predict each token."""
        return torch.arange(len(self.ids)) + self.prompt_length - 1

    @property
    def tokens(self) -> Tensor:
        """[T] int64."""
        return torch.tensor(self.ids)

    def call(self) -> DecoderCall:
        """Prompt and answer up to its last but one token, which predicts the last: [1, N + T - 1]."""
        family, model = self.loaded.family, self.loaded.model
        return decoder_call(model, family.decoder(model), extend(self.reading, self.ids[:-1]))

    def weights(self, token_index: int, columns: Tensor) -> Weights:
        """A map read off one value a column, [p_t + 1] or longer."""
        columns, start = columns.detach().float().cpu(), self.prompt_length
        return Weights(
            token_index,
            columns[self.reading.patch_columns],
            columns[self.reading.prompt_columns],
            columns[start : start + token_index].clone(),
        )


class Explains(Protocol):
    """A method: `Said` first, where it runs the model, then `Weights` as they are done, in the order of `wanted`, and
    `Pause` where a map takes several passes.

    Between what it yields, the model is as it was. It adds to `passes` what it runs.
    """

    def __call__(self, answer: Answer, passes: Passes) -> Generator[Said | Pause | Weights]: ...
