"""Folds a head for the browser: query and key weights become one matrix, stored next to weight-free ONNX graphs.

A token then costs one product with a `[d, d]` matrix and one with the patches. The weights are half as large, and the
only preparation that an image needs is its LayerNorm. The matrix of a head with a rank below d / 2 stays in its two
factors, `[d, r]` and `[r, d]`, which are smaller.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper

from .fastrm import LAYER_NORM_EPSILON, FastRM

GRAPH_FILE, NORM_GRAPH_FILE, BLOB_FILE = "fastrm.onnx", "fastrm-norm.onnx", "fastrm.bin"
TEXT_BLOB_FILE = "fastrm-text.bin"
"""Weights of a head's text output, in the same layout, for the same graph."""


class Folded(NamedTuple):
    """Coefficients of `logit_j = n_q M n_j + v . n_j + w . n_q + s`, where n is LayerNorm without its affine part.

    factors: the matrices whose product is M `[d, d]` (rows: query features, columns: patch features), M itself or `[d, r]`
    and `[r, d]`. v `[d]`, w `[d]`, s scalar. All are float64 and include the factor 1/sqrt(d) (of a rank, 1/sqrt(r)).
    """

    factors: tuple[np.ndarray, ...]
    v: np.ndarray
    w: np.ndarray
    s: float

    @property
    def M(self) -> np.ndarray:
        return self.factors[0] if len(self.factors) == 1 else self.factors[0] @ self.factors[1]


class StoredHead(NamedTuple):
    """The coefficients of `Folded`, each rounded once: M = scale * the product of the factors, which are fp16. `scale` is
    a power of two that keeps the factors above fp16's subnormals.
    """

    factors: tuple[np.ndarray, ...]
    v: np.ndarray
    w: np.ndarray
    scale: np.float32
    s: np.float32


def fold(head: FastRM) -> Folded:
    """Fold a head's weights in float64, because folding rounded factors loses precision."""

    def exact(parameter: torch.Tensor) -> np.ndarray:
        return parameter.detach().double().cpu().numpy()

    gain, shift = exact(head.norm.weight), exact(head.norm.bias)
    W_q, W_k = exact(head.query.weight), exact(head.key.weight)
    b_q, b_k = W_q @ shift + exact(head.query.bias), W_k @ shift + exact(head.key.bias)
    W_q, W_k = W_q * gain / head.key_size**0.5, W_k * gain
    b_q = b_q / head.key_size**0.5
    factors = (W_q.T, W_k) if _keeps_factors(head.hidden_size, head.rank) else (W_q.T @ W_k,)
    return Folded(factors, b_q @ W_k, W_q.T @ b_k, float(b_q @ b_k) + float(head.offset))


def _keeps_factors(hidden_size: int, rank: int | None) -> bool:
    return rank is not None and 2 * rank < hidden_size


def round_folded(folded: Folded) -> StoredHead:
    """Round the factors to fp16, scaled so that the largest entry of each is in [2^13, 2^14).

    Without the scale, the entries of an untrained head (about 1/(3 d)) would be subnormal in fp16 at d = 4096.
    """
    exponents = []
    for factor in folded.factors:
        largest = float(np.abs(factor).max())
        exponents.append(0 if largest == 0 else 14 - int(np.frexp(largest)[1]))
    return StoredHead(
        tuple(
            np.ldexp(factor, exponent).astype(np.float16)
            for factor, exponent in zip(folded.factors, exponents, strict=True)
        ),
        folded.v.astype(np.float32),
        folded.w.astype(np.float32),
        np.float32(2.0 ** -sum(exponents)),
        np.float32(folded.s),
    )


def write_head_weights(path: Path, folded: Folded) -> None:
    """Write a weights file such as fastrm.bin, little-endian: M16 `[d, d]` or its factors A16 `[d, r]` and B16 `[r, d]`
    in fp16, then v `[d]`, w `[d]`, scale, s as fp32.

    `weight_layout` returns the offsets.
    """
    stored = round_folded(folded)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as blob:
        for factor in stored.factors:
            blob.write(np.ascontiguousarray(factor).astype("<f2").tobytes())
        for part in (stored.v, stored.w, stored.scale, stored.s):
            blob.write(np.asarray(part).astype("<f4").tobytes())


class StoredTensor(NamedTuple):
    """A tensor's type, shape and position in fastrm.bin. offset and length are in bytes."""

    name: str
    data_type: int
    shape: tuple[int, ...]
    offset: int
    length: int


