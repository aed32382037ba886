"""Pixtral's processor without torchvision, which transformers' own needs for one function."""

from typing import Any

from transformers import ProcessorMixin

# transformers does not type what a processor overrides.
_Processor: Any = ProcessorMixin


class PixtralProcessorPil(_Processor):
    """Writes an image into the prompt as transformers' `PixtralProcessor` does: rows of image tokens, with a break
    token after each and an end token after the last.
    """

    def __init__(
        self,
        image_processor: Any = None,
        tokenizer: Any = None,
        patch_size: int = 16,
        spatial_merge_size: int = 1,
        chat_template: str | None = None,
        image_token: str = "[IMG]",
        image_break_token: str = "[IMG_BREAK]",
        image_end_token: str = "[IMG_END]",
        **_: Any,
    ):
        super().__init__(image_processor, tokenizer, chat_template=chat_template)
        self.patch_size, self.spatial_merge_size = patch_size, spatial_merge_size
        self.image_token, self.image_break_token, self.image_end_token = image_token, image_break_token, image_end_token
        self.image_token_id, self.image_break_token_id, self.image_end_token_id = tokenizer.convert_tokens_to_ids(
            [image_token, image_break_token, image_end_token]
        )

    @property
    def image_token_ids(self) -> list[int]:
        return [self.image_token_id, self.image_break_token_id, self.image_end_token_id]

    def _process_images(self, images: Any, **options: Any) -> Any:
        # The image processor rounds to whole tokens.
        options["patch_size"] = self.patch_size * self.spatial_merge_size
        return super()._process_images(images, **options)

    def replace_image_token(self, image_inputs: dict[str, Any], image_idx: int, **_: Any) -> str:
        """Return the text that stands for one image in the prompt."""
        pitch = self.patch_size * self.spatial_merge_size
        height, width = image_inputs["image_sizes"][image_idx]
        row = self.image_token * (width // pitch)
        return self.image_break_token.join([row] * (height // pitch)) + self.image_end_token
