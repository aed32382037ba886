"""A run as bytes: an Arrow IPC stream, format version 1. `src/contract/run-stream.ts` is its other end.

The schema's metadata holds the header as JSON under `patchlight.run`. One row is one record batch, so that a reader
shows each token as it comes: `image` (the picture's own bytes), `states` (last hidden states of the image's tokens,
row-major, fp16), then `token` rows, then one `end`. A stream without its `end` row is a truncated run.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Literal, NamedTuple, TypedDict

import numpy as np
import pyarrow as pa

FORMAT_VERSION = 1
METADATA_KEY = b"patchlight.run"
EndReason = Literal["stop", "length", "cancelled", "failed", "truncated"]

_ALTERNATIVE = pa.struct([("tokenId", pa.int32()), ("text", pa.utf8()), ("logProb", pa.float32())])
_FIELDS = [
    pa.field("kind", pa.utf8(), nullable=False),
    pa.field("picture", pa.binary()),
    pa.field("states", pa.list_(pa.float16())),
    pa.field("index", pa.int32()),
    pa.field("tokenId", pa.int32()),
    pa.field("text", pa.utf8()),
    pa.field("word", pa.int32()),
    pa.field("logProb", pa.float32()),
    pa.field("alternatives", pa.list_(_ALTERNATIVE)),
    pa.field("queryState", pa.list_(pa.float16())),
    pa.field("map", pa.list_(pa.float32())),
    pa.field("mapBackend", pa.utf8()),
    pa.field("mapComputeMs", pa.float64()),
    pa.field("reason", pa.utf8()),
    pa.field("answerMs", pa.float64()),
    pa.field("firstTokenMs", pa.float64()),
    pa.field("message", pa.utf8()),
]


class ImageFacts(TypedDict):
    mediaType: str
    name: str


class Rect(TypedDict):
    xPx: float
    yPx: float
    widthPx: float
    heightPx: float


class Grid(TypedDict):
    rows: int
    cols: int


class Geometry(TypedDict):
    """`crop`, in source pixels, is what was resized to model pixels; the rest was not seen."""

    sourceWidthPx: int
    sourceHeightPx: int
    modelWidthPx: int
    modelHeightPx: int
    crop: Rect
    grid: Grid
    preprocessing: str


class Model(TypedDict):
    name: str
    revision: str
    hiddenSize: int
    stage: str
    knows: str


class Head(TypedDict):
    name: str
    revision: str
    stage: str
    teacher: str
    labellingThreshold: float
    classificationThreshold: float


class Header(TypedDict):
    """`RunHeader` of src/contract/run.ts without the picture's bytes and the version, which the writer adds."""

    id: str
    createdAt: str
    question: str
    image: ImageFacts
    geometry: Geometry
    model: Model
    head: Head | None
    recorded: bool


class Alternative(NamedTuple):
    token_id: int
    text: str
    log_prob: float


class Map(NamedTuple):
    """FastRM probabilities [P], row-major over the grid, with where and how long they were computed."""

    values: np.ndarray
    backend: str
    compute_ms: float


@dataclass(frozen=True)
class Token:
    """One answer token; query_state [d] is the last hidden state that predicted it; alternatives most likely first."""

    index: int
    token_id: int
    text: str
    word: int
    log_prob: float
    alternatives: Sequence[Alternative]
    query_state: np.ndarray
    map: Map | None


class End(NamedTuple):
    """Times from the question being asked, in milliseconds."""

    reason: EndReason
    answer_ms: float
    first_token_ms: float
    message: str | None = None


