"""Qwen2-VL and Qwen2.5-VL: the image at close to its original size, with one token per 2 x 2 encoder patches."""

from typing import Any

from PIL import Image
from torch import nn

from ..reading import Lvlm, Reading, Trace, check_token_count, columns_of, encode_question, grid_places, resampling_name


class QwenVl:
    """The grid follows the image's aspect ratio. Both sides are rounded to whole tokens, so the image is stretched
    slightly.
    """

    name = "Qwen2.5-VL"
    model_types = ("qwen2_5_vl", "qwen2_vl")

    def unsupported_reason(self, config: Any) -> str | None:
        """Return why a config of one of these model types is not supported, or None if it is supported."""
        return None

    def read(self, model: Lvlm, processor: Any, image: Image.Image, question: str) -> Reading:
        """Read the image as one frame, `image`: the whole image in merged patches."""
        inputs = encode_question(processor, image, question, image_token=processor.image_token)
        image_columns, prompt_columns = columns_of(inputs, model.config.image_token_id)
        resizer = processor.image_processor
        _, encoder_rows, encoder_cols = inputs["image_grid_thw"][0].tolist()
        merge, patch = resizer.merge_size, resizer.patch_size
        rows, cols = encoder_rows // merge, encoder_cols // merge
        trace = Trace.of(image).resized(encoder_cols * patch, encoder_rows * patch)
        check_token_count(len(image_columns), rows * cols, f"an image of {rows} x {cols} patches")
        steps = (
            f"stretched to {trace.width} x {trace.height} px ({resampling_name(resizer.resample)}), "
            f"{merge} x {merge} encoder patches of {patch} px per token"
        )
        places = tuple(grid_places(0, rows, cols))
        return Reading(inputs, (trace.framed("image", rows, cols),), image_columns, prompt_columns, steps, places)

    def decoder(self, model: Lvlm) -> nn.Module:
        """Return the language model up to and including its final norm, without the LM head."""
        return model.model.language_model

    def layers(self, model: Lvlm) -> nn.ModuleList:
        """Return the language model's layers, first to last."""
        return model.model.language_model.layers
