"""One question as a model reads it: its inputs, and which part of the picture each image token stands for.

Four spaces meet here. *Source pixels* are the picture's own, as it was opened. *Model pixels* are those of the arrays
that the image encoder is given. A *frame* is a rectangle of the source that was read as one regular grid of patches:
a patch is `crop.width / cols` source pixels wide. *Columns* are places in the model's sequence.
"""

from typing import Any, Literal, NamedTuple, Protocol

import torch
from PIL import Image
from torch import Tensor
from transformers import BatchFeature

FrameName = Literal["image", "detail", "overview"]


class Rect(NamedTuple):
    """In source pixels; may reach past the picture on any side where the processor pads."""

    x: float
    y: float
    width: float
    height: float


class Frame(NamedTuple):
    """A rectangle of the source that the model read as one regular grid of patches.

    `crop` in source pixels; `rows` x `cols` patches; `width_px` x `height_px` model pixels that the grid covers.
    """

    name: FrameName
    crop: Rect
    rows: int
    cols: int
    width_px: int
    height_px: int

    def patch(self, row: int, col: int) -> Rect:
        """The part of the source that one patch covers."""
        x, y, width, height = self.crop
        return Rect(x + col * width / self.cols, y + row * height / self.rows, width / self.cols, height / self.rows)


class Place(NamedTuple):
    """Where an image token comes from: picture of the question (always 0, there is one), number of the tile in the
    order in which the processor sends tiles to the encoder, and row and column in that tile's own grid.
    """

    image: int
    tile: int
    row: int
    col: int


class Reading(NamedTuple):
    """inputs: a batch of one on the CPU, as `model.forward` takes it. P patches, m text tokens, N columns in all.

    patch_columns [P] int64 and places (P of them): frames in order, each row-major; newline and class tokens are not
    patches. prompt_columns [m] int64: everything that is neither image token nor padding, markers included.
    preprocessing: what was done to the picture, in words.
    """

    inputs: BatchFeature
    frames: tuple[Frame, ...]
    patch_columns: Tensor
    prompt_columns: Tensor
    preprocessing: str
    places: tuple[Place, ...]


class Lvlm(Protocol):
    """What all of this package asks of a `...ForConditionalGeneration`: the library types none of its parts."""

    config: Any
    generation_config: Any
    model: Any
    lm_head: Any

    @property
    def device(self) -> torch.device: ...
    @property
    def dtype(self) -> torch.dtype: ...


class Trace(NamedTuple):
    """A picture on its way through a processor: its size now, and the source pixels that it covers.

    Every step returns a new trace. A crop that reaches past the picture is how padding is written.
    """

    width: int
    height: int
    covers: Rect

    @classmethod
    def of(cls, image: Image.Image) -> "Trace":
        return cls(image.width, image.height, Rect(0.0, 0.0, float(image.width), float(image.height)))

    def resized(self, width: int, height: int) -> "Trace":
        """Stretched or shrunk as a whole."""
        return Trace(width, height, self.covers)

    def cropped(self, x: int, y: int, width: int, height: int) -> "Trace":
        """The rectangle from (x, y) in this picture's own pixels."""
        return Trace(width, height, self.part(x, y, width, height))

    def part(self, x: float, y: float, width: float, height: float) -> Rect:
        """A rectangle of this picture's own pixels in the source's."""
        across, down = self.covers.width / self.width, self.covers.height / self.height
        return Rect(self.covers.x + x * across, self.covers.y + y * down, width * across, height * down)

    def framed(self, name: FrameName, rows: int, cols: int) -> Frame:
        """All of this picture as one grid."""
        return Frame(name, self.covers, rows, cols, self.width, self.height)


def ask(
    processor: Any, image: Image.Image, question: str, *, image_token: str, fallback_prompt: str | None = None
) -> BatchFeature:
    """The processor's inputs for one picture and one question, put by its own chat template.

    A question that holds the picture's placeholder is refused with ValueError: the processor would look for a second
    picture. `fallback_prompt`, with `{question}`, serves processors that have no template.
    """
    if not question.strip():
        raise ValueError("the question is empty")
    if image_token in question:
        raise ValueError(f"the question holds {image_token!r}, which stands for a picture")
    if processor.chat_template is not None:
        content = [{"type": "image"}, {"type": "text", "text": question}]
        prompt = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    elif fallback_prompt is not None:
        prompt = fallback_prompt.format(question=question)
    else:
        raise ValueError(f"{type(processor).__name__} has no chat template, so it is not known how to ask this model")
    # Some templates write the start token themselves, and the tokenizer would put a second one before it.
    bos = processor.tokenizer.bos_token
    begun = bool(bos) and prompt.startswith(bos)
    return processor(
        images=[image.convert("RGB")],
        text=[prompt],
        images_kwargs={"return_tensors": "pt"},
        text_kwargs={"return_tensors": "pt", "add_special_tokens": not begun},
    )


def columns_of(inputs: BatchFeature, image_token_id: int) -> tuple[Tensor, Tensor]:
    """Columns of the image's tokens, and of the text's: [n] and [m] int64."""
    ids = inputs["input_ids"][0]
    is_image = ids == image_token_id
    is_text = ~is_image
    if "attention_mask" in inputs:
        is_text &= inputs["attention_mask"][0].bool()
    return is_image.nonzero()[:, 0], is_text.nonzero()[:, 0]


def grid_places(tile: int, rows: int, cols: int) -> list[Place]:
    """One tile's places, row-major."""
    return [Place(0, tile, row, col) for row in range(rows) for col in range(cols)]


def expect_tokens(found: int, wanted: int, what: str) -> None:
    """Raises ValueError, with both numbers, where the prompt holds another number of image tokens than its picture has.

    It means that the question itself brought some in, or that the processor does not belong to the model.
    """
    if found != wanted:
        raise ValueError(f"the prompt holds {found} image tokens, {what} makes {wanted}")


def resampling_name(resample: Any) -> str:
    """Pillow's name of a filter, as processors store it: a number or an enum."""
    return Image.Resampling(int(resample)).name.lower()
