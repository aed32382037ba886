"""Write and read a run as an Arrow IPC stream, format version 2. The page reads it in `src/contract/run-stream.ts`;
docs/protocol.md specifies the format.

The schema's metadata holds the header as JSON under `patchlight.run`. Each row is one record batch, so a reader can
show every token as soon as it arrives. The rows are `queued` (number of questions ahead in the queue), `image` (the
bytes of an image file, one row per image; left out if the reader already has them), `states` (last hidden states of the
patches, frames in order, each row-major), `prompt` (the prompt's text tokens and their states), one `token` row per
answer token, then one `end`. A stream without an `end` row is a truncated run. States are fp16; if a value in a row is
outside fp16's range, the row stores its states as float32 in another column.

A stream may also have the unembedding rows of its tokens, in two columns that other streams lack: the page needs them
for token activation maps. A run with maps may have those of the head's text output, in another such column, and a run
of a model with a FastRM+ head what attention adds to that head's logits, in a third. These sums reach tens, where fp16
is so coarse (1/32 above 32) that probabilities would change by almost 1 %, so they are float32.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

import numpy as np
import pyarrow as pa

from .row_stream import RowWriter, Sink, open_rows
from .run_header import Header, image_count, patch_count

FORMAT_VERSION = 2
METADATA_KEY = b"patchlight.run"
FP16_MAX = 65504.0
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
# Present only in streams with unembedding rows.
UNEMBEDDING_FIELDS = [
    pa.field("unembedding", pa.list_(pa.float16())),
    pa.field("unembedding32", pa.list_(pa.float32())),
]
# Present only in runs with maps of the head's text output.
PROMPT_MAP_FIELD = pa.field("mapPrompt", pa.list_(pa.float32()))
# Present only in runs of a model with a FastRM+ head.
ATTENTION_FIELD = pa.field("attentionLogits", pa.list_(pa.float32()))
_ORDER = ("queued", "image", "states", "prompt", "token", "end")
_REPEATED = ("queued", "image", "token")


class PromptToken(NamedTuple):
    token_id: int
    text: str


class Alternative(NamedTuple):
    token_id: int
    text: str
    log_prob: float


class Map(NamedTuple):
    """FastRM probabilities [P], frames in order, each row-major; the backend that computed them; and the time taken.

    prompt [m]: probabilities of the prompt's text tokens, if the head has a text output.
    """

    values: np.ndarray
    backend: str
    compute_ms: float
    prompt: np.ndarray | None = None


@dataclass(frozen=True)
class Token:
    """One answer token.

    query_state [d] is the last hidden state that predicted the token; alternatives are sorted most likely first.
    unembedding [d] is the token's row of `lm_head`, and attention_logits [P] what FastRM+ adds to its logits, if the run
    has these.
    """

    index: int
    token_id: int
    text: str
    word: int
    log_prob: float
    alternatives: Sequence[Alternative]
    query_state: np.ndarray
    map: Map | None
    unembedding: np.ndarray | None = None
    attention_logits: np.ndarray | None = None


class End(NamedTuple):
    """The end of a run; times are in milliseconds since the question was asked."""

    reason: EndReason
    answer_ms: float
    first_token_ms: float
    message: str | None = None


class StatesNotFinite(ValueError):
    """Hidden states or unembedding rows contain NaN or infinity, so no map can be computed from them."""


class RunWriter(RowWriter):
    """Writes the rows of a run in order: `queued`*, `image`*, `states`, `prompt`, `token`*, `end`.

    `end` is allowed at any point. Without it, the run is truncated. With `has_unembedding`, `prompt` and `token` need
    the unembedding rows of their tokens; without it, they accept none. The same holds for `has_prompt_maps` and the
    maps' `prompt`, and for the tokens' attention logits if the header has `attentionLogitsOf`.
    """

    def __init__(self, sink: Sink, header: Header, *, has_unembedding: bool = False, has_prompt_maps: bool = False):
        self._has_attention = "attentionLogitsOf" in header
        super().__init__(
            sink,
            [
                *RUN_FIELDS,
                *(UNEMBEDDING_FIELDS if has_unembedding else []),
                *([PROMPT_MAP_FIELD] if has_prompt_maps else []),
                *([ATTENTION_FIELD] if self._has_attention else []),
            ],
            key=METADATA_KEY,
            header={"formatVersion": FORMAT_VERSION, **header},
            order=_ORDER,
            repeated=_REPEATED,
        )
        self._images_left = self._images = image_count(header)
        self._patches = patch_count(header["geometry"])
        self._hidden_size = header["model"]["hiddenSize"]
        self._has_unembedding, self._has_prompt_maps = has_unembedding, has_prompt_maps
        self._prompt_tokens = self._tokens = 0

    def queued(self, place: int) -> None:
        """Write the number of questions ahead in the queue; 0 when this one starts."""
        self.write_row("queued", place=place)

    def image(self, content: bytes) -> None:
        """Write the next image file, byte for byte: all images in order, or none."""
        if self._images_left == 0:
            raise ValueError(f"the header has {self._images} images, all of which have been written")
        self.write_row("image", picture=content)
        self._images_left -= 1

    def states(self, states: np.ndarray) -> None:
        """Write the last hidden states [P, d] of the patches.

        Raises StatesNotFinite if a value is NaN or infinite, and ValueError if the shape contradicts the header.
        `prompt` and `token` raise the same errors.
        """
        if states.shape != (self._patches, self._hidden_size):
            raise ValueError(f"expected states of shape {(self._patches, self._hidden_size)}, got {states.shape}")
        self.write_row("states", **_number_columns("states", states))

    def prompt(self, tokens: Sequence[PromptToken], states: np.ndarray, unembedding: np.ndarray | None = None) -> None:
        """Write the prompt's m text tokens with their last hidden states [m, d] and unembedding rows [m, d]."""
        if states.shape != (len(tokens), self._hidden_size):
            raise ValueError(f"expected prompt states of shape {(len(tokens), self._hidden_size)}, got {states.shape}")
        prompt_tokens = [{"tokenId": token.token_id, "text": token.text} for token in tokens]
        rows = self._unembedding_columns(unembedding, (len(tokens), self._hidden_size))
        self.write_row("prompt", promptTokens=prompt_tokens, **_number_columns("states", states), **rows)
        self._prompt_tokens = len(tokens)

    def token(self, token: Token) -> None:
        """Write the next answer token."""
        if token.index != self._tokens:
            raise ValueError(f"expected token {self._tokens}, got token {token.index}")
        if token.query_state.shape != (self._hidden_size,):
            raise ValueError(f"expected a query state of shape {(self._hidden_size,)}, got {token.query_state.shape}")
        row: dict[str, Any] = {
            "index": token.index,
            "tokenId": token.token_id,
            "text": token.text,
            "word": token.word,
            "logProb": token.log_prob,
            "alternatives": [
                {"tokenId": a.token_id, "text": a.text, "logProb": a.log_prob} for a in token.alternatives
            ],
            **_number_columns("queryState", token.query_state),
            **self._unembedding_columns(token.unembedding, (self._hidden_size,)),
            **self._attention_column(token.attention_logits),
        }
        if token.map is not None:
            if token.map.values.shape != (self._patches,):
                raise ValueError(f"expected a map of shape {(self._patches,)}, got {token.map.values.shape}")
            values = token.map.values.astype(np.float32)
            row |= {"map": values, "mapBackend": token.map.backend, "mapComputeMs": token.map.compute_ms}
            row |= self._prompt_map_column(token.map.prompt)
        self.write_row("token", **row)
        self._tokens += 1

    def end(self, end: End) -> None:
        """Write the last row."""
        times = {"answerMs": end.answer_ms, "firstTokenMs": end.first_token_ms}
        self.write_row("end", reason=end.reason, message=end.message, **times)

    def end_early(self, reason: Literal["cancelled", "failed"], ms: float, message: str | None = None) -> None:
        """Write the last row of an interrupted answer, `ms` after its start."""
        self.end(End(reason, ms, 0, message))

    def write_row(self, kind: str, **row: Any) -> None:
        """Write one row. Raises ValueError if it is out of order."""
        if kind in ("prompt", "token") and not self.has_passed("states"):
            raise ValueError(f"a row of kind {kind} cannot precede the states")
        if kind == "states" and 0 < self._images_left < self._images:
            written = self._images - self._images_left
            raise ValueError(
                f"the header has {self._images} images, {written} of which have been written before states"
            )
        super().write_row(kind, **row)

    def _prompt_map_column(self, values: np.ndarray | None) -> dict[str, np.ndarray]:
        if not self._has_prompt_maps:
            if values is not None:
                raise ValueError("this run has no column for maps of the prompt")
            return {}
        actual = None if values is None else values.shape
        if values is None or actual != (self._prompt_tokens,):
            raise ValueError(f"expected a map of the prompt of shape {(self._prompt_tokens,)}, got {actual}")
        return {"mapPrompt": values.astype(np.float32)}

    def _attention_column(self, logits: np.ndarray | None) -> dict[str, np.ndarray]:
        actual = None if logits is None else logits.shape
        expected = (self._patches,) if self._has_attention else None
        if actual != expected:
            raise ValueError(f"expected attention logits of shape {expected}, got {actual}")
        return {} if logits is None else {"attentionLogits": logits.astype(np.float32)}

    def _unembedding_columns(self, rows: np.ndarray | None, shape: tuple[int, ...]) -> dict[str, np.ndarray]:
        actual = None if rows is None else rows.shape
        expected = shape if self._has_unembedding else None
        if actual != expected:
            raise ValueError(f"expected unembedding rows of shape {expected}, got {actual}")
        return {} if rows is None else _number_columns("unembedding", rows, what="unembedding rows")


