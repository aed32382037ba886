"""Capture the arguments that a model passes to its decoder for one sequence.

Each family embeds images, numbers positions and builds masks in its own way before its language model runs. Capturing
the language model's arguments leaves all of that to the model and gives every method the same call to run.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import nn

from ...models.language_model import decoder_arguments, logits_of
from .observe import observed_attention


class DecoderCall(NamedTuple):
    """A call to the language model of `model` for one sequence. decoder: the language model without its LM head.

    arguments: keyword arguments of the decoder's forward pass. They include `inputs_embeds` [1, n, d] with the image
    features in place.
    """

    model: Any
    decoder: Any
    arguments: Mapping[str, Any]

    @property
    def lm_head(self) -> Any:
        """The output layer; `logits` also applies what the model does to its output."""
        return self.model.lm_head

    def logits(self, states: torch.Tensor) -> torch.Tensor:
        """Compute logits [..., vocabulary] from last hidden states [..., d]."""
        return logits_of(self.model, states)


def decoder_call(model: Any, decoder: nn.Module, inputs: Mapping[str, Any]) -> DecoderCall:
    """Capture the call that `model.model(**inputs)` makes to its decoder; see `decoder_arguments`."""
    with observed_attention(decoder):
        return DecoderCall(model, decoder, decoder_arguments(model, decoder, inputs))


def sliced(call: DecoderCall, start: int, stop: int) -> dict[str, Any]:
    """Return the decoder's arguments for columns [start, stop), given a cache that holds the earlier columns.

    `inputs_embeds` is left out. Raises ValueError if a tensor argument cannot be sliced by token.
    """
    n = call.arguments["inputs_embeds"].shape[1]

    def slice_mask(value: Any) -> Any:
        if value is None:
            return None
        if isinstance(value, dict):
            return {kind: slice_mask(part) for kind, part in value.items()}
        return value[:, :stop] if value.ndim == 2 else value[:, :, start:stop, :stop]

    arguments: dict[str, Any] = {}
    for name, value in call.arguments.items():
        match name:
            case "inputs_embeds" | "past_key_values" | "use_cache" | "visual_pos_masks" | "deepstack_visual_embeds":
                continue
            case "attention_mask":
                arguments[name] = slice_mask(value)
            case "position_ids" | "cache_position" if value is not None:
                arguments[name] = value[..., start:stop]
            case "per_layer_inputs" if value is not None:
                arguments[name] = value[:, start:stop]
            case _ if not isinstance(value, torch.Tensor):
                arguments[name] = value
            case _ if value.shape[:2] == (1, n):
                arguments[name] = value[:, start:stop]
            case _:
                raise ValueError(f"cannot slice the decoder's argument {name} {list(value.shape)} by token")
    if (seen := call.arguments.get("visual_pos_masks")) is not None:
        # Features that the first layers add at the image tokens: one row per image token.
        first, last = int(seen[0, :start].sum()), int(seen[0, :stop].sum())
        if last > first:
            arguments["visual_pos_masks"] = seen[:, start:stop]
            arguments["deepstack_visual_embeds"] = [
                rows[first:last] for rows in call.arguments["deepstack_visual_embeds"]
            ]
    return arguments
