"""The memory that a model needs, and what is free."""

import os
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

import torch
from transformers import AutoModelForImageTextToText

from .quantisation import quantisation_of

CACHE_POSITIONS = 4096
"""Size of the key-value cache, in positions, that must fit in memory together with the weights."""


class RequiredBytes(NamedTuple):
    """Bytes a model needs for its weights and for a key-value cache of CACHE_POSITIONS positions."""

    weights: int
    cache: int


class NotEnoughMemory(MemoryError):
    """The model needs more memory than is free; the message states both amounts."""


def without_weights(config: Any, dtype: torch.dtype) -> Any:
    """Build a model on the meta device, where tensors have a shape but take no memory."""
    with torch.device("meta"):
        # Copied because transformers writes the dtype into the config it receives.
        return AutoModelForImageTextToText.from_config(deepcopy(config), dtype=dtype, trust_remote_code=False)


def required_bytes(model: Any, dtype: torch.dtype) -> RequiredBytes:
    """Compute how much memory a model needs in this dtype. model: as `without_weights` returns it.

    The linear layers of a quantised model count with the bits of its quantisation.
    """
    config = model.config
    tensors = [*model.parameters(), *model.buffers()]
    weights = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    if quantisation := quantisation_of(config):
        covered = [module.weight for name, module in model.named_modules() if quantisation.covers(name, module)]
        stored = sum(weight.numel() for weight in covered)
        weights += int(stored * (quantisation.bits / 8 - dtype.itemsize))
    text = config.get_text_config()
    heads = getattr(text, "num_key_value_heads", None) or text.num_attention_heads
    width = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    cache = 2 * text.num_hidden_layers * heads * width * CACHE_POSITIONS * dtype.itemsize
    return RequiredBytes(weights, cache)


def free_bytes(device: torch.device) -> int | None:
    """Return the free bytes on the device that will hold the weights, or None if unknown."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    return _free_main_bytes()


def check_room(name: str, model: Any, dtype: torch.dtype, device: torch.device, *, is_spread: bool) -> None:
    """Raise NotEnoughMemory if a model does not fit on the device or, if it `is_spread`, on all GPUs together.

    model: as `without_weights` returns it. name: the model's name, for the message.
    """
    required = required_bytes(model, dtype)
    if not is_spread:
        free, where = free_bytes(device), str(device)
    else:
        cards = range(torch.cuda.device_count())
        free, where = sum(torch.cuda.mem_get_info(card)[0] for card in cards), f"{len(cards)} GPUs"
    if free is not None and sum(required) > free:
        quantisation = quantisation_of(model.config)
        form = str(dtype).removeprefix("torch.") + (f" and {quantisation}" if quantisation else "")
        raise NotEnoughMemory(
            f"{name} in {form} needs {_gb(sum(required))} "
            f"({_gb(required.weights)} for weights, {_gb(required.cache)} for a cache of {CACHE_POSITIONS} positions); "
            f"{where} has {_gb(free)} free"
        )


def _gb(size: int) -> str:
    return f"{size / 1e9:.3g} GB"


def _free_main_bytes() -> int | None:
    """The smaller of the machine's free memory and what this process's cgroup may still allocate."""
    bounds = []
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                bounds.append(int(line.split()[1]) * 1024)
        group = Path("/sys/fs/cgroup")
        limit = (group / "memory.max").read_text().strip()
        if limit != "max":
            bounds.append(int(limit) - int((group / "memory.current").read_text()))
    except OSError:
        pass
    if not bounds and hasattr(os, "sysconf") and "SC_AVPHYS_PAGES" in os.sysconf_names:
        bounds.append(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return min(bounds, default=None)
