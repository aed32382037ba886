"""Gradient and attention methods of the embedded model, written so that they can be exported as graphs.

A pass over prompt and answer (`trace`) returns two states per layer: `x` [n, d], the layer's input, and `m` [n, d], the
state between its attention and its MLP. Everything else is recomputed from these states, so one pass serves all methods
and tokens. Attention is causal, so token t depends only on the first p_t + 1 rows.

Autograd computes derivatives one block at a time (`torch.func.vjp`): the MLP, the mixing of the values, and the softmax
with its projections. Each function's docstring gives the method's formula.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import vjp
from transformers import LlavaForConditionalGeneration
from transformers.models.llama.modeling_llama import LlamaDecoderLayer, rotate_half

from ..training.llava_parts import key_value_shape, language_model, text_config

# One tensor per layer, starting with the first.
States = Sequence[Tensor]


class ExplainedDecoder:
    """The blocks of a language model with h heads of width w, applied to one sequence of n columns.

    Raises ValueError if attention heads share key-value heads.
    """

    def __init__(self, model: LlavaForConditionalGeneration):
        config, decoder = text_config(model), language_model(model)
        if config.num_key_value_heads != config.num_attention_heads:
            raise ValueError(
                f"expected one key-value head per attention head, got {config.num_key_value_heads} for "
                f"{config.num_attention_heads}"
            )
        self.layers = [layer for layer in decoder.layers if isinstance(layer, LlamaDecoderLayer)]
        self.norm, self.rotary = decoder.norm, decoder.rotary_emb
        self.lm_head: nn.Module = model.lm_head
        self.heads, self.width = key_value_shape(config)

    @property
    def top(self) -> int:
        """Index of the last layer."""
        return len(self.layers) - 1

    def normed(self, layer: int, x: Tensor) -> Tensor:
        """Return the normalised input [n, d] that queries, keys and values are computed from."""
        return self.layers[layer].input_layernorm(x)

    def values(self, layer: int, normed: Tensor) -> Tensor:
        """Return the value vectors [h, n, w]."""
        return self._split(self.layers[layer].self_attn.v_proj(normed))

    def attention(self, layer: int, normed: Tensor, rows: Tensor) -> Tensor:
        """Return the attention probabilities [h, k, n] of rows [k] over all columns, 0 for columns after the row."""
        part, columns = self.layers[layer].self_attn, torch.arange(normed.shape[0])
        q = self._rotate(self._split(part.q_proj(normed.index_select(0, rows))), rows)
        k = self._rotate(self._split(part.k_proj(normed)), columns)
        unseen = torch.where(columns[None] > rows[:, None], torch.finfo(torch.float32).min, 0.0)
        return torch.softmax(q @ k.transpose(1, 2) * self.width**-0.5 + unseen, dim=-1)

    def mix(self, layer: int, a: Tensor, v: Tensor) -> Tensor:
        """Return the attention output [k, d] for probabilities a [h, k, n] and value vectors v [h, n, w]."""
        mixed = (a @ v).transpose(0, 1).reshape(a.shape[1], self.heads * self.width)
        return self.layers[layer].self_attn.o_proj(mixed)

    def mlp(self, layer: int, m: Tensor) -> Tensor:
        """Return the layer's output [k, d], given its state after attention m [k, d]."""
        block = self.layers[layer]
        return m + block.mlp(block.post_attention_layernorm(m))

    def logits(self, rows: Tensor) -> Tensor:
        """Return the logits [k, V] of a layer's rows [k, d], as if the layer were the last."""
        return self.lm_head(self.norm(rows))

    def _split(self, flat: Tensor) -> Tensor:
        return flat.reshape(flat.shape[0], self.heads, self.width).transpose(0, 1)

    def _rotate(self, x: Tensor, positions: Tensor) -> Tensor:
        cos, sin = self.rotary(x, positions[None])
        return x * cos + rotate_half(x) * sin


