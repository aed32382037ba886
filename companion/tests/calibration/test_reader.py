"""Tests the reader of calibration files, and that the companion's reader and the page's (src/contract/table-samples.test.ts) agree on the sample files."""

import contextlib
import gzip
import io
import json
import math
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patchlight.calibration.number_texts import parse_number
from patchlight.calibration.reader import read_calibration
from tests.makers import table_samples

INDEX = json.loads((table_samples.FOLDER / table_samples.INDEX).read_text())
SAMPLES: dict[str, dict[str, Any]] = INDEX["samples"]
ROWS: list[dict[str, Any]] = INDEX["rows"]


def _rows(path: Path) -> list[dict[str, Any]]:
    answers = read_calibration(path)
    ids, tokens = answers.table["id"].to_pylist(), answers.table["tokens"].to_pylist()

    def values(name: str, row: int) -> list[float | None]:
        found = answers.values[name][answers.starts[row] : answers.starts[row + 1]].tolist()
        return [None if math.isnan(value) else value for value in found]

    return [
        {
            "id": _text(ids[row]),
            "correct": None if np.isnan(answers.scores[row]) else answers.scores[row],
            "tokens": [_text(token) for token in tokens[row] or []],
            "entropySum": values("entropySum", row),
            "logProbs": values("logProbs", row),
        }
        for row in range(answers.table.num_rows)
    ]


def _text(cell: Any) -> str:
    return cell.decode() if isinstance(cell, bytes) else str(cell)


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_is_read_to_the_rows_that_the_page_reads_or_refused(name: str):
    path, expected = table_samples.FOLDER / name, SAMPLES[name]
    if "refused" in expected:
        with pytest.raises(ValueError, match=f"{name} is not a calibration file: .*{expected['refused']}"):
            read_calibration(path)
    else:
        assert _rows(path) == ROWS[: expected["rows"]] * expected["repeats"]


@settings(max_examples=300)
@given(number=st.floats(allow_nan=False), form=st.sampled_from(["{!r}", "{:.17g}", "{:.17e}", " {!r} "]))
def test_numbers_as_text_are_read_back(number: float, form: str):
    assert parse_number(form.format(number)) == number


@pytest.mark.parametrize(
    ("texts", "number"),
    [
        (("-inf", "-Infinity", "-Inf", "−∞", "-1.#INF"), -math.inf),
        (("inf", "+inf", "Infinity"), math.inf),
        (("−0.5", "-.5", "-5e-1", "-0.50"), -0.5),
        (("yes", "TRUE", "Right", "t"), 1),
        (("no", "False", "wrong"), 0),
    ],
)
def test_texts_stand_for_numbers(texts: tuple[str, ...], number: float):
    for text in texts:
        assert parse_number(text, accepts_truths=True) == number, text


def test_missing_values_are_nan_and_other_texts_no_numbers():
    for text in ("", " ", "NA", "N/A", "nan", "NULL", "None", "<NA>", "\\N", "."):
        number = parse_number(text)
        assert number is not None and math.isnan(number), text  # noqa: PT018
    for text in ("0x10", "1,5", "1_000", "1 000", "50 %", "high", "1e", "--1", "yes", "٣"):
        assert parse_number(text) is None, text


_exact = st.integers(-4000, 4000).map(lambda thousandths: thousandths / 8)
_entropy = st.none() | st.just(math.inf) | _exact
_log_prob = st.none() | st.just(-math.inf) | _exact.map(lambda value: -abs(value))
_list_types = st.sampled_from([pa.list_, pa.large_list])


@st.composite
def _answers(draw: st.DrawFn) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for row in range(draw(st.integers(1, 12))):
        count = draw(st.integers(0, 4))
        values = {
            name: draw(st.lists(value, min_size=count, max_size=count))
            for name, value in (("entropySum", _entropy), ("logProbs", _log_prob))
        }
        rows.append(
            {"id": str(row), "correct": draw(st.sampled_from([None, 0, 1, 0.5])), "tokens": ["t"] * count, **values}
        )
    return rows


Container = Literal["arrow", "stream", "parquet"]


@settings(max_examples=150, deadline=None)
@given(
    rows=_answers(),
    is_text=st.booleans(),
    of=_list_types,
    container=st.sampled_from(["arrow", "stream", "parquet"]),
    codec=st.sampled_from(["none", "lz4", "zstd"]),
    chunk=st.integers(1, 12),
    is_zipped=st.booleans(),
)
def test_a_table_in_any_type_and_codec_is_read_back(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[dict[str, Any]],
    is_text: bool,
    of: Any,
    container: Container,
    codec: str,
    chunk: int,
    is_zipped: bool,
):
    made = table_samples.table(rows=rows)
    for name in ("entropySum", "logProbs"):
        cells = [[str(cell) if is_text and cell is not None else cell for cell in row[name]] for row in rows]
        column = pa.array(cells, of(pa.string() if is_text else pa.float64()))
        made = made.set_column(made.schema.get_field_index(name), name, column)
    if container == "parquet":
        sink = io.BytesIO()
        pq.write_table(made, sink, compression=codec, row_group_size=chunk)
        content = sink.getvalue()
    else:
        options = {} if codec == "none" else {"compression": codec}
        content = table_samples.file(made, stream=container == "stream", chunk=chunk, **options)
    path = tmp_path_factory.getbasetemp() / "made"
    path.write_bytes(gzip.compress(content) if is_zipped else content)
    expected = [
        {**row, "entropySum": [None if each == math.inf else each for each in row["entropySum"]]} for row in rows
    ]
    assert _rows(path) == expected


@settings(max_examples=200, deadline=None)
@given(
    name=st.sampled_from(["lz4.arrows", "batches.arrow", "zstd-pages-2.parquet", "stream.arrows"]),
    damage=st.lists(st.tuples(st.integers(0, 2**20), st.integers(0, 255)), min_size=1, max_size=4),
    cut=st.none() | st.integers(0, 2**20),
)
def test_a_damaged_file_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, name: str, damage: list[tuple[int, int]], cut: int | None
):
    content = bytearray((table_samples.FOLDER / name).read_bytes())
    for at, value in damage:
        content[at % len(content)] = value
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(content if cut is None else content[: cut % len(content)])
    with contextlib.suppress(ValueError):
        answers = read_calibration(path)
        assert len(answers.scores) == answers.table.num_rows
