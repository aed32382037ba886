"""The model families that work, behind one interface; one module each does the reading.

`family_of(config)` chooses by the config's model type, before any weights are read.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from PIL import Image
from torch import nn
from transformers import BatchFeature

from ..reading import Frame, Lvlm, Place, Reading, Rect, Trace
from .gemma import Gemma3
from .idefics import Idefics
from .llava import Llava
from .llava_next import LlavaNext
from .qwen import QwenVl

__all__ = [
    "FAMILIES",
    "Family",
    "Frame",
    "Lvlm",
    "Place",
    "Reading",
    "Rect",
    "Trace",
    "UnsupportedFamily",
    "extend",
    "family_of",
]


class Family(Protocol):
    """How one kind of model reads a picture, and where its parts are."""

    @property
    def name(self) -> str:
        """As it is shown: "LLaVA-1.5"."""
        ...

    @property
    def model_types(self) -> tuple[str, ...]:
        """`config.model_type` of the models that it takes."""
        ...

    def refusal(self, config: Any) -> str | None:
        """Why a config of one of these model types does not work, or None."""
        ...

    def read(self, model: Lvlm, processor: Any, image: Image.Image, question: str) -> Reading:
        """What the model is fed for one upright picture and one question; ValueError where it cannot be asked."""
        ...

    def decoder(self, model: Lvlm) -> nn.Module:
        """The language model without its vocabulary layer; its output has passed the final norm."""
        ...

    def layers(self, model: Lvlm) -> nn.ModuleList:
        """The language model's layers, first to last."""
        ...


FAMILIES: tuple[Family, ...] = (Llava(), LlavaNext(), QwenVl(), Idefics(), Gemma3())


class UnsupportedFamily(ValueError):
    """A model of a kind that Patchlight cannot read; the message names it and lists those that it can."""


def family_of(config: Any) -> Family:
    """The family of a model's config."""
    for family in FAMILIES:
        if config.model_type in family.model_types:
            if reason := family.refusal(config):
                raise UnsupportedFamily(f"{family.name} model with {reason}")
            return family
    works = "; ".join(f"{family.name} ({', '.join(family.model_types)})" for family in FAMILIES)
    raise UnsupportedFamily(f"model type {config.model_type!r} does not work here; these do: {works}")


def extend(reading: Reading, answer_ids: Sequence[int]) -> BatchFeature:
    """Inputs for one teacher-forced forward pass over prompt and answer: [1, N + t] where the prompt's are [1, N].

    Token t of the answer is predicted at column N - 1 + t. The reading's own tensors are left as they are. Raises
    ValueError on an answer that holds the picture's own token.
    """
    picture = int(reading.inputs["input_ids"][0, reading.patch_columns[0]])
    if picture in answer_ids:
        raise ValueError(f"the answer holds token {picture}, which stands for a picture: it cannot be read again")
    answer = torch.tensor([list(answer_ids)], dtype=torch.long)
    fill = {"attention_mask": 1, "token_type_ids": 0, "mm_token_type_ids": 0}
    extended = dict(reading.inputs)
    extended["input_ids"] = torch.cat([reading.inputs["input_ids"], answer], dim=1)
    for name, value in fill.items():
        if name in extended:
            extended[name] = torch.cat([extended[name], torch.full_like(answer, value, dtype=extended[name].dtype)], 1)
    return BatchFeature(extended)
