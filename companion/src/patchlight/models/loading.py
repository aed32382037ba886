"""Load a model and its processor from the Hugging Face Hub or a folder.

A model that is unsupported, incomplete or too large is rejected before its weights are read, and one whose weights are
not those of its config afterwards. Only safetensors weights are loaded, and code in the repository is never run. Images
are prepared with Pillow even if torchvision is installed: torchvision's resizing gives different pixel values, and the
page and the recorded maps use Pillow's.
"""

from dataclasses import dataclass
from logging import getLogger
from pathlib import Path
from typing import Any, NamedTuple

import torch
from huggingface_hub import try_to_load_from_cache
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForImageTextToText
from transformers.configuration_utils import PreTrainedConfig
from transformers.utils import logging

from .checkpoint import check_checkpoint, check_finite, check_layout
from .decoding import check_generation
from .families.registry import Family, Lvlm, UnsupportedFamily, family_of
from .language_model import UnsupportedStructure, check_logits, decoder_of
from .memory import check_room, without_weights
from .model_files import (
    CONFIG_FILE,
    DOWNLOAD_AGAIN,
    IncompleteFiles,
    check_files,
    check_weight_files,
    folder_revision,
    shown,
    weight_files,
    weights_identity,
)
from .processors import load_processor, settle_sizes
from .sizes import simplify_sizes

_log = getLogger("patchlight.models")


@dataclass(frozen=True, kw_only=True)
class LoadOptions:
    """Which model to load, and where to put it."""

    model: str
    """Hub id, or a folder in Hugging Face's layout."""
    device: str = "auto"
    """auto (CUDA if available, else Apple's GPU, else the CPU), cpu, cuda, cuda:1 or mps."""
    dtype: str = "auto"
    """auto (the dtype of the saved weights; float32 on a CPU), float32, bfloat16 or float16."""
    revision: str | None = None
    """Branch, tag or commit on the Hub."""
    device_map: str | None = None
    """How to spread the model over several GPUs: auto, balanced or sequential. Excludes `device`."""

    def __post_init__(self) -> None:
        if self.dtype not in _DTYPES:
            raise ValueError(f"dtype must be one of {', '.join(_DTYPES)}, got {self.dtype!r}")
        if self.device_map is not None and self.device != "auto":
            raise ValueError(f"device {self.device!r} cannot be combined with device_map {self.device_map!r}")
        if self.revision is not None and Path(self.model).is_dir():
            raise ValueError(f"revision {self.revision!r} does not apply to a folder, only to a model on the Hub")


class Loaded(NamedTuple):
    """A model ready to answer.

    revision: the Hub commit, or 12 hexadecimal digits of the weights' SHA-256. weights: identity of the weights
    (`model_files.weights_identity`), or None if unknown. folder: where its files are. unused: names of tensors in the
    checkpoint that the model does not have.
    """

    model: Lvlm
    processor: Any
    family: Family
    name: str
    revision: str
    hidden_size: int
    dtype: torch.dtype
    device: torch.device
    weights: str | None = None
    folder: Path | None = None
    unused: tuple[str, ...] = ()


_DTYPES = {
    "auto": None,
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


def load(options: LoadOptions) -> Loaded:
    """Load a model and its processor.

    Before any weights are read, raises UnsupportedFamily, IncompleteFiles, NotEnoughMemory, or ValueError for a device
    that this machine does not have. Raises WrongWeights if the weights are not those of the model, or not finite,
    UnsupportedGeneration as `check_generation` does, and UnsupportedFamily if a model fails the checks of its family.
    """
    source: dict[str, Any] = {"trust_remote_code": False, "revision": options.revision}
    folder = Path(options.model) if Path(options.model).is_dir() else None
    if folder is None and _is_path(options.model):
        # The Hub client would report a malformed id instead.
        raise FileNotFoundError(f"there is no folder {options.model}")
    if folder is not None:
        check_files(folder)
    config = _load_config(options.model, source)
    family = family_of(config)
    simplify_sizes(config)
    device = _device(options)
    dtype = _DTYPES[options.dtype] or _native_dtype(config, device)
    empty = _without_weights(options.model, config, dtype, family)
    check_room(options.model, empty, dtype, device, is_spread=options.device_map is not None)
    if folder is not None:
        check_weight_files(folder)
    try:
        processor = _load_processor(options.model, config, source)
        model, report = _load_weights(options, config, dtype, device, source)
    except (OSError, ValueError):
        # Files of a folder have been checked. Those of the Hub can only be once they are downloaded.
        if folder is None and (downloaded := _snapshot(options)) is not None:
            check_files(downloaded)
            check_weight_files(downloaded)
        raise
    if unused := check_checkpoint(options.model, model, report):
        _log.warning(
            "%s: the config has no part for %d tensors of the checkpoint, so they are not used (%s)",
            options.model,
            len(unused),
            shown(unused),
        )
    model.eval()
    check_finite(options.model, model)
    check_generation(model)
    try:
        check_logits(model)
        family.check(model, processor)
    except ValueError as error:
        raise UnsupportedFamily(f"{family.name} model not supported: {error}") from error
    files = folder or _snapshot(options)
    return Loaded(
        model,
        processor,
        family,
        options.model if folder is None else folder.resolve().name,
        _revision(folder, files),
        config.get_text_config().hidden_size,
        dtype,
        model.device,
        weights=None if files is None else weights_identity(weight_files(files)),
        folder=files,
        unused=tuple(unused),
    )


def _is_path(model: str) -> bool:
    """Whether `model` can only be a folder, since a Hub id is one name, or two names separated by a slash."""
    return model.startswith(("/", ".", "~")) or model.count("/") > 1 or "\\" in model


def _load_config(model: str, source: dict[str, Any]) -> Any:
    """Load the config. Raises ValueError if transformers refuses a value in it, and WrongWeights as `check_layout`."""
    check_layout(model, PreTrainedConfig.get_config_dict(model, **source)[0])
    try:
        return AutoConfig.from_pretrained(model, **source)
    except (StrictDataclassError, ArithmeticError, AttributeError, TypeError) as error:
        raise ValueError(
            f"the {CONFIG_FILE} of {model} has a value that transformers cannot use "
            f"({' '.join(str(error).split())[:300]}): correct it, or {DOWNLOAD_AGAIN}"
        ) from error


def _without_weights(model: str, config: Any, dtype: torch.dtype, family: Family) -> Any:
    """Build the model without its weights. Raises ValueError if its config makes that impossible, and UnsupportedFamily
    if it has no language model that runs on its own.
    """
    try:
        empty = without_weights(config, dtype)
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError) as error:
        raise ValueError(
            f"the {CONFIG_FILE} of {model} describes a model that cannot be built ({_first_line(error)}): correct it, "
            f"or {DOWNLOAD_AGAIN}"
        ) from error
    try:
        decoder_of(empty)
    except UnsupportedStructure as error:
        raise UnsupportedFamily(f"{family.name} model not supported: {error}") from error
    return empty


