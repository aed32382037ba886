"""Entries of a large JSON file one at a time, each with the place that an error can name.

A data set's file is one array or object of up to a million entries, often on a single line. Parsing it whole takes ten
times its size in memory; here the text is held once and each entry is parsed when it is asked for.
"""

import json
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TextIO

_BLANK = re.compile(r"[ \t\r\n]*")
_CLOSING = {"[": "]", "{": "}"}
_decoder = json.JSONDecoder()


class DataError(ValueError):
    """A data set's file does not say what it should; the message begins with the file and the line."""


class Entry(NamedTuple):
    """One member of an object (key: its name) or of an array (key: its number)."""

    key: str
    value: Any
    locate: Callable[[], str]

    @property
    def place(self) -> str:
        """File, line and entry; counted when it is asked for, since counting lines reads the file up to there."""
        return self.locate()

    def get(self, name: str, kind: type) -> Any:
        """A field of the entry's value, which must be an object; DataError names what is missing or of another type."""
        if not isinstance(self.value, dict):
            raise DataError(f"{self.place}: want an object, found {_shown(self.value)}")
        if name not in self.value:
            raise DataError(f"{self.place}: no {name!r} among {', '.join(map(repr, self.value)) or 'no fields'}")
        found = self.value[name]
        # bool is an int to Python, and never an id to a data set
        if not isinstance(found, kind) or isinstance(found, bool):
            raise DataError(f"{self.place}: {name!r} is {_shown(found)}, want {kind.__name__}")
        return found


class JsonFile:
    """One JSON document."""

    def __init__(self, path: Path):
        self.path = path
        self._text = read_text(path)

    def entries(self, name: str | None = None) -> Iterator[Entry]:
        """Those of the document's own array or object, or of its member `name`."""
        start = self._blank(0)
        if name is not None:
            start = self._member(start, name)
        yield from self._walk(start)

    def value(self, name: str) -> Any:
        """A small member of the document's object, or None where there is none."""
        try:
            return self._decode(self._member(self._blank(0), name))[0]
        except KeyError:
            return None

    def _member(self, start: int, name: str) -> int:
        """Where the member's value begins. Large members before it are walked over, not kept."""
        at = self._open(start, "{")
        while self._text[at : at + 1] != "}":
            key, at = self._key(at)
            if key == name:
                return at
            at = self._after(self._skip(at), "}")
        raise _NoMember(f"{self.path}: no {name!r} at the top")

    def _walk(self, start: int) -> Iterator[Entry]:
        opening = self._text[start : start + 1]
        if opening not in _CLOSING:
            raise self._error(start, "want an array or an object")
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
            raise self._error(at, f"want {opening}")
        return self._blank(at + 1)

    def _key(self, at: int) -> tuple[str, int]:
        """A member's name, and where its value begins."""
        key, at = self._decode(at)
        at = self._blank(at)
        if not isinstance(key, str) or self._text[at : at + 1] != ":":
            raise self._error(at, "want a name and a colon")
        return key, self._blank(at + 1)

    def _after(self, at: int, closing: str) -> int:
        """Where the next entry begins, or its container's closing bracket stands."""
        at = self._blank(at)
        if self._text[at : at + 1] == closing:
            return at
        if self._text[at : at + 1] != ",":
            raise self._error(at, f"want a comma or {closing}")
        at = self._blank(at + 1)
        if self._text[at : at + 1] == closing:
            raise self._error(at, f"nothing between a comma and {closing}")
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
        ended = at >= len(self._text)
        return DataError(f"{self._place(at)}, column {column}: {'the file ends here: ' if ended else ''}{reason}")


class _NoMember(DataError, KeyError):
    """Both, so that `value` can tell it from a damaged file."""

    def __str__(self) -> str:
        return str(self.args[0])


def json_lines(path: Path) -> Iterator[Entry]:
    """One entry a line, numbered from 1; empty lines are passed over."""
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
            raise DataError(f"{path}:{number + 1}: not UTF-8 ({error.reason})") from None


def open_text(path: Path) -> TextIO:
    """For reading, or DataError that names what is not there."""
    try:
        return path.open(encoding="utf-8")
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from None


def read_text(path: Path) -> str:
    with open_text(path) as file:
        try:
            return file.read()
        except UnicodeDecodeError as error:
            raise DataError(f"{path}: not UTF-8 at byte {error.start} ({error.reason})") from None


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."
