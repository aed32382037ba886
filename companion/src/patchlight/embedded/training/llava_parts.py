"""A LLaVA's parts and facts by their types: the library itself says "a module", or "a config, a dict or none"."""

from torch import nn
from transformers import CLIPVisionConfig, LlamaConfig, LlavaForConditionalGeneration
from transformers.models.clip.modeling_clip import CLIPVisionModel
from transformers.models.llama.modeling_llama import LlamaModel


def text_config(model: LlavaForConditionalGeneration) -> LlamaConfig:
    """The language model's config; other language models than Llama are refused by name."""
    config = model.config.text_config
    if not isinstance(config, LlamaConfig):
        raise TypeError(f"language model {type(config).__name__}: only Llama is supported")
    return config


def vision_config(model: LlavaForConditionalGeneration) -> CLIPVisionConfig:
    """The vision tower's config; others than CLIP are refused by name."""
    config = model.config.vision_config
    if not isinstance(config, CLIPVisionConfig):
        raise TypeError(f"vision tower {type(config).__name__}: only CLIP is supported")
    return config


def language_model(model: LlavaForConditionalGeneration) -> LlamaModel:
    """The decoder without its vocabulary layer; others than Llama are refused by name."""
    part = model.model.language_model
    if not isinstance(part, LlamaModel):
        raise TypeError(f"language model {type(part).__name__}: only Llama is supported")
    return part


def vision_tower(model: LlavaForConditionalGeneration) -> CLIPVisionModel:
    """The image encoder without the projector; others than CLIP are refused by name."""
    part = model.model.vision_tower
    if not isinstance(part, CLIPVisionModel):
        raise TypeError(f"vision tower {type(part).__name__}: only CLIP is supported")
    return part


def word_embeddings(model: LlavaForConditionalGeneration) -> nn.Embedding:
    """Token ids to the language model's inputs: [V, d]."""
    part = model.get_input_embeddings()
    if not isinstance(part, nn.Embedding):
        raise TypeError(f"word embeddings {type(part).__name__}: only a plain table is supported")
    return part


def image_px(config: CLIPVisionConfig) -> int:
    """Side of the square image that the tower reads."""
    return _side(config.image_size, "image")


def patch_px(config: CLIPVisionConfig) -> int:
    """Side of one square patch."""
    return _side(config.patch_size, "patch")


def key_value_shape(config: LlamaConfig) -> tuple[int, int]:
    """Key-value heads of a layer, and the width of each."""
    heads, width = config.num_key_value_heads, config.head_dim
    if heads is None or width is None:
        raise ValueError(f"{heads} key-value heads of width {width}: want both")
    return heads, width


def _side(size: int | list[int] | tuple[int, ...] | None, name: str) -> int:
    if not isinstance(size, int):
        raise TypeError(f"{name} size {size}: only squares given by one side are supported")
    return size