def _load_processor(model: str, config: Any, source: dict[str, Any]) -> Any:
    """Load the processor. Raises ValueError if files are missing or do not fit."""
    try:
        processor = load_processor(model, config, **source)
    except Exception as error:  # The tokenizers' own errors have no common base class.
        raise ValueError(
            f"the tokenizer or image processor of {model} cannot be loaded, because files are missing or damaged "
            f"({_first_line(error)}): {DOWNLOAD_AGAIN}"
        ) from error
    settle_sizes(processor, config)
    return processor


def _load_weights(
    options: LoadOptions, config: Any, dtype: torch.dtype, device: torch.device, source: dict[str, Any]
) -> tuple[Any, dict[str, Any]]:
    """Load the weights, and return the model with transformers' report of missing, unexpected and mismatched ones."""
    # With output_loading_info, it returns a pair, which its type does not say.
    loader: Any = AutoModelForImageTextToText
    level = logging.get_verbosity()
    # check_checkpoint says what transformers would log as a table.
    logging.set_verbosity_error()
    try:
        return loader.from_pretrained(
            options.model,
            config=config,
            dtype=dtype,
            use_safetensors=True,
            # Loads each shard straight onto the GPU; not needed on the CPU.
            device_map=options.device_map or (None if device.type == "cpu" else str(device)),
            # Tensors of other shapes are in the report instead of an error without names.
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            **source,
        )
    except SafetensorError as error:
        raise IncompleteFiles(f"the weights of {options.model} cannot be read ({error}): {DOWNLOAD_AGAIN}") from error
    except ImportError as error:
        raise ValueError(f"{options.model} cannot be loaded without another package: {_first_line(error)}") from error
    finally:
        logging.set_verbosity(level)


def _snapshot(options: LoadOptions) -> Path | None:
    """Return the folder in the Hub's cache with the files of a model, or None if they are elsewhere."""
    config = try_to_load_from_cache(options.model, CONFIG_FILE, revision=options.revision)
    return Path(config).parent if isinstance(config, str) else None


def _revision(folder: Path | None, files: Path | None) -> str:
    """Return the hash of a folder's weights, or the commit of a model from the Hub, after which its cache names the
    folder of the model's files.
    """
    if folder is not None:
        return folder_revision(folder)
    return "unknown" if files is None else files.name


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


def _device(options: LoadOptions) -> torch.device:
    """Return the device for inputs. Raises ValueError if this machine does not have it."""
    if options.device == "auto" and options.device_map is None:
        if torch.cuda.is_available():
            return torch.device("cuda", 0)
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device("cuda" if options.device_map else options.device)
    except RuntimeError as error:
        raise ValueError(f"device must be auto, cpu, cuda, cuda:1 or mps, got {options.device!r}") from error
    cards = torch.cuda.device_count()
    if device.type == "cuda" and (device.index or 0) >= cards:
        option = f"device {options.device!r}" if options.device_map is None else f"device_map {options.device_map!r}"
        raise ValueError(f"{option} is not available: this machine has {cards} CUDA devices")
    return device


def _native_dtype(config: Any, device: torch.device) -> torch.dtype:
    """Return the dtype of the saved weights, or float32 on a CPU, where half precision is slow and rounds each sum."""
    if device.type == "cpu":
        return torch.float32
    return config.dtype or config.get_text_config().dtype or torch.float32
