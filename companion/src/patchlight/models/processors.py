"""Processors limited to text and still images, which Pillow prepares.

transformers' video processors need torchvision, and SmolVLM's processor also needs num2words. Patchlight uses neither:
torchvision resizes images to other pixel values than Pillow, and the page reproduces Pillow's.
"""

from typing import Any

from transformers import AutoImageProcessor, AutoProcessor, Idefics3Processor, ProcessorMixin
from transformers.image_processing_base import ImageProcessingMixin
from transformers.models.auto import image_processing_auto, processing_auto

from .families.llava import CLIP
from .lfm2_images import Lfm2VlPillowProcessor
from .pixtral_images import PixtralProcessorPil
from .sizes import side

_SIZES = ("patch_size", "merge_size", "temporal_patch_size")
_PARTS = ("image_processor", "tokenizer")
# Names of classes by model type; transformers exports neither table.
_BACKENDS: dict[str, Any] = vars(image_processing_auto)["IMAGE_PROCESSOR_MAPPING_NAMES"]
_PROCESSORS: dict[str, str] = vars(processing_auto)["PROCESSOR_MAPPING_NAMES"]
_LFM2 = "lfm2_vl"


class NoPillowProcessor(ValueError):
    """The model's images can only be prepared with torchvision."""


def check_pillow(config: Any) -> None:
    """Raise NoPillowProcessor if transformers has no image processor for this model type that uses Pillow."""
    backends = _BACKENDS.get(config.model_type)
    if config.model_type == _LFM2:
        return
    if isinstance(backends, dict) and not backends.get("pil"):
        raise NoPillowProcessor(
            f"the images of a {config.model_type} model can only be prepared with torchvision "
            f"({', '.join(map(str, backends.values()))}), but Patchlight prepares images with Pillow, so that the page "
            "shows the pixels that the model reads: use a model of another type"
        )


class _ImagesOnly(ProcessorMixin):
    """Comes after a processor class in the order of inheritance, and leaves out its other parts, such as a video
    processor.
    """

    @classmethod
    def get_attributes(cls) -> list[str]:
        return [name for name in super().get_attributes() if name in _PARTS]

    @classmethod
    def _get_arguments_from_pretrained(cls, *args: Any, **options: Any) -> list[Any]:
        loaded = dict(zip(cls.get_attributes(), super()._get_arguments_from_pretrained(*args, **options), strict=True))
        return [loaded.get(name) for name in super().get_attributes()]

    def __init__(self, *args: Any, **options: Any):
        parts = dict(zip(super().get_attributes(), args, strict=False)) | options
        super().__init__(**{name: parts[name] for name in (*_PARTS, "chat_template") if name in parts})


def images_only(kind: type[ProcessorMixin]) -> type[ProcessorMixin]:
    """Return a processor class without its parts for video and audio, or the class itself if it has none.

    The arguments that stand for these parts may be None.
    """
    if set(kind.get_attributes()) <= set(_PARTS):
        return kind
    # The name is saved with the processor, and names the class when it is loaded again.
    bases: Any = (kind, _ImagesOnly)
    return type(kind.__name__, bases, {"__module__": kind.__module__})


def load_processor(model: str, config: Any, **source: Any) -> Any:
    """Load a model's processor from the Hub or a folder. `settle_sizes` must follow.

    Raises NoPillowProcessor if its images cannot be prepared with Pillow.
    """
    check_pillow(config)
    if config.model_type == _LFM2:
        return Lfm2VlPillowProcessor.from_pretrained(model, **source)
    kind: Any = AutoProcessor
    if config.model_type == "smolvlm":
        # SmolVLM writes the prompt for an image the same way as Idefics3.
        kind = Idefics3Processor
    elif (name := _processor_name(model, config, source)).startswith("PixtralProcessor"):
        kind = PixtralProcessorPil
    elif (found := processing_auto.processor_class_from_name(name)) is not None and images_only(found) is not found:
        kind = images_only(found)
    processor = kind.from_pretrained(model, **source)
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


def _processor_name(model: str, config: Any, source: dict[str, Any]) -> str:
    """Return the name of the processor's class in its files, or that of the model type; "" if neither is known."""
    for read in (ProcessorMixin.get_processor_dict, ImageProcessingMixin.get_image_processor_dict):
        try:
            if name := read(model, **source)[0].get("processor_class"):
                return name
        except OSError:
            continue
    return _PROCESSORS.get(config.model_type) or ""
