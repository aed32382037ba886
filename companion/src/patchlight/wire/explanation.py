"""Write and read an explanation as an Arrow IPC stream, format version 1. The page reads it in
`src/contract/explain-stream.ts`; docs/protocol.md specifies the format.

The schema's metadata holds the header as JSON under `patchlight.explain`. The rows are `queued` (number of requests
ahead in the queue), `check` (whether the explained pass agrees with the streamed answer; missing if the method does not
run the model), one `map` per token as soon as the map is ready, then one `end`. A stream without an `end` row was cut
off.
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
    """The model that was run, its dtype, and its device, such as "cuda:0"."""

    name: str
    revision: str
    dtype: str
    device: str


class ExplanationHeader(TypedDict):
    """The header of an explanation.

    `tokenIndices` lists answer tokens in the order of their maps. A map has `patches` (P) values for the image and, if
    the method also scores text, `promptTokens` (m) values for the prompt.
    """

    id: str
    method: str
    model: ExplainedModel
    tokenIndices: list[int]
    patches: int
    promptTokens: int


class TokenMap(NamedTuple):
    """One token's map.

    values [P]: frames in order, each row-major. prompt [m] and answer [token_index]: only if the method also scores
    text.
    """

    token_index: int
    values: np.ndarray
    prompt: np.ndarray | None
    answer: np.ndarray | None
    grounding: float | None
    ms: float


class ExplanationEnd(NamedTuple):
    """The end of an explanation, with the total cost of all its maps. peak_bytes is relative to the memory in use
    before the explanation.
    """

    reason: ExplanationReason
    tokens: int
    ms: float
    forward_passes: int
    backward_passes: int
    peak_bytes: int | None
    message: str | None = None


class NotFinite(ValueError):
    """A map or log-probability is NaN or infinite, because the model's hidden states or logits are."""


class ExplanationWriter(RowWriter):
    """Writes the rows of an explanation in order: `queued`*, `check`, `map`*, `end`. `end` is allowed at any point."""

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
        self._pending = list(header["tokenIndices"])

    def queued(self, place: int) -> None:
        """Write the number of requests ahead in the queue; 0 when this one starts."""
        self.write_row("queued", place=place)

    def check(self, is_same: bool, largest_difference: float) -> None:
        """Write how the explained pass compares with the streamed answer.

        largest_difference: the largest difference, in nats, between an answer token's explained and streamed
        log-probabilities. Raises NotFinite.
        """
        if not math.isfinite(largest_difference):
            raise NotFinite("the log-probabilities of the answer's tokens are not finite in the explained pass")
        self.write_row("check", isSame=is_same, largestDifference=largest_difference)

    def map(self, token_map: TokenMap) -> None:
        """Write the map of the next token in the header's order.

        Raises NotFinite if a value is NaN or infinite, and ValueError if the map contradicts the header.
        """
        expected = self._pending.pop(0) if self._pending else None
        if token_map.token_index != expected:
            missing = "no further map" if expected is None else f"the map of token {expected}"
            raise ValueError(f"expected {missing}, got the map of token {token_map.token_index}")
        lengths: Sequence[tuple[str, np.ndarray | None, int]] = [
            ("values", token_map.values, self._patches),
            ("prompt", token_map.prompt, self._prompt_tokens),
            ("answer", token_map.answer, token_map.token_index),
        ]
        row: dict[str, Any] = {"tokenIndex": expected, "grounding": token_map.grounding, "ms": token_map.ms}
        for name, numbers, length in lengths:
            if numbers is None:
                continue
            if numbers.shape != (length,):
                raise ValueError(f"expected {name} of token {expected} of shape {(length,)}, got {numbers.shape}")
            if not np.isfinite(numbers).all():
                bad = length - int(np.isfinite(numbers).sum())
                raise NotFinite(f"the map of token {expected} is not finite: {bad} of {length} {name}")
            row[name] = numbers.astype(np.float32)
        self.write_row("map", **row)

    def end(self, end: ExplanationEnd) -> None:
        """Write the last row."""
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

    def end_early(self, reason: Literal["cancelled", "failed"], ms: float, message: str | None = None) -> None:
        """Write the last row of an interrupted explanation, `ms` after its start. The passes and memory are unknown."""
        self.end(ExplanationEnd(reason, 0, ms, 0, 0, None, message))


class Explanation(NamedTuple):
    """An explanation read from a stream.

    places: the number of requests ahead in the queue, one per `queued` row. check: (is_same, largest_difference).
    end: None if the stream was cut off.
    """

    header: ExplanationHeader
    places: list[int]
    check: tuple[bool, float] | None
    maps: list[TokenMap]
    end: ExplanationEnd | None


def parse_explanation(content: bytes, *, name: str = "the stream") -> Explanation:
    """Read an explanation, up to the point where the stream was cut off.

    Raises ValueError if it is not an explanation, or has another format version. `name` is used in error messages.
    """
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
