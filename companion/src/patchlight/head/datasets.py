"""Reads questions about images as published by VQAv2, GQA and POPE, or from JSON Lines.

Samples are yielded one at a time, always in the same order. Image files are not opened.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from .answer_scores import DataKind
from .json_entries import DataError, Entry, JsonFile, json_lines

POPE_SPLITS = ("random", "popular", "adversarial")


class Groups(NamedTuple):
    """The groups by which a benchmark reports its figures; None if the files do not say.

    split: of POPE. answer_type: of VQAv2 (yes/no, number, other). structural_type and semantic_type: of GQA.
    """

    split: str | None = None
    answer_type: str | None = None
    structural_type: str | None = None
    semantic_type: str | None = None


class Sample(NamedTuple):
    """A question about one image. answers: the correct answers (from ten people in VQAv2); empty if withheld."""

    id: str
    image: Path
    question: str
    answers: tuple[str, ...]
    groups: Groups = Groups()


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """Which questions to read. The same options always yield the same samples in the same order."""

    kind: DataKind
    """Format of the questions: vqav2, gqa, pope or jsonl."""
    questions: Path
    """The questions file. For gqa and pope, a folder of such files works too (train_all_questions; the three splits of
    POPE)."""
    annotations: Path | None = None
    """VQAv2's answers. If None, samples have no answers, as in its test sets."""
    images: Path | None = None
    """Folder of the images. Optional for jsonl, which defaults to the folder of its questions file."""
    samples: int | None = None
    """Number of samples; None reads all."""
    seed: int | None = None
    """Seed for a random choice of `samples`; None takes the first samples."""

    def __post_init__(self) -> None:
        if self.kind not in _READERS:
            raise ValueError(f"unknown dataset format {self.kind!r}: use one of {', '.join(_READERS)}")
        if self.annotations is not None and self.kind != "vqav2":
            raise ValueError(f"{self.kind} takes no annotations file: only vqav2 keeps its answers in a separate file")
        if self.images is None and self.kind != "jsonl":
            raise ValueError(f"{self.kind} files do not say where their images are: pass the folder of images")
        if self.samples is not None and self.samples < 1:
            raise ValueError(f"samples is {self.samples}: use 1 or more")
        if self.seed is not None and self.samples is None:
            raise ValueError(f"seed {self.seed} has no effect without a number of samples: pass both or neither")


def read_samples(options: DataOptions) -> Iterator[Sample]:
    """Yield the selected samples in file order. Raises DataError, with file and line, on malformed input."""
    if options.seed is None or options.samples is None:
        yield from islice(_READERS[options.kind](options), options.samples)
        return
    total = _count_all(options)
    selected = set(Random(options.seed).sample(range(total), min(options.samples, total)))
    yield from (sample for number, sample in enumerate(_READERS[options.kind](options)) if number in selected)


def count_samples(options: DataOptions) -> int:
    """Return the number of samples that `read_samples` yields. Reads the questions once."""
    total = _count_all(options)
    return total if options.samples is None else min(options.samples, total)


def question_files(options: DataOptions) -> list[Path]:
    """Return the questions file, or the files of the folder that are read, in order."""
    patterns = [f"*pope_*{split}.json*" for split in POPE_SPLITS] if options.kind == "pope" else ["*.json"]
    if options.kind not in ("gqa", "pope") or not options.questions.is_dir():
        return [options.questions]
    files = [file for pattern in patterns for file in sorted(options.questions.glob(pattern))]
    if not files:
        raise DataError(f"{options.questions}: no file named {' or '.join(patterns)} in this folder")
    return files


def _count_all(options: DataOptions) -> int:
    return sum(1 for _ in _READERS[options.kind](replace(options, annotations=None)))


def _vqav2(options: DataOptions) -> Iterator[Sample]:
    file = JsonFile(options.questions)
    split = file.value("data_subtype")
    if not isinstance(split, str):
        raise DataError(f"{options.questions}: 'data_subtype' is missing; image names need it (for example val2014)")
    split = split.replace("test-dev", "test")
    answers = _Answers(options.annotations) if options.annotations else None
    for entry in file.entries("questions"):
        number = entry.get("question_id", int)
        image = f"COCO_{split}_{entry.get('image_id', int):012d}.jpg"
        right, answer_type = answers.of(number, entry) if answers else ((), None)
        text = entry.get("question", str)
        yield Sample(str(number), _folder(options) / image, text, right, Groups(answer_type=answer_type))


class _Answers:
    """VQAv2's answers by question. The questions file and the answers file are in the same order, so only a few answers
    are in memory at a time.
    """

    def __init__(self, path: Path):
        self._path = path
        self._unread = JsonFile(path).entries("annotations")
        self._read: dict[int, tuple[tuple[str, ...], str | None]] = {}

    def of(self, question_id: int, question: Entry) -> tuple[tuple[str, ...], str | None]:
        """Return the answers to a question and their type."""
        while question_id not in self._read:
            entry = next(self._unread, None)
            if entry is None:
                raise DataError(f"{question.place}: question {question_id} has no answers in {self._path}")
            answers = [Entry(entry.key, answer, entry.locate) for answer in entry.get("answers", list)]
            right = tuple(answer.get("answer", str) for answer in answers)
            self._read[entry.get("question_id", int)] = right, _text_of(entry.value, "answer_type")
        return self._read.pop(question_id)


def _gqa(options: DataOptions) -> Iterator[Sample]:
    for path in question_files(options):
        for entry in JsonFile(path).entries():
            image = _folder(options) / f"{entry.get('imageId', str)}.jpg"
            has_answer = isinstance(entry.value, dict) and "answer" in entry.value
            answers = (entry.get("answer", str),) if has_answer else ()
            types = entry.value.get("types") if isinstance(entry.value, dict) else None
            groups = Groups(structural_type=_text_of(types, "structural"), semantic_type=_text_of(types, "semantic"))
            yield Sample(entry.key, image, entry.get("question", str), answers, groups)


def _pope(options: DataOptions) -> Iterator[Sample]:
    paths = question_files(options)
    splits = [next((name for name in POPE_SPLITS if path.stem.endswith(name)), path.stem) for path in paths]
    for path, split in zip(paths, splits, strict=True):
        # A folder may hold the splits of several image sets (COCO, A-OKVQA, GQA).
        of_file = split if splits.count(split) == 1 else path.stem
        for entry in json_lines(path):
            label = entry.get("label", str)
            if label not in ("yes", "no"):
                raise DataError(f"{entry.place}: 'label' is {label!r}, expected yes or no")
            number, image = entry.get("question_id", int), _folder(options) / entry.get("image", str)
            # Files that hold all three splits name the split of each question in this field.
            own = _text_of(entry.value, "category")
            group = own if own in POPE_SPLITS else of_file
            yield Sample(f"{group}/{number}", image, entry.get("text", str), (label,), Groups(split=group))


def _jsonl(options: DataOptions) -> Iterator[Sample]:
    folder = options.images or options.questions.parent
    for entry in json_lines(options.questions):
        answers = entry.get("answers", list)
        if not all(isinstance(answer, str) for answer in answers):
            raise DataError(f"{entry.place}: 'answers' must be a list of strings")
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


def _text_of(value: Any, name: str) -> str | None:
    """Return a member of an object if it is a string, else None."""
    member = value.get(name) if isinstance(value, dict) else None
    return member if isinstance(member, str) else None
