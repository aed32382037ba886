"""The loaded model behind the app: images and questions go in, rows of runs and explanations come out.

The app itself handles no tensors.
"""

import secrets
import time
from collections.abc import Callable, Sequence
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from ..models.image_header import MEDIA_TYPES
from ..models.loading import Loaded
from ..models.question_words import AskedQuestion, quoted_list, read_question_words
from ..models.reading import Reading
from ..models.sampling import Sampling
from ..models.several_images import read_images
from ..wire.explanation import ExplanationWriter
from ..wire.run import RunWriter
from ..wire.run_header import Geometry, Head, Header, SizedImageFacts
from ..wire.run_rows import geometry_of, write_answer
from .explaining import UNEMBEDDING_IDS, Explainer, Explaining
from .schemas import (
    MAX_SEED,
    CalibrationFile,
    ExplainRequest,
    GenerateRequest,
    HeadFacts,
    Limits,
    ModelFacts,
    RefusedMethod,
)
from .settings import ServeSettings
from .uploads import MAX_ASPECT_RATIO


class UnknownWords(ValueError):
    """The question has words that are not in the tokenizer's vocabulary; the message lists them."""


class PromptTooLong(ValueError):
    """The prompt exceeds the token limit or the model's positions. limit, found: the maximum and the actual number, in
    tokens or positions.
    """

    def __init__(self, detail: str, *, limit: int, found: int):
        super().__init__(detail)
        self.limit, self.found = limit, found


class Question(NamedTuple):
    """A question ready to answer: model inputs, sampling options, and the geometry for the header.

    has_unembedding: whether the answer's stream has unembedding rows. read_s: time spent on preparing the question, in
    seconds.
    """

    reading: Reading
    sampling: Sampling
    geometry: Geometry
    has_unembedding: bool
    read_s: float


