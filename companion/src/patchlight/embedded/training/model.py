"""The embedded model: LLaVA-1.5's architecture with a few million parameters, and its prompt format."""

import math
from pathlib import Path
from typing import Any, Literal

import torch
from PIL import Image
from transformers import (
    BatchFeature,
    CLIPImageProcessorPil,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)
from transformers.models.clip.modeling_clip import CLIPAttention, CLIPEncoderLayer

from ...models.checkpoint import check_checkpoint
from ..world.scenes import IMAGE_PX, PATCH_PX
from .llava_parts import image_px, patch_px, vision_tower, word_embeddings
from .vocabulary import BOS, EOS, IMAGE, PAD, build_tokenizer, save_question_words, token_id

PROMPT = "USER: <image>\n{question} ASSISTANT:"
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ message['role'].upper() + ': ' }}"
    "{% for content in message['content'] %}{% if content['type'] == 'image' %}{{ '<image>\n' }}"
    "{% else %}{{ content['text'] + ' ' }}{% endif %}{% endfor %}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)
VISION_LAYERS, TEXT_LAYERS = 6, 6


def build_model(
    tokenizer: PreTrainedTokenizerFast,
    *,
    seed: int = 0,
    vision_layers: int = VISION_LAYERS,
    text_layers: int = TEXT_LAYERS,
) -> LlavaForConditionalGeneration:
    """Build the model with random weights: CLIP ViT and Llama of width 192 with 4 heads each.

    The first training stages use fewer layers, as do builds in which the model does not have to learn.

    At this size, the usual small random weights learn some structure late or never, so the initialisation provides it:

    - Position embeddings are sines and cosines at the scale of the patch embeddings. At a standard deviation of 0.02
      they are 4 % of the signal, and nothing that depends on neighbouring patches (shape, size) is learnt for
      thousands of steps.
    - Patch filters are cosine transforms with a lower gain on the mean. Random filters pass a patch's mean colour about
      ten times more strongly than the edges and shading that distinguish a sphere from a cube.
    - The vision tower's queries and keys are the same rotation of their input, so that patches attend to similar
      patches near them (mimetic initialisation, Trockman and Kolter 2023). The language model does not use this: in one
      trial, its loss was no lower after 400 steps, but that trial also used a different RoPE base.
    - Word embeddings have a standard deviation of 1/sqrt(d), which lets dot products with patches distinguish words.
    """
    torch.manual_seed(seed)
    vision = CLIPVisionConfig(
        hidden_size=192,
        intermediate_size=768,
        num_hidden_layers=vision_layers,
        num_attention_heads=4,
        image_size=IMAGE_PX,
        patch_size=PATCH_PX,
        projection_dim=192,
    )
    text = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=192,
        intermediate_size=512,
        num_hidden_layers=text_layers,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=1024,
        bos_token_id=token_id(tokenizer, BOS),
        eos_token_id=token_id(tokenizer, EOS),
        pad_token_id=token_id(tokenizer, PAD),
        tie_word_embeddings=False,
    )
    model = LlavaForConditionalGeneration(llava_config(vision, text, tokenizer))
    d = text.hidden_size
    with torch.no_grad():
        word_embeddings(model).weight.normal_(0, d**-0.5)
        tower = vision_tower(model)
        table = tower.embeddings.position_embedding.weight
        table[1:] = _plane_waves(IMAGE_PX // PATCH_PX, table.shape[1])
        patch = tower.embeddings.patch_embedding.weight
        patch.copy_(_cosine_filters(patch.shape[0], PATCH_PX).view_as(patch))
        for layer in tower.encoder.layers:
            assert isinstance(layer, CLIPEncoderLayer)
            _attend_to_similar(layer.self_attn, 0.8)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model


def llava_config(vision: CLIPVisionConfig, text: LlamaConfig, tokenizer: PreTrainedTokenizerFast) -> LlavaConfig:
    """Return the config of the complete model: all patches of the tower's last layer, no class token."""
    return LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=token_id(tokenizer, IMAGE),
        vision_feature_layer=-1,
        vision_feature_select_strategy="default",
        image_seq_length=(image_px(vision) // patch_px(vision)) ** 2,
        tie_word_embeddings=False,
    )


def _plane_waves(grid: int, width: int) -> torch.Tensor:
    """Return [grid * grid, width]: sines and cosines of row and column at geometric frequencies, RMS 0.35."""
    frequencies = 1.0 / 100 ** (torch.arange(width // 4) / (width // 4))
    angles = torch.arange(grid)[:, None] * frequencies
    waves = torch.cat([angles.sin(), angles.cos()], dim=1)
    rows, cols = waves[:, None].expand(-1, grid, -1), waves[None].expand(grid, -1, -1)
    return 0.5 * torch.cat([rows, cols], dim=-1).reshape(grid * grid, width)


def _cosine_filters(width: int, size: int) -> torch.Tensor:
    """Return [width, 3, size, size]: the lowest 2D cosines per colour channel; the gain grows with frequency."""
    side = math.isqrt(width // 3)
    k, x = torch.arange(side)[:, None], torch.arange(size)
    basis = torch.cos(math.pi * k * (2 * x + 1) / (2 * size)) * (torch.where(k == 0, 1.0, 2.0) / size).sqrt()
    plane = basis[:, None, :, None] * basis[None, :, None, :]
    gain = 0.1 * (1 + torch.hypot(k.float(), k.T.float()))
    filters = (plane * gain[..., None, None]).reshape(side * side, 1, 1, size, size)
    filters = (filters * torch.eye(3)[None, :, :, None, None]).reshape(-1, 3, size, size)
    return filters[:width] if len(filters) >= width else torch.cat([filters, filters[: width - len(filters)]])


def _rotation(width: int) -> torch.Tensor:
    return torch.linalg.qr(torch.randn(width, width))[0]


def _attend_to_similar(attention: CLIPAttention, scale: float) -> None:
    """Set queries and keys to the same rotation of their input, so that tokens attend to similar tokens."""
    rotation = scale * _rotation(attention.q_proj.in_features)
    attention.q_proj.weight.copy_(rotation)
    attention.k_proj.weight.copy_(rotation)


def build_processor(tokenizer: PreTrainedTokenizerFast | None = None) -> LlavaProcessor:
    """Build LLaVA-1.5's preprocessing: shorter side to 336 px (bicubic), centre crop, CLIP's mean and std."""
    image_processor = CLIPImageProcessorPil(
        size={"shortest_edge": IMAGE_PX}, crop_size={"height": IMAGE_PX, "width": IMAGE_PX}
    )
    return LlavaProcessor(
        image_processor=image_processor,
        tokenizer=tokenizer or build_tokenizer(),
        patch_size=PATCH_PX,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=CHAT_TEMPLATE,
    )


def model_inputs(processor: LlavaProcessor, image: Image.Image, question: str) -> BatchFeature:
    """Return the inputs of `forward` and `generate` for one question: input_ids, attention_mask, pixel_values."""
    return processor(
        images=image,
        text=PROMPT.format(question=question),
        images_kwargs={"return_tensors": "pt"},
        text_kwargs={"return_tensors": "pt"},
    )


def save_model(model: LlavaForConditionalGeneration, folder: Path) -> None:
    """Save in the standard Hugging Face layout: config, safetensors, tokenizer, processor; and the words of questions.

    Rounds the weights to fp16, the precision of LLaVA-1.5's weights. The weights of `model` itself are also rounded, so
    that the browser's graphs store the same values.
    """
    model.half().save_pretrained(folder)
    model.float()
    build_processor().save_pretrained(folder)
    save_question_words(folder)


def load_model(folder: Path, *, attention: Literal["sdpa", "eager"] = "sdpa") -> LlavaForConditionalGeneration:
    """Load a saved model on the CPU and convert its fp16 weights to float32. Raises WrongWeights."""
    # With output_loading_info, it returns a pair, which its type does not say.
    loader: Any = LlavaForConditionalGeneration
    model, report = loader.from_pretrained(
        folder, dtype=torch.float32, attn_implementation=attention, output_loading_info=True
    )
    check_checkpoint(str(folder), model, report)
    return model.eval()