def _number_columns(name: str, numbers: np.ndarray, *, what: str = "hidden states") -> dict[str, np.ndarray]:
    """The fp16 column if fp16 can represent every value, else the float32 column."""
    flat = np.ravel(numbers)
    largest = float(np.abs(flat).max(initial=0))
    if not np.isfinite(largest):
        bad = int(len(flat) - np.isfinite(flat).sum())
        raise StatesNotFinite(f"the model's {what} are not finite: {bad} of {len(flat)} values")
    if largest > FP16_MAX:
        return {f"{name}32": flat.astype(np.float32)}
    return {name: flat.astype(np.float16)}


class Prompt(NamedTuple):
    """The prompt's text tokens, their last hidden states [m, d] and, if the run has them, unembedding rows [m, d]."""

    tokens: list[PromptToken]
    states: np.ndarray
    unembedding: np.ndarray | None = None


class Run(NamedTuple):
    """A run read from a stream. Parts that are missing from the stream, or lie beyond the point where it was cut off,
    are None.

    places: the number of questions ahead in the queue, one per `queued` row. pictures: the bytes of the image files.
    states [P, d]: fp16, or float32 if a value is outside fp16's range, as are all states and unembedding rows.
    """

    header: Header
    places: list[int]
    pictures: list[bytes]
    states: np.ndarray | None
    prompt: Prompt | None
    tokens: list[Token]
    end: End

    @property
    def picture(self) -> bytes | None:
        """The first image file."""
        return self.pictures[0] if self.pictures else None


