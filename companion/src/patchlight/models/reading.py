"""One question as a model reads it: the model inputs, and the part of the image that each image token covers.

Four coordinate spaces meet here. *Source pixels* belong to the image as opened. *Model pixels* belong to the arrays
passed to the image encoder. A *frame* is a rectangle of the source image that the model reads as one regular grid of
patches, each `crop.width / cols` source pixels wide. *Columns* are positions in the model's token sequence.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple, Protocol

import torch
from PIL import Image
from torch import Tensor
from transformers import BatchFeature

from .pictures import read_pixels

FrameName = Literal["image", "detail", "overview"]


class Rect(NamedTuple):
    """A rectangle in source pixels. It may extend past the image on any side if the processor pads."""

    x: float
    y: float
    width: float
    height: float


class Frame(NamedTuple):
    """A rectangle of the source image that the model reads as one regular grid of patches.

    `crop` is in source pixels of the image with the index `image`. The grid has `rows` x `cols` patches and covers
    `width_px` x `height_px` model pixels.
    """

    name: FrameName
    crop: Rect
    rows: int
    cols: int
    width_px: int
    height_px: int
    image: int = 0

    def patch(self, row: int, col: int) -> Rect:
        """Return the rectangle of the source image that one patch covers."""
        x, y, width, height = self.crop
        return Rect(x + col * width / self.cols, y + row * height / self.rows, width / self.cols, height / self.rows)


class Place(NamedTuple):
    """Where an image token comes from: the index of the image in the question, the index of the tile in the order in
    which the processor passes the image's tiles to the encoder, and the row and column within that tile.
    """

    image: int
    tile: int
    row: int
    col: int


class Reading(NamedTuple):
    """The model inputs for one question: N columns, of which P are patches and m are text tokens.

    inputs: a batch of one on the CPU, as `model.forward` accepts it. frames: those of the first image, then those of
    the next. patch_columns [P] int64 and places (one per patch): frames in order, each row-major; newline and class
    tokens are not patches. prompt_columns [m] int64: every
    column that is neither an image token nor padding, special tokens included. preprocessing: a description of how the
    image was prepared. answer_type: the `token_type_ids` of an answer's tokens, if the model has token types.
    """

    inputs: BatchFeature
    frames: tuple[Frame, ...]
    patch_columns: Tensor
    prompt_columns: Tensor
    preprocessing: str
    places: tuple[Place, ...]
    answer_type: int = 0


class Lvlm(Protocol):
    """The parts of a `...ForConditionalGeneration` model that this package uses; transformers does not type them."""

    config: Any
    generation_config: Any
    model: Any
    lm_head: Any

    @property
    def device(self) -> torch.device: ...
    @property
    def dtype(self) -> torch.dtype: ...
    def parameters(self) -> Iterator[torch.nn.Parameter]: ...


class Trace(NamedTuple):
    """An image on its way through a processor: its current size, and the source pixels it covers.

    Each step returns a new trace. Padding is expressed as a crop that extends past the image.
    """

    width: int
    height: int
    covers: Rect

    @classmethod
    def of(cls, image: Image.Image) -> "Trace":
        return cls(image.width, image.height, Rect(0.0, 0.0, float(image.width), float(image.height)))

    def resized(self, width: int, height: int) -> "Trace":
        """Scale the whole image to a new size."""
        return Trace(width, height, self.covers)

    def cropped(self, x: int, y: int, width: int, height: int) -> "Trace":
        """Crop the rectangle at (x, y), in pixels of the current size."""
        return Trace(width, height, self.part(x, y, width, height))

    def part(self, x: float, y: float, width: float, height: float) -> Rect:
        """Convert a rectangle from pixels of the current size to source pixels."""
        across, down = self.covers.width / self.width, self.covers.height / self.height
        return Rect(self.covers.x + x * across, self.covers.y + y * down, width * across, height * down)

    def framed(self, name: FrameName, rows: int, cols: int) -> Frame:
        """Return the whole image as one grid of patches."""
        return Frame(name, self.covers, rows, cols, self.width, self.height)


def encode_question(
    processor: Any, image: Image.Image, question: str, *, image_token: str, fallback_prompt: str | None = None
) -> BatchFeature:
    """Encode one image and one question with the processor, using its chat template.

    `fallback_prompt`, which contains `{question}`, is for processors without a template. Raises ValueError if there is
    neither, if the question is empty or contains the image placeholder, for which the processor would expect a second
    image, or if the image is not upright: its geometry would be wrong.
    """
    return encode_images(processor, [image], question, image_token=image_token, fallback_prompt=fallback_prompt)


def encode_images(
    processor: Any,
    images: Sequence[Image.Image],
    question: str,
    *,
    image_token: str,
    fallback_prompt: str | None = None,
) -> BatchFeature:
    """Encode images, and a question after them. Raises the same errors as `encode_question`."""
    if not question.strip():
        raise ValueError("the question is empty")
    if image_token in question:
        raise ValueError(f"the question contains {image_token!r}, which stands for an image")
    if processor.chat_template is not None:
        content = [*({"type": "image"} for _ in images), {"type": "text", "text": question}]
        prompt = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    elif fallback_prompt is not None:
        prompt = fallback_prompt.format(question=question)
    else:
        raise ValueError(f"{type(processor).__name__} has no chat template, so the prompt format is unknown")
    upright = [read_pixels(image) for image in images]
    if any(read.size != image.size for read, image in zip(upright, images, strict=True)):
        raise ValueError("the image is not upright: pass what patchlight.models.pictures.read_pixels returns")
    # Some templates already include the start token; the tokenizer must not add a second one.
    bos = processor.tokenizer.bos_token
    has_bos = bool(bos) and prompt.startswith(bos)
    return processor(
        # A list of lists, because some processors take a flat one for a batch of prompts with one image each.
        images=[upright],
        text=[prompt],
        images_kwargs={"return_tensors": "pt"},
        text_kwargs={"return_tensors": "pt", "add_special_tokens": not has_bos},
    )


def columns_of(inputs: BatchFeature, image_token_id: int) -> tuple[Tensor, Tensor]:
    """Return the columns of the image tokens [n] and of the text tokens [m], both int64."""
    ids = inputs["input_ids"][0]
    is_image = ids == image_token_id
    is_text = ~is_image
    if "attention_mask" in inputs:
        is_text &= inputs["attention_mask"][0].bool()
    return is_image.nonzero()[:, 0], is_text.nonzero()[:, 0]


def grid_places(tile: int, rows: int, cols: int) -> list[Place]:
    """Return the places of one tile's patches, row-major."""
    return [Place(0, tile, row, col) for row in range(rows) for col in range(cols)]


def check_token_count(actual: int, expected: int, what: str) -> None:
    """Raise ValueError if the prompt has more or fewer image tokens than the image produces.

    This happens when the question itself contains image tokens, or when the processor does not belong to the model.
    """
    if actual != expected:
        raise ValueError(f"the prompt has {actual} image tokens, expected {expected} for {what}")


def resampling_name(resample: Any) -> str:
    """Return Pillow's name for a resampling filter, which processors store as a number or an enum."""
    return Image.Resampling(int(resample)).name.lower()
