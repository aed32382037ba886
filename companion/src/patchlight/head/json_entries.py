"""Reads a large JSON file entry by entry, each with its location for error messages.

A dataset file is one array or object of up to a million entries, often on a single line. Parsing it in one go takes ten
times its size in memory. This module keeps only the text in memory and parses each entry on demand.
"""

import json
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TextIO

_BLANK = re.compile(r"[ \t\r\n]*")
_CLOSING = {"[": "]", "{": "}"}
_JSON_TYPES: dict[type, str] = {str: "a string", int: "an integer", list: "a list"}
_decoder = json.JSONDecoder()


class DataError(ValueError):
    """A dataset file is malformed; the message begins with the file and, if known, the line."""


class Entry(NamedTuple):
    """One member of an object or an array. key: the member's name or index."""

    key: str
    value: Any
    locate: Callable[[], str]

    @property
    def place(self) -> str:
        """File, line and entry. Computed on demand, because counting lines scans the text up to the entry."""
        return self.locate()

    def get(self, name: str, kind: type) -> Any:
        """Return a field of the entry's object. Raises DataError if it is missing or not of type `kind`."""
        if not isinstance(self.value, dict):
            raise DataError(f"{self.place}: expected an object, found {_shown(self.value)}")
        if name not in self.value:
            fields = ", ".join(map(repr, self.value)) or "none"
            raise DataError(f"{self.place}: field {name!r} is missing; found {fields}")
        value = self.value[name]
        # Python's bool is an int, but no dataset uses one as an id.
        if not isinstance(value, kind) or isinstance(value, bool):
            raise DataError(f"{self.place}: {name!r} is {_shown(value)}, expected {_JSON_TYPES[kind]}")
        return value


class JsonFile:
    """A JSON document of many entries. Raises DataError if the file cannot be read."""

    def __init__(self, path: Path):
        self.path = path
        self._text = read_text(path)

    def entries(self, name: str | None = None) -> Iterator[Entry]:
        """Yield the entries of the top-level array or object, or of its member `name`.

        Raises DataError on malformed JSON, when the iteration reaches it.
        """
        start = self._blank(0)
        if name is not None:
            start = self._member(start, name)
        yield from self._walk(start)

    def value(self, name: str) -> Any:
        """Return the value of a small member of the top-level object, or None if the member is missing."""
        try:
            return self._decode(self._member(self._blank(0), name))[0]
        except KeyError:
            return None

    def _member(self, start: int, name: str) -> int:
        """Return the position of a member's value. Large members before it are skipped, not kept."""
        at = self._open(start, "{")
        while self._text[at : at + 1] != "}":
            key, at = self._key(at)
            if key == name:
                return at
            at = self._after(self._skip(at), "}")
        raise _NoMember(f"{self.path}: the top-level object has no {name!r}")

    def _walk(self, start: int) -> Iterator[Entry]:
        opening = self._text[start : start + 1]
        if opening not in _CLOSING:
            raise self._error(start, "expected an array or an object")
        at, number = self._open(start, opening), 0
        while self._text[at : at + 1] != _CLOSING[opening]:
            key = str(number)
            if opening == "{":
                key, at = self._key(at)
            value, end = self._decode(at)
            yield Entry(key, value, partial(self._entry_place, at, key))
            at, number = self._after(end, _CLOSING[opening]), number + 1

    def _skip(self, at: int) -> int:
        if self._text[at : at + 1] not in _CLOSING:
            return self._decode(at)[1]
        opening = self._text[at]
        at = self._open(at, opening)
        while self._text[at : at + 1] != _CLOSING[opening]:
            if opening == "{":
                _, at = self._key(at)
            at = self._after(self._decode(at)[1], _CLOSING[opening])
        return at + 1

    def _open(self, at: int, opening: str) -> int:
        if self._text[at : at + 1] != opening:
            raise self._error(at, f"expected {opening}")
        return self._blank(at + 1)

    def _key(self, at: int) -> tuple[str, int]:
        """Return a member's name and the position of its value."""
        key, at = self._decode(at)
        at = self._blank(at)
        if not isinstance(key, str) or self._text[at : at + 1] != ":":
            raise self._error(at, "expected a name and a colon")
        return key, self._blank(at + 1)

    def _after(self, at: int, closing: str) -> int:
        """Return the position of the next entry or of the container's closing bracket."""
        at = self._blank(at)
        if self._text[at : at + 1] == closing:
            return at
        if self._text[at : at + 1] != ",":
            raise self._error(at, f"expected a comma or {closing}")
        at = self._blank(at + 1)
        if self._text[at : at + 1] == closing:
            raise self._error(at, f"expected an entry between the comma and {closing}")
        return at

    def _decode(self, at: int) -> tuple[Any, int]:
        try:
            return _decoder.raw_decode(self._text, at)
        except json.JSONDecodeError as error:
            raise self._error(error.pos, error.msg) from None

    def _blank(self, at: int) -> int:
        match = _BLANK.match(self._text, at)
        return at if match is None else match.end()

    def _entry_place(self, at: int, key: str) -> str:
        return f"{self._place(at)}, entry {key}"

    def _place(self, at: int) -> str:
        return f"{self.path}:{self._text.count(chr(10), 0, at) + 1}"

    def _error(self, at: int, reason: str) -> DataError:
        column = at - self._text.rfind("\n", 0, at)
        end = "unexpected end of file: " if at >= len(self._text) else ""
        return DataError(f"{self._place(at)}, column {column}: {end}{reason}")


class _NoMember(DataError, KeyError):
    """Raised if a member is missing. It is also a KeyError, unlike the error for malformed JSON."""

    def __str__(self) -> str:
        return str(self.args[0])


def json_lines(path: Path) -> Iterator[Entry]:
    """Yield one entry per line, with line numbers from 1 as keys; blank lines are skipped.

    Raises DataError on malformed JSON or text that is not UTF-8.
    """
    with open_text(path) as lines:
        number = 0
        try:
            for line in lines:
                number += 1
                if line.strip():
                    yield Entry(str(number), json.loads(line.rstrip()), partial("{}:{}".format, path, number))
        except json.JSONDecodeError as error:
            raise DataError(f"{path}:{number}, column {error.colno}: {error.msg}") from None
        except UnicodeDecodeError as error:
            raise DataError(f"{path}:{number + 1}: invalid UTF-8 ({error.reason})") from None


def open_text(path: Path) -> TextIO:
    """Open a UTF-8 file for reading. Raises DataError if it cannot be opened."""
    try:
        return path.open(encoding="utf-8")
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from None


def read_text(path: Path) -> str:
    """Read a UTF-8 file. Raises DataError if it cannot be opened or decoded."""
    with open_text(path) as file:
        try:
            return file.read()
        except UnicodeDecodeError as error:
            raise DataError(f"{path}: invalid UTF-8 at byte {error.start} ({error.reason})") from None


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."