class ModelSession:
    """One loaded model. Call `check...` and `read...` on one thread, and `answer` and `explain` on another. Each
    thread handles one question at a time.
    """

    def __init__(
        self,
        loaded: Loaded,
        settings: ServeSettings,
        *,
        head: HeadFacts | None,
        knows: str,
        train_command: str,
        calibration: CalibrationFile | None = None,
    ):
        self._loaded, self._settings = loaded, settings
        self.explainer = Explainer(loaded, settings)
        # A separate copy, because a tokenizer that is encoding on one thread cannot decode on another.
        self._tokenizer = deepcopy(loaded.processor.tokenizer)
        self._words = read_question_words(Path(loaded.processor.tokenizer.name_or_path))
        self.facts = ModelFacts(
            name=loaded.name,
            revision=loaded.revision,
            weights=loaded.weights,
            family=loaded.family.name,
            hidden_size=loaded.hidden_size,
            dtype=str(loaded.dtype).removeprefix("torch."),
            device=str(loaded.device),
            knows=knows,
            max_new_tokens=settings.new_tokens,
            max_prompt_tokens=settings.prompt_tokens,
            limits=Limits(
                image_bytes=settings.image_bytes,
                image_pixels=settings.image_pixels,
                images=settings.images if reads_several(loaded) else 1,
                image_aspect_ratio=MAX_ASPECT_RATIO,
                image_formats=list(MEDIA_TYPES.values()),
                question_chars=settings.question_chars,
                queue_length=settings.queue_length,
                explain_bytes=self.explainer.budget_bytes,
                unembedding_ids=UNEMBEDDING_IDS,
            ),
            methods=[*(["fastrm"] if head else []), *self.explainer.methods],
            refused_methods=[
                RefusedMethod(method=method, reason=reason) for method, reason in self.explainer.refused.items()
            ],
            unembedding=self.explainer.has_unembedding,
            streams_unembedding=self.explainer.has_unembedding,
            head=head,
            calibration=calibration,
            train_command=train_command,
        )

    def check_length(self, question: str) -> None:
        """Check the question's length before the image is decoded. Raises PromptTooLong."""
        text = self._asked(question).text
        tokens = len(self._loaded.processor.tokenizer(text, add_special_tokens=False)["input_ids"])
        if tokens > (limit := self._settings.prompt_tokens):
            raise PromptTooLong(
                f"the question has {tokens} text tokens, the limit is {limit}", limit=limit, found=tokens
            )

    def check_words(self, question: str) -> None:
        """Check that the tokenizer knows all words; the model cannot tell unknown words apart. Raises UnknownWords."""
        if words := self._asked(question).unknown:
            raise UnknownWords(f"the model does not know {quoted_list(words)}: use other words")

    def read(self, request: GenerateRequest, images: Sequence[Image.Image]) -> Question:
        """Prepare a question about images, in order. Raises ValueError if the model cannot answer it, or PromptTooLong."""
        started = time.perf_counter()
        reading = self._reading(request.question, images)
        sampling = self._sampling(request, reading)
        has_unembedding = request.send_unembedding and self.explainer.has_unembedding
        geometry = geometry_of(reading, images[0])
        return Question(reading, sampling, geometry, has_unembedding, time.perf_counter() - started)

    def read_explanation(
        self, request: ExplainRequest, images: Sequence[Image.Image], stop: Callable[[], bool]
    ) -> Explaining:
        """Prepare an explanation; `stop` is polled between tokens.

        Raises the same errors as `read`, and BudgetExceeded if the explanation needs too much memory.
        """
        reading = self._reading(request.question, images)
        self._positions_left(reading, len(request.answer_ids))
        return self.explainer.prepare(request, reading, stop)

    def explain(self, explaining: Explaining, rows: ExplanationWriter, wait_for_room: Callable[[], None]) -> None:
        """Compute an explanation and write its rows, from `check` to `end`."""
        self.explainer.write(explaining, rows, wait_for_room)

    def header(self, question: Question, *, run_id: str, text: str, images: Sequence[SizedImageFacts]) -> Header:
        """Return the header that precedes the rows of a run."""
        facts, sampling = self.facts, question.sampling
        first = images[0]
        header: Header = {
            "id": run_id,
            "createdAt": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            "question": text,
            "image": {"mediaType": first["mediaType"], "name": first["name"], "sha256": first["sha256"]},
            "geometry": question.geometry,
            "model": {
                "name": facts.name,
                "revision": facts.revision,
                "weights": facts.weights,
                "hiddenSize": facts.hidden_size,
                "stage": facts.stage,
                "knows": facts.knows,
                "family": facts.family,
                "dtype": facts.dtype,
            },
            "head": _head(facts.head),
            "sampling": {
                "maxNewTokens": sampling.max_new_tokens,
                "temperature": sampling.temperature,
                "topP": sampling.top_p,
                "seed": sampling.seed,
            },
            "recorded": False,
        }
        if len(images) > 1:
            header["images"] = list(images)
        if (asked_as := self._asked(text).asked_as) is not None:
            header["askedAs"] = asked_as
        return header

    def answer(
        self, question: Question, run: RunWriter, stop: Callable[[], bool], wait_for_room: Callable[[], None]
    ) -> None:
        """Answer a question and write its rows, from `states` to `end`.

        Times include the preparation in `read`, but not the wait in the queue.
        """
        write_answer(
            run,
            model=self._loaded.model,
            tokenizer=self._tokenizer,
            reading=question.reading,
            sampling=question.sampling,
            started=time.perf_counter() - question.read_s,
            stop=stop,
            after_row=wait_for_room,
            has_unembedding=question.has_unembedding,
        )

    def _asked(self, question: str) -> AskedQuestion:
        """Return the question in the model's words, or as typed if the model does not list its words."""
        tokenizer = self._loaded.processor.tokenizer
        if self._words is not None:
            return self._words.ask(question, tokenizer)
        unknown: list[str] = []
        if tokenizer.unk_token_id is not None and tokenizer.is_fast:
            encoded = tokenizer(question, add_special_tokens=False, return_offsets_mapping=True)
            spans = zip(encoded["input_ids"], encoded["offset_mapping"], strict=True)
            unknown = [question[start:end] for token, (start, end) in spans if token == tokenizer.unk_token_id]
        return AskedQuestion(question, None, list(dict.fromkeys(unknown)))

    def _reading(self, question: str, images: Sequence[Image.Image]) -> Reading:
        loaded = self._loaded
        text = self._asked(question).text
        reading = read_images(loaded.family, loaded.model, loaded.processor, images, text)
        tokens = len(reading.prompt_columns)
        if tokens > (limit := self._settings.prompt_tokens):
            raise PromptTooLong(f"the prompt has {tokens} text tokens, the limit is {limit}", limit=limit, found=tokens)
        return reading

    def _positions_left(self, reading: Reading, answer_tokens: int) -> int | None:
        """Return the number of positions left for the answer, or None if the model has no limit.

        Raises PromptTooLong if fewer than `answer_tokens` are left.
        """
        positions = getattr(self._loaded.model.config.get_text_config(), "max_position_embeddings", None)
        if positions is None:
            return None
        columns = reading.inputs["input_ids"].shape[1]
        if columns + answer_tokens > positions:
            raise PromptTooLong(
                f"image and prompt ({columns} tokens) and the answer ({answer_tokens}) need "
                f"{columns + answer_tokens} positions, the model has {positions}",
                limit=positions,
                found=columns + answer_tokens,
            )
        return positions - columns

    def _sampling(self, request: GenerateRequest, reading: Reading) -> Sampling:
        """Return the requested sampling options. The default length is reduced if too few positions are left."""
        left = self._positions_left(reading, request.max_new_tokens or 1)
        length = request.max_new_tokens or self._settings.new_tokens
        if left is not None:
            length = min(length, left)
        if request.temperature == 0:
            return Sampling(max_new_tokens=length)
        seed = secrets.randbelow(MAX_SEED + 1) if request.seed is None else request.seed
        return Sampling(max_new_tokens=length, temperature=request.temperature, top_p=request.top_p, seed=seed)


def reads_several(loaded: Loaded) -> bool:
    """Find out whether the model accepts two images in a question. Only its processor runs."""
    images = [Image.new("RGB", size, "grey") for size in ((96, 64), (64, 96))]
    try:
        read_images(loaded.family, loaded.model, loaded.processor, images, "a")
    # Processors that were written for one image raise errors of any type.
    except Exception:
        return False
    return True


def _head(facts: HeadFacts | None) -> Head | None:
    if facts is None:
        return None
    return {
        "name": facts.name,
        "revision": facts.revision,
        "stage": facts.stage,
        "teacher": facts.teacher,
        "labellingThreshold": facts.labelling_threshold,
        "classificationThreshold": facts.classification_threshold,
        "trainedOn": {"name": facts.trained_on.name, "revision": facts.trained_on.revision},
        "match": facts.match,
    }
