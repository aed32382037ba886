"""Typed access to the parts and configs of a LLaVA model, for which transformers declares less specific types."""

from torch import nn
from transformers import CLIPVisionConfig, LlamaConfig, LlavaForConditionalGeneration
from transformers.models.clip.modeling_clip import CLIPVisionModel
from transformers.models.llama.modeling_llama import LlamaAttention, LlamaDecoderLayer, LlamaModel


def text_config(model: LlavaForConditionalGeneration) -> LlamaConfig:
    """Return the language model's config. Raises TypeError if it is not Llama."""
    config = model.config.text_config
    if not isinstance(config, LlamaConfig):
        raise TypeError(f"language model {type(config).__name__}: only Llama is supported")
    return config


def vision_config(model: LlavaForConditionalGeneration) -> CLIPVisionConfig:
    """Return the vision tower's config. Raises TypeError if it is not CLIP."""
    config = model.config.vision_config
    if not isinstance(config, CLIPVisionConfig):
        raise TypeError(f"vision tower {type(config).__name__}: only CLIP is supported")
    return config


def language_model(model: LlavaForConditionalGeneration) -> LlamaModel:
    """Return the decoder without its output projection. Raises TypeError if it is not Llama."""
    part = model.model.language_model
    if not isinstance(part, LlamaModel):
        raise TypeError(f"language model {type(part).__name__}: only Llama is supported")
    return part


def attention_modules(decoder: LlamaModel) -> list[LlamaAttention]:
    """Return the attention of each layer, the first layer first."""
    return [layer.self_attn for layer in decoder.layers if isinstance(layer, LlamaDecoderLayer)]


def vision_tower(model: LlavaForConditionalGeneration) -> CLIPVisionModel:
    """Return the image encoder without the projector. Raises TypeError if it is not CLIP."""
    part = model.model.vision_tower
    if not isinstance(part, CLIPVisionModel):
        raise TypeError(f"vision tower {type(part).__name__}: only CLIP is supported")
    return part


def word_embeddings(model: LlavaForConditionalGeneration) -> nn.Embedding:
    """Return the layer that embeds token ids for the language model. Its weight is [V, d].

    Raises TypeError if it is not an nn.Embedding.
    """
    part = model.get_input_embeddings()
    if not isinstance(part, nn.Embedding):
        raise TypeError(f"word embeddings {type(part).__name__}: only nn.Embedding is supported")
    return part


def image_px(config: CLIPVisionConfig) -> int:
    """Return the side length of the tower's square input image, in pixels."""
    return _side(config.image_size, "image")


def patch_px(config: CLIPVisionConfig) -> int:
    """Return the side length of a square patch, in pixels."""
    return _side(config.patch_size, "patch")


def key_value_shape(config: LlamaConfig) -> tuple[int, int]:
    """Return the number of key-value heads per layer and the width of a head."""
    heads, width = config.num_key_value_heads, config.head_dim
    if heads is None or width is None:
        raise ValueError(f"the config must set num_key_value_heads and head_dim, got {heads} and {width}")
    return heads, width


def _side(size: int | list[int] | tuple[int, ...] | None, name: str) -> int:
    if not isinstance(size, int):
        raise TypeError(f"{name} size must be one int, the side of a square, got {size}")
    return size