def trace(decoder: ExplainedDecoder, embeds: Tensor) -> tuple[Tensor, Tensor, list[Tensor], list[Tensor]]:
    """Run one pass over embeds [n, d].

    Returns logits [n, V], last hidden states [n, d] after the final norm, and x and m [n, d] per layer.
    """
    x, every = embeds, torch.arange(embeds.shape[0])
    xs, ms = [], []
    for layer in range(decoder.top + 1):
        normed = decoder.normed(layer, x)
        a, v = decoder.attention(layer, normed, every), decoder.values(layer, normed)
        m = x + decoder.mix(layer, a, v)
        xs.append(x)
        ms.append(m)
        x = decoder.mlp(layer, m)
    states = decoder.norm(x)
    return decoder.lm_head(states), states, xs, ms


def chefer(decoder: ExplainedDecoder, x: States, m: States, token: Tensor) -> Tensor:
    """Return the exact Chefer relevancy [n] of the token [1] that the last row predicts.

    x: states of all layers; m: states of all layers except the last. `C_l = mean_h max(0, dS/dA_l * A_l)`, and
    `r <- r + r C_l` from the last layer to the first, starting with the one-hot vector of the row (Chefer et al. 2021,
    arXiv 2103.15679, equations 5 and 6, in row-vector form).
    """
    layer = _last_row(decoder, x[-1], token)
    r = nn.functional.pad(torch.ones(1), (x[-1].shape[0] - 1, 0)) + (layer.a * layer.G).clamp(min=0).mean(0)[0]
    for number in reversed(range(decoder.top)):
        layer = _layer_below(decoder, number, x[number], m[number], layer.g_x)
        r = r + (r @ (layer.a * layer.G).clamp(min=0)).mean(0)
    return r


def feature_gradcam(decoder: ExplainedDecoder, x: States, m: States, token: Tensor, is_patch: Tensor) -> Tensor:
    """Return GradCAM [n] on the normalised input F of a middle layer.

    x: states of that layer and all later ones; m: the same, without the last layer. The channel weights w are the mean
    over patches (is_patch [n], 1 or 0) of `max(0, dS/dF)`; the map is `max(0, F w)`.
    """
    layer = _last_row(decoder, x[-1], token)
    for place in reversed(range(len(m))):
        layer = _layer_below(decoder, decoder.top - len(m) + place, x[place], m[place], layer.g_x)
    w = is_patch @ layer.g_f.clamp(min=0) / is_patch.sum()
    return (layer.f @ w).clamp(min=0)


def gradcam(decoder: ExplainedDecoder, x: Tensor, rows: Tensor, tokens: Tensor) -> Tensor:
    """Return attention GradCAM [t, n] for tokens [t], predicted by rows [t]. x: the last layer's input.

    The map is `max(0, mean_h w_h A_h)` at the row. `w_h` is the mean of dS/dA_h over the (p_t + 1)^2 entries of the
    prefix, of which only the row's own entries affect S.
    """
    f = decoder.normed(decoder.top, x)
    a, v = decoder.attention(decoder.top, f, rows), decoder.values(decoder.top, f)

    def logits(a: Tensor) -> Tensor:
        # Rows of the last layer do not interact, so the gradient of the sum contains each row's own gradient.
        every = decoder.logits(decoder.mlp(decoder.top, x.index_select(0, rows) + decoder.mix(decoder.top, a, v)))
        return every.gather(1, tokens[:, None]).sum()

    s, back = _vjp(logits, a)
    [G] = back(torch.ones_like(s))
    w = (G * _seen(rows, x.shape[0])).sum(-1, keepdim=True) / (rows[:, None] + 1) ** 2
    return (w * a).mean(0).clamp(min=0)


def lens_gradients(decoder: ExplainedDecoder, x: States, m: States, rows: Tensor, tokens: Tensor) -> Tensor:
    """Return DEX-AR's `G = max(0, ds/dA_l)` at the rows, [t, L, h, n], 0 for columns after the row.

    x, m: states of all layers.
    `s = lm_head(norm(h_l[p_t]))[y_t]` treats each layer as if it were the last (arXiv 2603.06302).
    """
    gradients = []
    for layer, (x_l, m_l) in enumerate(zip(x, m, strict=True)):
        v = decoder.values(layer, decoder.normed(layer, x_l))
        at_rows = m_l.index_select(0, rows)
        # The state m already includes the attention's output, so take the gradient at zeros added to the attention.
        delta = v.new_zeros(decoder.heads, rows.shape[0], x_l.shape[0])

        def score(delta: Tensor, layer: int = layer, v: Tensor = v, at_rows: Tensor = at_rows) -> Tensor:
            every = decoder.logits(decoder.mlp(layer, at_rows + decoder.mix(layer, delta, v)))
            return every.gather(1, tokens[:, None]).sum()

        s, back = _vjp(score, delta)
        [G] = back(torch.ones_like(s))
        gradients.append(G.clamp(min=0) * _seen(rows, x_l.shape[0]))
    return torch.stack(gradients).permute(2, 0, 1, 3)


