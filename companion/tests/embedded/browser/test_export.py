"""Compares the exported graphs with the PyTorch model, on a small model with random weights."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import pytest
import torch
from PIL import Image
from transformers import AutoProcessor

from patchlight.embedded.browser.browser_model import BrowserModel
from patchlight.embedded.browser.export import GRAPHS, export_browser_model
from patchlight.embedded.browser.parity import check_parity
from patchlight.embedded.training.llava_parts import language_model, text_config, vision_config, vision_tower
from patchlight.embedded.training.model import build_model, load_model, model_inputs, save_model
from patchlight.embedded.training.packing import prompt_pieces
from patchlight.embedded.training.vocabulary import build_tokenizer
from patchlight.head.fastrm import FastRM, HeadFacts
from tests.helpers.generation import generated_ids


class Folders(NamedTuple):
    hf: Path
    head: Path
    browser: Path


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """A model with random weights and two layers per tower, and a head whose logits have a std of about 2."""
    root = tmp_path_factory.mktemp("export")
    made = Folders(root / "hf", root / "head", root / "browser")
    model = build_model(build_tokenizer(), seed=3)
    for part in (language_model(model), vision_tower(model).encoder):
        part.layers = part.layers[:2]
    text_config(model).num_hidden_layers = vision_config(model).num_hidden_layers = 2
    save_model(model, made.hf)

    torch.manual_seed(4)
    head = FastRM(192)
    with torch.no_grad():
        head.query.weight *= 6
    facts = HeadFacts(hidden_size=192, stage="post_norm", teacher="none", model="random", model_revision="0")
    head.save_pretrained(made.head, facts)
    export_browser_model(made.hf, made.head, made.browser, name="random", knows="Nothing.", training={"steps": 0})
    return made


def random_image(seed: int) -> np.ndarray:
    """Return a smooth random image [336, 336, 3], so that neighbouring patches differ."""
    coarse = np.random.default_rng(seed).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    return np.array(Image.fromarray(coarse).resize((336, 336), Image.Resampling.BICUBIC))


def test_parity_over_questions_is_within_the_goals(folders: Folders):
    questions = ["What color is the large sphere?", "How many cubes are there?", "Describe the image."]
    samples = [(random_image(k), text) for k, text in enumerate(questions)]
    parity = check_parity(folders.hf, folders.head, folders.browser, samples, limit=12)
    assert parity.identical_share == 1
    # The saved weights are already rounded to fp16, so the graphs use the same weights; only summation order differs.
    assert parity.hidden_error < 1e-5
    # The head's matrix is rounded to fp16 after folding, with a relative error of up to 2^-11 per entry.
    assert 1e-6 < parity.head_error < 5e-3
    report = json.loads((folders.browser / "report" / "parity.json").read_text())
    assert [row["value"] for row in report["figures"]][:2] == [3, 1.0]


def test_answers_equal_hugging_face_generate_on_the_processor_s_input(folders: Folders):
    image = random_image(7)
    processor = AutoProcessor.from_pretrained(folders.hf)
    inputs = model_inputs(processor, Image.fromarray(image), "Is there a red cube?")
    model = load_model(folders.hf)
    expected = generated_ids(model, inputs, max_new_tokens=8, min_new_tokens=8, eos_token_id=-1)
    browser = BrowserModel(folders.browser)
    pieces = prompt_pieces(processor.tokenizer)
    question_ids = processor.tokenizer("Is there a red cube?", add_special_tokens=False).input_ids
    browser.manifest["prompt"]["eosTokenId"] = -1
    actual = browser.answer(browser.image_features(image), pieces.before, [*question_ids, *pieces.after], limit=8)
    assert actual.ids == expected


def test_a_prompt_read_in_two_parts_gives_the_same_states(folders: Folders):
    browser = BrowserModel(folders.browser)
    embeds = browser.embeddings(list(range(5, 25)))
    names = [value.name for value in browser.decoder.get_inputs()[2:]]

    def run(part: np.ndarray, past: list[np.ndarray]) -> list[np.ndarray]:
        start = past[0].shape[2]
        feed = {"inputs_embeds": part, "position_ids": np.arange(start, start + part.shape[1])[None]}
        outputs = browser.decoder.run(None, feed | dict(zip(names, past, strict=True)))
        return [np.asarray(output) for output in outputs]

    no_past = [np.zeros((1, 4, 0, 48), np.float32)] * 4
    _, complete, *_ = run(embeds, no_past)
    _, first, *past, _ = run(embeds[:, :13], no_past)
    logits, second, *_ = run(embeds[:, 13:], past)
    # Weights and precision are the same; only the order of summation differs.
    np.testing.assert_allclose(np.concatenate([first, second], axis=1), complete, rtol=0, atol=2e-5)
    assert logits.shape == (1, len(build_tokenizer()))


def test_the_attention_of_the_last_position_equals_hugging_face_s_eager_attention(folders: Folders):
    image = random_image(5)
    processor = AutoProcessor.from_pretrained(folders.hf)
    inputs = model_inputs(processor, Image.fromarray(image), "Is there a red cube?")
    model = load_model(folders.hf, attention="eager")
    with torch.no_grad():
        expected = torch.stack(model(**inputs, output_attentions=True).attentions)[:, 0, :, -1].numpy()
    browser = BrowserModel(folders.browser)
    pieces = prompt_pieces(processor.tokenizer)
    ids = processor.tokenizer("Is there a red cube?", add_special_tokens=False).input_ids
    prefix = np.concatenate([browser.embeddings(pieces.before), browser.image_features(image)], axis=1)
    # In two parts, as the page reads it: the image first.
    step = browser.read(browser.embeddings([*ids, *pieces.after]), browser.read(prefix).past)
    assert step.attention is not None
    assert step.attention.shape == expected.shape == (2, 4, inputs["input_ids"].shape[1])
    # The weights are the same; only the order of summation differs. Rows sum to 1.
    np.testing.assert_allclose(step.attention, expected, rtol=0, atol=1e-6)
    np.testing.assert_allclose(step.attention.sum(axis=-1), 1, rtol=0, atol=1e-5)
    first = browser.read(browser.embeddings([7]), step.past)
    assert first.attention is not None
    assert first.attention.shape[-1] == expected.shape[-1] + 1


def test_each_graph_is_one_file_with_fp16_weights(folders: Folders):
    for name in ("vision.onnx", "embed.onnx", "decoder.onnx"):
        proto = onnx.load(folders.browser / name, load_external_data=False)
        assert not any(tensor.external_data for tensor in proto.graph.initializer)
        wide = [
            t.name for t in proto.graph.initializer if t.data_type == onnx.TensorProto.FLOAT and np.prod(t.dims) > 64
        ]
        assert wide == []
        assert any(t.data_type == onnx.TensorProto.FLOAT16 for t in proto.graph.initializer)


def test_the_manifest_lists_every_file_with_its_hash(folders: Folders):
    manifest = json.loads((folders.browser / "manifest.json").read_text())
    present = {p.relative_to(folders.browser).as_posix() for p in folders.browser.rglob("*") if p.is_file()}
    assert set(manifest["files"]) == {name for name in present if name != "manifest.json" and "report/" not in name}
    for name, facts in manifest["files"].items():
        content = (folders.browser / name).read_bytes()
        assert facts == {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    assert manifest["model"]["hiddenSize"] == manifest["head"]["hiddenSize"] == 192
    assert manifest["model"]["layers"] == 2
    assert manifest["head"]["labellingThreshold"] == 0.3
    assert "colour" in manifest["prompt"]["neverSeen"]


def test_exporting_again_keeps_the_explain_section_if_the_decoder_is_unchanged(
    folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def copy_graphs(_: object, out: Path) -> None:
        """Copy the graphs that the fixture exported, as a substitute for the slow export."""
        for file in GRAPHS.values():
            shutil.copyfile(folders.browser / file, out / file)

    def export() -> dict[str, object]:
        out = tmp_path / "browser"
        export_browser_model(folders.hf, folders.head, out, name="random", knows="Nothing.", training={})
        return json.loads((out / "manifest.json").read_text())

    path = tmp_path / "browser" / "manifest.json"
    path.parent.mkdir()
    of_other_decoder = {"explain": {"trace": "x"}, "files": {"decoder.onnx": {"sha256": "another"}}}
    path.write_text(json.dumps(of_other_decoder))
    with monkeypatch.context() as patched:
        patched.setattr("patchlight.embedded.browser.export.export_graphs", copy_graphs)
        manifest = export()
    assert "explain" not in manifest
    path.write_text(json.dumps(manifest | {"explain": {"trace": "x"}}))
    assert export()["explain"] == {"trace": "x"}


def test_a_head_for_other_states_is_refused(folders: Folders, tmp_path: Path):
    facts = HeadFacts(hidden_size=192, stage="pre_norm", teacher="none", model="random", model_revision="0")
    FastRM(192).save_pretrained(tmp_path, facts)
    with pytest.raises(ValueError, match="expects pre_norm hidden states, the model returns post_norm"):
        export_browser_model(folders.hf, tmp_path, tmp_path / "out", name="", knows="", training={})
