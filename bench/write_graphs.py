"""Write the benchmark's graphs for each width: the head, the paper's formulation, and the matrix products alone.

    python bench/write_graphs.py 192 4096 5120

The graphs contain no weights. The benchmark page generates the weights as external data: `fastrm.bin` in the layout of
patchlight.head.folded, and `plain.bin` with W_q and W_k [d, d] fp16, then b_q and b_k [d] fp32.
"""

import sys
from pathlib import Path

import onnx
from onnx import TensorProto, helper

from patchlight.head.folded import BLOB_FILE, weight_layout, write_head_graph
from patchlight.head.fastrm import LAYER_NORM_EPSILON

PLAIN_BLOB = "plain.bin"


def external(name: str, data_type: int, dims: list[int], location: str, offset: int, length: int) -> TensorProto:
    """Return a tensor whose bytes are supplied when the session is created."""
    tensor = TensorProto(name=name, data_type=data_type, dims=dims, data_location=TensorProto.EXTERNAL)
    for key, value in (("location", location), ("offset", offset), ("length", length)):
        tensor.external_data.add(key=key, value=str(value))
    return tensor


def save(path: Path, nodes: list[onnx.NodeProto], inputs: dict[str, list], output: list, tensors: list) -> None:
    """Save a graph with float32 inputs and the output `probabilities`."""
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()]
    result = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, output)
    graph = helper.make_graph(nodes, path.stem, infos, [result], tensors)
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9, producer_name="patchlight"
    )
    path.write_bytes(model.SerializeToString())


def write_plain(path: Path, d: int) -> None:
    """Write the graph of the paper's snippet (figure 15), which runs once per token over all states so far.

    states [n, d]: the raw states of the prompt and of the answer up to the token. The graph computes self-attention
    with all queries and all keys, but its output, probabilities [1, n], is only the last row.
    """
    node = helper.make_node
    constants = [
        helper.make_tensor("width", TensorProto.INT64, [1], [d]),
        helper.make_tensor("scale", TensorProto.FLOAT, [], [d**-0.5]),
        helper.make_tensor("last", TensorProto.INT64, [1], [-1]),
    ]
    weights = [
        external("W_q16", TensorProto.FLOAT16, [d, d], PLAIN_BLOB, 0, 2 * d * d),
        external("W_k16", TensorProto.FLOAT16, [d, d], PLAIN_BLOB, 2 * d * d, 2 * d * d),
        external("b_q", TensorProto.FLOAT, [d], PLAIN_BLOB, 4 * d * d, 4 * d),
        external("b_k", TensorProto.FLOAT, [d], PLAIN_BLOB, 4 * d * d + 4 * d, 4 * d),
    ]
    one = helper.make_tensor("one", TensorProto.FLOAT, [1], [1.0])
    nodes = [
        node("ConstantOfShape", ["width"], ["unit"], value=one),
        node("LayerNormalization", ["states", "unit"], ["x"], axis=-1, epsilon=LAYER_NORM_EPSILON),
        node("Cast", ["W_q16"], ["W_q"], to=TensorProto.FLOAT),
        node("Cast", ["W_k16"], ["W_k"], to=TensorProto.FLOAT),
        node("MatMul", ["x", "W_q"], ["xq"]),
        node("Add", ["xq", "b_q"], ["q"]),
        node("MatMul", ["x", "W_k"], ["xk"]),
        node("Add", ["xk", "b_k"], ["k"]),
        node("Transpose", ["k"], ["kT"], perm=[1, 0]),
        node("MatMul", ["q", "kT"], ["qk"]),
        node("Mul", ["qk", "scale"], ["scores"]),
        node("Gather", ["scores", "last"], ["row"], axis=0),
        node("Sigmoid", ["row"], ["probabilities"]),
    ]
    save(path, nodes, {"states": ["n", d]}, [1, "n"], [*constants, *weights])


def write_products(path: Path, d: int) -> None:
    """Write a graph with only the folded head's two matrix products. Its time is a lower bound for the head."""
    m16 = weight_layout(d)[0]
    nodes = [
        helper.make_node("Cast", ["M16"], ["M"], to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["query_states", "M"], ["u"]),
        helper.make_node("MatMul", ["u", "patches_by_column"], ["probabilities"]),
    ]
    tensor = external("M16", m16.data_type, list(m16.shape), BLOB_FILE, m16.offset, m16.length)
    save(path, nodes, {"query_states": ["T", d], "patches_by_column": [d, "P"]}, ["T", "P"], [tensor])


if __name__ == "__main__":
    for d in map(int, sys.argv[1:]):
        folder = Path(__file__).parent / "graphs" / str(d)
        write_head_graph(folder, d)
        write_plain(folder / "plain.onnx", d)
        write_products(folder / "products.onnx", d)
