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
The same for the text tokens of the `q` answered prompts, m_i of each; absent in shards from before prompts were stored:
prompt_states [sum m_i, d]
prompt_tokens [sum m_i] int64    ids
prompt_lengths [q] int64         m_i
prompt [t] int64                 index of the token's prompt
prompt_relevancy fp16            per token, one value per text token, scaled to a maximum of 1
prompt_peak [t] float32          the maximum before scaling
attention [t, rows, P] fp16      what FastRM+ reads (methods/attention.py); absent if it was not collected
Of samples by ablation, for K masks per answered question, numbered as the prompts are:
masks uint8                      K rows of ceil(m_patches / 8) bytes per question: a bit per patch, set where it is barred
mask_patches [q] int64           number of patches of the question's image
deltas [t, K] float32            fall of the token's log-probability under each mask, in nats
A collection may have further columns [t]. Block form requires the same number P of patches in every image. States are
stored in fp16, or, if a value would overflow, in the model's dtype. The metadata may name the teacher.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError, safe_open

from .ablation import Ablation
from .labels import TEACHERS
from .shards import ShardPlan
from .work_folder import MANIFEST_FILE, read_manifest

Output = Literal["patches", "text"]
"""What a head's maps are over: the patches of the image, or the text tokens of the prompt."""


class _Tensors(NamedTuple):
    """Names of the tensors that hold the states, their number per image or prompt, each token's image or prompt, and the
    maps with their maxima.
    """

    states: str
    lengths: str
    place: str
    relevancy: str
    peak: str


_OUTPUTS: dict[Output, _Tensors] = {
    "patches": _Tensors("image_states", "patches", "image", "relevancy", "peak"),
    "text": _Tensors("prompt_states", "prompt_lengths", "prompt", "prompt_relevancy", "prompt_peak"),
}
_NO_COLUMNS = {
    "question_count",
    "prompt_tokens",
    "masks",
    "mask_patches",
    *(name for names in _OUTPUTS.values() for name in names),
}
_UNNAMED_TEACHERS = (TEACHERS["chefer"], TEACHERS["chefer-incremental"])
METADATA_KEY = "patchlight"
_OPEN_SHARDS = 256
_NAMED = 5  # file names in an error message


class Padded(NamedTuple):
    """Values `[b, P]` of images with different numbers of patches. mask `[b, P]` is False on padding."""

    values: torch.Tensor
    mask: torch.Tensor


def shard_questions(path: Path) -> list[dict[str, Any]]:
    """Read the list of questions that `ShardContent` stored in a shard's metadata.

    Raises ValueError if the file is damaged.
    """
    with _opened(path) as file:
        return _metadata(file)["questions"]


def _metadata(file: Any) -> dict[str, Any]:
    """Return the teacher and the questions of a shard; the teacher is None if it is not named, as in older shards."""
    entries = file.metadata() or {}
    older = {"teacher": None, "questions": json.loads(entries.get("questions", "[]"))}
    return json.loads(entries[METADATA_KEY]) if METADATA_KEY in entries else older


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


def _only_teacher(teachers: dict[str, Path]) -> str | None:
    """Return what labelled the shards, given by teacher with the first shard of each; None if no shard says it.

    Shards that do not say it, under "", are from before there were teachers other than Chefer. Raises ValueError if there
    are several teachers.
    """
    named = [teacher for teacher in teachers if teacher]
    is_mixed = len(named) > 1 or ("" in teachers and any(teacher not in _UNNAMED_TEACHERS for teacher in named))
    if is_mixed:
        shown = "; ".join(f"{path.name}: {teacher or 'not named'}" for teacher, path in teachers.items())
        raise ValueError(
            f"{next(iter(teachers.values())).parent} holds samples of several teachers ({shown}), and a head imitates one: "
            "collect them in separate folders"
        )
    return named[0] if named else None


class _Images(NamedTuple):
    """The shard file that holds an image's or a prompt's states. block: whether the shard is in block form."""

    path: Path
    block: bool


