"""A calibration as a file: answers with their maps' entropies, as docs/calibration.md describes it."""

import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq

KEY = "patchlight.calibration"
FORMAT_VERSION = 1
CALIBRATION_FILE = "calibration.arrow"

_category = pa.dictionary(pa.int32(), pa.string())
_floats = pa.list_(pa.float32())
SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("set", _category),
        ("kind", _category),
        ("variety", _category),
        ("question", pa.string()),
        ("answer", pa.string()),
        ("reference", pa.string()),
        ("correct", pa.float32()),
        ("image", pa.string()),
        ("thumbnail", pa.int32()),
        ("tokens", pa.list_(pa.string())),
        ("logProbs", _floats),
        ("isContent", pa.list_(pa.bool_())),
        ("entropySum", _floats),
        ("entropyKde", _floats),
        ("entropyBernoulli", _floats),
    ]
)
_TOKEN_COLUMNS = [column.name for column in SCHEMA if pa.types.is_list(column.type)]


class Named(TypedDict):
    """A head, or a model, by name and revision."""

    name: str
    revision: str


class NamedModel(Named):
    """`sameAs` are the revisions that the same weights go by elsewhere: an export to ONNX has one of its own."""

    sameAs: list[str]


class DataFacts(TypedDict):
    """`sets` are the values of the column `set` in the order in which they are shown; `about` is a sentence for the
    page: what was asked about which pictures."""

    name: str
    sets: list[str]
    about: str | None


class Sprites(TypedDict):
    """Thumbnails in one picture beside the calibration: square cells, `cols` a row."""

    file: str
    cols: int
    cellPx: int


class CalibrationFacts(TypedDict):
    """What a calibration is of and how it was made, named as the file has it.

    patches: of every map, None where pictures differ in it. seed: of the questions' choice. licence: of questions and
    pictures, "" where it is not known.
    """

    model: NamedModel
    head: Named
    data: DataFacts
    command: str
    patches: int | None
    seed: int
    licence: str
    sprites: Sprites | None


def write_calibration(path: Path, rows: Sequence[Mapping[str, Any]], facts: CalibrationFacts) -> None:
    """Rows have the columns of SCHEMA; the file is there whole, or not at all.

    Raises ValueError where a row's token columns differ in length, an id comes twice, or a set is not in `facts`.
    """
    _check(rows, facts["data"]["sets"])
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    about = {"formatVersion": FORMAT_VERSION, **facts, "n": len(rows), "createdAt": created}
    schema = SCHEMA.with_metadata({KEY: json.dumps(about, ensure_ascii=False)})
    table = pa.Table.from_pylist(list(rows), schema=schema)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with pa.ipc.new_file(aside, table.schema) as file:
            file.write_table(table.combine_chunks())
        aside.rename(path)
    finally:
        aside.unlink(missing_ok=True)


def read_facts(path: Path) -> dict[str, Any]:
    """What a calibration, in Arrow or Parquet, says of itself. Raises ValueError where it is none, or of another version."""
    try:
        with path.open("rb") as file:
            is_parquet = file.read(4) == b"PAR1"
        schema = pq.read_schema(path) if is_parquet else _arrow_schema(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise ValueError(f"{path} is no calibration: wanted is an Arrow or Parquet file ({error})") from None
    text = (schema.metadata or {}).get(KEY.encode())
    if text is None:
        raise ValueError(f"{path} is no calibration: its metadata has no {KEY}")
    said = json.loads(text)
    if (version := said.get("formatVersion")) != FORMAT_VERSION:
        raise ValueError(f"{path} has format version {version}; want {FORMAT_VERSION}")
    return said


def _arrow_schema(path: Path) -> pa.Schema:
    with pa.ipc.open_file(path) as file:
        return file.schema


def _check(rows: Sequence[Mapping[str, Any]], sets: list[str]) -> None:
    if len({row["id"] for row in rows}) < len(rows):
        raise ValueError("two answers have the same id")
    for row in rows:
        if row["set"] not in sets:
            raise ValueError(f"answer {row['id']} is of set {row['set']!r}, not one of {', '.join(sets)}")
        lengths = {name: len(row[name]) for name in _TOKEN_COLUMNS}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"answer {row['id']}: token columns of different lengths: {lengths}")
