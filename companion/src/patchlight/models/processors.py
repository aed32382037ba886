"""Processors of models that also take video, without their video halves.

Those want torchvision, and SmolVLM's a package that spells numbers; Patchlight shows models still pictures only, and
prepares these by Pillow.
"""

from typing import Any

from transformers import AutoImageProcessor, AutoProcessor, Idefics3Processor, ProcessorMixin, Qwen2_5_VLProcessor

from .families.llava import CLIP


class Qwen2_5_VLImagesProcessor(Qwen2_5_VLProcessor):
    """Qwen2-VL's and Qwen2.5-VL's: text and pictures."""

    def __init__(self, image_processor: Any = None, tokenizer: Any = None, chat_template: Any = None, **_: Any):
        self.image_token = getattr(tokenizer, "image_token", "<|image_pad|>")
        self.image_token_id = tokenizer.convert_tokens_to_ids(self.image_token)
        self.video_token = getattr(tokenizer, "video_token", "<|video_pad|>")
        self.video_token_id = tokenizer.convert_tokens_to_ids(self.video_token)
        ProcessorMixin.__init__(self, image_processor, tokenizer, chat_template=chat_template)


def load_processor(model: str, config: Any, **source: Any) -> Any:
    """A model's processor from the hub or a folder; pictures by Pillow, which has the page's own resizing."""
    kinds: dict[str, Any] = {
        "qwen2_vl": Qwen2_5_VLImagesProcessor,
        "qwen2_5_vl": Qwen2_5_VLImagesProcessor,
        # SmolVLM's prompt for a picture is Idefics3's.
        "smolvlm": Idefics3Processor,
    }
    processor = kinds.get(config.model_type, AutoProcessor).from_pretrained(model, **source)
    processor.image_processor = AutoImageProcessor.from_pretrained(model, backend="pil", **source)
    if getattr(processor, "patch_size", 0) is None:
        # LLaVA's repositories of before 2024-10 leave it to the model to count image tokens.
        processor.patch_size = config.vision_config.patch_size
        processor.vision_feature_select_strategy = getattr(config, "vision_feature_select_strategy", "default")
        processor.num_additional_image_tokens = int(config.vision_config.model_type == CLIP)
    return processor