class HeadSamples:
    """All shards of a folder as one set of samples. Tokens, images and questions are numbered consecutively across
    shards.

    output: what the maps are over. With "text", a prompt takes the place of an image and its text tokens that of the
    patches: in `columns`, `patches`, `relevancy` and `picture_states`.

    columns: tensors `[t, ...]`, one row per token; the large column `attention` only if that is asked for. Patch states are kept in memory if they take at most HOLD_BYTES and
    otherwise read from the shards on demand; `hold` overrides that choice. `missing` names the shards that are not
    there, if `allow_missing` permits any. teacher: what labelled the samples; None if no shard says it. Raises
    ValueError if the folder has no shards, lacks some, or has a damaged one, if its shards have different teachers, if it
    has no answer tokens, or, for text, if it was collected without prompts (`has_prompts`).
    """

    HOLD_BYTES = 8 << 30

    def __init__(
        self,
        folder: Path,
        *,
        output: Output = "patches",
        hold: bool | None = None,
        allow_missing: bool = False,
        attention: bool = False,
    ):
        paths, self.missing = _shard_paths(folder, allow_missing)
        self._load(paths, output, hold, attention=attention)

    @classmethod
    def of_files(cls, paths: Sequence[Path], *, output: Output = "patches", hold: bool | None = None) -> "HeadSamples":
        """Open shards, wherever they are, in the given order."""
        samples = cls.__new__(cls)
        samples.missing = []
        samples._load(paths, output, hold)
        return samples

    def close(self) -> None:
        """Close the shards that are open for reading patch states."""
        while self._open:
            self._open.pop(next(iter(self._open)))[0].__exit__(None, None, None)

    def release(self) -> None:
        """Give up the states that are in memory. Later ones are read from the shards."""
        self._held = None

    def _load(self, paths: Sequence[Path], output: Output, hold: bool | None, *, attention: bool = False) -> None:
        columns: dict[str, list[torch.Tensor]] = {}
        counts, relevancy, ids = [], [], []
        self._sources: list[tuple[_Images, int]] = []
        self._names = names_of = _OUTPUTS[output]
        masks: list[torch.Tensor] = []
        mask_patches: list[torch.Tensor] = []
        teachers: dict[str, Path] = {}
        images = questions = size = masked = 0
        for path in paths:
            with _opened(path) as file:
                names = set(file.keys())
                count = int(file.get_tensor("question_count"))
                if "token" not in names:
                    questions += count
                    continue
                teachers.setdefault(_metadata(file)["teacher"] or "", path)
                if names_of.states not in names:
                    raise ValueError(
                        f"{path} has no prompts: it was collected by an earlier version; collect the samples again"
                    )
                states = file.get_slice(names_of.states)
                shape = states.get_shape()
                block = len(shape) == 3
                patches = torch.full((shape[0],), shape[1]) if block else file.get_tensor(names_of.lengths)
                left_out = _NO_COLUMNS if attention else _NO_COLUMNS | {"attention"}
                part = {name: file.get_tensor(name) for name in names - left_out}
                part.setdefault("reproduced", torch.ones(len(part["token"]), dtype=torch.bool))
                part["image"] = file.get_tensor(names_of.place) + images
                part["peak"] = file.get_tensor(names_of.peak)
                part["question"] = part["question"] + questions
                if "masks" in names:
                    part["mask"] = file.get_tensor("prompt") + masked
                    masks.append(file.get_tensor("masks"))
                    mask_patches.append(file.get_tensor("mask_patches"))
                    masked += len(mask_patches[-1])
                for name, value in part.items():
                    columns.setdefault(name, []).append(value)
                relevancy.append(file.get_tensor(names_of.relevancy).flatten())
                if output == "text":
                    ids.append(file.get_tensor("prompt_tokens"))
                counts.append(patches)
                self._sources += [(_Images(path, block), number) for number in range(len(patches))]
                size += int(patches.sum()) * shape[-1] * (4 if states.get_dtype() == "F32" else 2)
                images, questions = images + len(patches), questions + count
        if not columns:
            folder = paths[0].parent
            raise ValueError(f"{folder} has no answer tokens: every answer is empty or was skipped")
        self.teacher = _only_teacher(teachers)
        self.columns = {name: torch.cat(parts) for name, parts in columns.items()}
        if partial := sorted(
            name for name, column in self.columns.items() if len(column) != len(self.columns["token"])
        ):
            raise ValueError(
                f"{paths[0].parent} mixes shards with and without {', '.join(partial)}: collect the samples again in "
                "another folder"
            )
        self._masks = torch.cat(masks) if masks else None
        self._mask_patches = torch.cat(mask_patches) if masks else torch.zeros(0, dtype=torch.long)
        self.patches = torch.cat(counts)
        self.questions = questions
        self.hidden_size = self.columns["query_states"].shape[-1]
        self._relevancy = torch.cat(relevancy)
        self._starts = _starts(self.patches[self.columns["image"]])
        self._uniform = int(self.patches[0]) if (self.patches == self.patches[0]).all() else None
        self._image_starts = _starts(self.patches)
        self._ids = torch.cat(ids) if ids else None
        self._open: dict[Path, Any] = {}
        self._held: torch.Tensor | None = None
        if size <= self.HOLD_BYTES if hold is None else hold:
            self._held = torch.cat([self._read(image) for image in range(len(self.patches))])

    def __len__(self) -> int:
        return len(self.columns["token"])

    def fingerprint(self) -> str:
        """Return a SHA-256 over the columns and the maps of all tokens: the same for the same samples only."""
        digest = hashlib.sha256()
        masks = [] if self._masks is None else [("masks", self._masks), ("mask patches", self._mask_patches)]
        tensors = [("patches", self.patches), ("relevancy", self._relevancy), *masks]
        for name, column in [*sorted(self.columns.items()), *tensors]:
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

    @property
    def has_masks(self) -> bool:
        """Whether the samples are by ablation, so that `ablation` has what their maps were estimated from."""
        return self._masks is not None

    def ablation(self, tokens: torch.Tensor) -> Ablation:
        """Return the masks `[b, K, P]` and falls `[b, K]` of the token rows `[b]`, whose images all have P patches.

        Raises ValueError if the samples are by another teacher.
        """
        if self._masks is None:
            raise ValueError("only samples by ablation have masks: collect them with --teacher ablation")
        deltas, questions = self.columns["deltas"][tokens], self.columns["mask"][tokens]
        count, size = deltas.shape[1], int(self._mask_patches[questions[0]]) if len(questions) else 0
        width = (self._mask_patches + 7) // 8 * count
        starts = _starts(width)
        unique, places = questions.unique(return_inverse=True)
        rows = [self._masks[int(starts[at]) : int(starts[at] + width[at])].numpy() for at in unique]
        bits = [np.unpackbits(row.reshape(count, -1), axis=1, count=size).astype(bool) for row in rows]
        masks = torch.from_numpy(np.stack(bits)) if bits else torch.zeros(0, count, size, dtype=torch.bool)
        return Ablation(masks[places], deltas)

    def picture_states(self, image: int) -> torch.Tensor:
        """Return the states `[P, d]` of one image's patches, in the stored dtype: fp16 halves the transfer to a GPU."""
        if self._held is None:
            return self._read(image)
        start = int(self._image_starts[image])
        return self._held[start : start + int(self.patches[image])]

    def prompt_ids(self, prompt: int) -> torch.Tensor:
        """Return the token ids `[m]` of one prompt. Raises ValueError unless the output is "text"."""
        if self._ids is None:
            raise ValueError("only samples for text have prompts")
        start = int(self._image_starts[prompt])
        return self._ids[start : start + int(self.patches[prompt])]

    def _read(self, image: int) -> torch.Tensor:
        """Read the states `[P, d]` of one image from its shard."""
        source, number = self._sources[image]
        if source.path not in self._open:
            while len(self._open) >= _OPEN_SHARDS:
                self._open.pop(next(iter(self._open)))[0].__exit__(None, None, None)
            file = safe_open(source.path, "pt").__enter__()
            starts = None if source.block else _starts(file.get_tensor(self._names.lengths)).tolist()
            self._open[source.path] = file, file.get_slice(self._names.states), starts
        _, states, starts = self._open[source.path]
        if starts is None:
            return states[number]
        return states[starts[number] : starts[number] + int(self.patches[image])]


def attention_rows(samples: HeadSamples) -> int:
    """Return the number of attention rows per token. Raises ValueError if the samples were collected without any."""
    attention = samples.columns.get("attention")
    if attention is None:
        raise ValueError(
            "these samples have no attention rows, which FastRM+ reads: only those of the embedded model do (its pipeline's step `samples`)"
        )
    return attention.shape[1]


def has_prompts(folder: Path) -> bool:
    """Whether all shards of a folder have prompts, which were not stored at first."""
    shards = []
    for path in sorted(folder.glob("[0-9]*.safetensors")):
        with _opened(path) as file:
            shards.append(set(file.keys()))
    answered = [names for names in shards if "token" in names]
    return bool(answered) and all("prompt_states" in names for names in answered)


def _starts(counts: torch.Tensor) -> torch.Tensor:
    return counts.cumsum(0) - counts


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
