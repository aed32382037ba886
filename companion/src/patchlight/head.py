"""The FastRM head: relevancy of each image patch to an answer token, from last hidden states alone.

FastRM: An efficient and automatic explainability framework for multimodal generative models (arXiv 2412.01487),
section 3: `x = LayerNorm(h); q = W_q x_p; k_j = W_k x_j; prob_j = sigmoid(q . k_j / sqrt(d))`, with no softmax before
the sigmoid. Three forms of the same numbers live here: the paper's (`paper_logits`), a cheap order of the same
products (`FastRM.logits`), and one folded matrix (`fold`), which is what the browser runs.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper
from safetensors.torch import load_file, save_file
from torch import nn

Stage = Literal["post_norm", "pre_norm"]

LAYER_NORM_EPSILON = 1e-5
WEIGHTS_FILE, FACTS_FILE = "head.safetensors", "head.json"
GRAPH_FILE, NORM_GRAPH_FILE, BLOB_FILE = "fastrm.onnx", "fastrm-norm.onnx", "fastrm.bin"


@dataclass(frozen=True, kw_only=True)
class HeadFacts:
    """What a head was trained on, written beside its weights and checked when it is loaded."""

    hidden_size: int
    """Width of the hidden states that it reads."""
    stage: Stage
    """Where they are taken: after the language model's final norm (what Hugging Face calls last), or before it."""
    teacher: str
    """Method whose maps it imitates, such as "Chefer relevancy, exact"."""
    labelling_threshold: float = 0.3
    """Patches at or above this share of the teacher's maximum were labelled relevant."""
    classification_threshold: float = 0.4
    """Where the probabilities are read by default."""
    model: str
    """Model that the hidden states came from."""
    model_revision: str
    """That model's revision."""
    name: str = "fastrm"
    """The head's own name."""

    def __post_init__(self) -> None:
        if self.stage not in ("post_norm", "pre_norm"):
            raise ValueError(f"stage {self.stage!r}: want post_norm or pre_norm")
        for field in ("labelling_threshold", "classification_threshold"):
            if not 0 < getattr(self, field) < 1:
                raise ValueError(f"{field} {getattr(self, field)}: want it between 0 and 1")


class FastRM(nn.Module):
    """LayerNorm, W_q, W_k of width `hidden_size`; sigmoid of their scaled product."""

    def __init__(self, hidden_size: int):
        super().__init__()
        self.hidden_size = d = hidden_size
        self.norm = nn.LayerNorm(d, eps=LAYER_NORM_EPSILON)
        self.query = nn.Linear(d, d)
        self.key = nn.Linear(d, d)

    def forward(self, query_states: torch.Tensor, patch_states: torch.Tensor) -> torch.Tensor:
        """[..., T, d] states that predicted the tokens and [..., P, d] patch states to probabilities [..., T, P]."""
        return self.logits(query_states, patch_states).sigmoid()

    def logits(self, query_states: torch.Tensor, patch_states: torch.Tensor) -> torch.Tensor:
        """`u . x_j + c` with `u = W_k^T q`, `c = b_k . q`: keys are never formed, T d^2 + T P d products, not P d^2.

        The norm's gain and shift go to `u` and `c` as well, so that training differentiates nothing of size P d.
        """
        q = self.query(self.norm(query_states)) * self.hidden_size**-0.5
        u = q @ self.key.weight
        c = q @ self.key.bias + u @ self.norm.bias
        plain = F.layer_norm(patch_states, (self.hidden_size,), eps=self.norm.eps)
        return (u * self.norm.weight) @ plain.transpose(-1, -2) + c[..., None]

    def save_pretrained(self, folder: Path, facts: HeadFacts) -> None:
        """Weights as safetensors, facts as JSON."""
        if facts.hidden_size != self.hidden_size:
            raise ValueError(f"facts say hidden size {facts.hidden_size}, the head has {self.hidden_size}")
        folder.mkdir(parents=True, exist_ok=True)
        save_file(
            {name: value.detach().contiguous() for name, value in self.state_dict().items()}, folder / WEIGHTS_FILE
        )
        (folder / FACTS_FILE).write_text(json.dumps(asdict(facts), indent=2) + "\n")

    @classmethod
    def from_pretrained(
        cls, folder: Path, *, hidden_size: int | None = None, stage: Stage | None = None
    ) -> "LoadedHead":
        """Refuses a head made for other hidden states than the caller's `hidden_size` and `stage`."""
        facts = HeadFacts(**json.loads((folder / FACTS_FILE).read_text()))
        if hidden_size is not None and hidden_size != facts.hidden_size:
            raise ValueError(f"head {facts.name} reads hidden size {facts.hidden_size}, the model gives {hidden_size}")
        if stage is not None and stage != facts.stage:
            raise ValueError(f"head {facts.name} reads {facts.stage} hidden states, the model gives {stage}")
        head = cls(facts.hidden_size)
        head.load_state_dict(load_file(folder / WEIGHTS_FILE))
        return LoadedHead(head.eval(), facts)


