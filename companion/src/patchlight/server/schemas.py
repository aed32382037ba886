"""What crosses the API as JSON. `companion/openapi.json` is made of these, and the page's types of that."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator
from pydantic.alias_generators import to_camel

from ..methods.names import Method
from ..models.sampling import MIN_TEMPERATURE

PROBLEM_JSON = "application/problem+json"
ARROW_STREAM = "application/vnd.apache.arrow.stream"
TEMPERATURE_LARGEST = 5.0
SEED_LARGEST = 2**32 - 1
# Beyond any vocabulary: the model's own is looked at later.
TOKEN_ID_LARGEST = 2**31 - 1

TokenId = Annotated[int, Field(ge=0, le=TOKEN_ID_LARGEST)]


class _Camel(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        # What is always sent is described as always there.
        json_schema_serialization_defaults_required=True,
        protected_namespaces=(),
    )


class Health(_Camel):
    """That the model is loaded and questions are taken. `protocol` is the run format's version."""

    status: Literal["ready"] = "ready"
    version: str
    protocol: Literal[2] = 2


class Limits(_Camel):
    """What is refused before any work is done. Formats are media types; `explain_bytes` is what one explanation may
    take, `unembedding_ids` how many rows may be asked for at once.
    """

    image_bytes: int
    image_pixels: int
    image_formats: list[str]
    question_chars: int
    queue_length: int
    explain_bytes: int
    unembedding_ids: int


class HeadFile(_Camel):
    """A file of the exported head. `path` is relative to `/v1/`; it changes with the content."""

    path: str
    bytes: int
    sha256: str


class HeadFiles(_Camel):
    """fastrm.onnx, fastrm-norm.onnx and fastrm.bin, which both graphs name as their external data."""

    graph: HeadFile
    norm_graph: HeadFile
    weights: HeadFile


class HeadFacts(_Camel):
    """The FastRM head, run by the page on the hidden states of a run."""

    name: str
    revision: str
    stage: Literal["post_norm", "pre_norm"]
    teacher: str
    labelling_threshold: float
    classification_threshold: float
    hidden_size: int
    files: HeadFiles


class CalibrationFile(_Camel):
    """The calibration of this model and head, of `n` answers (docs/calibration.md). `path` is relative to `/v1/`; it
    changes with the content."""

    path: str
    bytes: int
    sha256: str
    n: int


class ModelFacts(_Camel):
    """The model that answers, and what may be asked of it. `max_prompt_tokens` counts text tokens, the template's own
    included; `methods` are those that can be had of its answers: FastRM by its head, the others by `explain`.
    """

    name: str
    revision: str
    family: str
    hidden_size: int
    stage: Literal["post_norm"] = "post_norm"
    dtype: str
    device: str
    knows: str
    max_new_tokens: int
    max_prompt_tokens: int
    limits: Limits
    methods: list[Literal["fastrm"] | Method]
    unembedding: bool
    head: HeadFacts | None
    calibration: CalibrationFile | None
    train_command: str


class GenerateRequest(_Camel):
    """The `request` part. Temperature 0 is greedy; without a seed one is drawn, and the run's header tells which."""

    # An empty one is refused with a problem of its own, not by this schema.
    question: str = Field(json_schema_extra={"minLength": 1})
    max_new_tokens: int | None = Field(default=None, ge=1)
    temperature: float = Field(default=0.0, ge=0.0, le=TEMPERATURE_LARGEST)
    top_p: float = Field(default=1.0, gt=0.0, le=1.0)
    seed: int | None = Field(default=None, ge=0, le=SEED_LARGEST)
    send_image: bool = False

    @field_validator("temperature")
    @classmethod
    def _can_be_drawn_with(cls, value: float) -> float:
        if 0 < value < MIN_TEMPERATURE:
            raise ValueError(f"want 0, or {MIN_TEMPERATURE} or more")
        return value


class ExplainRequest(_Camel):
    """The `request` part. `answer_ids` are all of the answer without its end token, `log_probs` theirs as they were
    streamed; `token_indices` the places of those to be explained.
    """

    question: str = Field(json_schema_extra={"minLength": 1})
    # What is no method at all is refused by its name, as is one that this model does not offer.
    method: Annotated[str, StringConstraints(max_length=40)]
    answer_ids: list[TokenId] = Field(min_length=1)
    log_probs: list[float] | None = None
    token_indices: list[TokenId] = Field(min_length=1)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.log_probs is not None and len(self.log_probs) != len(self.answer_ids):
            raise ValueError(f"{len(self.log_probs)} logProbs of {len(self.answer_ids)} answerIds")
        if len(set(self.token_indices)) < len(self.token_indices):
            raise ValueError("a token is wanted twice")
        if (last := max(self.token_indices)) >= len(self.answer_ids):
            raise ValueError(f"token {last} is wanted of an answer of {len(self.answer_ids)}")
        return self


class Problem(_Camel):
    """RFC 9457. `limit` and `found` are the two numbers where something is too large or too long."""

    type: str
    title: str
    status: int
    detail: str
    limit: int | None = None
    found: int | None = None
