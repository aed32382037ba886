"""Exports the embedded model's gradient and attention methods to ONNX graphs, which share the decoder's weights.

explain-trace.onnx             x.0 [n, d], the embeddings -> logits [n, V], states [n, d], x.* and m.* [n, d] per layer
explain-chefer.onnx            x.*, m.* (first p_t + 1 rows), token [1] -> relevancy [n]
explain-feature-gradcam.onnx   x.*, m.* of the feature layer and above, token [1], is_patch [n] -> relevancy [n]
explain-gradcam.onnx           x of the last layer, rows [t], tokens [t] -> relevancy [t, n]
explain-dex-ar.onnx            x.*, m.*, rows [t], tokens [t] -> gradients [t, L, h, n]
explain-attention.onnx         x.*, rows [t] -> rollout [t, n], attention [t, n]
explain-unembedding.bin        lm_head's rows [V, d] in fp16

The inputs of the other graphs have the names of the trace's outputs. No weight is stored twice: the graphs refer to
byte ranges of the decoder's file, which the runtime receives as external data.
"""

import hashlib
import json
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch.export import Dim
from torch.fx.experimental.proxy_tensor import make_fx

from ..training.model import load_model
from .export import GRAPHS, OPSET
from .gradient_graphs import (
    ExplainedDecoder,
    attention_maps,
    chefer,
    feature_gradcam,
    gradcam,
    lens_gradients,
    trace,
)

TRACE = "explain-trace.onnx"
UNEMBEDDING = "explain-unembedding.bin"
METHOD_GRAPHS = {
    "chefer": "explain-chefer.onnx",
    "gradcam": "explain-gradcam.onnx",
    "feature-gradcam": "explain-feature-gradcam.onnx",
    "dex-ar": "explain-dex-ar.onnx",
    "attention": "explain-attention.onnx",
}


class ExportSpec(NamedTuple):
    """A function to export, with sample inputs, input and output names, and dynamic dimensions nested like inputs."""

    function: Callable[..., Any]
    sample: tuple[Any, ...]
    inputs: list[str]
    outputs: list[str]
    dynamic: tuple[Any, ...]


def export_explain_graphs(hf_folder: Path, out_folder: Path) -> None:
    """Write the graphs next to the decoder's and list them in the manifest; nothing else in the folder changes."""
    model = load_model(hf_folder, attention="eager").requires_grad_(False)
    decoder_file = out_folder / GRAPHS["decoder"]
    weights = SharedWeights(decoder_file)
    decoder = ExplainedDecoder(model)
    for name, exported in explained_graphs(decoder).items():
        proto = export_function(exported)
        weights.share_with(proto)
        strip_metadata(proto)
        (out_folder / name).write_bytes(proto.SerializeToString())
    unembedding = model.lm_head.weight.detach().numpy().astype(np.float16)
    (out_folder / UNEMBEDDING).write_bytes(unembedding.tobytes())
    path = out_folder / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["explain"] = explain_section(decoder, out_folder)
    path.write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")


def explain_section(decoder: ExplainedDecoder, folder: Path) -> dict[str, Any]:
    """Return the section of the manifest that describes the exported graphs."""
    files = {}
    for name in (TRACE, *METHOD_GRAPHS.values(), UNEMBEDDING):
        content = (folder / name).read_bytes()
        files[name] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    return {
        "trace": TRACE,
        "graphs": METHOD_GRAPHS,
        "weights": GRAPHS["decoder"],
        "unembedding": UNEMBEDDING,
        "featureLayer": feature_layer(decoder),
        "firstLensLayer": FIRST_LENS_LAYER,
        "files": files,
    }


FIRST_LENS_LAYER = 0
"""First layer that DEX-AR uses, counted from 0."""


def feature_layer(decoder: ExplainedDecoder) -> int:
    """Return the middle layer, counted from 0."""
    return len(decoder.layers) // 2


def explained_graphs(decoder: ExplainedDecoder) -> dict[str, ExportSpec]:
    """Return the specs of all graphs to export, by file name."""
    count, top, middle = len(decoder.layers), decoder.top, feature_layer(decoder)
    d = decoder.norm.weight.shape[0]
    # The exporter treats a length of 1 as a constant, equal lengths as one dimension, and equal tensors as one input.
    n, t = Dim("n", min=2, max=1024), Dim("t", min=1, max=1024)
    columns, picked = 11, 3
    state = torch.randn(columns, d)
    rows, tokens, token = torch.arange(columns - picked, columns), torch.tensor([3, 4, 5]), torch.tensor([3])
    a_state, a_row = {0: n}, {0: t}

    def names(kind: str, first: int, stop: int) -> list[str]:
        return [f"{kind}.{layer}" for layer in range(first, stop)]

    def states(k: int) -> list[torch.Tensor]:
        return [torch.randn(columns, d) for _ in range(k)]

    def flat_trace(embeds: torch.Tensor) -> tuple[torch.Tensor, ...]:
        logits, last, xs, ms = trace(decoder, embeds)
        return (logits, last, *xs[1:], *ms)

    return {
        TRACE: ExportSpec(
            flat_trace,
            (state,),
            ["x.0"],
            ["logits", "states", *names("x", 1, count), *names("m", 0, count)],
            (a_state,),
        ),
        METHOD_GRAPHS["chefer"]: ExportSpec(
            lambda x, m, token: chefer(decoder, x, m, token),
            (states(count), states(top), token),
            [*names("x", 0, count), *names("m", 0, top), "token"],
            ["relevancy"],
            ([a_state] * count, [a_state] * top, None),
        ),
        METHOD_GRAPHS["feature-gradcam"]: ExportSpec(
            lambda x, m, token, is_patch: feature_gradcam(decoder, x, m, token, is_patch),
            (states(count - middle), states(top - middle), token, torch.ones(columns)),
            [*names("x", middle, count), *names("m", middle, top), "token", "is_patch"],
            ["relevancy"],
            ([a_state] * (count - middle), [a_state] * (top - middle), None, a_state),
        ),
        METHOD_GRAPHS["gradcam"]: ExportSpec(
            lambda x, rows, tokens: gradcam(decoder, x, rows, tokens),
            (state, rows, tokens),
            [*names("x", top, count), "rows", "tokens"],
            ["relevancy"],
            (a_state, a_row, a_row),
        ),
        METHOD_GRAPHS["dex-ar"]: ExportSpec(
            lambda x, m, rows, tokens: lens_gradients(decoder, x, m, rows, tokens),
            (states(count), states(count), rows, tokens),
            [*names("x", 0, count), *names("m", 0, count), "rows", "tokens"],
            ["gradients"],
            ([a_state] * count, [a_state] * count, a_row, a_row),
        ),
        METHOD_GRAPHS["attention"]: ExportSpec(
            lambda x, rows: attention_maps(decoder, x, rows),
            (states(count), rows),
            [*names("x", 0, count), "rows"],
            ["rollout", "attention"],
            ([a_state] * count, a_row),
        ),
    }


