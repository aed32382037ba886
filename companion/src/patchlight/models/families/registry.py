"""The supported model families behind one interface; each family has its own module.

`family_of(config)` selects the family by the config's model type, before any weights are read. Types without a family
of their own are read by the generic one, which checks each model when it is loaded.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from PIL import Image
from torch import nn
from transformers import BatchFeature
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

from ..reading import Frame, Lvlm, Place, Reading, Rect, Trace
from .gemma import Gemma3
from .gemma4 import Gemma4
from .generic import Generic
from .idefics import Idefics
from .internvl import InternVl
from .lfm2 import Lfm2Vl
from .llava import Llava
from .llava_next import LlavaNext
from .llava_onevision import LlavaOnevision
from .paligemma import PaliGemma
from .pixtral import Pixtral
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
    """How one kind of model reads an image, and where to find the parts of the model."""

    @property
    def name(self) -> str:
        """Display name, such as "LLaVA-1.5"."""
        ...

    @property
    def model_types(self) -> tuple[str, ...]:
        """Values of `config.model_type` that belong to this family."""
        ...

    def unsupported_reason(self, config: Any) -> str | None:
        """Return why a config of one of these model types is not supported, or None if it is supported."""
        ...

    def read(self, model: Lvlm, processor: Any, image: Image.Image, question: str) -> Reading:
        """Build the model inputs for one upright image and one question. Raises ValueError if that is impossible."""
        ...

    def check(self, model: Lvlm, processor: Any) -> None:
        """Check a loaded model if tests cannot have done so before. Raises ValueError if the columns are not known."""
        ...

    def decoder(self, model: Lvlm) -> nn.Module:
        """Return the language model up to and including its final norm, without the LM head."""
        ...

    def layers(self, model: Lvlm) -> nn.ModuleList:
        """Return the language model's layers, first to last."""
        ...


FAMILIES: tuple[Family, ...] = (
    Llava(),
    LlavaNext(),
    LlavaOnevision(),
    QwenVl("Qwen2.5-VL", "qwen2_5_vl", "qwen2_vl"),
    QwenVl("Qwen3-VL", "qwen3_vl", "qwen3_vl_moe", "qwen3_5", "qwen3_5_moe"),
    QwenVl("GLM-4V", "glm4v", "glm4v_moe", "glm46v"),
    InternVl(),
    Idefics(),
    Pixtral(),
    PaliGemma(),
    Gemma3(),
    Gemma4(),
    Lfm2Vl(),
)


_LOADABLE = set(MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES)


class UnsupportedFamily(ValueError):
    """Patchlight does not support this kind of model; the message names it and lists the supported kinds."""


def family_of(config: Any) -> Family:
    """Return the family of a model's config: a family of its own, or else the generic one.

    Raises UnsupportedFamily if the config is not supported.
    """
    for family in FAMILIES:
        if config.model_type in family.model_types:
            if reason := family.unsupported_reason(config):
                raise UnsupportedFamily(f"{family.name} model not supported: {reason}")
            return family
    generic = Generic(config.model_type)
    reason = None if config.model_type in _LOADABLE else "transformers does not load it as a model for images and text"
    if reason := reason or generic.unsupported_reason(config):
        named = "; ".join(f"{family.name} ({', '.join(family.model_types)})" for family in FAMILIES)
        raise UnsupportedFamily(f"model type {config.model_type!r} is not supported: {reason}; types known: {named}")
    return generic


def extend(reading: Reading, answer_ids: Sequence[int]) -> BatchFeature:
    """Build inputs for one teacher-forced forward pass over prompt and answer: [1, N + T] for a prompt of [1, N].

    Answer token t is predicted at column N - 1 + t. The reading's own tensors are not modified. Raises ValueError if
    the answer contains the image token.
    """
    image_token = int(reading.inputs["input_ids"][0, reading.patch_columns[0]])
    if image_token in answer_ids:
        raise ValueError(f"the answer contains token {image_token}, which stands for an image and cannot be explained")
    answer = torch.tensor([list(answer_ids)], dtype=torch.long)
    fill = {"attention_mask": 1, "token_type_ids": reading.answer_type, "mm_token_type_ids": 0}
    extended = dict(reading.inputs)
    extended["input_ids"] = torch.cat([reading.inputs["input_ids"], answer], dim=1)
    for name, value in fill.items():
        if name in extended:
            extended[name] = torch.cat([extended[name], torch.full_like(answer, value, dtype=extended[name].dtype)], 1)
    return BatchFeature(extended)
