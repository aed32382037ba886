"""The files of a model in a folder: whether they are complete, and an identity of the weights in them.

The identity does not depend on the folder's name, on how the weights are split into files, or on the dtype in which
they are loaded, so a model on the Hub and a copy of it in a folder have the same one.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

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
# Tensors up to this size are hashed completely, larger ones at SAMPLES places.
_WHOLE_BYTES = 1 << 20
_SAMPLES, _SAMPLE_BYTES = 64, 4096


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

    It covers each tensor's name, dtype and shape, all data of tensors up to 1 MiB, and 64 blocks of 4 KiB, evenly
    spaced, of larger ones. Raises IncompleteFiles.
    """
    digests: dict[str, str] = {}
    for path in files:
        with path.open("rb") as file:
            for tensor in list(_tensors(path, file)):
                digest = hashlib.sha256(f"{tensor.dtype} {tensor.shape}\n".encode())
                for start, length in _sampled(tensor.start, tensor.end):
                    file.seek(start)
                    digest.update(file.read(length))
                digests[tensor.name] = digest.hexdigest()
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


def _sampled(start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the position and length of each block of a tensor's data that belongs to the identity."""
    if end - start <= _WHOLE_BYTES:
        yield start, end - start
        return
    last = end - _SAMPLE_BYTES
    for sample in range(_SAMPLES):
        yield start + (last - start) * sample // (_SAMPLES - 1), _SAMPLE_BYTES


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
