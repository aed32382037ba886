"""The files of a model in a folder: whether they are complete, and an identity of the weights in them.

The identity does not depend on the folder's name, on how the weights are split into files, on the dtype in which
they are loaded, or on which version of transformers saved them. A model on the Hub and a copy of it in a folder have
the same one, also if `save_pretrained` wrote the copy.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

CONFIG_FILE = "config.json"
WEIGHTS_FILE, INDEX_FILE = "model.safetensors", "model.safetensors.index.json"
JSON_FILES = (
    CONFIG_FILE,
    "generation_config.json",
    INDEX_FILE,
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "processor_config.json",
    "preprocessor_config.json",
    "chat_template.json",
)
OTHER_FILES = ("tokenizer.model", "merges.txt", "chat_template.jinja")
DOWNLOAD_AGAIN = "download it again, for example with `hf download`"

# Weights in formats that are not loaded.
_OTHER_WEIGHTS = ("*.bin", "*.pt", "*.pth", "*.gguf", "*.h5", "*.msgpack", "*.npz")
_LFS_POINTER = b"version https://git-lfs.github.com/spec/"
RECOMPUTED = ("inv_freq", "original_inv_freq", "position_ids")
"""Last parts of the names of buffers that models compute from their config. Older checkpoints have them."""

# Tensors with up to this number of values are hashed completely, larger ones at SAMPLES places.
_WHOLE_VALUES = 1 << 18
_SAMPLES, _SAMPLE_VALUES = 64, 1024
# Bytes per value of the dtypes that are widened to float32, which changes no value, before they are hashed.
_WIDENED = {"F32": 4, "F16": 2, "BF16": 2}
# Parts of names that versions of transformers add, omit or move.
_MOVED = ("model", "language_model", "text_model", "vision_model")


class IncompleteFiles(OSError):
    """A file of a model is missing, a placeholder, or cut off; the message names it and says what to do."""


class _Tensor(NamedTuple):
    """A tensor in a safetensors file. start, end: positions of its data in the file."""

    name: str
    dtype: str
    shape: list[int]
    start: int
    end: int


def weight_files(folder: Path) -> list[Path]:
    """Return the weight files that transformers reads: one file, or the shards that an index lists.

    Raises IncompleteFiles if there is none, or a shard is missing.
    """
    if (path := folder / WEIGHTS_FILE).is_file():
        return [path]
    index = folder / INDEX_FILE
    if not index.is_file():
        raise IncompleteFiles(_no_weights(folder))
    shards = sorted({str(name) for name in read_json(index).get("weight_map", {}).values()})
    missing = [name for name in shards if not (folder / name).is_file()]
    if missing or not shards:
        raise IncompleteFiles(
            f"{folder} is incomplete: {len(missing)} of the {len(shards)} files in {INDEX_FILE} are missing "
            f"({shown(missing)}): download them again, for example with `hf download`"
        )
    return [folder / name for name in shards]


def check_files(folder: Path) -> None:
    """Check the files of a folder other than the weights: the config and those of the processor, as far as they exist.

    Raises IncompleteFiles if one is empty, a Git LFS pointer, or invalid JSON, if there is no config, or if the folder
    holds an adapter, which would be ignored.
    """
    if (folder / "adapter_config.json").is_file():
        raise IncompleteFiles(
            f"{folder} holds an adapter (adapter_config.json), which is not loaded: merge it into its base model "
            "(merge_and_unload of the peft library), save that, and pass its folder"
        )
    if not (folder / CONFIG_FILE).is_file():
        raise IncompleteFiles(f"{folder} has no {CONFIG_FILE}: pass a folder with a model in Hugging Face's layout")
    for name in JSON_FILES:
        if (path := folder / name).is_file():
            read_json(path)
    for name in OTHER_FILES:
        if (path := folder / name).is_file():
            _check_whole(path)


def check_weight_files(folder: Path) -> None:
    """Check that a folder's weight files are complete, without reading any weights. Raises IncompleteFiles."""
    for path in weight_files(folder):
        check_safetensors(path)


def weights_identity(files: list[Path]) -> str:
    """Return the first 16 hexadecimal digits of a SHA-256 over the tensors in these safetensors files.

    It covers each tensor's name, shape and values: all of them up to 262,144, and 64 blocks of 1024 values, evenly
    spaced, of larger tensors. float16 and bfloat16 count as the float32 values that they are. What depends on the
    version of transformers that saved a model does not count: parts of names, buffers that the model computes, and a
    copy of the embedding as `lm_head`. Raises IncompleteFiles.
    """
    digests: dict[str, str] = {}
    for path in files:
        with path.open("rb") as file:
            for tensor in list(_tensors(path, file)):
                name = ".".join(part for part in tensor.name.split(".") if part not in _MOVED)
                if name.rpartition(".")[2] not in RECOMPUTED:
                    digests[name] = digests.get(name, "") + _digest(tensor, file)
    if digests.get("lm_head.weight") == digests.get("embed_tokens.weight"):
        digests.pop("lm_head.weight", None)
    lines = "".join(f"{name} {digests[name]}\n" for name in sorted(digests))
    return hashlib.sha256(lines.encode()).hexdigest()[:16]