class RunWriter:
    """Rows in their order: `image`, `states`, `token`s, `end`. Leaving without `end` leaves a truncated run."""

    def __init__(self, sink: BinaryIO, header: Header):
        metadata = json.dumps({"formatVersion": FORMAT_VERSION, **header}, ensure_ascii=False)
        self._schema = pa.schema(_FIELDS, metadata={METADATA_KEY: metadata.encode()})
        self._stream = pa.ipc.new_stream(sink, self._schema)
        self._patches = header["geometry"]["grid"]["rows"] * header["geometry"]["grid"]["cols"]
        self._hidden_size = header["model"]["hiddenSize"]
        self._tokens = 0

    def __enter__(self) -> "RunWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stream.close()

    def image(self, picture: bytes) -> None:
        """The picture's file, byte for byte."""
        self._write("image", picture=picture)

    def states(self, states: np.ndarray) -> None:
        """[P, d] last hidden states of the image's tokens."""
        if states.shape != (self._patches, self._hidden_size):
            raise ValueError(f"states {states.shape}, the header says {(self._patches, self._hidden_size)}")
        self._write("states", states=_halves(states.ravel()))

    def token(self, token: Token) -> None:
        """The next answer token."""
        if token.index != self._tokens:
            raise ValueError(f"token {token.index} comes where {self._tokens} is due")
        if token.query_state.shape != (self._hidden_size,):
            raise ValueError(f"query state {token.query_state.shape}, hidden size {self._hidden_size}")
        row: dict[str, Any] = {
            "index": token.index,
            "tokenId": token.token_id,
            "text": token.text,
            "word": token.word,
            "logProb": token.log_prob,
            "alternatives": [
                {"tokenId": a.token_id, "text": a.text, "logProb": a.log_prob} for a in token.alternatives
            ],
            "queryState": _halves(token.query_state),
        }
        if token.map is not None:
            if token.map.values.shape != (self._patches,):
                raise ValueError(f"map {token.map.values.shape}, the grid has {self._patches} patches")
            values = token.map.values.astype(np.float32)
            row |= {"map": values, "mapBackend": token.map.backend, "mapComputeMs": token.map.compute_ms}
        self._write("token", **row)
        self._tokens += 1

    def end(self, end: End) -> None:
        """The last row."""
        times = {"answerMs": end.answer_ms, "firstTokenMs": end.first_token_ms}
        self._write("end", reason=end.reason, message=end.message, **times)

    def _write(self, kind: str, **row: Any) -> None:
        row["kind"] = kind
        columns = [pa.array([row.get(field.name)], type=field.type) for field in _FIELDS]
        self._stream.write_batch(pa.record_batch(columns, schema=self._schema))


def _halves(values: np.ndarray) -> np.ndarray:
    largest = float(np.abs(values).max())
    if not largest <= 65504:
        raise ValueError(f"hidden states reach {largest:g}: fp16 ends at 65504")
    return values.astype(np.float16)


class Run(NamedTuple):
    """A run read back. states [P, d] fp16, or None where the stream ended before them."""

    header: Header
    picture: bytes | None
    states: np.ndarray | None
    tokens: list[Token]
    end: End


def read_run(path: Path) -> Run:
    """Whatever came before the stream broke off; an unknown version is refused by its number."""
    with pa.ipc.open_stream(path.read_bytes()) as stream:
        encoded = (stream.schema.metadata or {}).get(METADATA_KEY)
        if encoded is None:
            raise ValueError(
                f"{path.name} is an Arrow stream, but not a run: its metadata has no {METADATA_KEY.decode()}"
            )
        header = json.loads(encoded)
        version = header.pop("formatVersion", None)
        if version != FORMAT_VERSION:
            raise ValueError(f"{path.name} has run format version {version}; this reads version {FORMAT_VERSION}")
        picture, states, tokens = None, None, []
        end = End("truncated", 0, 0)
        for row in _rows(stream):
            match row["kind"]:
                case "image":
                    picture = row["picture"]
                case "states":
                    states = np.array(row["states"], np.float16).reshape(-1, header["model"]["hiddenSize"])
                case "token":
                    tokens.append(_token(row))
                case "end":
                    end = End(row["reason"], row["answerMs"], row["firstTokenMs"], row["message"])
        return Run(header, picture, states, tokens, end)


def _rows(stream: pa.RecordBatchStreamReader) -> Any:
    """Rows up to the first that did not come whole."""
    try:
        for batch in stream:
            yield from batch.to_pylist()
    except (pa.ArrowInvalid, OSError):
        return


def _token(row: dict[str, Any]) -> Token:
    values = row["map"]
    found = None if values is None else Map(np.array(values, np.float32), row["mapBackend"], row["mapComputeMs"])
    alternatives = [Alternative(a["tokenId"], a["text"], a["logProb"]) for a in row["alternatives"]]
    fields = (row["index"], row["tokenId"], row["text"], row["word"], row["logProb"])
    return Token(*fields, alternatives, np.array(row["queryState"], np.float16), found)
