"""Random models of every family, with processors, built offline from configs. Each has a few thousand weights.

Their answers are meaningless, but they read images and run in the library exactly as real models do. With `local`,
attention in the vision tower adds nothing, so each image feature depends on its own pixels only. Tests use that to
determine which pixels each token covers.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from transformers import (
    CLIPImageProcessorPil,
    CLIPVisionConfig,
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    Gemma3ImageProcessorPil,
    Gemma3Processor,
    Gemma3TextConfig,
    GemmaConfig,
    Idefics3Config,
    Idefics3ForConditionalGeneration,
    Idefics3ImageProcessorPil,
    Idefics3Processor,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaImageProcessorPil,
    LlavaNextConfig,
    LlavaNextForConditionalGeneration,
    LlavaNextImageProcessorPil,
    LlavaNextProcessor,
    LlavaProcessor,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2Config,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen2VLImageProcessorPil,
    Qwen2VLProcessor,
    SiglipImageProcessorPil,
    SiglipVisionConfig,
    SmolVLMConfig,
    SmolVLMForConditionalGeneration,
    SmolVLMImageProcessorPil,
    VipLlavaConfig,
    VipLlavaForConditionalGeneration,
)

from patchlight.embedded.training.vocabulary import token_id
from patchlight.models.families.registry import Family, Lvlm, family_of
from patchlight.models.processors import images_only
from tests.helpers.tiny_parts import (
    GEMMA_TEMPLATE,
    IDEFICS_TEMPLATE,
    LLAVA_TEMPLATE,
    PATCH_PX,
    QWEN_TEMPLATE,
    TILE_PX,
    WIDTH,
    byte_tokenizer,
    text_options,
    vision_options,
)
from tests.helpers.tiny_recent_models import RECENT

_ATTENTION_OUT = re.compile(r"(vision_tower|vision_model|visual)\..*(out_proj|o_proj|projection_layer|attn\.proj)\.")


class Tiny(NamedTuple):
    """A model on the CPU in float32, its processor, and its family."""

    model: Lvlm
    processor: Any
    family: Family


def tiny(kind: str, *, local: bool = False, seed: int = 0) -> Tiny:
    """Build a model of one of KINDS. The weights are large enough to make answers vary from token to token."""
    torch.manual_seed(seed + _SEEDS.get(kind, 0))
    model, processor = _MAKERS[kind]()
    model.eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() > 1 and "norm" not in name:
                weight.normal_(0, 0.2)
            if local and _ATTENTION_OUT.search(name):
                weight.zero_()
        # Real models never answer with the image placeholder; a random one eventually would.
        model.lm_head.weight[model.config.image_token_id] = 0
    model.generation_config.eos_token_id = processor.tokenizer.eos_token_id
    model.generation_config.pad_token_id = processor.tokenizer.pad_token_id
    return Tiny(model, processor, family_of(model.config))


def save(lvlm: Tiny, folder: Path) -> None:
    """Save the model and its processor in Hugging Face's layout."""
    model: Any = lvlm.model
    model.save_pretrained(folder)
    lvlm.processor.save_pretrained(folder)


def _llava(
    *, tower: str = "clip", text: str = "llama", selection: Literal["default", "full"] = "default", resizer: Any = None
) -> tuple[Any, Any]:
    tokenizer = byte_tokenizer(["<image>"])
    towers = {"clip": CLIPVisionConfig, "siglip": SiglipVisionConfig}
    texts = {"llama": LlamaConfig, "gemma": GemmaConfig, "qwen2": Qwen2Config}
    config = LlavaConfig(
        vision_config=towers[tower](**vision_options()),
        text_config=texts[text](**text_options(tokenizer), **({"head_dim": 8} if text == "gemma" else {})),
        image_token_index=token_id(tokenizer, "<image>"),
        vision_feature_layer=-1,
        vision_feature_select_strategy=selection,
    )
    processor = LlavaProcessor(
        image_processor=resizer
        or CLIPImageProcessorPil(size={"shortest_edge": TILE_PX}, crop_size={"height": TILE_PX, "width": TILE_PX}),
        tokenizer=tokenizer,
        patch_size=PATCH_PX,
        vision_feature_select_strategy=selection,
        num_additional_image_tokens=int(tower == "clip"),
        chat_template=LLAVA_TEMPLATE,
    )
    return LlavaForConditionalGeneration(config), processor