def attention_maps(decoder: ExplainedDecoder, x: States, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return rollout and raw attention of rows [t], both [t, n]. x: states of all layers.

    Rollout consists of the given rows of `B_L ... B_1` with `B_l = (mean_h A_l + I) / 2`, whose rows sum to 1 (Abnar
    and Zuidema 2020). Raw attention is the mean over the last layer's heads.
    """
    n = x[0].shape[0]
    every = torch.arange(n)
    raw = decoder.attention(decoder.top, decoder.normed(decoder.top, x[-1]), rows).mean(0)
    rollout = (raw + (every[None] == rows[:, None]).to(raw.dtype)) / 2
    for layer in reversed(range(decoder.top)):
        a = decoder.attention(layer, decoder.normed(layer, x[layer]), every)
        rollout = ((rollout @ a).mean(0) + rollout) / 2
    return rollout, raw


class _Layer(NamedTuple):
    """Gradients of the logit in one layer.

    a [h, k, n]: attention, G [h, k, n]: its gradient. f [n, d]: normalised input, g_f [n, d]: its gradient. g_x [n, d]:
    gradient with respect to the layer's input.
    """

    a: Tensor
    G: Tensor
    f: Tensor
    g_f: Tensor
    g_x: Tensor


def _last_row(decoder: ExplainedDecoder, x: Tensor, token: Tensor) -> _Layer:
    """Differentiate the last layer, in which the logit depends on one row of the attention."""
    n, top = x.shape[0], decoder.top

    def logit(a: Tensor, v: Tensor, row: Tensor) -> Tensor:
        return decoder.logits(decoder.mlp(top, row + decoder.mix(top, a, v))).index_select(1, token).sum()

    f, back_norm = _vjp(lambda x: decoder.normed(top, x), x)
    (a, v), back_attend = _vjp(lambda f: _attend(decoder, top, f, torch.arange(n)[-1:]), f)
    s, back_logit = _vjp(logit, a, v, x[-1:])
    G, g_v, g_row = back_logit(torch.ones_like(s))
    [g_f] = back_attend((G, g_v))
    return _Layer(a, G, f, g_f, back_norm(g_f)[0] + nn.functional.pad(g_row, (0, 0, n - 1, 0)))


def _layer_below(decoder: ExplainedDecoder, layer: int, x: Tensor, m: Tensor, g: Tensor) -> _Layer:
    """Differentiate a layer, given the gradient g [n, d] with respect to its output."""
    [g_m] = _vjp(lambda m: decoder.mlp(layer, m), m)[1](g)
    f, back_norm = _vjp(lambda x: decoder.normed(layer, x), x)
    (a, v), back_attend = _vjp(lambda f: _attend(decoder, layer, f, torch.arange(x.shape[0])), f)
    G, g_v = _vjp(lambda a, v: decoder.mix(layer, a, v), a, v)[1](g_m)
    [g_f] = back_attend((G, g_v))
    return _Layer(a, G, f, g_f, back_norm(g_f)[0] + g_m)


def _vjp(function: Callable[..., Any], *at: Tensor) -> tuple[Any, Callable[..., tuple[Tensor, ...]]]:
    """Return the output, and a function that maps the output's gradient to the gradients of the arguments."""
    output, back = vjp(function, *at)[:2]
    return output, back


def _attend(decoder: ExplainedDecoder, layer: int, f: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    return decoder.attention(layer, f, rows), decoder.values(layer, f)


def _seen(rows: Tensor, n: int) -> Tensor:
    """Return a mask [k, n]: 1 where the row sees the column, else 0."""
    return (torch.arange(n)[None] <= rows[:, None]).float()
