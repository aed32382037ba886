"""Reads calibration files as the page does, and refuses those that the page cannot read (`src/contract`), so that a
companion never serves such a file. The same sample files test both readers.
"""

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc
import pyarrow.parquet as pq

from .facts import KEY, parse_facts
from .file import CALIBRATION_FILE
from .number_texts import parse_number

_ENTROPIES = ("entropySum", "entropyKde", "entropyBernoulli", "entropy")
_LOG_PROBS = ("logProbs", "logProb")
_CATEGORIES = ("set", "kind", "variety")
_TEXTS = ("id", "question", "answer", "reference", "image")
_NUMBERS = ("correct", "length", "thumbnail")
_KNOWN = (*_ENTROPIES, *_LOG_PROBS, *_CATEGORIES, *_TEXTS, *_NUMBERS, "tokens", "isContent")
_MAX_ROWS, _MAX_CATEGORIES, _MAX_UNPACKED = 20_000_000, 1 << 16, 1 << 30
_MAX_LOG_PROB = 1e-3
"""Room for rounding above 0."""
_MAX_INTEGER = 2**53 - 1
_INCOMPLETE = "copy, download or write it again"
# By the name of the Arrow type in messages.
_UNREADABLE = {
    "ListView": pa.types.is_list_view,
    "LargeListView": pa.types.is_large_list_view,
    "RunEndEncoded": pa.types.is_run_end_encoded,
}


class ScoredAnswers(NamedTuple):
    """The answers of a calibration file with their values. Unknown values are NaN.

    facts: the file's metadata. table: its columns. scores: [n], 0 to 1. starts: [n + 1]; the values of answer i are at
    starts[i] to starts[i + 1]. values: by column, [starts[n]]: entropies and log-probabilities in nats.
    """

    facts: dict[str, Any]
    table: pa.Table
    scores: np.ndarray
    starts: np.ndarray
    values: dict[str, np.ndarray]


def read_calibration(path: Path) -> ScoredAnswers:
    """Read a calibration file: an Arrow file or stream, or Parquet; each may be compressed with gzip.

    Raises ValueError if it is not a calibration file or if the page could not read it.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    try:
        return _read(content)
    except pa.ArrowException as error:
        raise ValueError(f"{path} is not a calibration file: its data is damaged ({error}); {_INCOMPLETE}") from None
    except ValueError as error:
        raise ValueError(f"{path} is not a calibration file: {error}") from None


def _read(content: bytes) -> ScoredAnswers:
    if content.startswith(b"\x1f\x8b"):
        return _read(_unpacked(content))
    table, metadata = _table(content)
    text = metadata.get(KEY.encode())
    if text is None:
        raise ValueError(f"its metadata has no {KEY}; pass the {CALIBRATION_FILE} that `patchlight evaluate` writes")
    facts = parse_facts(text)
    entropies = [name for name in _ENTROPIES if name in table.column_names]
    if not entropies or "correct" not in table.column_names:
        raise ValueError(f"it needs the column correct and one of {', '.join(_ENTROPIES)}")
    if facts["n"] != table.num_rows:
        raise ValueError(f"its metadata declares {facts['n']} answers, but it has {table.num_rows} rows")
    if table.num_rows == 0:
        raise ValueError("it has no rows: evaluate at least one answer")
    if table.num_rows > _MAX_ROWS:
        raise ValueError(f"it has {table.num_rows} rows; the limit is {_MAX_ROWS}")
    _check_categories(table)
    if "thumbnail" in table.column_names:
        _numbers(table["thumbnail"], "thumbnail")
    starts, values = _values(table, entropies)
    return ScoredAnswers(facts, table, _scores(table), starts, values)


def _unpacked(content: bytes) -> bytes:
    unpacker = zlib.decompressobj(wbits=31)
    try:
        unpacked = unpacker.decompress(content, _MAX_UNPACKED + 1)
    except zlib.error as error:
        raise ValueError(f"its gzip data is damaged or incomplete ({error}); {_INCOMPLETE}") from None
    if len(unpacked) > _MAX_UNPACKED:
        raise ValueError("unpacked, it is larger than 1 GB; unpack it")
    if not unpacker.eof or unpacker.unused_data:
        raise ValueError("its gzip data is incomplete or has several parts; unpack it")
    return unpacked


def _table(content: bytes) -> tuple[pa.Table, dict[bytes, bytes]]:
    """Return the columns that the page knows, and the file's metadata."""
    if content.startswith(b"PAR1"):
        return _parquet_table(content)
    if content.startswith(b"PARE"):
        raise ValueError("it is an encrypted Parquet file; save the table without encryption")
    if content.startswith(b"FEA1"):
        raise ValueError("it is a Feather file of version 1; save it as version 2, the default since 2020")
    if content.startswith(b"ARROW1"):
        return _arrow_table(content)
    if content.startswith(b"\xff\xff\xff\xff"):
        return _arrow_table(content, is_stream=True)
    raise ValueError(f"expected Arrow or Parquet, such as the {CALIBRATION_FILE} that `patchlight evaluate` writes")


