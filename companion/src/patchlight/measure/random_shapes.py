"""Models with random weights in the shapes of real models, and random prompts, for measuring costs."""

from collections.abc import Callable
from typing import Any

import torch
from transformers import AutoModelForImageTextToText, BatchFeature, CLIPVisionConfig, LlamaConfig, LlavaConfig

from ..models.reading import Frame, Reading, Rect, grid_places

_CLIP_LARGE = CLIPVisionConfig(
    hidden_size=1024,
    intermediate_size=4096,
    num_hidden_layers=24,
    num_attention_heads=16,
    image_size=336,
    patch_size=14,
    projection_dim=768,
)


def _llava(vision: CLIPVisionConfig, d: int, inner: int, layers: int, heads: int, words: int) -> LlavaConfig:
    text = LlamaConfig(
        hidden_size=d,
        intermediate_size=inner,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        vocab_size=words,
        max_position_embeddings=4096,
    )
    return LlavaConfig(vision_config=vision, text_config=text, image_token_index=words - 1)


SHAPES: dict[str, Callable[[], LlavaConfig]] = {
    "llava-1.5-7b": lambda: _llava(_CLIP_LARGE, 4096, 11008, 32, 32, 32064),
    "llava-1.5-13b": lambda: _llava(_CLIP_LARGE, 5120, 13824, 40, 40, 32064),
    "tiny": lambda: _llava(
        CLIPVisionConfig(
            hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, image_size=56, patch_size=14
        ),
        64, 128, 3, 4, 256,
    ),
}  # fmt: skip


def random_model(config: LlavaConfig, device: torch.device, dtype: torch.dtype) -> Any:
    """Create a model on `device`. It has no end token, so answers have exactly the requested length."""
    torch.manual_seed(0)
    with torch.device(device):
        model = AutoModelForImageTextToText.from_config(config, dtype=dtype).eval()
    model.generation_config.eos_token_id = None
    return model


def random_reading(config: Any, text_tokens: int) -> Reading:
    """Return a prompt of random words in the layout that the family's reader produces: a few words, image, question."""
    px, side = config.vision_config.image_size, config.vision_config.image_size // config.vision_config.patch_size
    random = torch.Generator().manual_seed(1)
    words = torch.randint(3, config.text_config.vocab_size - 1, (text_tokens,), generator=random)
    image = torch.full((side * side,), config.image_token_id)
    ids = torch.cat([words[:3], image, words[3:]])[None]
    inputs = BatchFeature(
        {
            "input_ids": ids,
            "attention_mask": torch.ones_like(ids),
            "pixel_values": torch.randn(1, 3, px, px, generator=random),
        }
    )
    is_image = ids[0] == config.image_token_id
    frame = Frame("image", Rect(0, 0, px, px), side, side, px, px)
    places = tuple(grid_places(0, side, side))
    return Reading(inputs, (frame,), is_image.nonzero()[:, 0], (~is_image).nonzero()[:, 0], "none: noise", places)
