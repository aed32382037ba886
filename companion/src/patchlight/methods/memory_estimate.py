"""Estimate a method's peak memory before it runs: an upper bound computed from shapes alone.

The estimate counts the autograd graph (mostly attention matrices), the working memory of one layer, the matrices that
a method keeps, the logits, and the vision tower. It does not count the weights, which are already in memory.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from ..models.sizes import height_width
from .answer import Answer
from .attention_hooks.observe import row_block


class Sizes(NamedTuple):
    """The shapes of one answer: L layers, H heads of width w (H_kv for keys and values), hidden size d, MLP width I,
    vocabulary size V, and `item` bytes per value.

    prompt, answer and patches are numbers of columns. vision: bytes needed to encode the image. block: rows per block
    of the backward pass.
    """

    L: int
    H: int
    H_kv: int
    w: int
    d: int
    I: int
    V: int
    item: int
    prompt: int
    answer: int
    patches: int
    vision: int
    block: int

    @property
    def N(self) -> int:
        """Number of columns in the prompt and the answer, excluding the answer's last token."""
        return self.prompt + self.answer - 1


def sizes_of(answer: Answer) -> Sizes:
    """Return the shapes of an answer and its model."""
    config, item = answer.loaded.model.config, answer.loaded.dtype.itemsize
    text = config.get_text_config()
    heads = text.num_attention_heads
    return Sizes(
        L=text.num_hidden_layers,
        H=heads,
        H_kv=getattr(text, "num_key_value_heads", None) or heads,
        w=getattr(text, "head_dim", None) or text.hidden_size // heads,
        d=text.hidden_size,
        I=text.intermediate_size,
        V=text.vocab_size,
        item=item,
        prompt=answer.prompt_length,
        answer=len(answer.ids),
        patches=len(answer.reading.patch_columns),
        vision=_vision_bytes(config, answer.reading.inputs, item),
        block=row_block(answer.loaded.device),
    )


def estimated_bytes(method: str, s: Sizes) -> int:
    """Return an upper bound on the bytes in use at once; `method` is one of `METHODS`.

    Adds the memory kept throughout to the largest temporary use: one layer's forward pass, one layer's backward pass,
    or the vision tower, which may run again for the check.
    """
    maps = (s.patches + s.N) * 100
    if method == "random":
        return maps
    rows = s.answer * s.H * s.N * 4  # attention or its gradients at the explained rows
    matrices = 1 if method in ("tam", "feature-gradcam") else 3  # the model's own attention usually stores no matrix
    forward, backward = _layer(s, matrices), 0
    kept = maps + 3 * s.N * s.d * max(s.item, 4) + 6 * s.answer * s.V * 4
    match method:
        case "chefer":
            kept += s.L * _layer_graph(s, s.N)
            backward = _backward(s, s.N)
        case "chefer-incremental":
            kept += s.L * (s.prompt**2 + 2 * s.answer * s.N) * 4 + 3 * s.L * s.H_kv * s.w * s.N * s.item
            kept += s.L * _layer_graph(s, s.prompt)
            backward = _backward(s, s.prompt)
        case "gradcam" | "dex-ar":
            forward += _layer_graph(s, s.N, probabilities=0) + 6 * rows
        case "feature-gradcam":
            kept += (s.L - s.L // 2) * _layer_graph(s, s.N, probabilities=0)
            backward = _layer_graph(s, s.N)
        case "tam":
            kept += (s.prompt + s.answer) * (s.patches + s.d) * 8 + s.patches * (9 * 32 + s.d * 4)
        case "rollout":
            kept += s.L * s.N**2 * 4
        case "attention":
            kept += 2 * rows
    return kept + max(forward, backward, s.vision)


def columns_that_fit(method: str, s: Sizes, budget_bytes: int) -> int:
    """Return how many columns, prompt and answer together, would fit in the budget with an answer of this length, or 0
    if no prompt would fit.
    """
    low, high = 0, s.prompt
    while low < high:
        middle = (low + high + 1) // 2
        fits = estimated_bytes(method, s._replace(prompt=middle)) <= budget_bytes
        low, high = (middle, high) if fits else (low, middle - 1)
    return low + s.answer - 1 if low else 0


def _layer_graph(s: Sizes, n: int, *, probabilities: int = 1) -> int:
    """Bytes that autograd keeps for one layer over n columns: attention matrices, queries, keys, values, and the inputs
    of the norms and the MLP.
    """
    return probabilities * s.H * n * n * 4 + n * (4 * s.H * s.w * s.item + 5 * s.d * 4 + 4 * s.I * s.item)


def _backward(s: Sizes, n: int) -> int:
    """Bytes used by the backward pass through one layer: gradients of the tensors that the graph keeps, and blocks of
    rows.
    """
    blocks = 4 * s.H * min(n, s.block) * n * 4
    return blocks + n * (6 * s.H * s.w * s.item + 4 * s.d * 4 + 3 * s.I * s.item)


def _layer(s: Sizes, matrices: int) -> int:
    """Bytes used by the forward pass through one layer: scores, masked scores, probabilities, masks, and MLP."""
    scores, masks = matrices * s.H * s.N**2 * 4, 24 * s.N**2
    return scores + masks + s.N * (5 * s.H * s.w * s.item + 5 * s.d * 4 + 4 * s.I * s.item)


def _vision_bytes(config: Any, inputs: Mapping[str, Any], item: int) -> int:
    """Bytes used to encode the image: the outputs that the vision tower keeps, and the working memory of one of its
    layers.
    """
    vision = config.vision_config
    values = sum(value.numel() for name, value in inputs.items() if name.startswith("pixel_values"))
    patch_height, patch_width = height_width(vision.patch_size)
    times, _ = height_width(getattr(vision, "temporal_patch_size", 1))
    tokens = -(-values // (3 * patch_height * patch_width * times))
    width = getattr(vision, "embed_dim", None) or vision.hidden_size
    inner = getattr(vision, "intermediate_size", None) or int(width * getattr(vision, "mlp_ratio", 4))
    layers = getattr(vision, "num_hidden_layers", None) or vision.depth
    heads = getattr(vision, "num_attention_heads", None) or vision.num_heads
    together = tokens
    if (size := getattr(vision, "image_size", None)) is not None:
        height, width_px = height_width(size)
        together = min(tokens, (height // patch_height) * (width_px // patch_width) + 1)
    # one class token per tile
    tokens += -(-tokens // together)
    kept = (layers + 2) * tokens * width * item
    layer = tokens * (8 * width + 3 * inner + 4 * config.get_text_config().hidden_size) * max(item, 4)
    matrices = 2 * heads * tokens * together * 4 if vision._attn_implementation == "eager" else 0
    if "image_position_ids" in inputs:
        # Gemma 4 pads the patches, and masks the padding in the attention of all of them together.
        matrices += tokens * together * 4
    return kept + layer + matrices + 2 * values * 4
