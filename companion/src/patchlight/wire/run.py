"""A run as bytes: an Arrow IPC stream, format version 2. `src/contract/run-stream.ts` is its other end.

The schema's metadata holds the header as JSON under `patchlight.run`. One row is one record batch, so that a reader
shows each token as it comes: `queued` (how many wait before it), `image` (the picture's own bytes, left out where the
reader has it), `states` (last hidden states of the patches, frames in order, each row-major), `prompt` (the prompt's
text tokens and their states), then `token` rows, then one `end`. A stream without its `end` row is a truncated run.
States are fp16; a row with a value that fp16 does not hold has them as float32 in another column. docs/protocol.md is
the whole description.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

import numpy as np
import pyarrow as pa

from .row_stream import RowWriter, Sink, open_rows
from .run_header import Header, patch_count

FORMAT_VERSION = 2
METADATA_KEY = b"patchlight.run"
FP16_LARGEST = 65504.0
EndReason = Literal["stop", "length", "cancelled", "failed", "truncated"]

_ALTERNATIVE = pa.struct([("tokenId", pa.int32()), ("text", pa.utf8()), ("logProb", pa.float32())])
_PROMPT_TOKEN = pa.struct([("tokenId", pa.int32()), ("text", pa.utf8())])
RUN_FIELDS = [
    pa.field("kind", pa.utf8(), nullable=False),
    pa.field("place", pa.int32()),
    pa.field("picture", pa.binary()),
    pa.field("states", pa.list_(pa.float16())),
    pa.field("states32", pa.list_(pa.float32())),
    pa.field("promptTokens", pa.list_(_PROMPT_TOKEN)),
    pa.field("index", pa.int32()),
    pa.field("tokenId", pa.int32()),
    pa.field("text", pa.utf8()),
    pa.field("word", pa.int32()),
    pa.field("logProb", pa.float32()),
    pa.field("alternatives", pa.list_(_ALTERNATIVE)),
    pa.field("queryState", pa.list_(pa.float16())),
    pa.field("queryState32", pa.list_(pa.float32())),
    pa.field("map", pa.list_(pa.float32())),
    pa.field("mapBackend", pa.utf8()),
    pa.field("mapComputeMs", pa.float64()),
    pa.field("reason", pa.utf8()),
    pa.field("answerMs", pa.float64()),
    pa.field("firstTokenMs", pa.float64()),
    pa.field("message", pa.utf8()),
]
_ORDER = ("queued", "image", "states", "prompt", "token", "end")
_REPEATED = ("queued", "token")


class PromptToken(NamedTuple):
    token_id: int
    text: str


class Alternative(NamedTuple):
    token_id: int
    text: str
    log_prob: float


class Map(NamedTuple):
    """FastRM probabilities [P], frames in order, each row-major, with where and how long they were computed."""

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


class StatesNotFinite(ValueError):
    """The model itself gave NaN or infinity: nothing that follows from such states means anything."""


class RunWriter(RowWriter):
    """Rows in their order: `queued`*, `image`, `states`, `prompt`, `token`*, `end`. Leaving without `end` leaves a
    truncated run; `end` may come at any point.
    """

    def __init__(self, sink: Sink, header: Header):
        super().__init__(
            sink,
            RUN_FIELDS,
            key=METADATA_KEY,
            header={"formatVersion": FORMAT_VERSION, **header},
            order=_ORDER,
            repeated=_REPEATED,
        )
        self._patches = patch_count(header["geometry"])
        self._hidden_size = header["model"]["hiddenSize"]
        self._tokens = 0

    def queued(self, place: int) -> None:
        """How many questions are before this one; 0 when its turn has come."""
        self.write_row("queued", place=place)

    def image(self, picture: bytes) -> None:
        """The picture's file, byte for byte."""
        self.write_row("image", picture=picture)

    def states(self, states: np.ndarray) -> None:
        """[P, d] last hidden states of the patches."""
        if states.shape != (self._patches, self._hidden_size):
            raise ValueError(f"states {states.shape}, the header says {(self._patches, self._hidden_size)}")
        self.write_row("states", **_state_columns("states", states))

    def prompt(self, tokens: Sequence[PromptToken], states: np.ndarray) -> None:
        """The prompt's m text tokens with their last hidden states [m, d]."""
        if states.shape != (len(tokens), self._hidden_size):
            raise ValueError(f"prompt states {states.shape}, want {(len(tokens), self._hidden_size)}")
        spelt = [{"tokenId": token.token_id, "text": token.text} for token in tokens]
        self.write_row("prompt", promptTokens=spelt, **_state_columns("states", states))

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
            **_state_columns("queryState", token.query_state),
        }
        if token.map is not None:
            if token.map.values.shape != (self._patches,):
                raise ValueError(f"map {token.map.values.shape}, the frames have {self._patches} patches")
            values = token.map.values.astype(np.float32)
            row |= {"map": values, "mapBackend": token.map.backend, "mapComputeMs": token.map.compute_ms}
        self.write_row("token", **row)
        self._tokens += 1

    def end(self, end: End) -> None:
        """The last row."""
        times = {"answerMs": end.answer_ms, "firstTokenMs": end.first_token_ms}
        self.write_row("end", reason=end.reason, message=end.message, **times)

    def cut(self, reason: Literal["cancelled", "failed"], ms: float, message: str | None = None) -> None:
        """The last row of an answer that did not come to its own end; `ms` since it began."""
        self.end(End(reason, ms, 0, message))

    def write_row(self, kind: str, **row: Any) -> None:
        if kind in ("prompt", "token") and not self.has_passed("states"):
            raise ValueError(f"a row of kind {kind} comes before states")
        super().write_row(kind, **row)


