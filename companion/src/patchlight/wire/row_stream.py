"""Rows of several kinds as an Arrow IPC stream, with one record batch per row. Runs and explanations use this format.

The schema's metadata holds a header as JSON under one key. Every batch has all columns; columns that do not belong to
the row's kind are null.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
import pyarrow as pa

# Arrow's end-of-stream marker: a message of length zero.
_END_OF_STREAM = b"\xff\xff\xff\xff\x00\x00\x00\x00"


class Sink(Protocol):
    """A destination for bytes: a file, or the buffer of a socket."""

    def write(self, data: bytes, /) -> Any: ...


class RowWriter:
    """Writes rows in a fixed order of kinds, some of which may repeat. Each row is a single write."""

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
        # Most cells of a row are null. The null arrays are created only once, because creating them takes as long as
        # the rest of a token.
        self._nulls = {field.name: pa.array([None], field.type) for field in fields}
        # Serialised message by message, so each row is one write. Arrow's stream writer needs about 70 writes per
        # token.
        sink.write(self._schema.serialize().to_pybytes())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Write Arrow's end-of-stream marker."""
        self._sink.write(_END_OF_STREAM)

    def has_passed(self, kind: str) -> bool:
        """Whether a row of this kind, or of a later one, has been written."""
        return bool(self._last) and self._order.index(self._last) >= self._order.index(kind)

    def write_row(self, kind: str, **row: Any) -> None:
        """Write one row. NumPy arrays become lists; None and missing columns become null.

        Raises ValueError if the row is out of order.
        """
        last = self._order.index(self._last) if self._last else -1
        if self._order.index(kind) < last or (kind == self._last and kind not in self._repeated):
            raise ValueError(f"a row of kind {kind} cannot follow one of kind {self._last}")
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
    """Return the header without its version, and the rows up to the first incomplete one.

    Lists of numbers are returned as NumPy arrays. Raises ValueError if the content or the format version is wrong.
    `what` (the expected content) and `name` (the stream's name) appear in the message.
    """
    stream = pa.ipc.open_stream(content)
    encoded = (stream.schema.metadata or {}).get(key)
    if encoded is None:
        raise ValueError(f"{name} is an Arrow stream, but not {what}: its metadata has no {key.decode()}")
    header = json.loads(encoded)
    actual = header.pop("formatVersion", None)
    if actual != version:
        raise ValueError(f"{name} has {what.rpartition(' ')[2]} format version {actual}, expected version {version}")
    return header, _rows(stream)


def _column(field: pa.Field, value: Any) -> pa.Array:
    """A column with one cell. NumPy arrays are not converted to Python numbers, as states have millions of values."""
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
