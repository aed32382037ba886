"""Random models of families that came after LLaVA-NeXT, Qwen2.5-VL, Idefics3 and Gemma 3; see `tiny_models`."""

from collections.abc import Callable
from typing import Any

from transformers import (
    Gemma2Config,
    Gemma4Config,
    Gemma4ForConditionalGeneration,
    Gemma4ImageProcessorPil,
    Gemma4TextConfig,
    Gemma4VisionConfig,
    GemmaConfig,
    Glm4vConfig,
    Glm4vForConditionalGeneration,
    Glm4vImageProcessorPil,
    GotOcr2ImageProcessorPil,
    InternVLConfig,
    InternVLForConditionalGeneration,
    InternVLVisionConfig,
    Lfm2Config,
    Lfm2VlConfig,
    Lfm2VlForConditionalGeneration,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaOnevisionConfig,
    LlavaOnevisionForConditionalGeneration,
    LlavaOnevisionImageProcessorPil,
    Mistral3Config,
    Mistral3ForConditionalGeneration,
    MistralConfig,
    PaliGemmaConfig,
    PaliGemmaForConditionalGeneration,
    PixtralImageProcessorPil,
    PixtralVisionConfig,
    Qwen2Config,
    Qwen2VLImageProcessorPil,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Siglip2VisionConfig,
    SiglipImageProcessorPil,
    SiglipVisionConfig,
)
from transformers.models.gemma4.processing_gemma4 import Gemma4Processor
from transformers.models.glm4v.processing_glm4v import Glm4vProcessor
from transformers.models.internvl.processing_internvl import InternVLProcessor
from transformers.models.llava_onevision.processing_llava_onevision import LlavaOnevisionProcessor
from transformers.models.paligemma.processing_paligemma import PaliGemmaProcessor
from transformers.models.qwen3_vl.processing_qwen3_vl import Qwen3VLProcessor

from patchlight.embedded.training.vocabulary import token_id
from patchlight.models.lfm2_images import Lfm2VlImageProcessorPil, Lfm2VlPillowProcessor
from patchlight.models.pixtral_images import PixtralProcessorPil
from patchlight.models.processors import images_only
from tests.helpers.tiny_parts import (
    GEMMA_TEMPLATE,
    LLAVA_TEMPLATE,
    PATCH_PX,
    QWEN_TEMPLATE,
    TILE_PX,
    WIDTH,
    byte_tokenizer,
    text_options,
    vision_options,
)


