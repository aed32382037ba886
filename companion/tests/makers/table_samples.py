"""Writes small tables in every type, codec and container that pyarrow knows to src/contract/fixtures/tables.

Run `python -m tests.makers.table_samples`. The page and the companion's reader must read all of them to the rows in
samples.json, or refuse them (tests of both sides).
"""

import base64
import gzip
import io
import json
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
from pyarrow import feather
from pyarrow.parquet import encryption

from tests.makers.calibration_files import FACTS, FIXTURES, KEY

FOLDER = FIXTURES / "tables"
INDEX = "samples.json"
# Every number is exact in float16 and has at most three decimals.
ROWS: list[dict[str, Any]] = [
    {"id": "1", "correct": 1, "tokens": ["a", "é"], "entropySum": [1.25, 0.5], "logProbs": [-0.25, -2]},
    {"id": "2", "correct": 0, "tokens": ["b", "c"], "entropySum": [0.75, None], "logProbs": [-0.125, -4]},
    {"id": "3", "correct": None, "tokens": [], "entropySum": [], "logProbs": []},
    {"id": "4", "correct": 1, "tokens": ["longer than twelve bytes"], "entropySum": [2], "logProbs": [-1.5]},
]
REPEATS = 2500
"""Copies of the rows in compressed files: enough for several LZ4 blocks of 64 kB."""

_lists, _strings = pa.list_(pa.float64()), pa.list_(pa.string())
_types: dict[str, pa.DataType] = {
    "id": pa.string(), "correct": pa.float64(), "tokens": _strings, "entropySum": _lists, "logProbs": _lists,
}  # fmt: skip


class Sample(NamedTuple):
    """A file with what both sides must make of it: the first `rows` of ROWS, `repeats` times, or a refusal that contains
    a word.
    """

    content: bytes
    rows: int = len(ROWS)
    repeats: int = 1
    refused: str | None = None

    @property
    def expected(self) -> dict[str, Any]:
        return {"refused": self.refused} if self.refused else {"rows": self.rows, "repeats": self.repeats}


def table(
    types: dict[str, pa.DataType | pa.Array] | None = None,
    rows: list[dict[str, Any]] = ROWS,
    repeats: int = 1,
    extra: dict[str, pa.Array] | None = None,
    **facts: Any,
) -> pa.Table:
    """Return the rows as a table. types: other types of columns, or the columns themselves."""
    rows = rows * repeats
    columns: dict[str, pa.Array] = {}
    for name, kind in {**_types, **(types or {})}.items():
        if isinstance(kind, pa.DataType):
            cells = [_as_type(row[name], kind) for row in rows]
            is_encoded = pa.types.is_dictionary(kind)
            columns[name] = (
                pa.array(cells, kind.value_type).dictionary_encode() if is_encoded else pa.array(cells, kind)
            )
        else:
            columns[name] = kind
    metadata = {KEY: json.dumps({**FACTS, "n": len(rows), **facts})}
    return pa.table({**columns, **(extra or {})}).replace_schema_metadata(metadata)


def _as_type(value: Any, kind: pa.DataType) -> Any:
    """Convert a value to what `pa.array` accepts for the type."""
    if isinstance(value, list):
        return [_as_type(item, kind.value_type) for item in value]
    if value is None:
        return None
    if pa.types.is_decimal(kind) or pa.types.is_floating(kind):
        number = pa.scalar(float(value), pa.float64())
        return np.float16(value) if pa.types.is_float16(kind) else number.cast(kind).as_py()
    if pa.types.is_boolean(kind):
        return bool(value)
    if pa.types.is_integer(kind):
        return int(value)
    if pa.types.is_dictionary(kind):
        return _as_type(value, kind.value_type)
    return str(value)