class LoadedHead(NamedTuple):
    """A head with what it was trained on."""

    head: FastRM
    facts: HeadFacts


def paper_logits(head: FastRM, query_states: torch.Tensor, patch_states: torch.Tensor) -> torch.Tensor:
    """The paper's order, every key formed: the reference that the cheaper forms are tested against. [..., T, P]."""
    q, k = head.query(head.norm(query_states)), head.key(head.norm(patch_states))
    return q @ k.transpose(-1, -2) / head.hidden_size**0.5


class Folded(NamedTuple):
    """`logit_j = n_q M n_j + v . n_j + w . n_q + s`, where n is LayerNorm without its affine part.

    M [d, d], row: query feature, column: patch feature; v [d]; w [d]; s scalar. All float64, 1/sqrt(d) included.
    """

    M: np.ndarray
    v: np.ndarray
    w: np.ndarray
    s: float


class StoredHead(NamedTuple):
    """`Folded` rounded once: M = scale * M16, `scale` a power of two that keeps M16 clear of fp16's subnormals."""

    M16: np.ndarray
    v: np.ndarray
    w: np.ndarray
    scale: np.float32
    s: np.float32


def fold(head: FastRM) -> Folded:
    """Products in float64: folding from rounded factors is where precision was seen to go."""

    def exact(parameter: torch.Tensor) -> np.ndarray:
        return parameter.detach().double().cpu().numpy()

    gain, shift = exact(head.norm.weight), exact(head.norm.bias)
    W_q, W_k = exact(head.query.weight), exact(head.key.weight)
    b_q, b_k = W_q @ shift + exact(head.query.bias), W_k @ shift + exact(head.key.bias)
    W_q, W_k = W_q * gain / head.hidden_size**0.5, W_k * gain
    b_q = b_q / head.hidden_size**0.5
    return Folded(W_q.T @ W_k, b_q @ W_k, W_q.T @ b_k, float(b_q @ b_k))


def round_folded(folded: Folded) -> StoredHead:
    """M to fp16 with its largest entry in [2^13, 2^14); a fresh head's entries are near 1/(3 d), at d = 4096 below
    fp16's smallest normal number without that scale."""
    largest = float(np.abs(folded.M).max())
    exponent = 0 if largest == 0 else 14 - int(np.frexp(largest)[1])
    return StoredHead(
        np.ldexp(folded.M, exponent).astype(np.float16),
        folded.v.astype(np.float32),
        folded.w.astype(np.float32),
        np.float32(2.0**-exponent),
        np.float32(folded.s),
    )


def write_head_weights(folder: Path, folded: Folded) -> Path:
    """fastrm.bin, little-endian: M16 [d, d] fp16, then fp32 v [d], w [d], scale, s; offsets as in `weight_layout`."""
    stored = round_folded(folded)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / BLOB_FILE
    with path.open("wb") as blob:
        blob.write(stored.M16.astype("<f2").tobytes())
        for part in (stored.v, stored.w, stored.scale, stored.s):
            blob.write(np.asarray(part).astype("<f4").tobytes())
    return path