def _vip_llava() -> tuple[Any, Any]:
    """VipLlava concatenates the features of several layers."""
    _, processor = _llava()
    config = VipLlavaConfig(
        vision_config=CLIPVisionConfig(**vision_options()),
        text_config=LlamaConfig(**text_options(processor.tokenizer)),
        image_token_index=token_id(processor.tokenizer, "<image>"),
        vision_feature_layer=[-2, -1],
    )
    return VipLlavaForConditionalGeneration(config), processor


def _llava_siglip() -> tuple[Any, Any]:
    """SigLIP's tower has no class token. 64 px is 4 patches of 14 px and a remainder of 8 px that is never read."""
    resizer = SiglipImageProcessorPil(size={"height": 64, "width": 64})
    model, processor = _llava(tower="siglip", text="gemma", selection="full", resizer=resizer)
    return model, processor


def _llava_padded() -> tuple[Any, Any]:
    """Preprocessing as in the original LLaVA: the image is padded to a square, and nothing is cropped."""
    square = {"height": TILE_PX, "width": TILE_PX}
    resizer = LlavaImageProcessorPil(size={"shortest_edge": TILE_PX}, crop_size=square, do_pad=True)
    return _llava(text="qwen2", resizer=resizer)


def _llava_next(*, tower: str = "clip", side: int = TILE_PX) -> tuple[Any, Any]:
    tokenizer = byte_tokenizer(["<image>"])
    pinpoints = [[side, 2 * side], [2 * side, side], [2 * side, 2 * side], [3 * side, side], [side, 3 * side]]
    selection: Literal["default", "full"] = "default" if tower == "clip" else "full"
    config = LlavaNextConfig(
        vision_config={"clip": CLIPVisionConfig, "siglip": SiglipVisionConfig}[tower](**vision_options(image=side)),
        text_config=LlamaConfig(**text_options(tokenizer)),
        image_token_index=token_id(tokenizer, "<image>"),
        vision_feature_layer=-1,
        vision_feature_select_strategy=selection,
        image_grid_pinpoints=pinpoints,
    )
    processor = LlavaNextProcessor(
        image_processor=LlavaNextImageProcessorPil(
            size={"shortest_edge": side}, crop_size={"height": side, "width": side}, image_grid_pinpoints=pinpoints
        ),
        tokenizer=tokenizer,
        patch_size=PATCH_PX,
        vision_feature_select_strategy=selection,
        num_additional_image_tokens=int(tower == "clip"),
        chat_template=LLAVA_TEMPLATE,
    )
    return LlavaNextForConditionalGeneration(config), processor


