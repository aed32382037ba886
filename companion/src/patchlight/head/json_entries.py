"""Reads a large JSON file entry by entry, each with its location for error messages.

A dataset file is one array or object of up to a million entries, often on a single line. Parsing it in one go takes ten
times its size in memory. This module keeps only the text in memory and parses each entry on demand.
"""

import codecs
import gzip
import json
import re
import zlib
from collections.abc import Callable, Generator, Iterator
from functools import partial
from io import BufferedIOBase
from pathlib import Path
from typing import Any, NamedTuple

_BLANK = re.compile(r"[ \t\r\n]*")
_CLOSING = {"[": "]", "{": "}"}
_JSON_TYPES: dict[type, str] = {str: "a string", int: "an integer", list: "a list"}
_LINE_ENDS = re.compile(r"\r\n?|\n")
_NOT_UTF8 = "the text is not UTF-8: save the file as UTF-8"
# First bytes of other files that are passed by mistake, and what to do.
_FOREIGN = {
    b"PK\x03\x04": "this is a ZIP archive: unpack it and pass the file inside",
    b"version https://git-lfs": "this is a Git LFS pointer, not the file itself: run git lfs pull",
    b"<": "this is a web page or XML, perhaps an error page that was saved instead: download the file again",
    b"PAR1": "this is a Parquet file: convert it, for example with pandas.DataFrame.to_json(orient='records', lines=True)",
}


class _DuplicateNameError(ValueError):
    """An object has two members of the same name."""


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the members as a dict. Python's parser would keep the last of two equal names."""
    result = dict(members)
    if len(result) < len(members):
        names = [name for name, _ in members]
        twice = next(name for name in names if names.count(name) > 1)
        raise _DuplicateNameError(f"an object has two members named {twice!r}: remove one")
    return result


_decoder = json.JSONDecoder(object_pairs_hook=_object)


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
        end = yield from self._walk(start)
        if name is None and self._blank(end) < len(self._text):
            raise self._error(self._blank(end), "expected the end of the file")

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

    def _walk(self, start: int) -> Generator[Entry, None, int]:
        """Yield the entries of the container at `start`; return the position after it."""
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
        return at + 1

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
        except (ValueError, RecursionError) as error:
            raise self._error(at, str(error)) from None

    def _blank(self, at: int) -> int:
        match = _BLANK.match(self._text, at)
        return at if match is None else match.end()

    def _entry_place(self, at: int, key: str) -> str:
        return f"{self._place(at)}, entry {key}"

    def _place(self, at: int) -> str:
        return f"{self.path}:{len(_LINE_ENDS.findall(self._text, 0, at)) + 1}"

    def _error(self, at: int, reason: str) -> DataError:
        column = at - max(self._text.rfind(end, 0, at) for end in "\r\n")
        end = "unexpected end of file: " if at >= len(self._text) else ""
        return DataError(f"{self._place(at)}, column {column}: {end}{reason}")


class _NoMember(DataError, KeyError):
    """Raised if a member is missing. It is also a KeyError, unlike the error for malformed JSON."""

    def __str__(self) -> str:
        return str(self.args[0])


def json_lines(path: Path) -> Iterator[Entry]:
    """Yield one entry per line, with line numbers from 1 as keys; blank lines are skipped. A file that holds one JSON
    array instead yields the array's entries, with indices as keys.

    Raises DataError on malformed JSON, text that is not UTF-8, or if there are no entries.
    """
    is_first = True
    for number, line in _filled_lines(path):
        if is_first and _is_array_start(line):
            yield from JsonFile(path).entries()
            return
        is_first = False
        place = f"{path}:{number}"
        try:
            value = _decoder.decode(line)
        except json.JSONDecodeError as error:
            raise DataError(f"{place}, column {error.colno}: {error.msg}; expected one JSON object per line") from None
        except (ValueError, RecursionError) as error:
            raise DataError(f"{place}: {error}") from None
        yield Entry(str(number), value, partial(str, place))
    if is_first:
        raise DataError(f"{path}: the file has no entries, expected one JSON object per line")


def _filled_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines that are not blank, with their numbers. Decodes line by line, so that errors name the line."""
    number = 0
    with _open(path) as file:
        try:
            for raw in file:
                try:
                    lines = _LINE_ENDS.split(raw.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8"))
                except UnicodeDecodeError as error:
                    raise DataError(f"{path}:{number + 1}: {_NOT_UTF8} ({error.reason})") from None
                for line in lines:
                    number += 1
                    text = line.removeprefix("\ufeff") if number == 1 else line
                    if text.strip():
                        yield number, text
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise DataError(f"{path}: the gzip data is damaged or incomplete ({error}): download it again") from None


def _is_array_start(line: str) -> bool:
    """Whether a line starts an array of objects."""
    return re.match(r"\s*\[\s*(\{|$)", line) is not None


def _open(path: Path) -> BufferedIOBase:
    """Open a file, unpacking gzip. Raises DataError if it cannot be opened, is empty, or is of another kind."""
    try:
        with path.open("rb") as file:
            start = file.read(64)
        if not start:
            raise DataError(f"{path}: the file is empty: check that it was copied or downloaded completely")
        if reason := next((reason for magic, reason in _FOREIGN.items() if start.startswith(magic)), None):
            raise DataError(f"{path}: {reason}")
        if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or (b"\0" in start and start[:1] != b"\x1f"):
            raise DataError(f"{path}: {_NOT_UTF8}")
        return gzip.open(path) if start.startswith(b"\x1f\x8b") else path.open("rb")
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from None


def read_text(path: Path) -> str:
    """Read a UTF-8 file, with or without a byte order mark, unpacking gzip.

    Raises DataError if it cannot be opened or decoded.
    """
    with _open(path) as file:
        try:
            return file.read().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise DataError(f"{path}: {_NOT_UTF8} (byte {error.start}: {error.reason})") from None
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise DataError(f"{path}: the gzip data is damaged or incomplete ({error}): download it again") from None


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."