def _arrow_table(content: bytes, *, is_stream: bool = False) -> tuple[pa.Table, dict[bytes, bytes]]:
    if not is_stream and not content.endswith(b"ARROW1"):
        raise ValueError(f"the Arrow file is incomplete: its end is missing; {_INCOMPLETE}")
    try:
        with pa.ipc.open_stream(content) if is_stream else pa.ipc.open_file(pa.py_buffer(content)) as reader:
            schema = reader.schema
            _check_names(schema.names)
            for field in schema:
                _check_readable(field.type, field.name)
            table = reader.read_all()
    except (OSError, pa.ArrowException) as error:
        raise ValueError(f"the Arrow data is damaged or incomplete ({error}); {_INCOMPLETE}") from None
    table = table.select([name for name in schema.names if name in _KNOWN])
    table.validate(full=True)
    return table, schema.metadata or {}


def _parquet_table(content: bytes) -> tuple[pa.Table, dict[bytes, bytes]]:
    if not content.endswith(b"PAR1"):
        raise ValueError(f"the Parquet file is incomplete: its end is missing; {_INCOMPLETE}")
    try:
        with pq.ParquetFile(pa.py_buffer(content)) as file:
            names = file.schema_arrow.names
            _check_names(names)
            table = file.read(columns=[name for name in names if name in _KNOWN])
            metadata = file.metadata.metadata or {}
    except (OSError, pa.ArrowException) as error:
        raise ValueError(f"the Parquet data is damaged, incomplete or encrypted ({error}); {_INCOMPLETE}") from None
    return table, metadata


