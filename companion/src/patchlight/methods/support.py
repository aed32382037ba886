"""Which methods can explain a model's answers, and why the others cannot.

Answers, FastRM and TAM need only last hidden states. The other methods read the attention of every layer, so they need
layers whose attention is a plain softmax over the sequence.
"""

from typing import Any

from torch import nn

from ..models.language_model import UnsupportedStructure, cross_attention_layers, decoder_of, final_norm_of, layers_of
from .gradcam import input_norm_of
from .names import Method

_ATTENTION = ("self_attn", "attention", "attn")
# Methods that read the attention matrices of all layers, of which these differentiate scores within single layers.
_READ_ATTENTION: tuple[Method, ...] = ("chefer", "chefer-incremental", "gradcam", "dex-ar", "rollout", "attention")
_READ_LAYERS: tuple[Method, ...] = ("gradcam", "dex-ar")


def refused_methods(model: Any) -> dict[Method, str]:
    """Return the methods that cannot explain this model's answers, each with the reason."""
    decoder = decoder_of(model)
    reasons: dict[Method, str] = {}
    if attention := _attention_reason(decoder):
        reasons |= dict.fromkeys(_READ_ATTENTION, attention)
    try:
        final_norm_of(decoder)
    except UnsupportedStructure as error:
        reasons |= {method: reasons.get(method, str(error)) for method in _READ_LAYERS}
    if hasattr(decoder, "altup_projections"):
        several = (
            f"{type(decoder).__name__} keeps several hidden states per token, so a layer's output has no one score"
        )
        reasons |= {method: reasons.get(method, several) for method in (*_READ_LAYERS, "feature-gradcam")}
    elif reason := _middle_layer_reason(decoder):
        reasons["feature-gradcam"] = reason
    if not isinstance(getattr(model.lm_head, "weight", None), nn.Parameter):
        reasons["tam"] = f"the output layer of {type(model).__name__} is not a single matrix"
    return reasons


def _middle_layer_reason(decoder: nn.Module) -> str | None:
    """Return why the features of the middle layer explain nothing, or None if they do."""
    layers, kind = layers_of(decoder), type(decoder).__name__
    middle = len(layers) // 2
    if input_norm_of(layers[middle]) is None:
        return f"{kind} has no input norm in its layers"
    shared = getattr(decoder.config, "num_kv_shared_layers", 0) or 0
    if shared and middle >= len(layers) - shared:
        return (
            f"the last {shared} of {len(layers)} layers of {kind} use the keys and values of earlier layers, so a patch's "
            f"features in the middle layer do not act on the answer"
        )
    return None


def _attention_reason(decoder: nn.Module) -> str | None:
    """Return why the attention of some layer cannot be read, or None if all can."""
    kind = type(decoder).__name__
    layers = layers_of(decoder)
    if crossing := [str(at) for at in cross_attention_layers(decoder)]:
        return f"{kind} reads the image by cross attention (layers {_some(crossing)}), so it has no image tokens"
    types = getattr(decoder.config, "layer_types", None) or [""] * len(layers)
    other = [at for at, layer in enumerate(layers) if _attention_of(layer) is None]
    if other:
        names = sorted({types[at].replace("_", " ") or "another operation" for at in other})
        at = _some([str(number) for number in other])
        return (
            f"{len(other)} of the {len(layers)} layers of {kind} have no softmax attention ({', '.join(names)} in {at})"
        )
    if not getattr(decoder, "_supports_attention_backend", False):
        return f"{kind} computes its attention in code of its own, which cannot be observed"
    attentions = [part for layer in layers if (part := _attention_of(layer)) is not None]
    cap = next((value for part in attentions if (value := getattr(part, "attn_logit_softcapping", None))), None)
    if cap is not None:
        return f"{kind} caps its attention scores (softcap {cap:g}), for which relevancy is not defined"
    if any(isinstance(getattr(part, "sinks", None), nn.Parameter) for part in attentions):
        return f"{kind} has attention sinks, for which relevancy is not defined"
    return None


def _attention_of(layer: nn.Module) -> nn.Module | None:
    for name in _ATTENTION:
        if isinstance(part := getattr(layer, name, None), nn.Module) and hasattr(part, "layer_idx"):
            return part
    return None


def _some(names: list[str], most: int = 6) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
