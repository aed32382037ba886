"""A decoder's attention replaced by one of ours for a while. The library lets attention be registered by name."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import eager_mask


class Attending(NamedTuple):
    """What one layer attends with. q, k, v [1, heads, n, width], key-value heads repeated for their query heads; mask
    float32, added to the scaled scores."""

    layer: int
    q: torch.Tensor
    k: torch.Tensor
    v: torch.Tensor
    mask: torch.Tensor
    scaling: float


def register_attention(name: str, attend: Callable[[Attending], torch.Tensor]) -> None:
    """`attend` gives the heads' outputs [1, heads, n, width]. What relevancy is not defined for is refused by name."""

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
                raise ValueError(f"{type(module).__name__} uses {option}, which relevancy is not defined for here")
        if attention_mask is None:
            raise ValueError(f"{type(module).__name__} runs without a mask: want a causal decoder")
        groups = query.shape[1] // key.shape[1]
        key, value = key.repeat_interleave(groups, dim=1), value.repeat_interleave(groups, dim=1)
        scale = float(query.shape[-1]) ** -0.5 if scaling is None else scaling
        mask = attention_mask[..., : key.shape[2]].float()
        layer: Any = module.layer_idx
        return attend(Attending(layer, query, key, value, mask, scale)).transpose(1, 2), None

    AttentionInterface.register(name, attention)
    AttentionMaskInterface.register(name, eager_mask)


@contextmanager
def attention_of(decoder: nn.Module, name: str) -> Iterator[None]:
    """The decoder's attention is the one registered as `name` for the time of the context; its parameters ask for no
    gradient.

    The vision tower keeps its own attention. Masks are made by the implementation's name, so that whatever prepares
    a mask for this decoder must run inside, too.
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
    """No parameter of `part` asks for a gradient, so that a graph keeps only what the inputs' gradients need."""
    wanted = [p for p in part.parameters() if p.requires_grad]
    try:
        for p in wanted:
            p.requires_grad_(False)
        yield
    finally:
        for p in wanted:
            p.requires_grad_(True)
