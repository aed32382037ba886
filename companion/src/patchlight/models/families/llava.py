"""LLaVA-1.5 and its kin: one picture, resized and cropped (or padded) to a square, one token a patch."""

from typing import Any

from PIL import Image
from torch import nn

from ..reading import Lvlm, Reading, Trace, ask, columns_of, expect_tokens, grid_places, resampling_name

PROMPT = "USER: <image>\n{question} ASSISTANT:"
CLIP, SIGLIP = "clip_vision_model", "siglip_vision_model"


class Llava:
    """Vision towers CLIP and SigLIP, with any language model that transformers joins to them (Llama, Gemma, Qwen2...)."""

    name = "LLaVA-1.5"
    model_types = ("llava", "vipllava")

    def refusal(self, config: Any) -> str | None:
        """Why a config of one of these model types does not work, or None."""
        return tower_refusal(config)

    def read(self, model: Lvlm, processor: Any, image: Image.Image, question: str) -> Reading:
        """One frame, `image`: the patches that the encoder was given."""
        inputs = ask(processor, image, question, image_token=processor.image_token, fallback_prompt=PROMPT)
        image_columns, prompt_columns = columns_of(inputs, model.config.image_token_id)
        seen, words = trace_square(processor.image_processor, Trace.of(image))
        patch = processor.patch_size
        rows, cols = seen.height // patch, seen.width // patch
        # A side that is not whole patches (SigLIP: 384 = 27 x 14 + 6) loses its rest at the right and the bottom.
        frame = seen.cropped(0, 0, cols * patch, rows * patch).framed("image", rows, cols)
        # With the "full" selection the encoder's class token comes first: an image token, but no patch.
        extra = int(_keeps_first(model.config) and model.config.vision_config.model_type == CLIP)
        expect_tokens(len(image_columns), rows * cols + extra, f"a picture of {rows} x {cols} patches")
        places = grid_places(0, rows, cols)
        return Reading(inputs, (frame,), image_columns[extra:], prompt_columns, words, tuple(places))

    def decoder(self, model: Lvlm) -> nn.Module:
        """The language model without its vocabulary layer; its output has passed the final norm."""
        return model.model.language_model

    def layers(self, model: Lvlm) -> nn.ModuleList:
        """The language model's layers, first to last."""
        return model.model.language_model.layers


def tower_refusal(config: Any) -> str | None:
    """Why a LLaVA's vision tower is none that is known here, or None."""
    tower = config.vision_config.model_type
    if tower not in (CLIP, SIGLIP):
        return f"vision tower {tower}: want {CLIP} or {SIGLIP}"
    if tower == SIGLIP and not _keeps_first(config):
        return "vision_feature_select_strategy 'default' on SigLIP: it has no class token, so a patch is thrown away"
    return None


def _keeps_first(config: Any) -> bool:
    """Whether the encoder's first token is kept: CLIP's class token, SigLIP's first patch. VipLlava never does."""
    return getattr(config, "vision_feature_select_strategy", "default") == "full"


def trace_square(processor: Any, picture: Trace) -> tuple[Trace, str]:
    """CLIP's, SigLIP's and LLaVA's image processors: pad to a square, resize, crop the centre, each where it is on."""
    words = []
    if getattr(processor, "do_pad", False):
        side = max(picture.width, picture.height)
        picture = picture.cropped((picture.width - side) // 2, (picture.height - side) // 2, side, side)
        words.append("padded to a square")
    if processor.do_resize:
        filter_name, size = resampling_name(processor.resample), processor.size
        if size.get("shortest_edge"):
            edge, short, long = size["shortest_edge"], *sorted((picture.width, picture.height))
            other = int(edge * long / short)
            wide = picture.width > picture.height
            picture = picture.resized(other, edge) if wide else picture.resized(edge, other)
            words.append(f"shorter side to {edge} px ({filter_name})")
        else:
            picture = picture.resized(size["width"], size["height"])
            words.append(f"stretched to {size['width']} x {size['height']} px ({filter_name})")
    if getattr(processor, "do_center_crop", False):
        width, height = processor.crop_size["width"], processor.crop_size["height"]
        picture = picture.cropped((picture.width - width) // 2, (picture.height - height) // 2, width, height)
        words.append("centre crop")
    return picture, ", ".join(words)
