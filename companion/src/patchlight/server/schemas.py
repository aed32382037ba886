"""The JSON schemas of the API, from which `companion/openapi.json` and, in turn, the page's types are generated."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator
from pydantic.alias_generators import to_camel

from ..methods.names import Method
from ..models.identity import Match
from ..models.sampling import MIN_TEMPERATURE

PROBLEM_JSON = "application/problem+json"
ARROW_STREAM = "application/vnd.apache.arrow.stream"
MAX_TEMPERATURE = 5.0
MAX_SEED = 2**32 - 1
# Larger than any vocabulary; ids are checked against the model's vocabulary later.
MAX_TOKEN_ID = 2**31 - 1

TokenId = Annotated[int, Field(ge=0, le=MAX_TOKEN_ID)]


class _Camel(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        # Fields with a default are always sent, so the schema describes them as required.
        json_schema_serialization_defaults_required=True,
        protected_namespaces=(),
    )


class Health(_Camel):
    """The model is loaded and accepts questions.

    `protocol` is the version of the run format, `explanationFormat` that of the explanation format.
    """

    status: Literal["ready"] = "ready"
    version: str
    protocol: Literal[2] = 2
    explanation_format: Literal[1] = 1


class Limits(_Camel):
    """Limits on requests, checked before any work is done.

    `imageBytes` and `imagePixels` apply to all images of a question together, of which there may be `images`.
    `imageAspectRatio` is how many times longer the longer side may be. `imageFormats` are media types. `explainBytes` is the memory that one explanation may use.
    `unembeddingIds` is the maximum number of token ids in one request for unembedding rows.
    """

    image_bytes: int
    image_pixels: int
    images: int
    image_aspect_ratio: int
    image_formats: list[str]
    question_chars: int
    queue_length: int
    explain_bytes: int
    unembedding_ids: int


class HeadFile(_Camel):
    """A file of the exported head. `path` is relative to `/v1/` and changes with the content."""

    path: str
    bytes: int
    sha256: str


class HeadFiles(_Camel):
    """The files fastrm.onnx, fastrm-norm.onnx and fastrm.bin, which holds the external data of fastrm.onnx.

    `textWeights` is fastrm-text.bin, or null: with it in place of fastrm.bin, the graph weighs the prompt's text
    tokens.
    """

    graph: HeadFile
    norm_graph: HeadFile
    weights: HeadFile
    text_weights: HeadFile | None = None


class TrainedOn(_Camel):
    """The model that a head was trained on."""

    name: str
    revision: str


class HeadFacts(_Camel):
    """The FastRM head, which the page applies to the hidden states of a run.

    `match` says whether it was trained on this model: `same`, `unverified` if the head's description has nothing to
    compare, or `other` if the companion was told to use it nevertheless. Its maps of another model are meaningless.
    """

    name: str
    revision: str
    stage: Literal["post_norm", "pre_norm"]
    teacher: str
    labelling_threshold: float
    classification_threshold: float
    hidden_size: int
    trained_on: TrainedOn
    match: Match
    files: HeadFiles


class CalibrationFile(_Camel):
    """The calibration file of this model and head, with `n` answers (docs/calibration.md).

    `path` is relative to `/v1/` and changes with the content.
    """

    path: str
    bytes: int
    sha256: str
    n: int


class RefusedMethod(_Camel):
    """A method that cannot explain the model's answers, and why."""

    method: Method
    reason: str


class ModelFacts(_Camel):
    """The loaded model and the requests that it accepts.

    `weights` identifies the weights, whatever the names of their files and folder; null if unknown. `maxPromptTokens`
    counts text tokens, including those of the chat template. `methods` lists the methods that can
    explain the model's answers: `fastrm` with the head, the others with `explain`. `refusedMethods` lists those that
    cannot, because of how the model is built. `unembedding` says whether unembedding rows are available, and
    `streamsUnembedding` whether `generate` sends them with the tokens if asked to.
    """

    name: str
    revision: str
    weights: str | None
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
    refused_methods: list[RefusedMethod] = Field(default_factory=list)
    unembedding: bool
    streams_unembedding: bool
    head: HeadFacts | None
    calibration: CalibrationFile | None
    train_command: str


class Pixels(_Camel):
    """The pixels that the client shows: the upright size, and the SHA-256 of the RGB bytes, row by row."""

    width_px: int = Field(ge=1)
    height_px: int = Field(ge=1)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class GenerateRequest(_Camel):
    """The `request` part of a question.

    Temperature 0 decodes greedily. Without a seed, a random one is used and returned in the run's header. With
    `sendUnembedding`, the stream has the unembedding rows of its tokens, if the model `streamsUnembedding`. With
    `pixels`, the image must decode to exactly these; for several images, it is a list with one entry per image.
    """

    # Not validated here, because an empty question has its own problem type.
    question: str = Field(json_schema_extra={"minLength": 1})
    max_new_tokens: int | None = Field(default=None, ge=1)
    temperature: float = Field(default=0.0, ge=0.0, le=MAX_TEMPERATURE)
    top_p: float = Field(default=1.0, gt=0.0, le=1.0)
    seed: int | None = Field(default=None, ge=0, le=MAX_SEED)
    send_image: bool = False
    send_unembedding: bool = False
    pixels: Pixels | list[Pixels] | None = None

    @field_validator("temperature")
    @classmethod
    def _check_temperature(cls, value: float) -> float:
        if 0 < value < MIN_TEMPERATURE:
            raise ValueError(f"use 0 (greedy), or at least {MIN_TEMPERATURE}")
        return value


class ExplainRequest(_Camel):
    """The `request` part of an explanation.

    `answerIds` are the token ids of the complete answer without its end token, `logProbs` their log-probabilities as
    streamed, and `tokenIndices` the indices of the tokens to explain. `pixels` is as in `GenerateRequest`.
    """

    question: str = Field(json_schema_extra={"minLength": 1})
    # Not an enum, because an unknown method has the same problem type as one that this model does not support.
    method: Annotated[str, StringConstraints(max_length=40)]
    answer_ids: list[TokenId] = Field(min_length=1)
    log_probs: list[float] | None = None
    token_indices: list[TokenId] = Field(min_length=1)
    pixels: Pixels | list[Pixels] | None = None

    @model_validator(mode="after")
    def _check_consistency(self) -> Self:
        if self.log_probs is not None and len(self.log_probs) != len(self.answer_ids):
            raise ValueError(f"logProbs has {len(self.log_probs)} values, answerIds has {len(self.answer_ids)}")
        if len(set(self.token_indices)) < len(self.token_indices):
            raise ValueError("tokenIndices contains an index twice")
        if (last := max(self.token_indices)) >= len(self.answer_ids):
            raise ValueError(f"tokenIndices contains {last}, but the answer has {len(self.answer_ids)} tokens")
        return self


class Problem(_Camel):
    """An RFC 9457 problem document. If something is too large, `found` is its size and `limit` the maximum."""

    type: str
    title: str
    status: int
    detail: str
    limit: int | None = None
    found: int | None = None
