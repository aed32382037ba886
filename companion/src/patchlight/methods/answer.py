"""A finished answer to explain, and the events that methods yield."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from ..models.families.registry import extend
from ..models.loading import Loaded
from ..models.reading import Reading
from .attention_hooks.decoder_call import DecoderCall, decoder_call


class Logits(NamedTuple):
    """The first event of a method: logits [T, vocabulary] of the explained pass, one row per answer token."""

    logits: Tensor


class Pause(NamedTuple):
    """An event without a map: a point at which a long computation can be stopped."""


class TokenRelevancy(NamedTuple):
    """One token's map, float32 on the CPU. patches [P] is in the order of `Reading.patch_columns`.

    If the method also scores text, prompt [m] is in the order of `Reading.prompt_columns`, and answer [token_index]
    covers the earlier answer tokens. grounding: DEX-AR's token weight.
    """

    token_index: int
    patches: Tensor
    prompt: Tensor | None = None
    answer: Tensor | None = None
    grounding: float | None = None


@dataclass
class Passes:
    """Number of passes through the decoder. A backward pass goes from one logit through several layers, or from the
    scores of any number of tokens through one layer.
    """

    forward: int = 0
    backward: int = 0


class Answer(NamedTuple):
    """An answer to explain. ids: the answer's T token ids, without the end token. token_indices: the tokens to explain,
    in order.
    """

    loaded: Loaded
    reading: Reading
    ids: tuple[int, ...]
    token_indices: tuple[int, ...]

    @property
    def prompt_length(self) -> int:
        """N, the number of columns in the prompt, including image tokens."""
        return self.reading.inputs["input_ids"].shape[1]

    @property
    def positions(self) -> Tensor:
        """[T] int64: for each token, the column p_t whose logits predict it."""
        return torch.arange(len(self.ids)) + self.prompt_length - 1

    @property
    def tokens(self) -> Tensor:
        """[T] int64: the ids of the answer tokens."""
        return torch.tensor(self.ids)

    def call(self) -> DecoderCall:
        """Return the decoder call for the prompt and the answer without its last token: [1, N + T - 1]."""
        family, model = self.loaded.family, self.loaded.model
        return decoder_call(model, family.decoder(model), extend(self.reading, self.ids[:-1]))

    def relevancy(self, token_index: int, columns: Tensor) -> TokenRelevancy:
        """Build a token's map from `columns`, an array of one value per column, with at least p_t + 1 values."""
        columns, start = columns.detach().float().cpu(), self.prompt_length
        return TokenRelevancy(
            token_index,
            columns[self.reading.patch_columns],
            columns[self.reading.prompt_columns],
            columns[start : start + token_index].clone(),
        )


class ExplanationMethod(Protocol):
    """An explanation method. If it runs the model, it first yields `Logits`. It then yields one `TokenRelevancy` per
    entry of `token_indices`, in order. If a map takes several passes, it yields a `Pause` between them.

    Whenever the method yields, the model is in its original state. Passes are counted in `passes`.
    """

    def __call__(self, answer: Answer, passes: Passes) -> Generator[Logits | Pause | TokenRelevancy]: ...
