"""Labelled pictures on disk, in bounded space: a file per picture, and a journal that a killed process resumes from.

The first pictures are held out: in turn, one to steer the training (`check`) and one to judge the head (`test`). Of all
others, those that stay on disk are a random choice: each picture has a random key, and the pictures with the lowest keys
stay. The choice depends on the seed only, so it is the same however often the process was killed.

journal.jsonl has a line per labelled picture and one per picture that made room; a line is written once the file it
speaks of is on disk.
"""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Literal, NamedTuple

from ..head.input_hashes import file_sha256
from ..head.picture_batches import PictureTokens, by_picture
from ..head.sample_store import HeadSamples
from ..head.whole_files import write_bytes, write_text
from .labelling import LabelledPicture, usable_rows

JOURNAL_FILE, PICTURES_FOLDER = "journal.jsonl", "pictures"
Role = Literal["check", "test", "training"]
MIN_HELD = 10


class NoSpace(ValueError):
    """The space for labelled pictures is too small to hold out enough of them."""


@dataclass(frozen=True)
class Entry:
    """What the journal says about a picture.

    role: None if nothing of it could be used. tokens: number of usable tokens. problems: why questions were left out.
    """

    number: int
    role: Role | None
    tokens: int = 0
    bytes: int = 0
    sha256: str = ""
    grid: list[list[int]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


class _Kept(NamedTuple):
    """A picture's file, opened: its patch states are read when they are needed. tokens: the usable ones."""

    samples: HeadSamples
    tokens: list[PictureTokens]

    @classmethod
    def of(cls, path: Path) -> "_Kept":
        samples = HeadSamples.of_files([path], hold=False)
        return cls(samples, by_picture(samples, usable_rows(samples)))


class Reservoir:
    """The labelled pictures of a run. Pictures are known by their number in the run's order.

    entries: what was labelled so far, by number. held: how many pictures each of `check` and `test` is to get; fewer, but at
    least 10, if they would take more than a quarter of the space.
    """

    def __init__(self, folder: Path, *, disk_bytes: int, held: int, seed: int):
        self._folder, self._journal = folder / PICTURES_FOLDER, folder / JOURNAL_FILE
        self._disk_bytes, self._held, self._seed = disk_bytes, held, seed
        self._folder.mkdir(parents=True, exist_ok=True)
        self.entries: dict[int, Entry] = {}
        self._kept: dict[int, _Kept] = {}
        # Keys from here on are not on disk.
        self._limit = 1.0
        self._restore()

    @property
    def tokens(self) -> int:
        """Number of tokens labelled so far, on disk or not."""
        return sum(entry.tokens for entry in self.entries.values())

    def count(self, role: Role) -> int:
        """Return the number of pictures labelled for a role, on disk or not."""
        return sum(entry.role == role for entry in self.entries.values())

    @property
    def bytes(self) -> int:
        """Size of the files on disk."""
        return sum(self.entries[number].bytes for number in self._kept)

    def on_disk(self, role: Role) -> dict[int, list[PictureTokens]]:
        """Return the usable tokens of the pictures of a role that are on disk, by the pictures' numbers."""
        return {number: kept.tokens for number, kept in self._kept.items() if self.entries[number].role == role}

    def paths(self, role: Role) -> list[Path]:
        """Return the files of a role's pictures, in order of their numbers."""
        return [self._path(number) for number in sorted(self.on_disk(role))]

    def add(self, number: int, labelled: LabelledPicture) -> list[PictureTokens]:
        """Record a labelled picture and return its tokens if they are for training.

        They are in memory, so that they can be trained on whether or not the picture has a place on disk.
        """
        path, shard = self._path(number), labelled.shard
        if shard is None:
            self._record(Entry(number, None, problems=labelled.problems or ["all answers are empty"]))
            return []
        write_bytes(path, shard)
        samples = HeadSamples.of_files([path], hold=True)
        rows = usable_rows(samples)
        if len(rows) == 0:
            path.unlink()
            self._record(Entry(number, None, problems=[*labelled.problems, "no token has a map to learn from"]))
            return []
        size = path.stat().st_size
        role = self._role(size)
        entry = Entry(number, role, len(rows), size, file_sha256(path), labelled.grid, labelled.problems)
        if role == "training" and self._key(number) >= self._limit:
            path.unlink()
            self._record(entry, is_kept=False)
        else:
            self._record(entry)
            self._kept[number] = _Kept.of(path)
            self._make_room()
        return by_picture(samples, rows) if role == "training" else []

    def _role(self, size: int) -> Role:
        """Return the role of the next picture, of this size."""
        checks, tests = self.count("check"), self.count("test")
        if checks + tests >= 2 * self._held:
            return "training"
        held = sum(self.entries[number].bytes for role in ("check", "test") for number in self.on_disk(role))
        is_enough = min(checks, tests) >= MIN_HELD
        if is_enough and held + size > self._disk_bytes / 4:
            return "training"
        if not is_enough and held + size > self._disk_bytes / 2:
            needed = round(4 * MIN_HELD * size * 1.2 / 1e6 + 1)
            raise NoSpace(
                f"{self._disk_bytes / 1e6:g} MB is too little space for labelled pictures: one of them takes "
                f"{size / 1e6:.3g} MB, so pass --disk {needed}MB or more"
            )
        return "check" if checks <= tests else "test"

    def _key(self, number: int) -> float:
        return Random(f"{self._seed} {number}").random()

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:06d}.safetensors"

    def _make_room(self) -> None:
        """Remove the training pictures with the highest keys until the rest fit."""
        candidates = sorted(self.on_disk("training"), key=self._key)
        while self.bytes > self._disk_bytes and candidates:
            number = candidates.pop()
            self._append({"evicted": number})
            self._limit = self._key(number)
            self._kept.pop(number).samples.close()
            self._path(number).unlink()

    def _record(self, entry: Entry, *, is_kept: bool = True) -> None:
        self.entries[entry.number] = entry
        self._append({**vars(entry), "kept": is_kept and entry.role is not None})

    def _append(self, row: dict[str, Any]) -> None:
        with self._journal.open("a", encoding="utf-8") as file:
            file.write(_line(row))
            file.flush()
            os.fsync(file.fileno())

    def _restore(self) -> None:
        """Read the journal. A picture whose file is missing or damaged is to be labelled again."""
        text = self._journal.read_text(encoding="utf-8") if self._journal.exists() else ""
        # What follows the last line break is incomplete: the process was killed while writing it.
        rows = [json.loads(line) for line in text.split("\n")[:-1]]
        evicted = {row["evicted"] for row in rows if "evicted" in row}
        kept: list[dict[str, Any]] = []
        for row in (row for row in rows if "number" in row):
            entry = Entry(**{name: value for name, value in row.items() if name != "kept"})
            is_on_disk = row["kept"] and entry.number not in evicted
            path = self._path(entry.number)
            if is_on_disk and not (path.is_file() and file_sha256(path) == entry.sha256):
                continue
            kept.append({**row, "kept": is_on_disk})
            self.entries[entry.number] = entry
            if is_on_disk:
                self._kept[entry.number] = _Kept.of(path)
            elif entry.role == "training":
                self._limit = min(self._limit, self._key(entry.number))
        if text:
            write_text(self._journal, "".join(_line(row) for row in kept))
        for path in self._folder.iterdir():
            if path not in {self._path(number) for number in self._kept}:
                path.unlink()
        self._make_room()


def _line(row: dict[str, Any]) -> str:
    """Return a line of the journal. It is ASCII, because the names of files need not be UTF-8."""
    return json.dumps(row) + "\n"
