"""Questions about pictures, as VQAv2, GQA and POPE publish them, or one a line.

Samples come one at a time, always in the same order, and nothing of a picture is read here.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from random import Random
from typing import NamedTuple

from .answer_scores import DataKind
from .json_entries import DataError, Entry, JsonFile, json_lines

POPE_SPLITS = ("random", "popular", "adversarial")


class Sample(NamedTuple):
    """A question about one picture. answers: the right ones, ten people's in VQAv2; none where they are withheld."""

    id: str
    image: Path
    question: str
    answers: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """Which questions are asked; the same options always give the same samples in the same order."""

    kind: DataKind
    """vqav2, gqa, pope or jsonl."""
    questions: Path
    """The questions file; for gqa and pope also a folder of them (train_all_questions; the three splits of POPE)."""
    annotations: Path | None = None
    """VQAv2's answers; without them questions have none, as in its test sets."""
    images: Path | None = None
    """The pictures' folder; jsonl looks beside its own file unless this is given."""
    samples: int | None = None
    """How many are taken; all, where not given."""
    seed: int | None = None
    """Of the choice of `samples`; the first ones are taken where not given."""

    def __post_init__(self) -> None:
        if self.kind not in _READERS:
            raise ValueError(f"data set {self.kind!r}: want one of {', '.join(_READERS)}")
        if self.annotations is not None and self.kind != "vqav2":
            raise ValueError(f"annotations with {self.kind}: only vqav2 keeps its answers in another file")
        if self.images is None and self.kind != "jsonl":
            raise ValueError(f"{self.kind} names its pictures by number: want the folder of images")
        if self.samples is not None and self.samples < 1:
            raise ValueError(f"{self.samples} samples: want at least 1")
        if self.seed is not None and self.samples is None:
            raise ValueError(f"seed {self.seed} without a number of samples: there is nothing to choose")


def read_samples(options: DataOptions) -> Iterator[Sample]:
    """Those that the options choose, in the file's own order."""
    if options.seed is None or options.samples is None:
        yield from islice(_READERS[options.kind](options), options.samples)
        return
    total = _count_all(options)
    wanted = set(Random(options.seed).sample(range(total), min(options.samples, total)))
    yield from (sample for number, sample in enumerate(_READERS[options.kind](options)) if number in wanted)


def count_samples(options: DataOptions) -> int:
    """How many `read_samples` gives; the questions are read once for it."""
    total = _count_all(options)
    return total if options.samples is None else min(options.samples, total)


def _count_all(options: DataOptions) -> int:
    return sum(1 for _ in _READERS[options.kind](replace(options, annotations=None)))


def _vqav2(options: DataOptions) -> Iterator[Sample]:
    file = JsonFile(options.questions)
    split = file.value("data_subtype")
    if not isinstance(split, str):
        raise DataError(f"{options.questions}: no data_subtype, which names the pictures (val2014)")
    split = split.replace("test-dev", "test")
    answers = _Answers(options.annotations) if options.annotations else None
    for entry in file.entries("questions"):
        number = entry.get("question_id", int)
        image = f"COCO_{split}_{entry.get('image_id', int):012d}.jpg"
        yield Sample(
            str(number),
            _folder(options) / image,
            entry.get("question", str),
            answers.of(number, entry) if answers else (),
        )


class _Answers:
    """VQAv2's answers by question. Both files have the same order, so that few are ever held at once."""

    def __init__(self, path: Path):
        self._path = path
        self._rest = JsonFile(path).entries("annotations")
        self._read: dict[int, tuple[str, ...]] = {}

    def of(self, question: int, asked: Entry) -> tuple[str, ...]:
        while question not in self._read:
            entry = next(self._rest, None)
            if entry is None:
                raise DataError(f"{asked.place}: question {question} has no answers in {self._path}")
            given = [Entry(entry.key, answer, entry.locate) for answer in entry.get("answers", list)]
            self._read[entry.get("question_id", int)] = tuple(answer.get("answer", str) for answer in given)
        return self._read.pop(question)


def _gqa(options: DataOptions) -> Iterator[Sample]:
    for path in _files(options.questions):
        for entry in JsonFile(path).entries():
            image = _folder(options) / f"{entry.get('imageId', str)}.jpg"
            known = isinstance(entry.value, dict) and "answer" in entry.value
            answers = (entry.get("answer", str),) if known else ()
            yield Sample(entry.key, image, entry.get("question", str), answers)


def _pope(options: DataOptions) -> Iterator[Sample]:
    for path in _files(options.questions, *(f"*pope_{split}.json*" for split in POPE_SPLITS)):
        split = next((name for name in POPE_SPLITS if path.stem.endswith(name)), path.stem)
        for entry in json_lines(path):
            label = entry.get("label", str)
            if label not in ("yes", "no"):
                raise DataError(f"{entry.place}: label {label!r}, want yes or no")
            number, image = entry.get("question_id", int), _folder(options) / entry.get("image", str)
            yield Sample(f"{split}/{number}", image, entry.get("text", str), (label,))


def _jsonl(options: DataOptions) -> Iterator[Sample]:
    folder = options.images or options.questions.parent
    for entry in json_lines(options.questions):
        answers = entry.get("answers", list)
        if not all(isinstance(answer, str) for answer in answers):
            raise DataError(f"{entry.place}: 'answers' holds something else than text")
        name = entry.value.get("id", entry.key)
        yield Sample(str(name), folder / entry.get("image", str), entry.get("question", str), tuple(answers))


_READERS: dict[DataKind, Callable[[DataOptions], Iterator[Sample]]] = {
    "vqav2": _vqav2,
    "gqa": _gqa,
    "pope": _pope,
    "jsonl": _jsonl,
}


def _folder(options: DataOptions) -> Path:
    assert options.images is not None
    return options.images


def _files(path: Path, *patterns: str) -> list[Path]:
    """The file itself, or those of a folder, in the order of the patterns."""
    if not path.is_dir():
        return [path]
    found = [file for pattern in patterns or ("*.json",) for file in sorted(path.glob(pattern))]
    if not found:
        raise DataError(f"{path}: no {' or '.join(patterns or ('*.json',))} in this folder")
    return found
