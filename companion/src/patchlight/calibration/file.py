"""Writes calibration files: scored answers with the entropies of their maps (docs/calibration.md)."""

import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

import pyarrow as pa
import pyarrow.ipc

from .facts import FORMAT_VERSION, KEY

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
    """Name and revision of a head or a model."""

    name: str
    revision: str


class NamedModel(Named):
    """A model. sameAs: other revisions with the same weights, such as an ONNX export."""

    sameAs: list[str]


class DataFacts(TypedDict):
    """A dataset. sets: the values of the column `set`, in display order. about: a sentence, shown on the page, that
    describes the questions and images.
    """

    name: str
    sets: list[str]
    about: str | None


class Sprites(TypedDict):
    """Thumbnails in one image next to the calibration file: square cells, `cols` per row."""

    file: str
    cols: int
    cellPx: int


class PackedImages(TypedDict):
    """Names of two files next to the calibration file: one that holds all images, and an index of the images'
    positions.
    """

    file: str
    index: str


class CalibrationFacts(TypedDict):
    """What a calibration covers and how it was made. Fields are named as in the file.

    patches: number of patches per map; None if it varies by image. seed: seed for the choice of questions. licence:
    licence of the questions and images; "" if unknown.
    """

    model: NamedModel
    head: Named
    data: DataFacts
    command: str
    patches: int | None
    seed: int
    licence: str
    sprites: Sprites | None
    images: PackedImages | None


def write_calibration(path: Path, rows: Sequence[Mapping[str, Any]], facts: CalibrationFacts) -> None:
    """Write a calibration file atomically. Rows have the columns of SCHEMA.

    Raises ValueError if the token columns of a row differ in length, an id occurs twice, or a set is missing from
    `facts`.
    """
    _check(rows, facts["data"]["sets"])
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    metadata = {"formatVersion": FORMAT_VERSION, **facts, "n": len(rows), "createdAt": created}
    schema = SCHEMA.with_metadata({KEY: json.dumps(metadata, ensure_ascii=False)})
    table = pa.Table.from_pylist(list(rows), schema=schema)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with pa.ipc.new_file(temporary, table.schema) as file:
            file.write_table(table.combine_chunks())
        temporary.rename(path)
    finally:
        temporary.unlink(missing_ok=True)


def _check(rows: Sequence[Mapping[str, Any]], sets: list[str]) -> None:
    if len({row["id"] for row in rows}) < len(rows):
        raise ValueError("two answers have the same id: ids must be unique")
    for row in rows:
        if row["set"] not in sets:
            raise ValueError(f"answer {row['id']} has set {row['set']!r}, expected one of {', '.join(sets)}")
        lengths = {name: len(row[name]) for name in _TOKEN_COLUMNS}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"answer {row['id']} has token columns of different lengths: {lengths}")
