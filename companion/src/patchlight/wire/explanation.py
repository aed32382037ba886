"""An explanation as bytes: an Arrow IPC stream, format version 1. `src/contract/explain-stream.ts` is its other end.

The schema's metadata holds the header as JSON under `patchlight.explain`. Rows: `queued` (how many wait before it),
`check` (whether the pass that is explained says what was streamed; missing where a method runs no model), `map` as each
is done, then one `end`. A stream without its `end` row was broken off. docs/protocol.md is the whole description.
"""

import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, TypedDict, cast

import numpy as np
import pyarrow as pa

from .row_stream import RowWriter, Sink, open_rows

EXPLANATION_VERSION = 1
EXPLANATION_KEY = b"patchlight.explain"
ExplanationReason = Literal["done", "cancelled", "failed"]

EXPLANATION_FIELDS = [
    pa.field("kind", pa.utf8(), nullable=False),
    pa.field("place", pa.int32()),
    pa.field("isSame", pa.bool_()),
    pa.field("largestDifference", pa.float64()),
    pa.field("tokenIndex", pa.int32()),
    pa.field("values", pa.list_(pa.float32())),
    pa.field("prompt", pa.list_(pa.float32())),
    pa.field("answer", pa.list_(pa.float32())),
    pa.field("grounding", pa.float32()),
    pa.field("ms", pa.float64()),
    pa.field("reason", pa.utf8()),
    pa.field("tokens", pa.int32()),
    pa.field("forwardPasses", pa.int32()),
    pa.field("backwardPasses", pa.int32()),
    pa.field("peakBytes", pa.int64()),
    pa.field("message", pa.utf8()),
]
_ORDER = ("queued", "check", "map", "end")
_REPEATED = ("queued", "map")


class ExplainedModel(TypedDict):
    """What was run, in which numbers, and where: "cuda:0"."""

    name: str
    revision: str
    dtype: str
    device: str


class ExplanationHeader(TypedDict):
    """`tokenIndices` of the answer, in the order of their maps; `patches` P and `promptTokens` m are the lengths of a
    map's two parts.
    """

    id: str
    method: str
    model: ExplainedModel
    tokenIndices: list[int]
    patches: int
    promptTokens: int


class TokenMap(NamedTuple):
    """values [P], frames in order, each row-major; prompt [m] and answer [token_index] where the method weighs text."""

    token_index: int
    values: np.ndarray
    prompt: np.ndarray | None
    answer: np.ndarray | None
    grounding: float | None
    ms: float


class ExplanationEnd(NamedTuple):
    """What all maps took together. peak_bytes above what was in use before."""

    reason: ExplanationReason
    tokens: int
    ms: float
    forward_passes: int
    backward_passes: int
    peak_bytes: int | None
    message: str | None = None


class NotFinite(ValueError):
    """NaN or infinity: the model itself gives no numbers, and nothing can be read off its maps."""


class ExplanationWriter(RowWriter):
    """Rows in their order: `queued`*, `check`, `map`*, `end`; `end` may come at any point."""

    def __init__(self, sink: Sink, header: ExplanationHeader):
        super().__init__(
            sink,
            EXPLANATION_FIELDS,
            key=EXPLANATION_KEY,
            header={"formatVersion": EXPLANATION_VERSION, **header},
            order=_ORDER,
            repeated=_REPEATED,
        )
        self._patches, self._prompt_tokens = header["patches"], header["promptTokens"]
        self._due = list(header["tokenIndices"])

    def queued(self, place: int) -> None:
        """How many questions are before this one; 0 when its turn has come."""
        self.write_row("queued", place=place)

    def check(self, is_same: bool, largest_difference: float) -> None:
        """Of the pass that is explained against what was streamed: log-probabilities of the answer's tokens."""
        if not math.isfinite(largest_difference):
            raise NotFinite("the log-probabilities of the answer's tokens are not finite in the pass that is explained")
        self.write_row("check", isSame=is_same, largestDifference=largest_difference)

    def map(self, found: TokenMap) -> None:
        """The next wanted token's."""
        due = self._due.pop(0) if self._due else None
        if found.token_index != due:
            raise ValueError(f"the map of token {found.token_index} comes where token {due} is due")
        lengths: Sequence[tuple[str, np.ndarray | None, int]] = [
            ("values", found.values, self._patches),
            ("prompt", found.prompt, self._prompt_tokens),
            ("answer", found.answer, found.token_index),
        ]
        row: dict[str, Any] = {"tokenIndex": due, "grounding": found.grounding, "ms": found.ms}
        for name, numbers, length in lengths:
            if numbers is None:
                continue
            if numbers.shape != (length,):
                raise ValueError(f"{name} of token {due} has the shape {numbers.shape}, want {(length,)}")
            if not np.isfinite(numbers).all():
                bad = length - int(np.isfinite(numbers).sum())
                raise NotFinite(f"the map of token {due} is not finite: {bad} of {length} {name}")
            row[name] = numbers.astype(np.float32)
        self.write_row("map", **row)

    def end(self, end: ExplanationEnd) -> None:
        """The last row."""
        self.write_row(
            "end",
            reason=end.reason,
            tokens=end.tokens,
            ms=end.ms,
            forwardPasses=end.forward_passes,
            backwardPasses=end.backward_passes,
            peakBytes=end.peak_bytes,
            message=end.message,
        )

    def cut(self, reason: Literal["cancelled", "failed"], ms: float, message: str | None = None) -> None:
        """The last row where the maps stop before their own end: nobody counted what they took."""
        self.end(ExplanationEnd(reason, 0, ms, 0, 0, None, message))


class Explanation(NamedTuple):
    """An explanation read back. check: is_same and largest_difference; end: None where the stream was broken off."""

    header: ExplanationHeader
    places: list[int]
    check: tuple[bool, float] | None
    maps: list[TokenMap]
    end: ExplanationEnd | None


def parse_explanation(content: bytes, *, name: str = "the stream") -> Explanation:
    """Whatever came before it broke off; an unknown version is refused by its number."""
    header, rows = open_rows(
        content, key=EXPLANATION_KEY, what="an explanation", version=EXPLANATION_VERSION, name=name
    )
    places: list[int] = []
    check, maps, end = None, [], None
    for row in rows:
        match row["kind"]:
            case "queued":
                places.append(row["place"])
            case "check":
                check = (row["isSame"], row["largestDifference"])
            case "map":
                parts = [row[part] for part in ("tokenIndex", "values", "prompt", "answer", "grounding", "ms")]
                maps.append(TokenMap(*parts))
            case "end":
                counts = ("reason", "tokens", "ms", "forwardPasses", "backwardPasses", "peakBytes", "message")
                end = ExplanationEnd(*[row[count] for count in counts])
    return Explanation(cast(ExplanationHeader, header), places, check, maps, end)
