"""Capture the arguments that a model passes to its decoder for one sequence.

Each family embeds images, numbers positions and builds masks in its own way before its language model runs. Capturing
the language model's arguments leaves all of that to the model and gives every method the same call to run.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import nn

from .observe import observed_attention


class DecoderCall(NamedTuple):
    """A call to a language model for one sequence. decoder: the language model without its LM head, which is `lm_head`.

    arguments: keyword arguments of the decoder's forward pass. They include `inputs_embeds` [1, n, d] with the image
    features in place.
    """

    decoder: Any
    lm_head: Any
    arguments: Mapping[str, Any]


class _Captured(Exception):
    """Raised when the model calls its decoder, to end the model's forward pass."""

    def __init__(self, arguments: dict[str, Any]):
        super().__init__()
        self.arguments = arguments


def decoder_call(model: Any, decoder: nn.Module, inputs: Mapping[str, Any]) -> DecoderCall:
    """Capture the call that `model.model(**inputs)` makes to its decoder.

    By then, the model has embedded the images and built positions and masks.

    inputs: a batch of one on any device. Tensors are moved to the model's device, and floats are cast to its dtype.
    Raises ValueError if the model does not call the decoder, or calls it with positional arguments.
    """

    def capture(module: nn.Module, positional: tuple[Any, ...], named: dict[str, Any]) -> None:
        if positional:
            raise ValueError(f"{type(model).__name__} calls its decoder with {len(positional)} positional arguments")
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
    """Return the decoder's arguments for columns [start, stop), given a cache that holds the earlier columns.

    `inputs_embeds` is left out. Raises ValueError if a tensor argument cannot be sliced by token.
    """

    def slice_mask(value: Any) -> Any:
        if value is None:
            return None
        if isinstance(value, dict):
            return {kind: slice_mask(part) for kind, part in value.items()}
        return value[:, :stop] if value.ndim == 2 else value[:, :, start:stop, :stop]

    arguments: dict[str, Any] = {}
    for name, value in call.arguments.items():
        if name in ("inputs_embeds", "past_key_values", "use_cache"):
            continue
        if name == "attention_mask":
            arguments[name] = slice_mask(value)
        elif not isinstance(value, torch.Tensor):
            arguments[name] = value
        elif name in ("position_ids", "cache_position"):
            arguments[name] = value[..., start:stop]
        else:
            raise ValueError(f"cannot slice the decoder's argument {name} {list(value.shape)} by token")
    return arguments
