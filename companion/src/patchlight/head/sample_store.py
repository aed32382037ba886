"""Stores the training samples of a FastRM head: hidden states and relevancy of answer tokens, as safetensors shards.

Tensors of a shard with `s` images of `P_i` patches each and `t` tokens in total:
image_states [sum P_i, d]   last hidden states of the patches, image after image; in block form [s, P, d]
patches [s] int64           P_i; absent in block form
image [t] int64             index of the token's image in the shard
question [t] int64          index of the token's question in the shard
question_count [] int64     number of questions
query_states [t, d]         the states that predicted the tokens
relevancy fp16              per token, one value per patch, scaled to a maximum of 1; in block form [t, P], else flat
peak [t] float32            the maximum before scaling
reproduced [t] bool         whether the token was the most likely one in the differentiated pass; if absent, all were
A collection may have further columns [t]. Block form requires the same number P of patches in every image. States are
stored in fp16, or, if a value would overflow, in the model's dtype.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from .answer_sample import SampleAnswer
from .shards import ShardPlan
from .work_folder import MANIFEST_FILE, read_manifest

_FLAT = ("image_states", "relevancy")
_WHOLE = (*_FLAT, "patches", "question_count")
_OPEN_SHARDS = 256
_NAMED = 5  # file names in an error message


class Padded(NamedTuple):
    """Values `[b, P]` of images with different numbers of patches. mask `[b, P]` is False on padding."""

    values: torch.Tensor
    mask: torch.Tensor


class ShardContent:
    """The samples of one shard, gathered in memory before writing."""

    def __init__(self) -> None:
        self._states: list[torch.Tensor] = []
        self._relevancy: list[torch.Tensor] = []
        self._columns: dict[str, list[torch.Tensor]] = {}
        self._questions: list[dict[str, Any]] = []

    @property
    def tokens(self) -> int:
        """Number of tokens added so far."""
        return sum(len(part) for part in self._columns.get("token", []))

    def add(self, sample_id: str, image_sha256: str | None, answer: SampleAnswer, score: float | None) -> None:
        """Add an answered and labelled sample. score: how correct the answer is, 0 to 1; None if unknown."""
        labels, t = answer.labels, len(answer.ids)
        assert labels is not None
        self._questions.append({"id": sample_id, "imageSha256": image_sha256, "answer": answer.text, "score": score})
        if t == 0:
            return
        # Consecutive questions are often about one image, whose states rarely depend on the question, because it
        # follows the image.
        if not (self._states and torch.equal(self._states[-1], answer.patch_states)):
            self._states.append(answer.patch_states)
        peak = labels.relevancy.amax(1)
        columns = {
            "token": torch.tensor(answer.ids, dtype=torch.long),
            "position": torch.arange(t),
            "log_prob": torch.tensor(answer.log_probs, dtype=torch.float32),
            "query_states": answer.query_states,
            "peak": peak,
            "image_share": labels.image_share,
            "reproduced": labels.likeliest == torch.tensor(answer.ids, dtype=torch.long),
            "image": torch.full((t,), len(self._states) - 1),
            "question": torch.full((t,), len(self._questions) - 1),
        }
        for name, value in columns.items():
            self._columns.setdefault(name, []).append(value)
        self._relevancy.append((labels.relevancy / peak.clamp(min=1e-30)[:, None]).half().flatten())

    def skip(self, sample_id: str, image_sha256: str | None, reason: str) -> None:
        """Record a sample that could not be answered or explained. image_sha256: None if the image cannot be read."""
        self._questions.append({"id": sample_id, "imageSha256": image_sha256, "skipped": reason})

    def write(self, path: Path) -> None:
        """Write the shard. Its metadata lists the questions in order: id and image, and answer and score or why the
        sample was skipped.
        """
        metadata = {"questions": json.dumps(self._questions, ensure_ascii=False)}
        tensors = {name: torch.cat(parts) for name, parts in self._columns.items()}
        if tensors:
            tensors["query_states"] = _storable(tensors["query_states"])
            tensors["image_states"] = _storable(torch.cat(self._states))
            tensors["relevancy"] = torch.cat(self._relevancy)
            tensors["patches"] = torch.tensor([len(states) for states in self._states])
        tensors["question_count"] = torch.tensor(len(self._questions))
        # `save_file` would report a full disk as an error of its own instead of an OSError.
        path.write_bytes(save(tensors, metadata))


def shard_questions(path: Path) -> list[dict[str, Any]]:
    """Read the list of questions that `ShardContent.write` stored in a shard's metadata.

    Raises ValueError if the file is damaged.
    """
    with _opened(path) as file:
        return json.loads((file.metadata() or {}).get("questions", "[]"))


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a shard. Raises ValueError if its header is damaged or its length is not what the header says."""
    try:
        file = safe_open(path, "pt")
    except SafetensorError as error:
        raise ValueError(
            f"{path} is incomplete or damaged ({error}): delete it, and collect again to make it anew"
        ) from None
    with file as opened:
        yield opened