def _qwen(*, older: bool = False) -> tuple[Any, Any]:
    extra = ["<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]
    tokenizer = byte_tokenizer(extra)
    start, end, image, video = (token_id(tokenizer, token) for token in extra[2:])
    vision: dict[str, Any] = {"depth": 1, "num_heads": 2}
    if older:
        vision |= {"embed_dim": 32, "hidden_size": WIDTH, "mlp_ratio": 2}
    else:
        # With windows of 2 x 2 tokens, the encoder orders tokens differently internally than in its output.
        vision |= {"hidden_size": 32, "intermediate_size": 48, "out_hidden_size": WIDTH, "window_size": 56}
        vision |= {"fullatt_block_indexes": [0]}
    kinds: tuple[Any, Any] = (
        (Qwen2VLConfig, Qwen2VLForConditionalGeneration)
        if older
        else (Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration)
    )
    make_config, make_model = kinds
    config = make_config(
        vision_config=vision,
        text_config=text_options(tokenizer, rope_parameters={"rope_type": "default", "mrope_section": [2, 1, 1]}),
        image_token_id=image,
        video_token_id=video,
        vision_start_token_id=start,
        vision_end_token_id=end,
    )
    resizer = Qwen2VLImageProcessorPil(size={"shortest_edge": 28 * 28 * 4, "longest_edge": 28 * 28 * 48})
    kind: Any = images_only(Qwen2VLProcessor if older else Qwen2_5_VLProcessor)
    processor = kind(resizer, tokenizer, chat_template=QWEN_TEMPLATE)
    return make_model(config), processor


def _idefics(*, smol: bool = False) -> tuple[Any, Any]:
    markers = [f"<row_{row}_col_{col}>" for row in range(1, 7) for col in range(1, 7)]
    fixed = ["<fake_token_around_image>", "<image>", "<end_of_utterance>", "<global-img>"]
    # A tile marker is one token for SmolVLM and several for Idefics3, whose vocabulary has no markers.
    tokenizer = byte_tokenizer([*fixed, *markers] if smol else fixed)
    kinds: tuple[Any, Any, Any] = (
        (SmolVLMConfig, SmolVLMForConditionalGeneration, SmolVLMImageProcessorPil)
        if smol
        else (Idefics3Config, Idefics3ForConditionalGeneration, Idefics3ImageProcessorPil)
    )
    make_config, make_model, make_resizer = kinds
    config = make_config(
        vision_config=vision_options(),
        text_config=LlamaConfig(**text_options(tokenizer)),
        image_token_id=token_id(tokenizer, "<image>"),
        scale_factor=2,
    )
    resizer = make_resizer(size={"longest_edge": 3 * TILE_PX}, max_image_size={"longest_edge": TILE_PX})
    processor = Idefics3Processor(resizer, tokenizer, image_seq_len=4, chat_template=IDEFICS_TEMPLATE)
    return make_model(config), processor


def _gemma(*, crops: bool = False) -> tuple[Any, Any]:
    named = {"boi_token": "<start_of_image>", "eoi_token": "<end_of_image>", "image_token": "<image_soft_token>"}
    tokenizer = byte_tokenizer([*named.values(), "<start_of_turn>", "<end_of_turn>"], named=named)
    image = token_id(tokenizer, "<image_soft_token>")
    # One layer attends to the last 24 positions, the other to all; the prompt is longer than 24 tokens.
    text = text_options(tokenizer, head_dim=8, query_pre_attn_scalar=8, sliding_window=24)
    config = Gemma3Config(
        vision_config=SiglipVisionConfig(**vision_options(patch=7), vision_use_head=False),
        text_config=Gemma3TextConfig(**text, layer_types=["sliding_attention", "full_attention"]),
        image_token_index=image,
        boi_token_index=token_id(tokenizer, "<start_of_image>"),
        eoi_token_index=token_id(tokenizer, "<end_of_image>"),
        mm_tokens_per_image=16,
        tie_word_embeddings=False,
    )
    resizer = Gemma3ImageProcessorPil(size={"height": TILE_PX, "width": TILE_PX})
    processor: Any = Gemma3Processor(resizer, tokenizer, chat_template=GEMMA_TEMPLATE, image_seq_length=16)
    if crops:
        pan_and_scan = {"do_pan_and_scan": True, "pan_and_scan_min_crop_size": 40}
        processor.images_kwargs = {**processor.images_kwargs, **pan_and_scan}
    return Gemma3ForConditionalGeneration(config), processor


_MAKERS: dict[str, Callable[[], tuple[Any, Any]]] = {
    "llava": _llava,
    "llava-full": lambda: _llava(selection="full"),
    "vip-llava": _vip_llava,
    "llava-siglip-gemma": _llava_siglip,
    "llava-padded-qwen2": _llava_padded,
    "llava-next": _llava_next,
    # Like Granite Vision's 384 px, 58 px is not a multiple of the patch size, so each tile has an unread remainder.
    "llava-next-siglip": lambda: _llava_next(tower="siglip", side=58),
    "qwen2.5-vl": _qwen,
    "qwen2-vl": lambda: _qwen(older=True),
    "idefics3": _idefics,
    "smolvlm": lambda: _idefics(smol=True),
    "gemma3": _gemma,
    "gemma3-crops": lambda: _gemma(crops=True),
    **RECENT,
}
KINDS = tuple(_MAKERS)
# With these, the greedy answers are not one token repeated.
_SEEDS = {"llava-onevision": 3, "llava-onevision-resized": 3}
ONE_PER_DECODER = (
    "llava",
    "llava-siglip-gemma",
    "llava-next",
    "qwen2.5-vl",
    "smolvlm",
    "gemma3",
    "qwen3-vl",
    "glm-4v",
    "mistral3",
    "paligemma",
    "gemma4",
)
"""One kind for each text model and kind of mask; the others differ only in how they read images."""