def export_function(exported: ExportSpec) -> onnx.ModelProto:
    """Export a function that computes gradients.

    Traces the function to plain operations first, because autograd cannot be exported.
    """
    function, sample, inputs, outputs, dynamic = exported
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = make_fx(function, tracing_mode="symbolic", _allow_non_fake_inputs=True)(*sample)
        program = torch.export.export(
            traced, sample, dynamic_shapes=dynamic, prefer_deferred_runtime_asserts_over_guards=True
        )
        exported_program = torch.onnx.export(
            program, input_names=inputs, output_names=outputs, dynamo=True, opset_version=OPSET, verbose=False
        )
    if exported_program is None:
        raise RuntimeError(f"torch.onnx.export returned no program for the outputs {', '.join(outputs)}")
    proto = exported_program.model_proto
    names = [value.name for value in proto.graph.input], [value.name for value in proto.graph.output]
    if names != (inputs, outputs):
        raise RuntimeError(f"expected inputs and outputs {inputs}, {outputs}, got {names}")
    return proto


def strip_metadata(proto: onnx.ModelProto) -> None:
    """Remove metadata about source lines, which makes up most of a small graph's bytes."""
    del proto.metadata_props[:], proto.graph.metadata_props[:]
    for part in (*proto.graph.node, *proto.graph.input, *proto.graph.output, *proto.graph.initializer):
        del part.metadata_props[:]
        part.doc_string = ""
    proto.doc_string = proto.graph.doc_string = ""


class SharedWeights:
    """The weights in a graph's file, which other graphs can refer to as external data."""

    def __init__(self, file: Path):
        self._file_name, content = file.name, file.read_bytes()
        self._places: dict[tuple[tuple[int, ...], bytes], int] = {}
        for tensor in onnx.load_from_string(content).graph.initializer:
            if tensor.data_type != TensorProto.FLOAT16:
                continue
            place = content.find(tensor.raw_data)
            if place < 0:
                raise ValueError(f"the bytes of {tensor.name} are not contiguous in {file.name}")
            self._places[tuple(tensor.dims), tensor.raw_data] = place

    def share_with(self, proto: onnx.ModelProto, *, larger_than: int = 64) -> None:
        """Replace each float32 initializer that equals a weight, or its transpose, with a reference to that weight.

        Ignores initializers that have at most `larger_than` elements or a single repeated value. Raises ValueError if
        any other initializer is not among the weights.
        """
        nodes, shared = [], set[str]()
        for tensor in proto.graph.initializer:
            if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) <= larger_than:
                continue
            values = numpy_helper.to_array(tensor)
            if np.ptp(values) == 0:
                continue
            halves, name = values.astype(np.float16), tensor.name
            as_stored = self._places.get((halves.shape, halves.tobytes()))
            transposed = self._places.get((halves.T.shape, np.ascontiguousarray(halves.T).tobytes()))
            place, shape = (as_stored, halves.shape) if as_stored is not None else (transposed, halves.T.shape)
            if place is None:
                raise ValueError(f"{name} {list(halves.shape)} is not among the weights of {self._file_name}")
            source = f"{self._file_name}@{place}"
            if source not in shared:
                nodes.append(helper.make_node("Cast", [source], [f"{source}.wide"], to=TensorProto.FLOAT))
            if as_stored is None:
                nodes.append(helper.make_node("Transpose", [f"{source}.wide"], [name], perm=[1, 0]))
            else:
                nodes.append(helper.make_node("Identity", [f"{source}.wide"], [name]))
            shared.add(source)
            tensor.CopyFrom(self._reference(f"{source}", shape, place, halves.nbytes))
        unique = {tensor.name: tensor for tensor in proto.graph.initializer}
        kept, body = list(unique.values()), [*nodes, *proto.graph.node]
        del proto.graph.initializer[:], proto.graph.node[:]
        proto.graph.initializer.extend(kept)
        proto.graph.node.extend(body)
        # Some names now refer to different tensors, so drop the inferred types; the runtime infers them again.
        del proto.graph.value_info[:]

    def _reference(self, name: str, shape: Sequence[int], offset: int, length: int) -> onnx.TensorProto:
        tensor = onnx.TensorProto(name=name, data_type=TensorProto.FLOAT16, data_location=TensorProto.EXTERNAL)
        tensor.dims.extend(shape)
        for key, value in (("location", self._file_name), ("offset", offset), ("length", length)):
            tensor.external_data.add(key=key, value=str(value))
        return tensor