def weight_layout(hidden_size: int, rank: int | None = None) -> list[StoredTensor]:
    """Return the position of each tensor in fastrm.bin."""
    d, tensors, offset = hidden_size, [], 0
    factors: dict[str, tuple[int, ...]] = {"M16": (d, d)}
    if rank is not None and _keeps_factors(d, rank):
        factors = {"A16": (d, rank), "B16": (rank, d)}
    for name, data_type, width, shape in (
        *((name, TensorProto.FLOAT16, 2, shape) for name, shape in factors.items()),
        ("v", TensorProto.FLOAT, 4, (d,)),
        ("w", TensorProto.FLOAT, 4, (d, 1)),
        ("scale", TensorProto.FLOAT, 4, (1,)),
        ("s", TensorProto.FLOAT, 4, (1,)),
    ):
        length = width * int(np.prod(shape))
        tensors.append(StoredTensor(name, data_type, shape, offset, length))
        offset += length
    return tensors


def write_head_graph(folder: Path, hidden_size: int, rank: int | None = None) -> tuple[Path, Path]:
    """Write weight-free graphs that work for any head of this width and rank: `write_map_graph`, `write_norm_graph`."""
    return write_map_graph(folder, hidden_size, rank), write_norm_graph(folder, hidden_size)


def write_norm_graph(folder: Path, hidden_size: int) -> Path:
    """Write fastrm-norm.onnx: patch_states `[P, d]` -> normalised `[P, d]`, run once per image."""
    patches, normalised = (_values(name, "P", hidden_size) for name in ("patch_states", "normalised"))
    nodes = [_unit(), _norm("patch_states", "normalised")]
    graph = helper.make_graph(nodes, "fastrm-norm", [patches], [normalised], [_width(hidden_size)])
    return _write_graph(folder / NORM_GRAPH_FILE, graph)


def write_map_graph(folder: Path, hidden_size: int, rank: int | None = None, *, reads_attention: bool = False) -> Path:
    """Write fastrm.onnx: query_states `[T, d]` raw, patch_states `[P, d]` normalised -> probabilities `[T, P]`.

    The weights are external data in fastrm.bin. reads_attention: whether a third input, attention_logits `[T, P]`, is
    added to the logits.
    """
    d = hidden_size
    inputs = [_values("query_states", "T", d), _values("patch_states", "P", d)]
    if reads_attention:
        inputs.append(_values("attention_logits", "T", "P"))
    layout, products, product = weight_layout(d, rank), [], "n_q"
    for tensor in layout:
        if tensor.data_type == TensorProto.FLOAT16:
            matrix, before, product = tensor.name.removesuffix("16"), product, f"{product}_{tensor.name}"
            # The runtime folds this cast once, when it creates the session.
            products.append(helper.make_node("Cast", [tensor.name], [matrix], to=TensorProto.FLOAT))
            products.append(helper.make_node("MatMul", [before, matrix], [product]))
    nodes = [
        _unit(),
        _norm("query_states", "n_q"),
        *products,
        helper.make_node("Mul", [product, "scale"], ["n_q_M"]),
        helper.make_node("Add", ["n_q_M", "v"], ["u"]),
        helper.make_node("MatMul", ["n_q", "w"], ["n_q_w"]),
        helper.make_node("Add", ["n_q_w", "s"], ["c"]),
        helper.make_node("Gemm", ["u", "patch_states", "c"], ["logits"], transB=1),
        *([helper.make_node("Add", ["logits", "attention_logits"], ["all_logits"])] if reads_attention else []),
        helper.make_node("Sigmoid", ["all_logits" if reads_attention else "logits"], ["probabilities"]),
    ]
    external = [_external(tensor) for tensor in layout]
    graph = helper.make_graph(nodes, "fastrm", inputs, [_values("probabilities", "T", "P")], [_width(d), *external])
    return _write_graph(folder / GRAPH_FILE, graph)


def _values(name: str, rows: str, cols: str | int) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, [rows, cols])


def _width(hidden_size: int) -> TensorProto:
    return helper.make_tensor("width", TensorProto.INT64, [1], [hidden_size])


def _unit() -> onnx.NodeProto:
    """The gain of the norms: ones, as many as `width` says."""
    one = helper.make_tensor("one", TensorProto.FLOAT, [1], [1.0])
    return helper.make_node("ConstantOfShape", ["width"], ["unit"], value=one)


def _norm(source: str, target: str) -> onnx.NodeProto:
    return helper.make_node("LayerNormalization", [source, "unit"], [target], axis=-1, epsilon=LAYER_NORM_EPSILON)


def _write_graph(path: Path, graph: onnx.GraphProto) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    opset = [helper.make_opsetid("", 18)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=9, producer_name="patchlight")
    path.write_bytes(model.SerializeToString())
    return path


def _external(tensor: StoredTensor) -> TensorProto:
    proto = TensorProto(name=tensor.name, data_type=tensor.data_type, dims=tensor.shape)
    proto.data_location = TensorProto.EXTERNAL
    for key, value in (("location", BLOB_FILE), ("offset", tensor.offset), ("length", tensor.length)):
        proto.external_data.add(key=key, value=str(value))
    return proto
