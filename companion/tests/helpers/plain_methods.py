"""A slow reference implementation of every method: one forward pass per prefix with the library's own eager attention,
full attention matrices and their gradients by autograd, matrix recursions in float64, and loops over patches.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from patchlight.models.families.registry import extend
from patchlight.models.language_model import logits_of
from patchlight.models.reading import Reading
from tests.helpers.tiny_models import Tiny


class Prefix(NamedTuple):
    """The pass that predicts one token, with its autograd graph, for L layers and n columns.

    attentions: L of [1, heads, n, n]; hidden: L of [1, n, d], each layer's output (the last layer's is after the final
    norm); logits [vocabulary] of the last row; ids [n].
    """

    attentions: list[Tensor]
    hidden: list[Tensor]
    logits: Tensor
    ids: Tensor


def eager(model: Any) -> None:
    model.set_attn_implementation({"text_config": "eager"})
    for part in model.modules():
        if hasattr(part, "config"):
            part.config._attn_implementation = "eager"


def prefix_pass(lvlm: Tiny, reading: Reading, before: list[int]) -> Prefix:
    """Run the model on the prompt and on `before`, the answer tokens that precede the explained token."""
    model: Any = lvlm.model
    eager(model)
    inputs = extend(reading, before)
    out = model(**inputs, output_attentions=True, output_hidden_states=True, use_cache=False)
    assert len(out.attentions) == model.config.get_text_config().num_hidden_layers
    return Prefix(list(out.attentions), list(out.hidden_states[1:]), out.logits[0, -1], inputs["input_ids"][0])


def row_of(matrix: Tensor) -> Tensor:
    return matrix[-1].detach()


def chefer(lvlm: Tiny, passed: Prefix, token: int) -> Tensor:
    gradients = torch.autograd.grad(passed.logits[token], passed.attentions)
    R = torch.eye(len(passed.ids), dtype=torch.float64)
    for a, g in zip(passed.attentions, gradients, strict=True):
        R = R + (a[0].double() * g[0].double()).clamp(min=0).mean(0) @ R
    return row_of(R)


def gradcam(lvlm: Tiny, passed: Prefix, token: int) -> Tensor:
    a = passed.attentions[-1]
    (g,) = torch.autograd.grad(passed.logits[token], a)
    w = g[0].mean(dim=(1, 2), keepdim=True)
    return row_of((a[0] * w).mean(0).clamp(min=0))


def rollout(lvlm: Tiny, passed: Prefix, token: int) -> Tensor:
    n = len(passed.ids)
    R = torch.eye(n, dtype=torch.float64)
    for a in passed.attentions:
        B = a[0].double().mean(0) + torch.eye(n)
        R = (B / B.sum(1, keepdim=True)) @ R
    return row_of(R)


def attention(lvlm: Tiny, passed: Prefix, token: int) -> Tensor:
    return row_of(passed.attentions[-1][0].mean(0))


ROWS: dict[str, Callable[[Tiny, Prefix, int], Tensor]] = {
    "chefer": chefer,
    "gradcam": gradcam,
    "rollout": rollout,
    "attention": attention,
}


def feature_gradcam(lvlm: Tiny, reading: Reading, before: list[int], token: int) -> Tensor:
    """Compute feature GradCAM [P] from retained gradients, with the channels weighted in a loop."""
    layers: Any = lvlm.family.layers(lvlm.model)
    kept: list[Tensor] = []

    def keep(module: object, args: object, output: Tensor) -> None:
        output.retain_grad()
        kept.append(output)

    handle = layers[len(layers) // 2].input_layernorm.register_forward_hook(keep)
    try:
        prefix_pass(lvlm, reading, before).logits[token].backward()
    finally:
        handle.remove()
    features, gradient = kept[0][0].detach(), kept[0].grad
    assert gradient is not None
    columns = reading.patch_columns.tolist()
    total = torch.zeros(len(columns))
    for channel in range(features.shape[1]):
        weight = sum(max(0.0, float(gradient[0, j, channel])) for j in columns) / len(columns)
        total += weight * features[columns, channel]
    return total.clamp(min=0)


class PlainDexAr(NamedTuple):
    """DEX-AR's token maps [T, P] and token weights (deltas) [T]."""

    maps: Tensor
    deltas: Tensor


