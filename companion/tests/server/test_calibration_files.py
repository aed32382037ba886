"""Tests that a calibration file is served if it belongs to the loaded model and head, and refused otherwise."""

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest

from patchlight.cli.serve import _calibration
from patchlight.server.app import create_app
from patchlight.server.calibration_files import default_calibration, serve_calibration
from patchlight.server.schemas import HeadFacts, HeadFile, HeadFiles, TrainedOn
from patchlight.server.session import ModelSession
from patchlight.server.settings import ServeSettings
from tests.helpers.serving import loaded, serving, tiny_session
from tests.helpers.tiny_models import tiny
from tests.makers import calibration_files

FILE = HeadFile(path="head/x", bytes=1, sha256="0")
HEAD = HeadFacts(
    name="fastrm",
    revision="4455",
    stage="post_norm",
    teacher="none",
    labelling_threshold=0.3,
    classification_threshold=0.4,
    hidden_size=32,
    trained_on=TrainedOn(name="made-up", revision="0011"),
    match="same",
    files=HeadFiles(graph=FILE, norm_graph=FILE, weights=FILE),
)
MODEL_AND_HEAD: dict[str, Any] = {"model": "made-up", "revision": "0011", "head": HEAD}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_calibration(tmp_path / "calibration.arrow")


def write_calibration(path: Path, **changes: Any) -> Path:
    """Write a calibration file of made-up answers; `changes` replace fields of its metadata."""
    metadata = {calibration_files.KEY: json.dumps(calibration_files.FACTS | changes)}
    schema = calibration_files.SCHEMA.with_metadata(metadata)
    table = pa.Table.from_pylist(calibration_files.calibration_rows(), schema=schema)
    if path.suffix == ".parquet":
        pq.write_table(table, path)
    else:
        with pa.ipc.new_file(path, schema) as file:
            file.write_table(table)
    return path


@pytest.mark.parametrize("suffix", ["arrow", "parquet"])
def test_it_is_listed_with_the_model_and_sent_byte_for_byte(suffix: str, tmp_path: Path):
    path = write_calibration(tmp_path / f"calibration.{suffix}")
    calibration = serve_calibration(path, **MODEL_AND_HEAD)
    settings = ServeSettings()
    session = ModelSession(
        loaded(tiny("llava")), settings, head=HEAD, knows="", train_command="", calibration=calibration.facts
    )
    with (
        serving(create_app(settings, session, calibration=(calibration.path, calibration.sha256))) as port,
        httpx.Client(base_url=f"http://127.0.0.1:{port}") as client,
    ):
        facts = client.get("/v1/model").json()["calibration"]
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        assert facts == {
            "path": f"calibration?sha256={digest}",
            "bytes": len(content),
            "sha256": digest,
            "n": calibration_files.ANSWERS,
        }
        first = client.get(f"/v1/{facts['path']}")
        assert first.content == content
        assert "immutable" in first.headers["cache-control"]
        assert client.get("/v1/calibration").headers["cache-control"] == "no-cache"
        second = client.get("/v1/calibration", headers={"If-None-Match": first.headers["etag"]})
        assert (second.status_code, second.content) == (304, b"")


def test_a_model_without_calibration_has_none_in_its_facts():
    settings = ServeSettings()
    assert tiny_session(settings).facts.calibration is None


def test_another_revision_of_the_same_weights_is_accepted(path: Path):
    assert serve_calibration(path, **dict(MODEL_AND_HEAD, revision="2233")).facts.n == calibration_files.ANSWERS


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "llava"}, r"belongs to model made-up \(0011\), but this model is llava \(0011\)"),
        ({"revision": "9999"}, r"belongs to model made-up \(0011\), but this model is made-up \(9999\)"),
        (
            {"head": HEAD.model_copy(update={"revision": "6677"})},
            r"belongs to head fastrm \(4455\), but this head is fastrm \(6677\)",
        ),
        ({"head": None}, r"belongs to head fastrm \(4455\), but no head is loaded"),
    ],
)
def test_a_calibration_of_another_model_or_head_is_refused(change: dict[str, Any], message: str, path: Path):
    with pytest.raises(ValueError, match=message):
        serve_calibration(path, **dict(MODEL_AND_HEAD, **change))


def test_other_files_are_refused(tmp_path: Path):
    other = tmp_path / "other.arrow"
    with pytest.raises(ValueError, match=r"other.arrow cannot be read: No such file"):
        serve_calibration(other, **MODEL_AND_HEAD)
    other.write_text("entropy,correct\n")
    with pytest.raises(ValueError, match=r"other.arrow is not a calibration file: expected Arrow or Parquet"):
        serve_calibration(other, **MODEL_AND_HEAD)
    pq.write_table(pa.table({"a": [1]}), other)
    with pytest.raises(ValueError, match=r"metadata has no patchlight\.calibration"):
        serve_calibration(other, **MODEL_AND_HEAD)
    with pytest.raises(ValueError, match="format version 2, this program reads version 1"):
        serve_calibration(write_calibration(tmp_path / "new.arrow", formatVersion=2), **MODEL_AND_HEAD)


def test_a_mismatch_is_an_error_for_a_given_path_and_a_warning_for_the_default(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    model = loaded(tiny("llava"))._replace(name="made-up", revision="0011")
    assert default_calibration(tmp_path / "fastrm") == path
    assert default_calibration(tmp_path / "elsewhere" / "fastrm") is None
    no_option = argparse.Namespace(calibration=None)
    calibration = _calibration(no_option, model, tmp_path / "fastrm", HEAD)
    assert calibration is not None
    assert calibration.path == path
    other = model._replace(revision="9999")
    assert _calibration(no_option, other, tmp_path / "fastrm", HEAD) is None
    assert "no calibration: " in capsys.readouterr().err
    with pytest.raises(ValueError, match="made-up \\(9999\\)"):
        _calibration(argparse.Namespace(calibration=path), other, tmp_path / "fastrm", HEAD)
