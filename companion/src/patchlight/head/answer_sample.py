"""Answers one sample of a dataset with a model and explains the answer token by token."""

import time
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from PIL import Image

from ..models.answer_pieces import answer_text
from ..models.decoding import Prefill, Step, decode
from ..models.image_header import UnreadableImage
from ..models.loading import Loaded
from ..models.pictures import open_upright
from ..models.reading import Frame
from ..models.sampling import Sampling
from .datasets import Sample
from .json_entries import DataError
from .label_precision import PRECISIONS, LabelPrecision, Precision, label_precision
from .labels import TEACHER_NAMES, Labels, Teacher, label_answer


@dataclass(frozen=True, kw_only=True)
class AnswerOptions:
    """How samples are answered and explained."""

    teacher: Teacher | Literal["none"] = "chefer"
    """What labels the answers (`labels.py`); "none" skips the labels."""
    max_new_tokens: int = 100
    """Maximum answer length in tokens; the paper's measurements stop at 100."""
    suffix: str = ""
    """Appended to each question, for example "Answer the question using up to two words." """
    precision: Precision = "auto"
    """Number format of the matrix products that make the labels; see `label_precision`."""

    def __post_init__(self) -> None:
        if self.teacher not in (*TEACHER_NAMES, "none"):
            raise ValueError(f"unknown teacher {self.teacher!r}: use {', '.join(TEACHER_NAMES)} or none")
        if self.precision not in PRECISIONS:
            raise ValueError(f"unknown precision {self.precision!r}: use {', '.join(PRECISIONS)}")

    def with_suffix(self, question: str) -> str:
        """Return the text that the model is asked."""
        return f"{question} {self.suffix}".rstrip()

    def label_precision(self, loaded: Loaded) -> LabelPrecision:
        """The number format of the labels' matrix products for this model. Raises ValueError as `label_precision`.

        With "auto", ablation keeps the model's own format: its labels are differences of log-probabilities, in which the
        rounding of bfloat16, about 0.01 nats, does not average out.
        """
        if self.precision == "auto" and self.teacher == "ablation":
            return LabelPrecision(None, str(loaded.dtype).removeprefix("torch."))
        return label_precision(self.precision, loaded.dtype, loaded.device)


class SampleAnswer(NamedTuple):
    """A model's answer of T tokens (end token excluded) over P patches and m text tokens of the prompt. All tensors are
    on the CPU.

    ids, log_probs: one per token. prompt_ids: m. patch_states `[P, d]`, prompt_states `[m, d]` and query_states `[T,
    d]` come from the cached passes that generated the answer, in the model's dtype. labels: None if the teacher is
    "none". ended: whether the model produced an end token. decode_ms: time for the complete answer, end token included.
    label_ms: time for all labels.
    """

    text: str
    ids: list[int]
    log_probs: list[float]
    prompt_ids: list[int]
    patch_states: torch.Tensor
    prompt_states: torch.Tensor
    query_states: torch.Tensor
    frames: tuple[Frame, ...]
    labels: Labels | None
    ended: bool
    decode_ms: float
    label_ms: float


def answer_sample(loaded: Loaded, sample: Sample, options: AnswerOptions) -> SampleAnswer:
    """Answer a sample greedily, then label each token.

    Raises DataError if the image cannot be opened, or ValueError if the answer cannot be explained.
    """
    model = loaded.model
    question = options.with_suffix(sample.question)
    reading = loaded.family.read(model, loaded.processor, open_image(sample), question)
    start = time.perf_counter()
    patches, prompt, steps = torch.empty(0), torch.empty(0), []
    for event in decode(model, reading, Sampling(max_new_tokens=options.max_new_tokens, alternatives=1)):
        if isinstance(event, Prefill):
            patches, prompt = event.patch_states, event.prompt_states
        elif not event.is_end:
            steps.append(event)
    ended = len(steps) < options.max_new_tokens
    patches, prompt, queries = patches.cpu(), prompt.cpu(), _query_states(steps, patches)
    decode_ms = _ms_since(start)
    ids = [step.token_id for step in steps]
    start = time.perf_counter()
    labels = None
    if options.teacher != "none":
        autocast = options.label_precision(loaded).autocast
        labels = label_answer(model, loaded.family, reading, ids, teacher=options.teacher, autocast=autocast)
    return SampleAnswer(
        answer_text(loaded.processor.tokenizer, ids),
        ids,
        [step.log_prob for step in steps],
        reading.inputs["input_ids"][0, reading.prompt_columns].tolist(),
        patches,
        prompt,
        queries,
        reading.frames,
        labels,
        ended,
        decode_ms,
        _ms_since(start),
    )


def open_image(sample: Sample) -> Image.Image:
    """Open a sample's image as a model sees it (`open_upright`). Raises DataError if it cannot be read."""
    try:
        return open_upright(sample.image.read_bytes(), any_format=True)
    except FileNotFoundError:
        raise DataError(f"{sample.image}: image not found (sample {sample.id})") from None
    except (OSError, UnreadableImage) as error:
        raise DataError(f"{sample.image}: cannot read this image (sample {sample.id}): {error}") from None


def _query_states(steps: list[Step], patches: torch.Tensor) -> torch.Tensor:
    if not steps:
        return patches.new_zeros((0, patches.shape[-1])).cpu()
    return torch.stack([step.query_state for step in steps]).cpu()


def _ms_since(start: float) -> float:
    return (time.perf_counter() - start) * 1000
