"""LLaVA-1.5 and similar models: one image, resized and cropped (or padded) to a square, with one token per patch."""

from typing import Any

from PIL import Image

from ..reading import Lvlm, Reading, Trace, check_token_count, columns_of, encode_question, grid_places, resampling_name
from ..sizes import height_width
from .base import BaseFamily
from .pixtral import read_pixtral

PROMPT = "USER: <image>\n{question} ASSISTANT:"
CLIP, SIGLIP, PIXTRAL = "clip_vision_model", "siglip_vision_model", "pixtral"


class Llava(BaseFamily):
    """CLIP or SigLIP as the vision tower, with any language model that transformers can combine with it (Llama, Gemma,
    Qwen2, ...).
    """

    name = "LLaVA-1.5"
    model_types = ("llava", "vipllava")

    def unsupported_reason(self, config: Any) -> str | None:
        """Return why a config of one of these model types is not supported, or None if it is supported."""
        return None if config.vision_config.model_type == PIXTRAL else unsupported_tower(config)

    def read(self, model: Lvlm, processor: Any, image: Image.Image, question: str) -> Reading:
        """Read the image as one frame, `image`: the patches that the encoder receives."""
        if model.config.vision_config.model_type == PIXTRAL:
            return read_pixtral(model, processor, image, question)
        inputs = encode_question(processor, image, question, image_token=processor.image_token, fallback_prompt=PROMPT)
        image_columns, prompt_columns = columns_of(inputs, model.config.image_token_id)
        trace, steps = trace_square(processor.image_processor, Trace.of(image))
        patch_height, patch_width = height_width(processor.patch_size)
        rows, cols = trace.height // patch_height, trace.width // patch_width
        # If a side is not a multiple of the patch size (SigLIP: 384 = 27 x 14 + 6), the encoder drops the remainder on
        # the right and at the bottom.
        frame = trace.cropped(0, 0, cols * patch_width, rows * patch_height).framed("image", rows, cols)
        # With the "full" strategy, CLIP's class token comes first: it is an image token, but not a patch.
        extra = int(_keeps_first(model.config) and model.config.vision_config.model_type == CLIP)
        check_token_count(len(image_columns), rows * cols + extra, f"an image of {rows} x {cols} patches")
        places = grid_places(0, rows, cols)
        return Reading(inputs, (frame,), image_columns[extra:], prompt_columns, steps, tuple(places))


def unsupported_tower(config: Any) -> str | None:
    """Return why the vision tower of a LLaVA config is not supported, or None if it is supported."""
    tower = config.vision_config.model_type
    if tower not in (CLIP, SIGLIP):
        return f"vision tower is {tower}, expected {CLIP} or {SIGLIP}"
    if tower == SIGLIP and not _keeps_first(config):
        return "vision_feature_select_strategy 'default' drops a patch of SigLIP, which has no class token"
    return None


def _keeps_first(config: Any) -> bool:
    """Whether the encoder's first token (CLIP's class token, SigLIP's first patch) is kept. VipLlava never keeps it."""
    return getattr(config, "vision_feature_select_strategy", "default") == "full"


def trace_square(processor: Any, trace: Trace) -> tuple[Trace, str]:
    """Trace an image through CLIP's, SigLIP's or LLaVA's image processor: padding to a square, resizing and centre
    crop, each if enabled. Returns the trace and a description of the steps.
    """
    steps = []
    if getattr(processor, "do_pad", False):
        side = max(trace.width, trace.height)
        # The processor halves the padding and rounds down, so the offset is not (width - side) // 2, which rounds the
        # negative number down.
        trace = trace.cropped(-((side - trace.width) // 2), -((side - trace.height) // 2), side, side)
        steps.append("padded to a square")
    if processor.do_resize:
        filter_name, size = resampling_name(processor.resample), processor.size
        if size.get("shortest_edge") and not size.get("longest_edge"):
            edge, short, long = size["shortest_edge"], *sorted((trace.width, trace.height))
            other = int(edge * long / short)
            wide = trace.width > trace.height
            trace = trace.resized(other, edge) if wide else trace.resized(edge, other)
            steps.append(f"shorter side to {edge} px ({filter_name})")
        elif size.get("longest_edge") or not (size.get("width") and size.get("height")):
            raise ValueError(
                f"the processor resizes to {dict(size)}, which is not supported: expected shortest_edge, or height and "
                "width"
            )
        else:
            trace = trace.resized(size["width"], size["height"])
            steps.append(f"stretched to {size['width']} x {size['height']} px ({filter_name})")
    if getattr(processor, "do_center_crop", False):
        width, height = processor.crop_size["width"], processor.crop_size["height"]
        trace = trace.cropped((trace.width - width) // 2, (trace.height - height) // 2, width, height)
        steps.append("centre crop")
    return trace, ", ".join(steps)
