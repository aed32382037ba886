"""Rows of one kind or another as an Arrow IPC stream, one record batch each: what runs and explanations are made of.

The schema's metadata holds one key with a header as JSON. Every batch has all columns; a row leaves those that are not
its own null.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
import pyarrow as pa

# Arrow's own: a message of no length.
_END_OF_STREAM = b"\xff\xff\xff\xff\x00\x00\x00\x00"


class Sink(Protocol):
    """Where bytes go: a file, or a buffer that a socket is fed from."""

    def write(self, data: bytes, /) -> Any: ...


class RowWriter:
    """Rows in an order of kinds, some of which may repeat; each row is one write."""

    def __init__(
        self,
        sink: Sink,
        fields: Sequence[pa.Field],
        *,
        key: bytes,
        header: Mapping[str, Any],
        order: Sequence[str],
        repeated: Sequence[str],
    ):
        metadata = json.dumps(header, ensure_ascii=False)
        self._schema = pa.schema(fields, metadata={key: metadata.encode()})
        self._sink = sink
        self._order, self._repeated, self._last = order, repeated, ""
        # Most of a row; made once, for making them takes as long as the rest of a token.
        self._nulls = {field.name: pa.array([None], field.type) for field in fields}
        # Message by message, so that each row is one write: Arrow's stream writer makes some seventy of a token.
        sink.write(self._schema.serialize().to_pybytes())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Arrow's own end mark."""
        self._sink.write(_END_OF_STREAM)

    def has_passed(self, kind: str) -> bool:
        """Whether such a row, or one of a later kind, was written."""
        return bool(self._last) and self._order.index(self._last) >= self._order.index(kind)

    def write_row(self, kind: str, **row: Any) -> None:
        """A numpy array becomes a list; what is None or left out is null."""
        before = self._order.index(self._last) if self._last else -1
        if self._order.index(kind) < before or (kind == self._last and kind not in self._repeated):
            raise ValueError(f"a row of kind {kind} comes after {self._last}")
        row["kind"] = kind
        columns = [
            self._nulls[field.name] if (value := row.get(field.name)) is None else _column(field, value)
            for field in self._schema
        ]
        self._sink.write(pa.record_batch(columns, schema=self._schema).serialize().to_pybytes())
        self._last = kind


def open_rows(
    content: bytes, *, key: bytes, what: str, version: int, name: str
) -> tuple[dict[str, Any], Iterator[Any]]:
    """The header without its version, and the rows up to the first that did not come whole; an unknown version is
    refused by its number, and what is no such stream by `name`. Lists of numbers are numpy arrays.
    """
    stream = pa.ipc.open_stream(content)
    encoded = (stream.schema.metadata or {}).get(key)
    if encoded is None:
        raise ValueError(f"{name} is an Arrow stream, but not {what}: its metadata has no {key.decode()}")
    header = json.loads(encoded)
    found = header.pop("formatVersion", None)
    if found != version:
        raise ValueError(f"{name} has {what.rpartition(' ')[2]} format version {found}; this reads version {version}")
    return header, _rows(stream)


def _column(field: pa.Field, value: Any) -> pa.Array:
    """One cell. A numpy array becomes a list without passing through Python numbers: states have millions."""
    if isinstance(value, np.ndarray):
        return pa.ListArray.from_arrays(pa.array([0, len(value)], pa.int32()), pa.array(value))
    return pa.array([value], type=field.type)


def _rows(stream: pa.RecordBatchStreamReader) -> Iterator[dict[str, Any]]:
    try:
        for batch in stream:
            for at in range(batch.num_rows):
                yield {field.name: _cell(batch.column(field.name)[at]) for field in batch.schema}
    except (pa.ArrowInvalid, OSError):
        return


def _cell(scalar: pa.Scalar) -> Any:
    is_numbers = pa.types.is_list(scalar.type) and pa.types.is_floating(scalar.type.value_type)
    return scalar.values.to_numpy().copy() if is_numbers and scalar.is_valid else scalar.as_py()
