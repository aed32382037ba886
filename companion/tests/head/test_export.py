"""Compares the folder written by `patchlight export` with the head that was exported."""

import argparse
import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from patchlight.cli import export as export_command
from patchlight.head.export import export_head
from patchlight.head.fastrm import FastRM, HeadFacts

FACTS = HeadFacts(
    hidden_size=64,
    stage="post_norm",
    teacher="Chefer relevancy, incremental",
    labelling_threshold=0.25,
    classification_threshold=0.45,
    model="a/model",
    model_revision="abc",
    name="fastrm-64",
)


@pytest.fixture
def head(tmp_path: Path) -> FastRM:
    torch.manual_seed(0)
    head = FastRM(64)
    with torch.no_grad():
        head.query.weight *= 6
        head.norm.bias.normal_(0, 0.3)
    head.save_pretrained(tmp_path / "head", FACTS)
    return head.eval()


def command(*options: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    export_command.add_parser(parser.add_subparsers(required=True))
    return parser.parse_args(["export", *options])


def test_the_exported_graphs_reproduce_the_head_s_maps(
    head: FastRM, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    arguments = command("--head", str(tmp_path / "head"), "--out", str(tmp_path / "out"))
    arguments.run(arguments)
    assert "hidden size 64, post_norm, classification threshold 0.45" in capsys.readouterr().out
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    files = {role: tmp_path / "out" / file["path"] for role, file in manifest["files"].items()}
    queries, patches = torch.randn(3, 64), torch.randn(17, 64)
    norm = onnxruntime.InferenceSession(files["normGraph"], providers=["CPUExecutionProvider"])
    graph = onnxruntime.InferenceSession(files["graph"], providers=["CPUExecutionProvider"])
    normalised = np.asarray(norm.run(None, {"patch_states": patches.numpy()})[0])
    actual = np.asarray(graph.run(None, {"query_states": queries.numpy(), "patch_states": normalised})[0])
    with torch.no_grad():
        expected = head(queries, patches).numpy()
    assert expected.std() > 0.2
    # The folded matrix is stored in fp16; the tolerance is derived in head/test_fastrm.py.
    assert np.abs(actual - expected).max() < 1e-3


def test_the_manifest_has_the_head_s_facts_and_a_hash_of_each_file(head: FastRM, tmp_path: Path):
    arguments = command("--head", str(tmp_path / "head"), "--out", str(tmp_path / "out"))
    arguments.run(arguments)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    weights = (tmp_path / "head" / "head.safetensors").read_bytes()
    assert {key: value for key, value in manifest.items() if key != "files"} == {
        "formatVersion": 1,
        "name": "fastrm-64",
        "revision": hashlib.sha256(weights).hexdigest()[:12],
        "stage": "post_norm",
        "teacher": "Chefer relevancy, incremental",
        "labellingThreshold": 0.25,
        "classificationThreshold": 0.45,
        "hiddenSize": 64,
        "model": "a/model",
        "modelRevision": "abc",
    }
    assert set(manifest["files"]) == {"graph", "normGraph", "weights"}
    for file in manifest["files"].values():
        content = (tmp_path / "out" / file["path"]).read_bytes()
        assert (file["bytes"], file["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())


def test_the_error_for_a_folder_without_a_head_gives_its_path(tmp_path: Path):
    arguments = command("--head", str(tmp_path / "none"), "--out", str(tmp_path / "out"))
    with pytest.raises(FileNotFoundError, match=r"none/head\.json"):
        arguments.run(arguments)


def test_the_graph_computes_the_text_output_from_its_weights(head: FastRM, tmp_path: Path):
    torch.manual_seed(1)
    text = FastRM(64)
    with torch.no_grad():
        text.query.weight *= 6
    text.save_pretrained(tmp_path / "head" / "text", FACTS)
    manifest = export_head(tmp_path / "head", tmp_path / "out")
    assert manifest["files"]["textWeights"]["path"] == "fastrm-text.bin"
    queries, words = torch.randn(3, 64), torch.randn(11, 64)
    norm = onnxruntime.InferenceSession(tmp_path / "out" / "fastrm-norm.onnx", providers=["CPUExecutionProvider"])
    normalised = np.asarray(norm.run(None, {"patch_states": words.numpy()})[0])
    # The graph names fastrm.bin, so another output's weights take its place.
    weights, options = (tmp_path / "out" / "fastrm-text.bin").read_bytes(), onnxruntime.SessionOptions()
    options.add_external_initializers_from_files_in_memory(["fastrm.bin"], [weights], [len(weights)])
    graph = onnxruntime.InferenceSession(
        (tmp_path / "out" / "fastrm.onnx").read_bytes(), options, providers=["CPUExecutionProvider"]
    )
    actual = np.asarray(graph.run(None, {"query_states": queries.numpy(), "patch_states": normalised})[0])
    with torch.no_grad():
        expected, of_patches = text.eval()(queries, words).numpy(), head(queries, words).numpy()
    assert expected.std() > 0.2
    assert np.abs(of_patches - expected).max() > 0.5
    # The folded matrix is stored in fp16; the tolerance is derived in head/test_fastrm.py.
    assert np.abs(actual - expected).max() < 1e-3


def test_an_export_without_a_text_output_removes_an_earlier_one(head: FastRM, tmp_path: Path):
    FastRM(64).save_pretrained(tmp_path / "head" / "text", FACTS)
    assert "textWeights" in export_head(tmp_path / "head", tmp_path / "out")["files"]
    shutil.rmtree(tmp_path / "head" / "text")
    assert "textWeights" not in export_head(tmp_path / "head", tmp_path / "out")["files"]
    assert not (tmp_path / "out" / "fastrm-text.bin").exists()


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"model_revision": "def"}, "its model_revision is def, the head's is abc"),
        ({"rank": 8}, "its rank is 8, the head's is None"),
    ],
)
def test_a_text_output_of_another_head_is_refused(head: FastRM, changed: dict[str, Any], what: str, tmp_path: Path):
    facts = replace(FACTS, **changed)
    FastRM(64, rank=facts.rank).save_pretrained(tmp_path / "head" / "text", facts)
    with pytest.raises(ValueError, match=what):
        export_head(tmp_path / "head", tmp_path / "out")
