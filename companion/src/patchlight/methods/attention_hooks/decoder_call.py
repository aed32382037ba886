"""One sequence as a model's decoder takes it, caught on its way there.

Each family embeds pictures, numbers positions and makes masks in its own manner before its language model runs.
Catching what the language model is given leaves all of that to the model, and gives the methods one thing to run.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import nn

from .observe import observed_attention


class DecoderCall(NamedTuple):
    """One sequence as a language model takes it. decoder: without its vocabulary layer, which is lm_head.

    arguments: what the decoder's forward is given; `inputs_embeds` [1, n, d] among them, image features in place.
    """

    decoder: Any
    lm_head: Any
    arguments: Mapping[str, Any]


class _Captured(Exception):
    """Ends the model's forward pass where its decoder would begin."""

    def __init__(self, arguments: dict[str, Any]):
        super().__init__()
        self.arguments = arguments


def decoder_call(model: Any, decoder: nn.Module, inputs: Mapping[str, Any]) -> DecoderCall:
    """What `model.model(**inputs)` hands to its decoder: pictures embedded, positions and masks made.

    inputs: a batch of one, anywhere; it is taken to the model's device, its floats to the model's dtype.
    """

    def capture(module: nn.Module, positional: tuple[Any, ...], named: dict[str, Any]) -> None:
        if positional:
            raise ValueError(f"{type(model).__name__} calls its decoder with {len(positional)} unnamed arguments")
        raise _Captured(named)

    fed = {
        name: value.to(model.device, model.dtype if value.is_floating_point() else None)
        for name, value in inputs.items()
    }
    handle = decoder.register_forward_pre_hook(capture, with_kwargs=True)
    try:
        with observed_attention(decoder), torch.no_grad():
            model.model(**fed, use_cache=False)
    except _Captured as captured:
        return DecoderCall(decoder, model.lm_head, captured.arguments)
    finally:
        handle.remove()
    raise ValueError(f"{type(model).__name__} did not call the decoder {type(decoder).__name__}")


def sliced(call: DecoderCall, start: int, stop: int) -> dict[str, Any]:
    """The decoder's arguments for columns [start, stop) on a cache that holds those before; no `inputs_embeds`."""

    def cut_mask(value: Any) -> Any:
        if value is None:
            return None
        if isinstance(value, dict):
            return {kind: cut_mask(part) for kind, part in value.items()}
        return value[:, :stop] if value.ndim == 2 else value[:, :, start:stop, :stop]

    found: dict[str, Any] = {}
    for name, value in call.arguments.items():
        if name in ("inputs_embeds", "past_key_values", "use_cache"):
            continue
        if name == "attention_mask":
            found[name] = cut_mask(value)
        elif not isinstance(value, torch.Tensor):
            found[name] = value
        elif name in ("position_ids", "cache_position"):
            found[name] = value[..., start:stop]
        else:
            raise ValueError(f"the decoder takes {name} {list(value.shape)}: not known how to cut it token by token")
    return found
