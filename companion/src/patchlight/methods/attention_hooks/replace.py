"""Temporarily replace a decoder's attention with a custom function, registered with transformers under a name."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import eager_mask


class AttentionInputs(NamedTuple):
    """The inputs of one layer's attention.

    q, k, v [1, heads, n, width], with key-value heads repeated to match the query heads; mask: float32, added to the
    scaled scores.
    """

    layer: int
    q: torch.Tensor
    k: torch.Tensor
    v: torch.Tensor
    mask: torch.Tensor
    scaling: float


def register_attention(name: str, attend: Callable[[AttentionInputs], torch.Tensor]) -> None:
    """Register `attend`, which returns the heads' outputs [1, heads, n, width], under `name`.

    The registered attention raises ValueError if there is no mask, or if a model uses an option for
    which relevancy is not defined.
    """

    def attention(
        module: nn.Module,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attention_mask: torch.Tensor | None,
        scaling: float | None = None,
        dropout: float = 0.0,
        softcap: float | None = None,
        s_aux: torch.Tensor | None = None,
        **_: object,
    ) -> tuple[torch.Tensor, None]:
        for option, value_ in (("softcap", softcap), ("s_aux", s_aux)):
            if value_ is not None:
                raise ValueError(f"{type(module).__name__} uses {option}, for which relevancy is not defined")
        if attention_mask is None:
            raise ValueError(f"{type(module).__name__} runs without a mask: expected a causal decoder")
        groups = query.shape[1] // key.shape[1]
        key, value = key.repeat_interleave(groups, dim=1), value.repeat_interleave(groups, dim=1)
        scale = float(query.shape[-1]) ** -0.5 if scaling is None else scaling
        mask = attention_mask[..., : key.shape[2]].float()
        layer: Any = module.layer_idx
        return attend(AttentionInputs(layer, query, key, value, mask, scale)).transpose(1, 2), None

    AttentionInterface.register(name, attention)
    AttentionMaskInterface.register(name, eager_mask)


@contextmanager
def use_attention(decoder: nn.Module, name: str) -> Iterator[None]:
    """Within this context, the decoder uses the attention registered as `name`, and the decoder's parameters need no
    gradient.

    The vision tower keeps its own attention. The format of masks depends on the attention's name, so masks for this
    decoder must be built within the context too.
    """
    configs: dict[int, Any] = {id(part.config): part.config for part in decoder.modules() if hasattr(part, "config")}
    before = {key: config._attn_implementation for key, config in configs.items()}
    try:
        for config in configs.values():
            config._attn_implementation = name
        with without_weight_gradients(decoder):
            yield
    finally:
        for key, config in configs.items():
            config._attn_implementation = before[key]


@contextmanager
def without_weight_gradients(part: nn.Module) -> Iterator[None]:
    """Within this context, the parameters of `part` need no gradient, so graphs keep only what input gradients need."""
    trainable = [p for p in part.parameters() if p.requires_grad]
    try:
        for p in trainable:
            p.requires_grad_(False)
        yield
    finally:
        for p in trainable:
            p.requires_grad_(True)
