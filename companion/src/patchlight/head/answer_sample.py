"""One sample of a data set, answered by a model in its own words and explained token by token."""

import time
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from PIL import Image, ImageOps, UnidentifiedImageError

from ..models.decoding import Prefill, Step, decode
from ..models.loading import Loaded
from ..models.reading import Frame
from ..models.sampling import Sampling
from .datasets import Sample
from .json_entries import DataError
from .labels import Labels, Method, label_answer


@dataclass(frozen=True, kw_only=True)
class AnswerOptions:
    """How samples are answered and explained."""

    method: Method | Literal["none"] = "exact"
    """exact or incremental Chefer relevancy; none leaves the gradients out."""
    max_new_tokens: int = 100
    """The longest answer; the paper's measurements stop at 100."""
    suffix: str = ""
    """Put behind each question, such as "Answer the question using up to two words." """

    def __post_init__(self) -> None:
        if self.method not in ("exact", "incremental", "none"):
            raise ValueError(f"method {self.method!r}: want exact, incremental or none")


class SampleAnswer(NamedTuple):
    """T answer tokens, the end token left out, over P patches; everything on the CPU.

    ids, texts and log_probs: T each; patch_states [P, d] and query_states [T, d] in the model's dtype, as the answer's
    own cached passes gave them; labels None where no method was asked for. ended: by an end token. decode_ms of the
    whole answer, end token included; label_ms of all its labels.
    """

    text: str
    ids: list[int]
    log_probs: list[float]
    patch_states: torch.Tensor
    query_states: torch.Tensor
    frames: tuple[Frame, ...]
    labels: Labels | None
    ended: bool
    decode_ms: float
    label_ms: float


def answer_sample(loaded: Loaded, sample: Sample, options: AnswerOptions) -> SampleAnswer:
    """Greedy, then explained. DataError names a picture that cannot be opened; ValueError what cannot be explained."""
    model = loaded.model
    question = f"{sample.question} {options.suffix}".rstrip()
    reading = loaded.family.read(model, loaded.processor, open_picture(sample), question)
    start = time.perf_counter()
    patches, steps = torch.empty(0), []
    for event in decode(model, reading, Sampling(max_new_tokens=options.max_new_tokens, alternatives=1)):
        if isinstance(event, Prefill):
            patches = event.patch_states
        elif not event.is_end:
            steps.append(event)
    ended = len(steps) < options.max_new_tokens
    patches, queries = patches.cpu(), _query_states(steps, patches)
    decode_ms = _ms_since(start)
    ids = [step.token_id for step in steps]
    start = time.perf_counter()
    labels = None
    if options.method != "none":
        labels = label_answer(model, loaded.family, reading, ids, method=options.method)
    return SampleAnswer(
        str(loaded.processor.tokenizer.decode(ids, skip_special_tokens=True)).strip(),
        ids,
        [step.log_prob for step in steps],
        patches,
        queries,
        reading.frames,
        labels,
        ended,
        decode_ms,
        _ms_since(start),
    )


def open_picture(sample: Sample) -> Image.Image:
    """Upright, RGB."""
    try:
        with Image.open(sample.image) as picture:
            return ImageOps.exif_transpose(picture).convert("RGB")
    except FileNotFoundError:
        raise DataError(f"{sample.image}: no such picture (sample {sample.id})") from None
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        raise DataError(f"{sample.image}: not a readable picture (sample {sample.id}): {error}") from None


def _query_states(steps: list[Step], patches: torch.Tensor) -> torch.Tensor:
    if not steps:
        return patches.new_zeros((0, patches.shape[-1])).cpu()
    return torch.stack([step.query_state for step in steps]).cpu()


def _ms_since(start: float) -> float:
    return (time.perf_counter() - start) * 1000
