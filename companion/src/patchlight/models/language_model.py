"""The language model inside a vision-language model, found by structure: decoder, layers, final norm, output layer.

transformers names these parts differently from model to model. Everything that runs a model takes them from here.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from .reading import Lvlm

_DECODERS = ("language_model", "text_model", "decoder")
_LAYERS = ("layers", "h", "blocks")
_CROSS_ATTENTION = ("cross_attn", "encoder_attn")
_FINAL_NORMS = ("norm", "embedding_norm", "final_layernorm", "final_layer_norm", "ln_f")

# Largest difference between the model's own logits and `logits_of`, as a share of the largest logit.
_LOGIT_TOLERANCE = {torch.float32: 1e-3, torch.float16: 2e-2, torch.bfloat16: 5e-2}


class UnsupportedStructure(ValueError):
    """A part of the model is not where it is expected; the message names the part."""


def decoder_of(model: Any) -> nn.Module:
    """Return the language model up to and including its final norm, without the LM head.

    Raises UnsupportedStructure if it cannot be found.
    """
    inner = getattr(model, "model", None)
    if not isinstance(inner, nn.Module):
        raise UnsupportedStructure(
            f"{type(model).__name__} has no part `model` that runs without the output layer, as models that stream "
            "their hidden states have"
        )
    for name in _DECODERS:
        part = getattr(inner, name, None)
        if isinstance(part, nn.Module):
            # Some models nest the decoder once more, next to an output layer.
            nested = getattr(part, "model", None)
            if _layers(part) is None and isinstance(nested, nn.Module):
                part = nested
            if _layers(part) is not None:
                return part
    raise UnsupportedStructure(
        f"{type(inner).__name__} has no language model with a stack of layers: expected one named "
        f"{', '.join(_DECODERS)}, found {', '.join(name for name, _ in inner.named_children())}"
    )


def layers_of(decoder: nn.Module) -> nn.ModuleList:
    """Return the decoder's layers, first to last. Raises UnsupportedStructure if it has none."""
    layers = _layers(decoder)
    if layers is None:
        raise UnsupportedStructure(f"{type(decoder).__name__} has no stack of layers: expected {', '.join(_LAYERS)}")
    return layers


def final_norm_of(decoder: nn.Module) -> nn.Module:
    """Return the norm after the last layer. Raises UnsupportedStructure if it cannot be found."""
    for name in _FINAL_NORMS:
        if isinstance(norm := getattr(decoder, name, None), nn.Module):
            return norm
    raise UnsupportedStructure(f"{type(decoder).__name__} has no final norm: expected one of {', '.join(_FINAL_NORMS)}")


def cross_attention_layers(decoder: nn.Module) -> list[int]:
    """Return the numbers of the layers that attend to another sequence, such as an image's features."""
    return [at for at, layer in enumerate(layers_of(decoder)) if any(hasattr(layer, name) for name in _CROSS_ATTENTION)]


def logits_of(model: Any, states: Tensor) -> Tensor:
    """Compute the model's logits [..., vocabulary] from last hidden states [..., d].

    Gemma's models squash the output of the LM head with a tanh.
    """
    logits = model.lm_head(states)
    cap = getattr(model.config.get_text_config(), "final_logit_softcapping", None)
    return logits if cap is None else (logits / cap).tanh() * cap


def on_device(model: Lvlm, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return inputs on the model's device, with floats in the model's dtype."""
    return {
        name: value.to(model.device, model.dtype if value.is_floating_point() else None)
        for name, value in inputs.items()
    }


class _Captured(Exception):
    """Raised when the model calls its decoder, to end the model's forward pass."""

    def __init__(self, arguments: dict[str, Any]):
        super().__init__()
        self.arguments = arguments


def decoder_arguments(model: Any, decoder: nn.Module, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keyword arguments with which `model.model(**inputs)` calls its decoder, without running it.

    By then, the model has embedded the images and built positions and masks. inputs: a batch of one on any device.
    Raises ValueError if the model does not call the decoder, or calls it with positional arguments.
    """

    def capture(module: nn.Module, positional: tuple[Any, ...], named: dict[str, Any]) -> None:
        if positional:
            raise ValueError(f"{type(model).__name__} calls its decoder with {len(positional)} positional arguments")
        raise _Captured(named)

    handle = decoder.register_forward_pre_hook(capture, with_kwargs=True)
    try:
        with torch.no_grad():
            model.model(**on_device(model, inputs), use_cache=False)
    except _Captured as captured:
        return captured.arguments
    finally:
        handle.remove()
    raise ValueError(f"{type(model).__name__} did not call the decoder {type(decoder).__name__}")


@torch.no_grad()
def check_logits(model: Any) -> None:
    """Check that `logits_of` of the last hidden states equals the model's own logits, on four tokens of text.

    Raises UnsupportedStructure if not: log-probabilities and maps would not be those of the model's answers.
    """
    if getattr(model, "lm_head", None) is None:
        raise UnsupportedStructure(f"{type(model).__name__} has no output layer `lm_head`")
    size = model.get_input_embeddings().weight.shape[0]
    ids = (torch.arange(4, device=model.device) * 7 + 3)[None] % size
    expected = model(input_ids=ids, use_cache=False).logits[0].float()
    actual = logits_of(model, model.model(input_ids=ids, use_cache=False).last_hidden_state[0]).float()
    difference = float((actual - expected).abs().max() / expected.abs().max().clamp(min=1e-6))
    if difference > _LOGIT_TOLERANCE.get(model.dtype, 5e-2):
        raise UnsupportedStructure(
            f"the logits of {type(model).__name__} differ from those of its last hidden states by {difference:.2g} of "
            "the largest: it changes them in a way that is not known here"
        )


def _layers(part: nn.Module) -> nn.ModuleList | None:
    for name in _LAYERS:
        layers = getattr(part, name, None)
        if isinstance(layers, nn.ModuleList) and len(layers):
            return layers
    return None