def read_run(path: Path) -> Run:
    """Read a run file as `parse_run` does."""
    return parse_run(path.read_bytes(), name=path.name)


def parse_run(content: bytes, *, name: str = "the stream") -> Run:
    """Read a run, up to the point where the stream was cut off.

    Raises ValueError if it is not a run, or has another format version. `name` is used in error messages.
    """
    metadata, rows = open_rows(content, key=METADATA_KEY, what="a run", version=FORMAT_VERSION, name=name)
    header = cast(Header, metadata)
    hidden_size = header["model"]["hiddenSize"]
    places, pictures, states, prompt, tokens = [], [], None, None, []
    end = End("truncated", 0, 0)
    for row in rows:
        match row["kind"]:
            case "queued":
                places.append(row["place"])
            case "image":
                pictures.append(row["picture"])
            case "states":
                states = _numbers(row, "states").reshape(-1, hidden_size)
            case "prompt":
                prompt_tokens = [PromptToken(token["tokenId"], token["text"]) for token in row["promptTokens"]]
                unembedding = _unembedding(row)
                prompt = Prompt(
                    prompt_tokens,
                    _numbers(row, "states").reshape(-1, hidden_size),
                    None if unembedding is None else unembedding.reshape(-1, hidden_size),
                )
            case "token":
                tokens.append(_token(row))
            case "end":
                end = End(row["reason"], row["answerMs"], row["firstTokenMs"], row["message"])
    return Run(header, places, pictures, states, prompt, tokens, end)


def _numbers(row: dict[str, Any], name: str) -> np.ndarray:
    return row[name] if row[name] is not None else row[f"{name}32"]


def _unembedding(row: dict[str, Any]) -> np.ndarray | None:
    return _numbers(row, "unembedding") if "unembedding" in row else None


def _token(row: dict[str, Any]) -> Token:
    token_map = None
    if row["map"] is not None:
        token_map = Map(row["map"], row["mapBackend"], row["mapComputeMs"], row.get("mapPrompt"))
    alternatives = [Alternative(a["tokenId"], a["text"], a["logProb"]) for a in row["alternatives"]]
    fields = (row["index"], row["tokenId"], row["text"], row["word"], row["logProb"])
    state = _numbers(row, "queryState")
    return Token(*fields, alternatives, state, token_map, _unembedding(row), row.get("attentionLogits"))
