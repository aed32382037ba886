"""Tests which files of a head the companion serves."""

from pathlib import Path
from typing import Any

import pytest

from patchlight.head.fastrm import FastRM, HeadFacts
from patchlight.server.head_files import default_head_folder, serve_head
from tests.helpers.serving import loaded
from tests.helpers.tiny_models import tiny

FACTS = HeadFacts(hidden_size=32, stage="post_norm", teacher="none", model="tiny", model_revision="0" * 12)


def test_a_text_output_is_served_with_its_head(tmp_path: Path):
    FastRM(32).save_pretrained(tmp_path / "fastrm", FACTS)
    assert serve_head(tmp_path / "fastrm", tmp_path / "out", loaded(tiny("llava"))).facts.files.text_weights is None
    FastRM(32).save_pretrained(tmp_path / "fastrm" / "text", FACTS)
    head = serve_head(tmp_path / "fastrm", tmp_path / "out", loaded(tiny("llava")))
    assert head.without_text is None
    assert head.facts.files.text_weights is not None
    path, sha256 = head.files["fastrm-text.bin"]
    assert head.facts.files.text_weights.path == f"head/fastrm-text.bin?sha256={sha256}"
    assert path.stat().st_size == head.facts.files.text_weights.bytes


def test_a_damaged_text_output_does_not_keep_its_head_from_being_served(tmp_path: Path):
    FastRM(32).save_pretrained(tmp_path / "fastrm", FACTS)
    FastRM(32).save_pretrained(tmp_path / "fastrm" / "text", FACTS)
    weights = tmp_path / "fastrm" / "text" / "head.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8])
    head = serve_head(tmp_path / "fastrm", tmp_path / "out", loaded(tiny("llava")))
    assert head.without_text is not None
    assert str(weights) in head.without_text
    assert head.facts.files.text_weights is None
    assert set(head.files) == {"fastrm.onnx", "fastrm-norm.onnx", "fastrm.bin"}


@pytest.mark.parametrize(
    ("stage", "hidden_size", "message"),
    [("post_norm", 16, r"hidden size 16.*32"), ("pre_norm", 32, r"pre_norm.*post_norm")],
)
def test_a_head_for_other_hidden_states_is_refused(stage: Any, hidden_size: int, message: str, tmp_path: Path):
    facts = HeadFacts(hidden_size=hidden_size, stage=stage, teacher="none", model="tiny", model_revision="0")
    FastRM(hidden_size).save_pretrained(tmp_path / "fastrm", facts)
    assert default_head_folder(str(tmp_path)) == tmp_path / "fastrm"
    with pytest.raises(ValueError, match=message):
        serve_head(tmp_path / "fastrm", tmp_path / "out", loaded(tiny("llava")))


def test_a_model_folder_without_a_head_has_no_default_head(tmp_path: Path):
    assert default_head_folder(str(tmp_path)) is None
    assert default_head_folder("org/some-model") is None