def _shard_paths(folder: Path, allow_missing: bool) -> tuple[list[Path], list[str]]:
    """Return the shards of a folder in order, and the names of those that are missing.

    Raises ValueError if the folder has no shards or others than its manifest describes, or if some are missing and that
    is not allowed.
    """
    paths = sorted(folder.glob("[0-9]*.safetensors"))
    if not paths:
        raise ValueError(f"{folder} has no sample shards: pass a folder that `patchlight collect` wrote")
    manifest = read_manifest(folder) if (folder / MANIFEST_FILE).exists() else {}
    if {"samples", "shardSamples"} <= manifest.keys():
        plan = ShardPlan.of(folder, "safetensors", manifest)
    else:
        plan = ShardPlan(folder, "safetensors", int(paths[-1].stem) + 1, 1)
    expected = [plan.path(shard) for shard in range(len(plan))]
    missing = [path.name for path in expected if path not in set(paths)]
    if strangers := sorted(set(paths) - set(expected)):
        raise ValueError(
            f"{folder} holds {_named([path.name for path in strangers])}, which its {MANIFEST_FILE} does not describe "
            f"(it describes {len(plan)} shards): remove what does not belong there"
        )
    if missing and not allow_missing:
        raise ValueError(
            f"{folder} lacks {len(missing)} of {len(plan)} shards ({_named(missing)}): run `patchlight collect` again "
            "to make them, or train without them with --allow-missing"
        )
    return paths, missing