class StoredTensor(NamedTuple):
    """One tensor's place in fastrm.bin."""

    name: str
    data_type: int
    shape: tuple[int, ...]
    offset: int
    length: int


def weight_layout(hidden_size: int) -> list[StoredTensor]:
    """Where the graph looks for each tensor, in bytes."""
    d, tensors, offset = hidden_size, [], 0
    for name, data_type, width, shape in (
        ("M16", TensorProto.FLOAT16, 2, (d, d)),
        ("v", TensorProto.FLOAT, 4, (d,)),
        ("w", TensorProto.FLOAT, 4, (d, 1)),
        ("scale", TensorProto.FLOAT, 4, (1,)),
        ("s", TensorProto.FLOAT, 4, (1,)),
    ):
        length = width * int(np.prod(shape))
        tensors.append(StoredTensor(name, data_type, shape, offset, length))
        offset += length
    return tensors


def write_head_graph(folder: Path, hidden_size: int) -> tuple[Path, Path]:
    """Weight-free graphs for any head of one width; the weights are external data in fastrm.bin.

    fastrm-norm.onnx: patch_states [P, d] -> normalised [P, d], once an image.
    fastrm.onnx: query_states [T, d] raw, patch_states [P, d] normalised -> probabilities [T, P].
    """
    folder.mkdir(parents=True, exist_ok=True)
    d = hidden_size
    unit = helper.make_node(
        "ConstantOfShape", ["width"], ["unit"], value=helper.make_tensor("one", TensorProto.FLOAT, [1], [1.0])
    )
    width = helper.make_tensor("width", TensorProto.INT64, [1], [d])
    patches = helper.make_tensor_value_info("patch_states", TensorProto.FLOAT, ["P", d])
    queries = helper.make_tensor_value_info("query_states", TensorProto.FLOAT, ["T", d])

    def norm(source: str, target: str) -> onnx.NodeProto:
        return helper.make_node("LayerNormalization", [source, "unit"], [target], axis=-1, epsilon=LAYER_NORM_EPSILON)

    normalised = helper.make_tensor_value_info("normalised", TensorProto.FLOAT, ["P", d])
    norm_graph = helper.make_graph(
        [unit, norm("patch_states", "normalised")], "fastrm-norm", [patches], [normalised], [width]
    )
    nodes = [
        unit,
        norm("query_states", "n_q"),
        # The runtime folds this cast once, when the session is made.
        helper.make_node("Cast", ["M16"], ["M"], to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["n_q", "M"], ["n_q_M16"]),
        helper.make_node("Mul", ["n_q_M16", "scale"], ["n_q_M"]),
        helper.make_node("Add", ["n_q_M", "v"], ["u"]),
        helper.make_node("MatMul", ["n_q", "w"], ["n_q_w"]),
        helper.make_node("Add", ["n_q_w", "s"], ["c"]),
        helper.make_node("Gemm", ["u", "patch_states", "c"], ["logits"], transB=1),
        helper.make_node("Sigmoid", ["logits"], ["probabilities"]),
    ]
    probabilities = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["T", "P"])
    external = [_external(tensor) for tensor in weight_layout(d)]
    graph = helper.make_graph(nodes, "fastrm", [queries, patches], [probabilities], [width, *external])
    paths = folder / GRAPH_FILE, folder / NORM_GRAPH_FILE
    for path, content in zip(paths, (graph, norm_graph), strict=True):
        opset = [helper.make_opsetid("", 18)]
        model = helper.make_model(content, opset_imports=opset, ir_version=9, producer_name="patchlight")
        path.write_bytes(model.SerializeToString())
    return paths


def _external(tensor: StoredTensor) -> TensorProto:
    proto = TensorProto(name=tensor.name, data_type=tensor.data_type, dims=tensor.shape)
    proto.data_location = TensorProto.EXTERNAL
    for key, value in (("location", BLOB_FILE), ("offset", tensor.offset), ("length", tensor.length)):
        proto.external_data.add(key=key, value=str(value))
    return proto
