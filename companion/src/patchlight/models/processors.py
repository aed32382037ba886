"""Processors for models that also accept video, without the video parts.

The video parts need torchvision, and SmolVLM's also needs num2words. Patchlight only uses still images and prepares
them with Pillow.
"""

from typing import Any

from transformers import AutoImageProcessor, AutoProcessor, Idefics3Processor, ProcessorMixin, Qwen2_5_VLProcessor

from .families.llava import CLIP
from .sizes import side

_SIZES = ("patch_size", "merge_size", "temporal_patch_size")


class Qwen2_5_VLImagesProcessor(Qwen2_5_VLProcessor):
    """Processor for Qwen2-VL and Qwen2.5-VL, limited to text and images."""

    def __init__(self, image_processor: Any = None, tokenizer: Any = None, chat_template: Any = None, **_: Any):
        self.image_token = getattr(tokenizer, "image_token", "<|image_pad|>")
        self.image_token_id = tokenizer.convert_tokens_to_ids(self.image_token)
        self.video_token = getattr(tokenizer, "video_token", "<|video_pad|>")
        self.video_token_id = tokenizer.convert_tokens_to_ids(self.video_token)
        ProcessorMixin.__init__(self, image_processor, tokenizer, chat_template=chat_template)


def load_processor(model: str, config: Any, **source: Any) -> Any:
    """Load a model's processor from the Hub or a folder.

    The processor resizes images with Pillow, whose results the page reproduces. `settle_sizes` must follow.
    """
    kinds: dict[str, Any] = {
        "qwen2_vl": Qwen2_5_VLImagesProcessor,
        "qwen2_5_vl": Qwen2_5_VLImagesProcessor,
        # SmolVLM writes the prompt for an image the same way as Idefics3.
        "smolvlm": Idefics3Processor,
    }
    processor = kinds.get(config.model_type, AutoProcessor).from_pretrained(model, **source)
    processor.image_processor = AutoImageProcessor.from_pretrained(model, backend="pil", **source)
    return processor


def settle_sizes(processor: Any, config: Any) -> None:
    """Replace square sizes of a processor and its image processor by numbers, and add a missing patch size.

    Raises ValueError if one is not square, or not a size.
    """
    if getattr(processor, "patch_size", 0) is None:
        # Processors in LLaVA repositories from before October 2024 leave it to the model to count image tokens.
        processor.patch_size = config.vision_config.patch_size
        processor.vision_feature_select_strategy = getattr(config, "vision_feature_select_strategy", "default")
        processor.num_additional_image_tokens = int(config.vision_config.model_type == CLIP)
    for owner, what in ((processor, "processor"), (processor.image_processor, "image processor")):
        for name in _SIZES:
            if getattr(owner, name, None) is not None:
                setattr(owner, name, side(getattr(owner, name), f"{name} of the {what}"))