def file(content: pa.Table, *, chunk: int | None = None, stream: bool = False, **options: Any) -> bytes:
    """Return the table as an Arrow IPC file or stream."""
    sink = io.BytesIO()
    new = pa.ipc.new_stream if stream else pa.ipc.new_file
    with new(sink, content.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(content, max_chunksize=chunk)
    return sink.getvalue()


def parquet(content: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(content, sink, **options)
    return sink.getvalue()


def _values(kind: pa.DataType) -> dict[str, pa.DataType | pa.Array]:
    return {name: pa.list_(kind) for name in ("entropySum", "logProbs")}


_numbers: dict[str, pa.DataType] = {
    "float16": pa.float16(), "float32": pa.float32(), "decimal32": pa.decimal32(7, 3), "decimal64": pa.decimal64(12, 3),
    "decimal128": pa.decimal128(30, 12), "decimal256": pa.decimal256(60, 20),
}  # fmt: skip
_scores: dict[str, pa.DataType] = {
    **_numbers,
    "bool": pa.bool_(), "string": pa.string(), "binary": pa.binary(), "dictionary": pa.dictionary(pa.int8(), pa.string()),
    **{f"{sign}int{bits}": getattr(pa, f"{sign}int{bits}")() for sign in ("", "u") for bits in (8, 64)},
}  # fmt: skip
_texts: dict[str, pa.DataType] = {
    "large-string": pa.large_string(), "string-view": pa.string_view(), "binary": pa.binary(),
    "binary-view": pa.binary_view(), "int64": pa.int64(), "dictionary": pa.dictionary(pa.int32(), pa.string()),
}  # fmt: skip
_list_types: dict[str, Callable[[pa.DataType], pa.DataType]] = {
    "list": pa.list_, "large-list": pa.large_list, "list-view": pa.list_view, "large-list-view": pa.large_list_view,
}  # fmt: skip
_codecs = ("none", "snappy", "gzip", "brotli", "lz4", "zstd")


def samples() -> dict[str, Sample]:
    """Return all samples by file name."""
    return {**_typed(), **_compressed(), **_contained(), **_refused()}


def _typed() -> dict[str, Sample]:
    made: dict[str, Sample] = {}
    both: dict[str, pa.Table] = {
        **{f"values-{name}": table(_values(kind)) for name, kind in _numbers.items()},
        **{f"score-{name}": table({"correct": kind}) for name, kind in _scores.items()},
        **{f"id-{name}": table({"id": kind}) for name, kind in _texts.items()},
        **{
            f"{name}-{item}": table({key: of(kind) for key in ("entropySum", "logProbs")} | {"tokens": of(pa.string())})
            for name, of in _list_types.items()
            for item, kind in (("float32", pa.float32()), ("decimal128", pa.decimal128(20, 3)))
            if item == "float32" or name == "large-list"
        },
        "tokens-string-view": table({"tokens": pa.list_(pa.string_view())}),
        "tokens-large-string": table({"tokens": pa.large_list(pa.large_string())}),
        "null-column": table(extra={"reference": pa.nulls(len(ROWS))}),
    }
    for name, content in both.items():
        # The page's Arrow library does not know views of lists.
        made[f"{name}.arrow"] = Sample(file(content), refused="ListView" if "list-view" in name else None)
        made[f"{name}.parquet"] = Sample(parquet(content))
    fixed = {name: pa.list_(pa.float32(), 2) for name in ("entropySum", "logProbs")} | {
        "tokens": pa.list_(pa.string(), 2)
    }
    pairs = table({**fixed}, ROWS[:2])
    made["fixed-size-list.arrow"] = Sample(file(pairs), rows=2)
    made["fixed-size-list.parquet"] = Sample(parquet(pairs), rows=2)
    made["value-strings.parquet"] = Sample(parquet(table(_values(pa.string()))))
    made["decimal-integers.parquet"] = Sample(
        parquet(table(_values(pa.decimal64(12, 3))), store_decimal_as_integer=True)
    )
    return made


def _compressed() -> dict[str, Sample]:
    long = table({"id": _texts["dictionary"]}, repeats=REPEATS)
    short = table({"id": _texts["dictionary"]}, repeats=60)
    views = table({"tokens": pa.list_(pa.string_view())}, repeats=20)
    made: dict[str, Sample] = {}
    for codec in ("lz4", "zstd"):
        made[f"{codec}.arrow"] = Sample(file(long, compression=codec), repeats=REPEATS)
        made[f"{codec}.arrows"] = Sample(file(views, stream=True, compression=codec, chunk=50), repeats=20)
    sink = io.BytesIO()
    feather.write_feather(table(), sink)
    made["default.feather"] = Sample(sink.getvalue())
    for codec in _codecs:
        for version in ("1.0", "2.0"):
            content = parquet(short, compression=codec, data_page_version=version, row_group_size=100)
            made[f"{codec}-pages-{version[0]}.parquet"] = Sample(content, repeats=60)
    made["no-dictionaries.parquet"] = Sample(parquet(short, use_dictionary=False, data_page_size=512), repeats=60)
    texts = {"id": "DELTA_BYTE_ARRAY", "tokens.list.element": "DELTA_BYTE_ARRAY"}
    deltas = table(repeats=60)
    made["text-deltas.parquet"] = Sample(parquet(deltas, use_dictionary=False, column_encoding=texts), repeats=60)
    made["element-names.parquet"] = Sample(parquet(table(), use_compliant_nested_type=False))
    made["gzipped.arrow.gz"] = Sample(gzip.compress(file(table()), mtime=0))
    return made


def _contained() -> dict[str, Sample]:
    encoded = pa.chunked_array(
        [
            pa.array(["1", "2"]).dictionary_encode(),
            pa.DictionaryArray.from_arrays(pa.array([2, 3], pa.int32()), pa.array(["1", "2", "3", "4"])),
        ]
    )
    chunked = table().set_column(0, "id", encoded)
    made = {
        "stream.arrows": Sample(file(table(), stream=True)),
        "batches.arrow": Sample(file(table(), chunk=1)),
        "delta-dictionaries.arrow": Sample(file(chunked, emit_dictionary_deltas=True)),
        "delta-dictionaries.arrows": Sample(file(chunked, stream=True, emit_dictionary_deltas=True)),
        "replaced-dictionaries.arrows": Sample(file(chunked, stream=True)),
        "slice.arrow": Sample(file(table(rows=ROWS * 3, n=4).slice(4, 4))),
        "unused-columns.arrow": Sample(
            file(
                table(
                    extra={
                        "made": pa.array([0, 1, 2, None], pa.timestamp("us", "UTC")),
                        "day": pa.array([0, 1, 2, None], pa.date64()),
                        "took": pa.array([0, 1, 2, None], pa.duration("ms")),
                        "pair": pa.array([{"x": 1}, None, {"x": 2}, {"x": 3}]),
                        "map": pa.array([[("a", 1)], None, [], []], pa.map_(pa.string(), pa.int8())),
                    }
                )
            )
        ),
    }
    return made


def _refused() -> dict[str, Sample]:
    whole, whole_parquet = file(table()), parquet(table())
    runs = pa.RunEndEncodedArray.from_arrays(pa.array([2, 4], pa.int32()), pa.array(["x", "y"]))
    moments = pa.array([0, 1, 2, None], pa.timestamp("ms"))

    def with_rows(change: Callable[[list[dict[str, Any]]], None]) -> pa.Table:
        rows = [dict(row) for row in ROWS]
        change(rows)
        return table(rows=rows)

    def put(row: int, name: str, value: Any) -> pa.Table:
        return with_rows(lambda rows: rows[row].update({name: value}))

    both: dict[str, tuple[pa.Table, str]] = {
        "no-rows": (table(rows=[]), "no rows"),
        "no-entropy": (table().drop_columns(["entropySum"]), "entropy"),
        "no-score": (table().drop_columns(["correct"]), "correct"),
        "other-count": (table(n=5), "5"),
        "score-too-high": (put(1, "correct", 2), "correct"),
        "score-of-words": (table({"correct": pa.array(["yes", "no", "perhaps", None])}), "perhaps"),
        "score-dates": (table({"correct": moments}), "correct"),
        "probabilities": (put(0, "logProbs", [0.5, 0.25]), "logProbs"),
        "unequal-lists": (put(0, "logProbs", [-0.5]), "logProbs"),
        "truths-as-entropies": (table(_values(pa.bool_())), "entropySum"),
        "texts-as-entropies": (put(0, "entropySum", None).set_column(3, "entropySum", _text_lists()), "high"),
        "huge-integers": (table({"correct": pa.array([2**60, 0, 1, None])}), "correct"),
        "named-twice": (pa.table([*table().columns, table()["correct"]], [*_types, "correct"]), "correct"),
        "other-version": (table(formatVersion=2), "2"),
    }
    made = {
        f"refused-{name}.{kind}": Sample(write(content), refused=word)
        for name, (content, word) in both.items()
        for kind, write in (("arrow", file), ("parquet", parquet))
    }
    made |= {
        "refused-run-ends.arrow": Sample(file(table(extra={"kind": runs})), refused="RunEndEncoded"),
        "refused-truncated.arrow": Sample(whole[:-200], refused="incomplete"),
        "refused-truncated.parquet": Sample(whole_parquet[:-200], refused="incomplete"),
        "refused-truncated.arrows": Sample(file(table(), stream=True)[:-200], refused="incomplete"),
        "refused-truncated.arrow.gz": Sample(gzip.compress(whole, mtime=0)[:-50], refused="incomplete"),
        "refused-encrypted.parquet": Sample(_encrypted(plaintext_footer=False), refused="encrypted"),
        "refused-encrypted-columns.parquet": Sample(_encrypted(plaintext_footer=True), refused="encrypted"),
        "refused-feather-1.feather": Sample(b"FEA1" + bytes(60) + b"FEA1", refused="Feather"),
    }
    return made


def _text_lists() -> pa.Array:
    return pa.array([["0.5", "high"], ["0.5", "1"], [], ["2"]])


class _Keys(encryption.KmsClient):
    """Wraps keys without encrypting them."""

    def wrap_key(self, key_bytes: bytes, master_key_identifier: str) -> bytes:
        return base64.b64encode(key_bytes)

    def unwrap_key(self, wrapped_key: bytes, master_key_identifier: str) -> bytes:
        return base64.b64decode(wrapped_key)


def _encrypted(*, plaintext_footer: bool) -> bytes:
    configuration = encryption.EncryptionConfiguration(
        footer_key="f", column_keys={"c": ["correct"]}, plaintext_footer=plaintext_footer
    )
    factory = encryption.CryptoFactory(lambda _: _Keys())
    properties = factory.file_encryption_properties(encryption.KmsConnectionConfig(), configuration)
    return parquet(table(), encryption_properties=properties)


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    made = samples()
    for path in FOLDER.iterdir():
        path.unlink()
    for name, sample in made.items():
        (FOLDER / name).write_bytes(sample.content)
    index = {"rows": ROWS, "samples": {name: sample.expected for name, sample in made.items()}}
    (FOLDER / INDEX).write_text(json.dumps(index, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