def _check_names(names: Sequence[str]) -> None:
    twice = next((name for name in names if name in _KNOWN and names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"two of its columns are named {twice}; rename or remove one")


def _check_readable(kind: pa.DataType, name: str) -> None:
    for label, is_kind in _UNREADABLE.items():
        if is_kind(kind):
            raise ValueError(
                f"column {name} has the Arrow type {label}, which the page cannot read; save it as Parquet"
            )
    if isinstance(kind, pa.DictionaryType):
        _check_readable(kind.value_type, name)
    for i in range(kind.num_fields):
        _check_readable(kind.field(i).type, name)


def _scores(table: pa.Table) -> np.ndarray:
    scores = _numbers(table["correct"], "correct", accepts_truths=True)
    invalid = np.flatnonzero((scores < 0) | (scores > 1))
    if len(invalid):
        raise ValueError(f"column correct must hold values from 0 to 1, but row {invalid[0]} has {scores[invalid[0]]}")
    return scores


def _check_categories(table: pa.Table) -> None:
    for name in _CATEGORIES:
        if name in table.column_names:
            kinds = len({str(kind) for chunk in table[name].chunks for kind in chunk.unique().to_pylist()})
            if kinds > _MAX_CATEGORIES:
                raise ValueError(f"column {name} has {kinds} different values; the limit is {_MAX_CATEGORIES}")


def _values(table: pa.Table, entropies: list[str]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return the starts of the answers' values, and the values by column."""
    lists = [name for name in (*entropies, *_LOG_PROBS, "isContent") if name in table.column_names]
    first = next((name for name in entropies if _is_list(table[name].type)), None)
    if first is None:
        if "length" in table.column_names:
            counts = _numbers(table["length"], "length")
            invalid = np.flatnonzero((counts < 0) | np.isinf(counts) | (np.isfinite(counts) & (counts % 1 != 0)))
            if len(invalid):
                found = f"row {invalid[0]} has {counts[invalid[0]]}"
                raise ValueError(f"column length must hold whole numbers of tokens, but {found}")
        log_prob = next((name for name in reversed(_LOG_PROBS) if name in table.column_names), None)
        used = [*entropies, *([log_prob] if log_prob else [])]
        starts = np.arange(table.num_rows + 1)
        return starts, {name: _checked(name, _numbers(table[name], name), starts) for name in used}
    starts = _starts(table[first])
    values: dict[str, np.ndarray] = {}
    log_prob = next((name for name in _LOG_PROBS if name in lists and _is_list(table[name].type)), None)
    for name in lists:
        if not _is_list(table[name].type) or (name in _LOG_PROBS and name != log_prob):
            continue
        own = _starts(table[name])
        if len(unequal := np.flatnonzero(own != starts)):
            row = unequal[0] - 1
            counts = [int(each[row + 1] - each[row]) for each in (starts, own)]
            raise ValueError(f"row {row} has {counts[0]} tokens in {first} but {counts[1]} in {name}")
        numbers = _numbers(_items(table[name]), name, accepts_truths=name == "isContent")
        if name != "isContent":
            values[name] = _checked(name, numbers, starts)
    return starts, values


def _checked(name: str, values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Return the values with NaN for those that cannot be used: infinite entropies, and log-probabilities of +inf."""
    if name not in _LOG_PROBS:
        return np.where(np.isinf(values), np.nan, values)
    positive = np.flatnonzero((values > _MAX_LOG_PROB) & np.isfinite(values))
    if len(positive):
        row = np.searchsorted(starts, positive[0], side="right") - 1
        raise ValueError(
            f"column {name} must hold log-probabilities, which are at most 0, but row {row} has {values[positive[0]]:g}"
        )
    return np.where(values == np.inf, np.nan, values)


def _is_list(kind: pa.DataType) -> bool:
    views = (pa.types.is_list_view, pa.types.is_large_list_view)
    lists = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    return any(is_kind(kind) for is_kind in (*lists, *views))


def _starts(column: pa.ChunkedArray) -> np.ndarray:
    lengths = pc.call_function("list_value_length", [column]).fill_null(0).to_numpy()
    return np.concatenate([[0], np.cumsum(lengths)])


def _items(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the items of all lists; a missing list has none."""
    return pa.chunked_array(
        [pc.call_function("list_flatten", [chunk.drop_null()]) for chunk in column.chunks], type=column.type.value_type
    )


def _numbers(column: pa.ChunkedArray, name: str, *, accepts_truths: bool = False) -> np.ndarray:
    """Return a column as float64; null is NaN."""
    kind = column.type
    if isinstance(kind, pa.DictionaryType):
        decoded = [chunk.dictionary_decode() for chunk in column.chunks]
        return _numbers(pa.chunked_array(decoded, type=kind.value_type), name, accepts_truths=accepts_truths)
    is_text = any(
        is_kind(kind)
        for is_kind in (
            pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view,
            pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view,
        )
    )  # fmt: skip
    if is_text:
        return np.array([_text_number(cell, name, row, accepts_truths) for row, cell in enumerate(column.to_pylist())])
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    if not (is_number or pa.types.is_null(kind) or (accepts_truths and pa.types.is_boolean(kind))):
        raise ValueError(f"column {name} must hold numbers, but it has the type {kind}")
    if pa.types.is_integer(kind):
        limits = pc.call_function("min_max", [column]).as_py()
        if any(limit is not None and abs(limit) > _MAX_INTEGER for limit in limits.values()):
            raise ValueError(f"column {name} has integers beyond ±{_MAX_INTEGER}, which cannot be read exactly")
    return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)


def _text_number(cell: str | bytes | None, name: str, row: int, accepts_truths: bool) -> float:
    if cell is None:
        return float("nan")
    text = cell.decode("utf-8", "replace") if isinstance(cell, bytes) else cell
    number = parse_number(text, accepts_truths=accepts_truths)
    if number is None:
        raise ValueError(f"column {name} must hold numbers, but row {row} (counted from 0) has {text[:40]!r}")
    return number
