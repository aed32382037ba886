"""Qwen2-VL and Qwen2.5-VL: the picture at nearly its own size, a token for each 2 x 2 of the encoder's patches."""

from typing import Any

from PIL import Image
from torch import nn

from ..reading import Lvlm, Reading, Trace, ask, columns_of, expect_tokens, grid_places, resampling_name


class QwenVl:
    """The grid follows the picture's shape; both sides are rounded to whole tokens, so it is stretched a little."""

    name = "Qwen2.5-VL"
    model_types = ("qwen2_5_vl", "qwen2_vl")

    def refusal(self, config: Any) -> str | None:
        """Why a config of one of these model types does not work, or None."""
        return None

    def read(self, model: Lvlm, processor: Any, image: Image.Image, question: str) -> Reading:
        """One frame, `image`: the whole picture in merged patches."""
        inputs = ask(processor, image, question, image_token=processor.image_token)
        image_columns, prompt_columns = columns_of(inputs, model.config.image_token_id)
        resizer = processor.image_processor
        _, encoder_rows, encoder_cols = inputs["image_grid_thw"][0].tolist()
        merge, patch = resizer.merge_size, resizer.patch_size
        rows, cols = encoder_rows // merge, encoder_cols // merge
        seen = Trace.of(image).resized(encoder_cols * patch, encoder_rows * patch)
        expect_tokens(len(image_columns), rows * cols, f"a picture of {rows} x {cols} patches")
        words = (
            f"stretched to {seen.width} x {seen.height} px ({resampling_name(resizer.resample)}), "
            f"{merge} x {merge} encoder patches of {patch} px a token"
        )
        places = tuple(grid_places(0, rows, cols))
        return Reading(inputs, (seen.framed("image", rows, cols),), image_columns, prompt_columns, words, places)

    def decoder(self, model: Lvlm) -> nn.Module:
        """The language model without its vocabulary layer; its output has passed the final norm."""
        return model.model.language_model

    def layers(self, model: Lvlm) -> nn.ModuleList:
        """The language model's layers, first to last."""
        return model.model.language_model.layers
