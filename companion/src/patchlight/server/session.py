"""The loaded model as the app uses it: pictures and questions in, rows of runs and of explanations out. The tensors end
here.
"""

import secrets
import time
from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime
from typing import NamedTuple

from PIL import Image

from ..models.loading import Loaded
from ..models.pictures import MEDIA_TYPES
from ..models.reading import Reading
from ..models.sampling import Sampling
from ..wire.explanation import ExplanationWriter
from ..wire.run import RunWriter
from ..wire.run_header import Geometry, Head, Header, ImageFacts
from ..wire.run_rows import geometry_of, write_answer
from .explaining import UNEMBEDDING_IDS, Explainer, Explaining
from .schemas import (
    SEED_LARGEST,
    CalibrationFile,
    ExplainRequest,
    GenerateRequest,
    HeadFacts,
    Limits,
    ModelFacts,
)
from .settings import ServeSettings


class UnknownWords(ValueError):
    """The question holds words that the model's tokenizer does not know; the message names them."""


class PromptTooLong(ValueError):
    """More tokens than may be asked with, or than the model has positions for."""

    def __init__(self, detail: str, *, limit: int, found: int):
        super().__init__(detail)
        self.limit, self.found = limit, found


class Question(NamedTuple):
    """A question that the model has read: what it will be fed, how it will choose, what the header says of both."""

    reading: Reading
    sampling: Sampling
    geometry: Geometry
    read_s: float


class ModelSession:
    """One model. What begins with `check` and `read` is called on one thread, `answer` and `explain` on another, each
    for one question at a time.
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
        # Its own, for a tokenizer that is encoding on one thread refuses to decode on another.
        self._tokenizer = deepcopy(loaded.processor.tokenizer)
        self.facts = ModelFacts(
            name=loaded.name,
            revision=loaded.revision,
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
                image_formats=list(MEDIA_TYPES.values()),
                question_chars=settings.question_chars,
                queue_length=settings.queue_length,
                explain_bytes=self.explainer.budget_bytes,
                unembedding_ids=UNEMBEDDING_IDS,
            ),
            methods=[*(["fastrm"] if head else []), *self.explainer.methods],
            unembedding=self.explainer.has_unembedding,
            head=head,
            calibration=calibration,
            train_command=train_command,
        )

    def check(self, question: str) -> None:
        """Before the picture is decoded: PromptTooLong where the question alone has too many tokens."""
        found = len(self._loaded.processor.tokenizer(question, add_special_tokens=False)["input_ids"])
        if found > (most := self._settings.prompt_tokens):
            raise PromptTooLong(f"the question has {found} text tokens, {most} is the most", limit=most, found=found)

    def check_words(self, question: str) -> None:
        """Raises UnknownWords where the tokenizer has no token for some: the model would answer as if they were all one."""
        tokenizer = self._loaded.processor.tokenizer
        read = tokenizer(question, add_special_tokens=False, return_offsets_mapping=tokenizer.is_fast)
        if tokenizer.unk_token_id is None or not tokenizer.is_fast:
            return
        spans = zip(read["input_ids"], read["offset_mapping"], strict=True)
        words = [question[start:end] for token, (start, end) in spans if token == tokenizer.unk_token_id]
        if words:
            named = ", ".join(f"“{word}”" for word in dict.fromkeys(words))
            raise UnknownWords(f"the model has never seen {named}: ask with other words")

    def read(self, asked: GenerateRequest, image: Image.Image) -> Question:
        """What the model is fed. Raises ValueError where it cannot be asked so, PromptTooLong among them."""
        started = time.perf_counter()
        reading = self._reading(asked.question, image)
        sampling = self._sampling(asked, reading)
        return Question(reading, sampling, geometry_of(reading, image), time.perf_counter() - started)

    def read_explanation(self, asked: ExplainRequest, image: Image.Image, stop: Callable[[], bool]) -> Explaining:
        """What the model is fed, and how it will be explained; `stop` is asked between tokens. Raises as `read` does,
        and BudgetExceeded.
        """
        reading = self._reading(asked.question, image)
        self._positions_left(reading, len(asked.answer_ids))
        return self.explainer.prepare(asked, reading, stop)

    def explain(self, explaining: Explaining, rows: ExplanationWriter, wait_for_room: Callable[[], None]) -> None:
        """Rows from `check` to `end`."""
        self.explainer.write(explaining, rows, wait_for_room)

    def header(self, question: Question, *, run_id: str, text: str, image: ImageFacts) -> Header:
        """What stands before the rows."""
        facts, sampling = self.facts, question.sampling
        return {
            "id": run_id,
            "createdAt": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            "question": text,
            "image": image,
            "geometry": question.geometry,
            "model": {
                "name": facts.name,
                "revision": facts.revision,
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

    def answer(
        self, question: Question, run: RunWriter, stop: Callable[[], bool], wait_for_room: Callable[[], None]
    ) -> None:
        """Rows from `states` to `end`. Times count from the reading of the picture; waiting in the queue is left out."""
        write_answer(
            run,
            model=self._loaded.model,
            tokenizer=self._tokenizer,
            reading=question.reading,
            sampling=question.sampling,
            started=time.perf_counter() - question.read_s,
            stop=stop,
            after_row=wait_for_room,
        )

    def _reading(self, question: str, image: Image.Image) -> Reading:
        loaded = self._loaded
        reading = loaded.family.read(loaded.model, loaded.processor, image, question)
        text = len(reading.prompt_columns)
        if text > (most := self._settings.prompt_tokens):
            raise PromptTooLong(f"the prompt has {text} text tokens, {most} is the most", limit=most, found=text)
        return reading

    def _positions_left(self, reading: Reading, answer_tokens: int) -> int | None:
        """For an answer, or None where the model has no bound. Raises PromptTooLong where there are not so many."""
        positions = getattr(self._loaded.model.config.get_text_config(), "max_position_embeddings", None)
        if positions is None:
            return None
        columns = reading.inputs["input_ids"].shape[1]
        if columns + answer_tokens > positions:
            raise PromptTooLong(
                f"picture and prompt ({columns}) and the answer ({answer_tokens}) take {columns + answer_tokens} "
                f"positions: the model has {positions}",
                limit=positions,
                found=columns + answer_tokens,
            )
        return positions - columns

    def _sampling(self, asked: GenerateRequest, reading: Reading) -> Sampling:
        """As asked. Where no length is, as long as the model has positions for."""
        wanted = asked.max_new_tokens
        left = self._positions_left(reading, wanted or 1)
        length = wanted or self._settings.new_tokens
        if left is not None:
            length = min(length, left)
        if asked.temperature == 0:
            return Sampling(max_new_tokens=length)
        seed = secrets.randbelow(SEED_LARGEST + 1) if asked.seed is None else asked.seed
        return Sampling(max_new_tokens=length, temperature=asked.temperature, top_p=asked.top_p, seed=seed)


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
    }
