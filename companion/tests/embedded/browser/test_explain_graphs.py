"""Compares the shipped gradient and attention graphs with autograd, and tests that they share the decoder's weights."""

import base64
import hashlib
import io
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from transformers import LlavaForConditionalGeneration

from patchlight.embedded.browser.browser_model import BrowserExplainer
from patchlight.embedded.browser.explain_export import METHOD_GRAPHS, TRACE, SharedWeights
from patchlight.embedded.browser.explain_parity import exported_maps, plain_maps, relative_error
from patchlight.embedded.browser.export import GRAPHS, store_weights_in_fp16
from patchlight.embedded.browser.plain_methods import PlainAnswer
from patchlight.embedded.build import NAME
from patchlight.embedded.training.llava_parts import language_model
from patchlight.embedded.training.model import load_model
from patchlight.methods.attention_hooks.decoder_call import DecoderCall
from patchlight.methods.explain import Check, MethodMap, explain
from patchlight.methods.names import Method
from patchlight.methods.relevancy import explain_tokens
from patchlight.models.loading import LoadOptions, load
from patchlight.wire.run import read_run
from tests.helpers.paths import ROOT

HF, BROWSER = ROOT / "models" / NAME, ROOT / "public" / "models" / NAME
METHODS: tuple[Method, ...] = ("chefer", "gradcam", "feature-gradcam", "dex-ar", "rollout", "attention")


class Case(NamedTuple):
    """A random sequence and its reference explanation: embeds [n, d], rows [t], ids [t], is_patch [n]."""

    embeds: torch.Tensor
    rows: torch.Tensor
    ids: torch.Tensor
    is_patch: torch.Tensor
    plain: PlainAnswer


@pytest.fixture(scope="module")
def model() -> LlavaForConditionalGeneration:
    return load_model(HF, attention="eager").requires_grad_(False)


@pytest.fixture(scope="module")
def case(model: LlavaForConditionalGeneration) -> Case:
    """A sequence of a different length from the exported one; the first explained row is not the sequence's last."""
    torch.manual_seed(11)
    n = 57
    embeds, rows, ids = torch.randn(n, 192) * 0.3, torch.tensor([40, 51, 56]), torch.tensor([20, 31, 116])
    is_patch = torch.zeros(n, dtype=torch.bool)
    is_patch[3:30] = True
    return Case(embeds, rows, ids, is_patch, PlainAnswer(model, embeds, rows, ids, is_patch))


@pytest.fixture(scope="module")
def explainer() -> BrowserExplainer:
    return BrowserExplainer(BROWSER, threads=1)


def test_the_trace_gives_the_model_s_logits_and_states(explainer: BrowserExplainer, case: Case):
    traced = explainer.trace(case.embeds.numpy())
    # The weights are the same; only the order of summation in float32 differs.
    np.testing.assert_allclose(traced["logits"], case.plain.logits.detach().numpy(), rtol=0, atol=1e-4)
    np.testing.assert_allclose(traced["states"], case.plain.states.numpy(), rtol=0, atol=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_each_graph_matches_autograd(explainer: BrowserExplainer, case: Case, method: str):
    rows, ids = case.rows.numpy(), case.ids.numpy()
    traced = explainer.trace(case.embeds.numpy())
    actual = exported_maps(explainer, traced, rows, ids, case.is_patch.numpy())[method]
    expected = plain_maps(case.plain, explainer.facts["featureLayer"])[method]
    for t, row in enumerate(rows):
        assert np.abs(expected[t]).max() > 0
        assert relative_error(actual[t][..., : row + 1], expected[t][..., : row + 1]) < 1e-4


def test_columns_after_a_row_get_no_relevancy(explainer: BrowserExplainer, case: Case):
    inputs = explainer.trace(case.embeds.numpy()) | {"rows": case.rows.numpy(), "tokens": case.ids.numpy()}
    for graph in ("gradcam", "dex-ar", "attention"):
        for output in explainer.explain(graph, inputs):
            assert np.abs(output[0][..., 41:]).max() == 0


def test_plain_chefer_equals_the_companion_s(model: LlavaForConditionalGeneration, case: Case):
    call = DecoderCall(model, language_model(model), {"inputs_embeds": case.embeds[None]})
    expected = explain_tokens(call, case.rows, case.ids).relevancy
    torch.testing.assert_close(case.plain.chefer(), expected, rtol=1e-4, atol=1e-6)


def test_the_manifest_lists_the_graphs_with_hashes_and_no_weight_is_stored_twice():
    manifest = json.loads((BROWSER / "manifest.json").read_text())
    facts = manifest["explain"]
    assert facts["graphs"] == METHOD_GRAPHS
    assert set(facts["files"]) == {path.name for path in BROWSER.glob("explain-*")}
    for name, entry in facts["files"].items():
        content = (BROWSER / name).read_bytes()
        assert entry == {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}, name
    # Recorded runs refer to the model's revision, which must not depend on these graphs.
    own = b"".join((BROWSER / graph).read_bytes() for graph in GRAPHS.values())
    assert manifest["revision"] == hashlib.sha256(own).hexdigest()[:12]
    for name in (TRACE, *METHOD_GRAPHS.values()):
        tensors = onnx.load(BROWSER / name, load_external_data=False).graph.initializer
        inside = [t.name for t in tensors if t.data_location != TensorProto.EXTERNAL and np.prod(t.dims) > 1024]
        assert inside == []


def test_the_unembedding_equals_the_model_s(model: LlavaForConditionalGeneration):
    rows = np.fromfile(BROWSER / "explain-unembedding.bin", np.float16).reshape(model.lm_head.weight.shape)
    np.testing.assert_array_equal(rows, model.lm_head.weight.numpy())


def product(name: str, weights: np.ndarray) -> onnx.ModelProto:
    """Return a graph that computes y = x @ weights."""
    node = helper.make_node("MatMul", ["x", name], ["y"])
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", weights.shape[0]])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", weights.shape[1]])
    graph = helper.make_graph([node], "g", [x], [y], [numpy_helper.from_array(weights, name)])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def run(folder: Path, proto: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    (folder / "other.onnx").write_bytes(proto.SerializeToString())
    session = onnxruntime.InferenceSession(folder / "other.onnx", providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"x": x})[0])