def _named(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


class _Images(NamedTuple):
    """The shard file that holds an image's states. block: whether the shard is in block form."""

    path: Path
    block: bool


class HeadSamples:
    """All shards of a folder as one set of samples. Tokens, images and questions are numbered consecutively across
    shards.

    columns: tensors `[t, ...]`, one row per token. Patch states are kept in memory if they take at most HOLD_BYTES and
    otherwise read from the shards on demand; `hold` overrides that choice. `missing` names the shards that are not
    there, if `allow_missing` permits any. Raises ValueError if the folder has no shards, lacks some, or has a damaged
    one, or if it has no answer tokens.
    """

    HOLD_BYTES = 8 << 30

    def __init__(self, folder: Path, *, hold: bool | None = None, allow_missing: bool = False):
        paths, self.missing = _shard_paths(folder, allow_missing)
        self._load(paths, hold)

    @classmethod
    def of_files(cls, paths: Sequence[Path], *, hold: bool | None = None) -> "HeadSamples":
        """Open shards, wherever they are, in the given order."""
        samples = cls.__new__(cls)
        samples.missing = []
        samples._load(paths, hold)
        return samples

    def close(self) -> None:
        """Close the shards that are open for reading patch states."""
        while self._open:
            self._open.pop(next(iter(self._open)))[0].__exit__(None, None, None)

    def _load(self, paths: Sequence[Path], hold: bool | None) -> None:
        columns: dict[str, list[torch.Tensor]] = {}
        counts, relevancy, self._sources = [], [], []
        images = questions = size = 0
        for path in paths:
            with _opened(path) as file:
                names = set(file.keys())
                count = int(file.get_tensor("question_count"))
                if "token" not in names:
                    questions += count
                    continue
                states = file.get_slice("image_states")
                shape = states.get_shape()
                block = len(shape) == 3
                patches = torch.full((shape[0],), shape[1]) if block else file.get_tensor("patches")
                part = {name: file.get_tensor(name) for name in names if name not in _WHOLE}
                part.setdefault("reproduced", torch.ones(len(part["token"]), dtype=torch.bool))
                part["image"] = part["image"] + images
                part["question"] = part["question"] + questions
                for name, value in part.items():
                    columns.setdefault(name, []).append(value)
                relevancy.append(file.get_tensor("relevancy").flatten())
                counts.append(patches)
                self._sources += [(_Images(path, block), number) for number in range(len(patches))]
                size += int(patches.sum()) * shape[-1] * (4 if states.get_dtype() == "F32" else 2)
                images, questions = images + len(patches), questions + count
        if not columns:
            folder = paths[0].parent
            raise ValueError(f"{folder} has no answer tokens: every answer is empty or was skipped")
        self.columns = {name: torch.cat(parts) for name, parts in columns.items()}
        self.patches = torch.cat(counts)
        self.questions = questions
        self.hidden_size = self.columns["query_states"].shape[-1]
        self._relevancy = torch.cat(relevancy)
        self._starts = _starts(self.patches[self.columns["image"]])
        self._uniform = int(self.patches[0]) if (self.patches == self.patches[0]).all() else None
        self._image_starts = _starts(self.patches)
        self._open: dict[Path, Any] = {}
        self._held: torch.Tensor | None = None
        if size <= self.HOLD_BYTES if hold is None else hold:
            self._held = torch.cat([self._read(image) for image in range(len(self.patches))])

    def __len__(self) -> int:
        return len(self.columns["token"])

    def fingerprint(self) -> str:
        """Return a SHA-256 over the columns and the maps of all tokens: the same for the same samples only."""
        digest = hashlib.sha256()
        for name, column in [*sorted(self.columns.items()), ("patches", self.patches), ("relevancy", self._relevancy)]:
            digest.update(f"{name} {column.dtype} {list(column.shape)}\n".encode())
            digest.update(column.contiguous().view(torch.uint8).numpy().data)
        return digest.hexdigest()

    def relevancy(self, tokens: torch.Tensor) -> Padded:
        """Return relevancy `[b, P]` of the token rows `[b]`: float32, 0 on padding."""
        images, starts = self.columns["image"][tokens], self._starts[tokens]
        if self._uniform is not None:
            blocks = self._relevancy.view(-1, self._uniform)
            values = blocks[starts // self._uniform]
            return Padded(values.float(), torch.ones(values.shape, dtype=torch.bool))
        width = int(self.patches[images].max())
        mask = torch.arange(width) < self.patches[images][:, None]
        rows = (starts[:, None] + torch.arange(width)).where(mask, 0)
        return Padded(self._relevancy[rows].masked_fill(~mask, 0).float(), mask)

    def picture_states(self, image: int) -> torch.Tensor:
        """Return patch states `[P, d]` of one image, in the stored dtype: fp16 halves the transfer to a GPU."""
        if self._held is None:
            return self._read(image)
        start = int(self._image_starts[image])
        return self._held[start : start + int(self.patches[image])]

    def _read(self, image: int) -> torch.Tensor:
        """Read the states `[P, d]` of one image from its shard."""
        source, number = self._sources[image]
        if source.path not in self._open:
            while len(self._open) >= _OPEN_SHARDS:
                self._open.pop(next(iter(self._open)))[0].__exit__(None, None, None)
            file = safe_open(source.path, "pt").__enter__()
            starts = None if source.block else _starts(file.get_tensor("patches")).tolist()
            self._open[source.path] = file, file.get_slice("image_states"), starts
        _, states, starts = self._open[source.path]
        if starts is None:
            return states[number]
        return states[starts[number] : starts[number] + int(self.patches[image])]


def _starts(counts: torch.Tensor) -> torch.Tensor:
    return counts.cumsum(0) - counts


def _storable(states: torch.Tensor) -> torch.Tensor:
    """Convert states to fp16 unless that overflows."""
    half = states.half()
    return half if half.isfinite().all() else states


def token_rows(samples: HeadSamples) -> torch.Tensor:
    """Return the token rows to train on. A row is included if its map is finite and not all zeros, and explains the
    token that the model produced.
    """
    return (_has_map(samples) & samples.columns["reproduced"]).nonzero()[:, 0]


def left_out(samples: HeadSamples) -> dict[str, int]:
    """Return the number of tokens that `token_rows` leaves out, by reason."""
    has_map, reproduced = _has_map(samples), samples.columns["reproduced"]
    return {
        "all values of the map are zero, or some are not finite": int((~has_map).sum()),
        "the map explains another token than the answer's": int((has_map & ~reproduced).sum()),
    }


def _has_map(samples: HeadSamples) -> torch.Tensor:
    return (samples.columns["peak"] > 0) & samples.columns["peak"].isfinite()