def _qwen3() -> tuple[Any, Any]:
    """Features of the encoder's first layer are also added in the decoder's first layer."""
    extra = ["<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]
    tokenizer = byte_tokenizer(extra)
    start, end, image, video = (token_id(tokenizer, token) for token in extra[2:])
    vision = {"depth": 2, "num_heads": 2, "hidden_size": 32, "intermediate_size": 48, "out_hidden_size": WIDTH}
    config = Qwen3VLConfig(
        vision_config={
            **vision,
            "patch_size": PATCH_PX,
            "num_position_embeddings": 64,
            "deepstack_visual_indexes": [0],
        },
        text_config=text_options(
            tokenizer, head_dim=8, rope_parameters={"rope_type": "default", "mrope_section": [2, 1, 1]}
        ),
        image_token_id=image,
        video_token_id=video,
        vision_start_token_id=start,
        vision_end_token_id=end,
    )
    resizer = Qwen2VLImageProcessorPil(
        size={"shortest_edge": 28 * 28 * 4, "longest_edge": 28 * 28 * 48}, patch_size=PATCH_PX
    )
    kind: Any = images_only(Qwen3VLProcessor)
    return Qwen3VLForConditionalGeneration(config), kind(resizer, tokenizer, chat_template=QWEN_TEMPLATE)


_GLM_TEMPLATE = (
    "[gMASK]<sop>{% for message in messages %}<|{{ message['role'] }}|>\n{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<|begin_of_image|><|image|><|end_of_image|>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endfor %}{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)


def _glm() -> tuple[Any, Any]:
    extra = ["<|image|>", "<|video|>", "<|begin_of_image|>", "<|end_of_image|>"]
    extra += ["<|begin_of_video|>", "<|end_of_video|>", "[gMASK]", "<sop>", "<|user|>", "<|assistant|>"]
    tokenizer = byte_tokenizer(extra)
    ids = [token_id(tokenizer, token) for token in extra]
    vision = {"depth": 1, "num_heads": 2, "hidden_size": 32, "intermediate_size": 48, "out_hidden_size": WIDTH}
    config = Glm4vConfig(
        vision_config={**vision, "image_size": 8 * PATCH_PX, "patch_size": PATCH_PX},
        text_config=text_options(
            tokenizer,
            rope_parameters={"rope_type": "default", "partial_rotary_factor": 1.0, "mrope_section": [2, 1, 1]},
        ),
        image_token_id=ids[0],
        video_token_id=ids[1],
        image_start_token_id=ids[2],
        image_end_token_id=ids[3],
        video_start_token_id=ids[4],
        video_end_token_id=ids[5],
    )
    resizer = Glm4vImageProcessorPil(size={"shortest_edge": 28 * 28 * 4, "longest_edge": 28 * 28 * 96})
    kind: Any = images_only(Glm4vProcessor)
    return Glm4vForConditionalGeneration(config), kind(resizer, tokenizer, chat_template=_GLM_TEMPLATE)


def _onevision(*, most: int = 9) -> tuple[Any, Any]:
    """With `most` tiles or more, the features of the tiles are resized."""
    tokenizer = byte_tokenizer(["<image>", "<video>"])
    pinpoints = [[row * TILE_PX, col * TILE_PX] for row in range(1, 4) for col in range(1, 4)]
    config = LlavaOnevisionConfig(
        vision_config=SiglipVisionConfig(**vision_options(), vision_use_head=False),
        text_config=Qwen2Config(**text_options(tokenizer)),
        image_token_index=token_id(tokenizer, "<image>"),
        video_token_index=token_id(tokenizer, "<video>"),
        image_grid_pinpoints=pinpoints,
        vision_aspect_ratio=f"anyres_max_{most}",
        vision_feature_layer=-1,
        tie_word_embeddings=False,
    )
    square = {"height": TILE_PX, "width": TILE_PX}
    kind: Any = images_only(LlavaOnevisionProcessor)
    processor = kind(
        LlavaOnevisionImageProcessorPil(size=square, image_grid_pinpoints=pinpoints),
        tokenizer,
        num_image_tokens=(TILE_PX // PATCH_PX) ** 2,
        vision_feature_select_strategy="full",
        vision_aspect_ratio=f"anyres_max_{most}",
        chat_template=LLAVA_TEMPLATE,
    )
    return LlavaOnevisionForConditionalGeneration(config), processor


def _internvl() -> tuple[Any, Any]:
    named = {
        "start_image_token": "<img>",
        "end_image_token": "</img>",
        "context_image_token": "<IMG_CONTEXT>",
        "video_token": "<video>",
    }
    tokenizer = byte_tokenizer([*named.values(), "<|im_start|>", "<|im_end|>"], named=named)
    config = InternVLConfig(
        vision_config=InternVLVisionConfig(**vision_options()),
        text_config=Qwen2Config(**text_options(tokenizer)),
        image_token_id=token_id(tokenizer, "<IMG_CONTEXT>"),
        image_seq_length=4,
        tie_word_embeddings=False,
    )
    template = QWEN_TEMPLATE.replace("<|vision_start|><|image_pad|><|vision_end|>", "<IMG_CONTEXT>\n")
    kind: Any = images_only(InternVLProcessor)
    resizer = GotOcr2ImageProcessorPil(size={"height": TILE_PX, "width": TILE_PX}, max_patches=6)
    processor = kind(resizer, tokenizer, image_seq_length=4, chat_template=template)
    return InternVLForConditionalGeneration(config), processor


def _pixtral(*, merged: bool = True) -> tuple[Any, Any]:
    """Mistral 3 merges 2 x 2 patches to a token; Pixtral itself is a LLaVA and has one token per patch."""
    tokenizer = byte_tokenizer(["[IMG]", "[IMG_BREAK]", "[IMG_END]"])
    vision = PixtralVisionConfig(**{**vision_options(image=8 * PATCH_PX), "hidden_size": 32})
    parts = {
        "vision_config": vision,
        "text_config": MistralConfig(**text_options(tokenizer), head_dim=8),
        "image_token_index": token_id(tokenizer, "[IMG]"),
        "vision_feature_layer": -1,
        "tie_word_embeddings": False,
    }
    if merged:
        model: Any = Mistral3ForConditionalGeneration(Mistral3Config(**parts, spatial_merge_size=2))
    else:
        model = LlavaForConditionalGeneration(LlavaConfig(**parts, vision_feature_select_strategy="full"))
    template = LLAVA_TEMPLATE.replace("<image>\\n", "[IMG]").replace("<image>\n", "[IMG]")
    resizer = PixtralImageProcessorPil(size={"longest_edge": 8 * PATCH_PX}, patch_size=PATCH_PX)
    processor = PixtralProcessorPil(
        resizer, tokenizer, patch_size=PATCH_PX, spatial_merge_size=2 if merged else 1, chat_template=template
    )
    return model, processor


def _paligemma(*, second: bool = False) -> tuple[Any, Any]:
    """PaliGemma 2 has a Gemma 2, with caps on its attention scores and on its logits, and a sliding window."""
    tokenizer = byte_tokenizer(["<image>"], named={"image_token": "<image>"}, starts=False)
    resizer: Any = SiglipImageProcessorPil(size={"height": TILE_PX, "width": TILE_PX})
    resizer.image_seq_length = 16
    processor = PaliGemmaProcessor(resizer, tokenizer)
    options = text_options(tokenizer, head_dim=8, hidden_activation="gelu_pytorch_tanh")
    text = Gemma2Config(**options, query_pre_attn_scalar=8, sliding_window=24) if second else GemmaConfig(**options)
    config = PaliGemmaConfig(
        vision_config=SiglipVisionConfig(**vision_options(), vision_use_head=False),
        text_config=text,
        image_token_index=token_id(tokenizer, "<image>"),
        projection_dim=WIDTH,
        hidden_size=WIDTH,
        tie_word_embeddings=False,
    )
    return PaliGemmaForConditionalGeneration(config), processor


def _gemma4() -> tuple[Any, Any]:
    """The second half of the layers uses the keys and values of the first; per-layer inputs are added in each layer."""
    named = {"boi_token": "<|image>", "eoi_token": "<image|>", "image_token": "<|image|>"}
    named |= {"audio_token": "<|audio|>", "boa_token": "<|audio>", "eoa_token": "<audio|>"}
    turns = ["<start_of_turn>", "<end_of_turn>", "<|video|>"]
    tokenizer = byte_tokenizer([*named.values(), *turns], named=named)
    text = {**text_options(tokenizer, head_dim=8, global_head_dim=8), "num_hidden_layers": 4}
    config = Gemma4Config(
        text_config=Gemma4TextConfig(
            **text,
            layer_types=["sliding_attention", "full_attention"] * 2,
            sliding_window=24,
            vocab_size_per_layer_input=len(tokenizer),
            hidden_size_per_layer_input=8,
            num_kv_shared_layers=2,
            final_logit_softcapping=30.0,
        ),
        vision_config=Gemma4VisionConfig(
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=2,
            head_dim=16,
            patch_size=4,
            position_embedding_size=256,
        ),
        audio_config=None,
        image_token_id=token_id(tokenizer, "<|image|>"),
        boi_token_id=token_id(tokenizer, "<|image>"),
        eoi_token_id=token_id(tokenizer, "<image|>"),
        audio_token_id=token_id(tokenizer, "<|audio|>"),
        video_token_id=token_id(tokenizer, "<|video|>"),
        tie_word_embeddings=False,
    )
    kind: Any = images_only(Gemma4Processor)
    resizer = Gemma4ImageProcessorPil(patch_size=4, max_soft_tokens=70)
    template = GEMMA_TEMPLATE.replace("<start_of_image>", "<|image|>")
    return Gemma4ForConditionalGeneration(config), kind(None, resizer, tokenizer, None, chat_template=template)


def _lfm2() -> tuple[Any, Any]:
    """One of three layers is a short convolution instead of attention."""
    markers = [f"<|img_row_{row}_col_{col}|>" for row in range(1, 5) for col in range(1, 5)]
    extra = ["<image>", "<|image_start|>", "<|image_end|>", "<|img_thumbnail|>", "<|im_start|>", "<|im_end|>"]
    tokenizer = byte_tokenizer([*extra, *markers])
    text = {**text_options(tokenizer), "num_hidden_layers": 3}
    config = Lfm2VlConfig(
        vision_config=Siglip2VisionConfig(
            hidden_size=24,
            intermediate_size=48,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_patches=16,
            patch_size=PATCH_PX,
            vision_use_head=False,
        ),
        text_config=Lfm2Config(**text, layer_types=["conv", "full_attention", "full_attention"]),
        image_token_id=token_id(tokenizer, "<image>"),
        projector_hidden_size=32,
        tie_word_embeddings=False,
    )
    resizer = Lfm2VlImageProcessorPil(
        encoder_patch_size=PATCH_PX,
        tile_size=2 * TILE_PX,
        min_image_tokens=4,
        max_image_tokens=16,
        max_tiles=4,
    )
    template = QWEN_TEMPLATE.replace("<|vision_start|><|image_pad|><|vision_end|>", "<image>")
    return Lfm2VlForConditionalGeneration(config), Lfm2VlPillowProcessor(resizer, tokenizer, chat_template=template)


RECENT: dict[str, Callable[[], tuple[Any, Any]]] = {
    "qwen3-vl": _qwen3,
    "glm-4v": _glm,
    "llava-onevision": _onevision,
    "llava-onevision-resized": lambda: _onevision(most=2),
    "internvl": _internvl,
    "mistral3": _pixtral,
    "pixtral": lambda: _pixtral(merged=False),
    "paligemma": _paligemma,
    "paligemma2": lambda: _paligemma(second=True),
    "gemma4": _gemma4,
    "lfm2-vl": _lfm2,
}