def _state_columns(name: str, states: np.ndarray) -> dict[str, np.ndarray]:
    """fp16 where it holds every value, else float32 in the column beside it."""
    flat = np.ravel(states)
    largest = float(np.abs(flat).max(initial=0))
    if not np.isfinite(largest):
        bad = int(len(flat) - np.isfinite(flat).sum())
        raise StatesNotFinite(f"the model's hidden states are not finite: {bad} of {len(flat)} values")
    if largest > FP16_LARGEST:
        return {f"{name}32": flat.astype(np.float32)}
    return {name: flat.astype(np.float16)}


class Prompt(NamedTuple):
    """The prompt's text tokens and their last hidden states [m, d]."""

    tokens: list[PromptToken]
    states: np.ndarray


class Run(NamedTuple):
    """A run read back; None is what the stream did not have or ended before. states [P, d], fp16 or, where that did not
    hold them, float32. places: what `queued` rows said.
    """

    header: Header
    places: list[int]
    picture: bytes | None
    states: np.ndarray | None
    prompt: Prompt | None
    tokens: list[Token]
    end: End


def read_run(path: Path) -> Run:
    """Whatever came before the file broke off; an unknown version is refused by its number."""
    return parse_run(path.read_bytes(), name=path.name)


def parse_run(content: bytes, *, name: str = "the stream") -> Run:
    """The same of a run's bytes; `name` is for the reasons of refusal."""
    found, rows = open_rows(content, key=METADATA_KEY, what="a run", version=FORMAT_VERSION, name=name)
    header = cast(Header, found)
    hidden_size = header["model"]["hiddenSize"]
    places, picture, states, prompt, tokens = [], None, None, None, []
    end = End("truncated", 0, 0)
    for row in rows:
        match row["kind"]:
            case "queued":
                places.append(row["place"])
            case "image":
                picture = row["picture"]
            case "states":
                states = _states(row, "states").reshape(-1, hidden_size)
            case "prompt":
                spelt = [PromptToken(token["tokenId"], token["text"]) for token in row["promptTokens"]]
                prompt = Prompt(spelt, _states(row, "states").reshape(-1, hidden_size))
            case "token":
                tokens.append(_token(row))
            case "end":
                end = End(row["reason"], row["answerMs"], row["firstTokenMs"], row["message"])
    return Run(header, places, picture, states, prompt, tokens, end)


def _states(row: dict[str, Any], name: str) -> np.ndarray:
    return row[name] if row[name] is not None else row[f"{name}32"]


def _token(row: dict[str, Any]) -> Token:
    found = None if row["map"] is None else Map(row["map"], row["mapBackend"], row["mapComputeMs"])
    alternatives = [Alternative(a["tokenId"], a["text"], a["logProb"]) for a in row["alternatives"]]
    fields = (row["index"], row["tokenId"], row["text"], row["word"], row["logProb"])
    return Token(*fields, alternatives, _states(row, "queryState"), found)