def folder_revision(folder: Path) -> str:
    """First 12 hexadecimal digits of the SHA-256 of the folder's weight files, sorted by name."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as weights:
            while block := weights.read(1 << 24):
                digest.update(block)
    return digest.hexdigest()[:12]


def check_safetensors(path: Path) -> None:
    """Check that a safetensors file is complete, without reading its tensors. Raises IncompleteFiles."""
    if not path.is_file():
        raise IncompleteFiles(f"{path.parent} has no {path.name}")
    with path.open("rb") as file:
        list(_tensors(path, file))


def shown(names: list[str], most: int = 5) -> str:
    """List the first names, and the number of the others."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


def _tensors(path: Path, file: BinaryIO) -> Iterator[_Tensor]:
    """Yield the tensors in a file's header. Raises IncompleteFiles if the file does not hold all of their data."""
    size = path.stat().st_size
    _check_whole(path)
    head = file.read(8)
    length = int.from_bytes(head, "little")
    # The format limits headers to 100 MB; a larger length is that of another format.
    if len(head) < 8 or length > 100_000_000:
        raise IncompleteFiles(f"{path} is not a safetensors file ({size:,} bytes): {DOWNLOAD_AGAIN}")
    if size < 8 + length:
        raise IncompleteFiles(
            f"{path} is incomplete: it has {size:,} bytes and ends within its header of {length:,}: {DOWNLOAD_AGAIN}"
        )
    try:
        header: dict[str, Any] = json.loads(file.read(length))
        header.pop("__metadata__", None)
        tensors = [
            _Tensor(name, str(facts["dtype"]), list(facts["shape"]), *(8 + length + at for at in facts["data_offsets"]))
            for name, facts in header.items()
        ]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise IncompleteFiles(f"{path} is damaged: its header is invalid ({error}): {DOWNLOAD_AGAIN}") from None
    expected = max((tensor.end for tensor in tensors), default=8 + length)
    if size < expected:
        raise IncompleteFiles(f"{path} is incomplete: it has {size:,} of {expected:,} bytes: {DOWNLOAD_AGAIN}")
    if size > expected:
        raise IncompleteFiles(f"{path} is damaged: it has {size:,} bytes instead of {expected:,}: {DOWNLOAD_AGAIN}")
    yield from tensors


def _digest(tensor: _Tensor, file: BinaryIO) -> str:
    width = _WIDENED.get(tensor.dtype)
    digest = hashlib.sha256(f"{'float' if width else tensor.dtype} {tensor.shape}\n".encode())
    for start, length in _sampled(tensor.end - tensor.start, width or 1):
        file.seek(tensor.start + start)
        digest.update(_widened(file.read(length), tensor.dtype))
    return digest.hexdigest()


def _widened(data: bytes, dtype: str) -> bytes:
    match dtype:
        case "F16":
            return np.frombuffer(data, "<f2").astype("<f4").tobytes()
        case "BF16":
            return (np.frombuffer(data, "<u2").astype("<u4") << 16).tobytes()
        case _:
            return data


def _sampled(size: int, width: int) -> Iterator[tuple[int, int]]:
    """Yield the position and length, in bytes, of each block that is hashed of values with `width` bytes each."""
    values = size // width
    if values <= _WHOLE_VALUES:
        yield 0, size
        return
    last = values - _SAMPLE_VALUES
    for sample in range(_SAMPLES):
        yield last * sample // (_SAMPLES - 1) * width, _SAMPLE_VALUES * width


def _check_whole(path: Path) -> None:
    """Raise IncompleteFiles if a file is empty, or a Git LFS pointer in place of the file."""
    with path.open("rb") as file:
        start = file.read(1024)
    if not start:
        raise IncompleteFiles(f"{path} is empty: {DOWNLOAD_AGAIN}")
    if start.startswith(_LFS_POINTER):
        size = next((int(line[5:]) for line in start.splitlines() if line[:5] == b"size " and line[5:].isdigit()), None)
        real = "" if size is None else f" of {size:,} bytes"
        raise IncompleteFiles(
            f"{path} is incomplete: it is a Git LFS pointer to the file{real}, not the file itself: run `git lfs pull` "
            f"in {path.parent}"
        )


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object from a file. Raises IncompleteFiles if the file is empty, a Git LFS pointer or not JSON."""
    _check_whole(path)
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise IncompleteFiles(f"{path} is incomplete or damaged: it is not JSON ({error}): {DOWNLOAD_AGAIN}") from None
    if not isinstance(content, dict):
        raise IncompleteFiles(f"{path} is damaged: it holds {type(content).__name__}, expected an object")
    return content


def _no_weights(folder: Path) -> str:
    others = sorted(path.name for pattern in _OTHER_WEIGHTS for path in folder.glob(pattern))
    if others:
        return (
            f"{folder} has no safetensors weights, only {shown(others)}, and other formats are not loaded because "
            "reading them can run code: save the model with `save_pretrained`, which writes safetensors"
        )
    return f"{folder} has no weights: expected {WEIGHTS_FILE}, or {INDEX_FILE} with the files that it lists"