def dex_ar(lvlm: Tiny, reading: Reading, answer: list[int]) -> PlainDexAr:
    """Compute DEX-AR with the complete tensor G [T, layers, heads, P] in memory."""
    model: Any = lvlm.model
    decoder: Any = lvlm.family.decoder(lvlm.model)
    G, w, deltas = [], [], []
    for t, token in enumerate(answer):
        passed = prefix_pass(lvlm, reading, answer[:t])
        later = torch.arange(reading.inputs["input_ids"].shape[1], len(passed.ids))
        is_text = torch.cat([reading.prompt_columns, later])
        images, texts = [], []
        for layer, (a, h) in enumerate(zip(passed.attentions, passed.hidden, strict=True)):
            last = layer + 1 == len(passed.attentions)
            score = logits_of(model, h[0, -1] if last else decoder.norm(h[0, -1]))[token]
            (gradient,) = torch.autograd.grad(score, a, retain_graph=True)
            row = gradient[0, :, -1].clamp(min=0) * (a[0, :, -1] > 0)
            images.append(row[:, reading.patch_columns])
            texts.append(row[:, is_text].amax(1))
        image, text = torch.stack(images), torch.stack(texts)
        G.append(image)
        w.append((image.amax(-1) - text).clamp(min=0))
        deltas.append(max(0.0, float(image.max() - text.max())))
    scaled = torch.stack(G)
    low, high = scaled.min(), scaled.max()
    scaled = (scaled - low) / (high - low) if high > low else scaled * 0
    return PlainDexAr((torch.stack(w)[..., None] * scaled).sum((1, 2)).detach(), torch.tensor(deltas))


class PlainTam(NamedTuple):
    """TAM of one token: patches [P], prompt [m], answer [t]."""

    patches: np.ndarray
    prompt: np.ndarray
    answer: np.ndarray


def tam(lvlm: Tiny, reading: Reading, answer: list[int], t: int) -> PlainTam:
    """Compute TAM for token t from only the columns before it, in float64, one dot product at a time."""
    model: Any = lvlm.model
    with torch.no_grad():
        h = model.model(**extend(reading, answer[:t]), use_cache=False).last_hidden_state[0].double().numpy()
    rows = model.lm_head.weight.detach().double().numpy()
    start = reading.inputs["input_ids"].shape[1]

    def activation(column: int, token: int) -> float:
        return max(0.0, float(sum(h[column] * rows[token])))

    patches, prompt = reading.patch_columns.tolist(), reading.prompt_columns.tolist()
    ids = reading.inputs["input_ids"][0].tolist()
    # (column, token id) pairs. The prompt's last column predicts the first answer token and is paired with it.
    text = [(column, ids[column]) for column in prompt[:-1]] + [(start - 1 + i, answer[i]) for i in range(t)]
    M = np.array([activation(column, answer[t]) for column in patches])
    a = np.array([activation(column, answer[t]) for column, _ in text])
    u = np.array([score if token != answer[t] else 0 for score, (_, token) in zip(a, text, strict=True)])
    if u.sum() > 0:
        u = u / u.sum()
        interference = np.zeros(len(M))
        for share, (_, token) in zip(u, text, strict=True):
            interference += share * np.array([activation(column, token) for column in patches])
        if (interference**2).sum() > 0:
            alpha = (M * interference).sum() / (interference**2).sum()
            M = np.maximum(0, M - alpha * interference)
    low, high = min(M.min(), a.min()), max(M.max(), a.max())
    M, a = ((M - low) / (high - low), (a - low) / (high - low)) if high > low else (M * 0, a * 0)
    smooth, first = [], 0
    for frame in reading.frames:
        grid = M[first : first + frame.rows * frame.cols].reshape(frame.rows, frame.cols)
        smooth += [rank_gaussian_at(grid, r, c) for r in range(frame.rows) for c in range(frame.cols)]
        first += frame.rows * frame.cols
    return PlainTam(np.array(smooth), np.array([*a[: len(prompt) - 1], 0.0]), a[len(prompt) - 1 :])


def rank_gaussian_at(grid: np.ndarray, row: int, col: int) -> float:
    def mirrored(at: int, length: int) -> int:
        if length == 1:
            return 0
        return -at if at < 0 else 2 * (length - 1) - at if at >= length else at

    nine = sorted(
        grid[mirrored(row + i, grid.shape[0]), mirrored(col + j, grid.shape[1])] for i in (-1, 0, 1) for j in (-1, 0, 1)
    )
    mean = sum(nine) / 9
    if mean <= 0:
        return 0.0
    sigma = (sum((x - mean) ** 2 for x in nine) / 9) ** 0.5 / mean
    if sigma == 0:
        return nine[4]
    weights = [np.exp(-(k**2) / (2 * sigma**2)) for k in range(-4, 5)]
    return float(sum(w * x for w, x in zip(weights, nine, strict=True)) / sum(weights))
