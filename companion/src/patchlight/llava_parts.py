"""A LLaVA's configs by their types: the library itself says only "a config, a dict or none"."""

from transformers import CLIPVisionConfig, LlamaConfig, LlavaForConditionalGeneration


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