def test_a_graph_can_share_another_graph_s_weights_as_stored_or_transposed(tmp_path: Path):
    rng = np.random.default_rng(5)
    weights = rng.standard_normal((12, 20)).astype(np.float16).astype(np.float32)
    source = product("w", weights)
    store_weights_in_fp16(source)
    (tmp_path / "source.onnx").write_bytes(source.SerializeToString())
    shared = SharedWeights(tmp_path / "source.onnx")
    for matrix in (weights, np.ascontiguousarray(weights.T)):
        proto = product("v", matrix)
        shared.share_with(proto)
        assert [t.data_location for t in proto.graph.initializer] == [TensorProto.EXTERNAL]
        x = rng.standard_normal((3, matrix.shape[0])).astype(np.float32)
        np.testing.assert_allclose(run(tmp_path, proto, x), x @ matrix, rtol=1e-5, atol=1e-5)
    with pytest.raises(ValueError, match=r"v \[12, 20\] is not among the weights of source\.onnx"):
        shared.share_with(product("v", weights + 1))


def unpacked(text: str) -> torch.Tensor:
    return torch.from_numpy(np.frombuffer(base64.b64decode(text), "<f4").copy())


@pytest.mark.parametrize("method", [*METHODS, "tam"])
def test_the_companion_s_maps_match_the_page_s_fixture(method: Method):
    """e2e/runtime.spec.ts compares the browser's maps with the same fixture, to within 1e-4."""
    fixture = json.loads((ROOT / "src/inference/fixtures/explained-run-1.json").read_text())
    run = read_run(ROOT / "public/samples/run-1.run")
    assert run.picture is not None
    loaded = load(LoadOptions(model=str(HF), device="cpu"))
    image = Image.open(io.BytesIO(run.picture)).convert("RGB")
    reading = loaded.family.read(loaded.model, loaded.processor, image, fixture["question"])
    log_probs = fixture["picture"]["logProbs"]
    check, *rest = explain(loaded, reading, fixture["tokenIds"], method, fixture["wanted"], log_probs=log_probs)
    assert isinstance(check, Check)
    assert check.is_same
    assert check.largest_difference < 1e-4
    maps = [event for event in rest if isinstance(event, MethodMap)]
    assert len(maps) == len(fixture["wanted"])
    for actual, expected in zip(maps, fixture["picture"]["maps"][method], strict=True):
        assert relative_error(actual.patches.numpy(), unpacked(expected["values"]).numpy()) < 1e-4
        assert (actual.prompt is None) == ("prompt" not in expected)
        if actual.prompt is not None and actual.answer is not None:
            assert relative_error(actual.prompt.numpy(), unpacked(expected["prompt"]).numpy()) < 1e-4
            assert relative_error(actual.answer.numpy(), unpacked(expected["answer"]).numpy()) < 1e-4
        if actual.grounding is not None:
            assert actual.grounding == pytest.approx(expected["grounding"], rel=1e-3, abs=1e-5)
