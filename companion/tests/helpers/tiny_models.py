"""Random models of every family, with processors, built offline from configs. Each has a few thousand weights.

Their answers are meaningless, but they read images and run in the library exactly as real models do. With `local`,
attention in the vision tower adds nothing, so each image feature depends on its own pixels only. Tests use that to
determine which pixels each token covers.
"""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
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
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2Config,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen2VLImageProcessorPil,
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
from patchlight.models.processors import Qwen2_5_VLImagesProcessor

_ATTENTION_OUT = re.compile(r"(vision_tower|vision_model|visual)\..*(out_proj|attn\.proj)\.")
PAD, BOS, EOS = "<pad>", "<s>", "</s>"
PATCH_PX, TILE_PX, WIDTH = 14, 56, 32


class Tiny(NamedTuple):
    """A model on the CPU in float32, its processor, and its family."""

    model: Lvlm
    processor: Any
    family: Family


def byte_tokenizer(extra: Sequence[str] = (), *, named: dict[str, str] | None = None) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer without merges: one token per byte. `extra` are special tokens; those in `named`
    become attributes of the tokenizer.
    """
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    special = [PAD, BOS, EOS, *extra]
    vocabulary = {token: number for number, token in enumerate([*special, *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", special_tokens=[(BOS, vocabulary[BOS])]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
        additional_special_tokens=list(extra),
        padding_side="left",
        clean_up_tokenization_spaces=False,
        **({"extra_special_tokens": named} if named else {}),
    )


def tiny(kind: str, *, local: bool = False, seed: int = 0) -> Tiny:
    """Build a model of one of KINDS. The weights are large enough to make answers vary from token to token."""
    torch.manual_seed(seed)
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


def _text(tokenizer: PreTrainedTokenizerFast, **more: Any) -> dict[str, Any]:
    return {
        "vocab_size": len(tokenizer),
        "hidden_size": WIDTH,
        "intermediate_size": 2 * WIDTH,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 4096,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "tie_word_embeddings": False,
        **more,
    }


def _vision(*, image: int = TILE_PX, patch: int = PATCH_PX) -> dict[str, Any]:
    return {
        "hidden_size": 24,
        "intermediate_size": 48,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": image,
        "patch_size": patch,
    }


_LLAVA_TEMPLATE = (
    "{% for message in messages %}{{ message['role'].upper() + ': ' }}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}{{ '<image>\n' }}{% else %}{{ part['text'] + ' ' }}{% endif %}{% endfor %}"
    "{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)


def _llava(
    *, tower: str = "clip", text: str = "llama", selection: Literal["default", "full"] = "default", resizer: Any = None
) -> tuple[Any, Any]:
    tokenizer = byte_tokenizer(["<image>"])
    towers = {"clip": CLIPVisionConfig, "siglip": SiglipVisionConfig}
    texts = {"llama": LlamaConfig, "gemma": GemmaConfig, "qwen2": Qwen2Config}
    config = LlavaConfig(
        vision_config=towers[tower](**_vision()),
        text_config=texts[text](**_text(tokenizer), **({"head_dim": 8} if text == "gemma" else {})),
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
        chat_template=_LLAVA_TEMPLATE,
    )
    return LlavaForConditionalGeneration(config), processor


def _vip_llava() -> tuple[Any, Any]:
    """VipLlava concatenates the features of several layers."""
    _, processor = _llava()
    config = VipLlavaConfig(
        vision_config=CLIPVisionConfig(**_vision()),
        text_config=LlamaConfig(**_text(processor.tokenizer)),
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
        vision_config={"clip": CLIPVisionConfig, "siglip": SiglipVisionConfig}[tower](**_vision(image=side)),
        text_config=LlamaConfig(**_text(tokenizer)),
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
        chat_template=_LLAVA_TEMPLATE,
    )
    return LlavaNextForConditionalGeneration(config), processor


_QWEN_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


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
        text_config=_text(tokenizer, rope_parameters={"rope_type": "default", "mrope_section": [2, 1, 1]}),
        image_token_id=image,
        video_token_id=video,
        vision_start_token_id=start,
        vision_end_token_id=end,
    )
    resizer = Qwen2VLImageProcessorPil(size={"shortest_edge": 28 * 28 * 4, "longest_edge": 28 * 28 * 48})
    processor = Qwen2_5_VLImagesProcessor(resizer, tokenizer, chat_template=_QWEN_TEMPLATE)
    return make_model(config), processor


_IDEFICS_TEMPLATE = (
    "<s>{% for message in messages %}{{ message['role'].capitalize() }}:{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}{% endfor %}<end_of_utterance>\n"
    "{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}"
)


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
        vision_config=_vision(),
        text_config=LlamaConfig(**_text(tokenizer)),
        image_token_id=token_id(tokenizer, "<image>"),
        scale_factor=2,
    )
    resizer = make_resizer(size={"longest_edge": 3 * TILE_PX}, max_image_size={"longest_edge": TILE_PX})
    processor = Idefics3Processor(resizer, tokenizer, image_seq_len=4, chat_template=_IDEFICS_TEMPLATE)
    return make_model(config), processor


_GEMMA_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}<start_of_turn>{{ message['role'] }}\n"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}<start_of_image>{% else %}{{ part['text'] }}"
    "{% endif %}{% endfor %}<end_of_turn>\n{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)


def _gemma(*, crops: bool = False) -> tuple[Any, Any]:
    named = {"boi_token": "<start_of_image>", "eoi_token": "<end_of_image>", "image_token": "<image_soft_token>"}
    tokenizer = byte_tokenizer([*named.values(), "<start_of_turn>", "<end_of_turn>"], named=named)
    image = token_id(tokenizer, "<image_soft_token>")
    # One layer attends to the last 24 positions, the other to all; the prompt is longer than 24 tokens.
    text = _text(tokenizer, head_dim=8, query_pre_attn_scalar=8, sliding_window=24)
    config = Gemma3Config(
        vision_config=SiglipVisionConfig(**_vision(patch=7), vision_use_head=False),
        text_config=Gemma3TextConfig(**text, layer_types=["sliding_attention", "full_attention"]),
        image_token_index=image,
        boi_token_index=token_id(tokenizer, "<start_of_image>"),
        eoi_token_index=token_id(tokenizer, "<end_of_image>"),
        mm_tokens_per_image=16,
        tie_word_embeddings=False,
    )
    resizer = Gemma3ImageProcessorPil(size={"height": TILE_PX, "width": TILE_PX})
    processor: Any = Gemma3Processor(resizer, tokenizer, chat_template=_GEMMA_TEMPLATE, image_seq_length=16)
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
}
KINDS = tuple(_MAKERS)
