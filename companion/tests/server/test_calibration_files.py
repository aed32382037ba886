"""A calibration is served where it is of the model and head that answer, and refused, both named, where it is not."""

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
from patchlight.server.schemas import HeadFacts, HeadFile, HeadFiles
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
    files=HeadFiles(graph=FILE, norm_graph=FILE, weights=FILE),
)
OF: dict[str, Any] = {"model": "made-up", "revision": "0011", "head": HEAD}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return written(tmp_path / "calibration.arrow")


def written(path: Path, **change: Any) -> Path:
    """A calibration of made-up answers; `change` is of what it says of itself."""
    metadata = {calibration_files.KEY: json.dumps(calibration_files.FACTS | change)}
    schema = calibration_files.SCHEMA.with_metadata(metadata)
    table = pa.Table.from_pylist(calibration_files.calibration_rows(), schema=schema)
    if path.suffix == ".parquet":
        pq.write_table(table, path)
    else:
        with pa.ipc.new_file(path, schema) as file:
            file.write_table(table)
    return path


@pytest.mark.parametrize("suffix", ["arrow", "parquet"])
def test_it_is_told_by_the_model_and_sent_byte_for_byte(suffix: str, tmp_path: Path):
    path = written(tmp_path / f"calibration.{suffix}")
    found = serve_calibration(path, **OF)
    settings = ServeSettings()
    session = ModelSession(
        loaded(tiny("llava")), settings, head=HEAD, knows="", train_command="", calibration=found.facts
    )
    with (
        serving(create_app(settings, session, calibration=(found.path, found.sha256))) as port,
        httpx.Client(base_url=f"http://127.0.0.1:{port}") as client,
    ):
        told = client.get("/v1/model").json()["calibration"]
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        assert told == {
            "path": f"calibration?sha256={digest}",
            "bytes": len(content),
            "sha256": digest,
            "n": calibration_files.ANSWERS,
        }
        sent = client.get(f"/v1/{told['path']}")
        assert sent.content == content
        assert "immutable" in sent.headers["cache-control"]
        assert client.get("/v1/calibration").headers["cache-control"] == "no-cache"
        again = client.get("/v1/calibration", headers={"If-None-Match": sent.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


def test_without_one_the_model_says_so():
    settings = ServeSettings()
    assert tiny_session(settings).facts.calibration is None


def test_a_model_may_go_by_another_revision(path: Path):
    assert serve_calibration(path, **dict(OF, revision="2233")).facts.n == calibration_files.ANSWERS


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"model": "llava"}, r"is of model made-up \(0011\); this one is llava \(0011\)"),
        ({"revision": "9999"}, r"is of model made-up \(0011\); this one is made-up \(9999\)"),
        ({"head": HEAD.model_copy(update={"revision": "6677"})}, r"head fastrm \(4455\); this one is fastrm \(6677\)"),
        ({"head": None}, r"head fastrm \(4455\); there is no head"),
    ],
)
def test_one_of_another_model_or_head_is_refused_with_both_named(change: dict[str, Any], named: str, path: Path):
    with pytest.raises(ValueError, match=named):
        serve_calibration(path, **dict(OF, **change))


def test_what_is_no_calibration_is_refused(tmp_path: Path):
    other = tmp_path / "other.arrow"
    with pytest.raises(ValueError, match=r"other.arrow is no calibration: wanted is an Arrow or Parquet file"):
        serve_calibration(other, **OF)
    other.write_text("entropy,correct\n")
    with pytest.raises(ValueError, match="wanted is an Arrow or Parquet file"):
        serve_calibration(other, **OF)
    pq.write_table(pa.table({"a": [1]}), other)
    with pytest.raises(ValueError, match=r"metadata has no patchlight\.calibration"):
        serve_calibration(other, **OF)
    with pytest.raises(ValueError, match="format version 2; want 1"):
        serve_calibration(written(tmp_path / "new.arrow", formatVersion=2), **OF)


def test_one_that_is_named_must_fit_one_that_lies_there_is_left_out(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    of = loaded(tiny("llava"))._replace(name="made-up", revision="0011")
    assert default_calibration(tmp_path / "fastrm") == path
    assert default_calibration(tmp_path / "elsewhere" / "fastrm") is None
    left_out = argparse.Namespace(calibration=None)
    found = _calibration(left_out, of, tmp_path / "fastrm", HEAD)
    assert found is not None
    assert found.path == path
    other = of._replace(revision="9999")
    assert _calibration(left_out, other, tmp_path / "fastrm", HEAD) is None
    assert "no calibration: " in capsys.readouterr().err
    with pytest.raises(ValueError, match="made-up \\(9999\\)"):
        _calibration(argparse.Namespace(calibration=path), other, tmp_path / "fastrm", HEAD)
