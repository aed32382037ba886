"""Checks that a checkpoint fits the model that its config describes.

transformers fills tensors that a checkpoint lacks with random numbers and only logs their names. A model with one such
tensor answers, and its maps look plausible.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

from .model_files import RECOMPUTED, shown

ORGANISATION = "https://huggingface.co/llava-hf"
# Checkpoints in transformers' layout, by the original's model type. The original code writes "llava" too.
_CONVERTED = {
    "llava": "llava-hf/llava-1.5-7b-hf",
    "llava_llama": "llava-hf/llava-1.5-7b-hf",
    "llava_mistral": "llava-hf/llava-v1.6-mistral-7b-hf",
    "llava_qwen": "llava-hf/llava-interleave-qwen-7b-hf",
}
_ORIGINAL_TENSORS = ("mm_projector.", "vision_tower.vision_tower.")


class WrongWeights(ValueError):
    """The checkpoint's tensors are not those of the model; the message names them and says what to do."""


def check_layout(name: str, config: Mapping[str, Any]) -> None:
    """Raise WrongWeights if `config`, the content of config.json, was written by the original LLaVA code."""
    kind, architectures = str(config.get("model_type")), config.get("architectures") or []
    is_original = "mm_vision_tower" in config or any(
        str(architecture).startswith("Llava") and str(architecture).endswith("ForCausalLM")
        for architecture in architectures
    )
    if is_original and "vision_config" not in config:
        raise WrongWeights(
            f"{name} is a LLaVA checkpoint in its original layout (model type {kind!r}), which transformers cannot "
            f"read: {_converted(kind)}"
        )


def check_checkpoint(name: str, model: nn.Module, report: Mapping[str, Any]) -> list[str]:
    """Check transformers' loading report: `missing_keys`, `unexpected_keys` and `mismatched_keys`.

    Tied weights are in none of them, and buffers that the model computes itself do not count. Returns the names of
    tensors that the model does not use and that cannot change its answers: parts that the config does not have, such as
    a pooling head. Raises WrongWeights if a tensor is missing or has another shape, or if an unexpected one belongs to
    a module of the model or to its stacks of layers, because the model would then not be the one that was trained.
    """
    missing, mismatched = sorted(report["missing_keys"]), sorted(report["mismatched_keys"])
    unexpected = sorted(key for key in report["unexpected_keys"] if key.rpartition(".")[2] not in RECOMPUTED)
    modules = dict(model.named_modules())
    foreign = [tensor for tensor in unexpected if _belongs(tensor, modules)]
    if not (missing or mismatched or foreign):
        return unexpected
    parts = []
    if missing:
        parts.append(f"{_tensors(missing)} of the model missing ({shown(missing)})")
    if mismatched:
        shapes = [f"{key} {list(found)} instead of {list(expected)}" for key, found, expected in mismatched]
        parts.append(f"{_tensors(shapes)} of another shape ({shown(shapes)})")
    if unexpected:
        parts.append(f"{_tensors(unexpected)} of the checkpoint unexpected ({shown(unexpected)})")
    raise WrongWeights(f"{name} does not fit its config.json: {'; '.join(parts)}. {_advice(unexpected)}")


def check_finite(name: str, model: nn.Module) -> None:
    """Raise WrongWeights if a weight is NaN or infinite."""
    bad = [tensor for tensor, value in model.named_parameters() if not _is_finite(value)]
    if bad:
        raise WrongWeights(
            f"{name} has weights that are NaN or infinite, in {_tensors(bad)} ({shown(bad)}): download or train it "
            "again, or use another dtype if the weights exceed this one's range"
        )


def _belongs(tensor: str, modules: Mapping[str, nn.Module]) -> bool:
    """Whether an unexpected tensor would change the model: it is in a module that exists, or in a stack of layers."""
    parts = tensor.split(".")
    if ".".join(parts[:-1]) in modules:
        return True
    return any(part.isdigit() and ".".join(parts[:at]) in modules for at, part in enumerate(parts))


def _advice(unexpected: Iterable[str]) -> str:
    if any(original in tensor for tensor in unexpected for original in _ORIGINAL_TENSORS):
        return f"These are names of the original LLaVA code: {_converted('llava')}"
    return (
        "Use a checkpoint in transformers' layout that belongs to this config.json, and if files were left out, "
        "download it again"
    )


def _tensors(names: list[str]) -> str:
    return "1 tensor" if len(names) == 1 else f"{len(names)} tensors"


def _converted(kind: str) -> str:
    example = _CONVERTED.get(kind)
    such = f", such as {example}" if example else ""
    return f"use a converted checkpoint, whose name ends in -hf, from {ORGANISATION}{such}"


def _is_finite(value: torch.Tensor) -> bool:
    if value.is_meta or not value.is_floating_point() or value.numel() == 0:
        return True
    if value.dtype.itemsize == 1:
        # float8 has no reductions.
        return True
    return bool(torch.stack(torch.aminmax(value.detach())).isfinite().all())
