"""A model and its processor from the hub or a folder: refused before its weights are read where it cannot work here.

Only safetensors weights, and no code from the repository. The picture is prepared by Pillow, whatever else is
installed: torchvision's resizing gives other pixels, and the page and the recorded maps are made with Pillow's.
"""

import hashlib
import os
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from transformers import AutoConfig, AutoModelForImageTextToText

from .decoding import check_generation
from .families.registry import Family, Lvlm, family_of
from .processors import load_processor

CACHE_POSITIONS = 4096
"""Positions of the key-value cache that a model must have room for beside its weights."""


@dataclass(frozen=True, kw_only=True)
class LoadOptions:
    """Which model, and where to."""

    model: str
    """Hub id, or a folder in Hugging Face's layout."""
    device: str = "auto"
    """auto (CUDA where there is one, then Apple's GPU, then the CPU), cpu, cuda, cuda:1, mps."""
    dtype: str = "auto"
    """auto (as the weights were saved; float32 on a CPU), float32, bfloat16, float16."""
    revision: str | None = None
    """Branch, tag or commit on the hub."""
    device_map: str | None = None
    """Spread over several GPUs: auto, balanced, sequential. Not with `device`."""

    def __post_init__(self) -> None:
        if self.dtype not in _DTYPES:
            raise ValueError(f"dtype {self.dtype!r}: want one of {', '.join(_DTYPES)}")
        if self.device_map is not None and self.device != "auto":
            raise ValueError(f"device {self.device!r} with device_map {self.device_map!r}: want one of them")
        if self.revision is not None and Path(self.model).is_dir():
            raise ValueError(f"revision {self.revision!r} of a folder: only the hub keeps revisions")


class Loaded(NamedTuple):
    """A model ready to answer. revision: the hub's commit, or 12 hexadecimal digits of the weights' SHA-256."""

    model: Lvlm
    processor: Any
    family: Family
    name: str
    revision: str
    hidden_size: int
    dtype: torch.dtype
    device: torch.device


class Wanted(NamedTuple):
    """Bytes that a model needs: its weights, and a key-value cache of CACHE_POSITIONS positions."""

    weights: int
    cache: int


class DoesNotFit(MemoryError):
    """The model wants more memory than is free; the message names both."""


_DTYPES = {
    "auto": None,
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


def load(options: LoadOptions) -> Loaded:
    """Raises UnsupportedFamily and DoesNotFit before any weights are read, OSError where files are missing."""
    source: dict[str, Any] = {"trust_remote_code": False, "revision": options.revision}
    if _is_path(options.model) and not Path(options.model).is_dir():
        # The hub's client would call it a malformed id.
        raise FileNotFoundError(f"there is no folder {options.model}")
    config = AutoConfig.from_pretrained(options.model, **source)
    family = family_of(config)
    device = _device(options)
    dtype = _DTYPES[options.dtype] or _native_dtype(config, device)
    _check_room(config, dtype, device, options)
    processor = load_processor(options.model, config, **source)
    model: Any = AutoModelForImageTextToText.from_pretrained(
        options.model,
        config=config,
        dtype=dtype,
        use_safetensors=True,
        # Straight to the GPU, shard by shard; the CPU needs no placing.
        device_map=options.device_map or (None if device.type == "cpu" else str(device)),
        **source,
    )
    model.eval()
    check_generation(model)
    return Loaded(
        model,
        processor,
        family,
        Path(options.model).resolve().name if Path(options.model).is_dir() else options.model,
        getattr(config, "_commit_hash", None) or folder_revision(Path(options.model)),
        config.get_text_config().hidden_size,
        dtype,
        model.device,
    )


def wanted_bytes(config: Any, dtype: torch.dtype) -> Wanted:
    """What a model of this config takes in this dtype; nothing is allocated."""
    with torch.device("meta"):
        # A copy: the library writes the dtype into the config that it is given.
        model = AutoModelForImageTextToText.from_config(deepcopy(config), dtype=dtype, trust_remote_code=False)
    tensors = [*model.parameters(), *model.buffers()]
    text = config.get_text_config()
    heads = getattr(text, "num_key_value_heads", None) or text.num_attention_heads
    width = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    cache = 2 * text.num_hidden_layers * heads * width * CACHE_POSITIONS * dtype.itemsize
    return Wanted(sum(tensor.numel() * tensor.element_size() for tensor in tensors), cache)


def free_bytes(device: torch.device) -> int | None:
    """Free memory where the weights would go, or None where that cannot be known."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    return _free_main_bytes()


def folder_revision(folder: Path) -> str:
    """12 hexadecimal digits of the SHA-256 of the folder's weights, file after file in the order of their names."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as weights:
            while block := weights.read(1 << 24):
                digest.update(block)
    return digest.hexdigest()[:12]


def _is_path(model: str) -> bool:
    """Whether this can only be a folder: a hub id is a name, or two with a slash between."""
    return model.startswith(("/", ".", "~")) or model.count("/") > 1 or "\\" in model


def _check_room(config: Any, dtype: torch.dtype, device: torch.device, options: LoadOptions) -> None:
    wanted = wanted_bytes(config, dtype)
    if options.device_map is None:
        free, where = free_bytes(device), str(device)
    else:
        cards = range(torch.cuda.device_count())
        free, where = sum(torch.cuda.mem_get_info(card)[0] for card in cards), f"{len(cards)} GPUs"
    if free is not None and sum(wanted) > free:
        raise DoesNotFit(
            f"{options.model} in {str(dtype).removeprefix('torch.')} wants {_gb(sum(wanted))} "
            f"({_gb(wanted.weights)} of weights, {_gb(wanted.cache)} to answer with {CACHE_POSITIONS} positions); "
            f"{where} has {_gb(free)} free"
        )


def _gb(size: int) -> str:
    return f"{size / 1e9:.3g} GB"


def _device(options: LoadOptions) -> torch.device:
    """Where inputs go. A device that this machine lacks is refused by name."""
    if options.device == "auto" and options.device_map is None:
        if torch.cuda.is_available():
            return torch.device("cuda", 0)
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device("cuda" if options.device_map else options.device)
    except RuntimeError as error:
        raise ValueError(f"device {options.device!r}: want auto, cpu, cuda, cuda:1 or mps") from error
    cards = torch.cuda.device_count()
    if device.type == "cuda" and (device.index or 0) >= cards:
        asked = f"device {options.device!r}" if options.device_map is None else f"device_map {options.device_map!r}"
        raise ValueError(f"{asked}: this machine has {cards} CUDA devices")
    return device


def _native_dtype(config: Any, device: torch.device) -> torch.dtype:
    """As it was saved; float32 on a CPU, whose half-precision arithmetic is slow and rounds each sum."""
    if device.type == "cpu":
        return torch.float32
    return config.dtype or config.get_text_config().dtype or torch.float32


def _free_main_bytes() -> int | None:
    """The least of what the machine has free and what this process's control group may still take."""
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
