"""Explanations of the loaded model's answers: checked, reckoned, written as rows; and its vocabulary layer's rows."""

from collections.abc import Callable, Generator
from contextlib import closing
from typing import NamedTuple, cast

from ..methods.explain import Check, Cost, MethodMap, explain
from ..methods.names import METHODS, Method
from ..models.loading import Loaded, free_bytes
from ..models.reading import Reading
from ..wire.explanation import ExplanationEnd, ExplanationHeader, ExplanationWriter, TokenMap
from ..wire.unembedding import has_unembedding, unembedding_bytes
from .problems import Refusal
from .schemas import ExplainRequest
from .settings import EXPLAIN_SHARE, GIB, ServeSettings

# Where a system does not tell what is free.
UNKNOWN_FREE_BYTES = 4 * GIB
UNEMBEDDING_IDS = 512


class Explaining(NamedTuple):
    """An explanation that was found possible; nothing of it was computed yet."""

    asked: ExplainRequest
    reading: Reading
    steps: Generator[Check | MethodMap | Cost]


class Explainer:
    """`check` and `prepare` are called on one thread, `write` on the model's."""

    def __init__(self, loaded: Loaded, settings: ServeSettings):
        self._loaded = loaded
        free = free_bytes(loaded.device)
        self.budget_bytes = settings.explain_bytes or int(
            EXPLAIN_SHARE * (UNKNOWN_FREE_BYTES if free is None else free)
        )
        self.methods: tuple[Method, ...] = METHODS
        self.has_unembedding = has_unembedding(loaded.model)

    def check(self, asked: ExplainRequest) -> None:
        """Before the picture is decoded. Raises Refusal."""
        if asked.method not in self.methods:
            offered = ", ".join(self.methods)
            raise Refusal(422, "method-not-offered", f"there is no method {asked.method!r} here: {offered}")
        if outside := self._outside(asked.answer_ids):
            raise Refusal(422, "unknown-token-id", outside)
        config = self._loaded.model.config
        picture = getattr(config, "image_token_id", getattr(config, "image_token_index", None))
        if picture in asked.answer_ids:
            raise Refusal(422, "unknown-token-id", f"token id {picture} stands for a picture: no answer holds it")

    def prepare(self, asked: ExplainRequest, reading: Reading, stop: Callable[[], bool]) -> Explaining:
        """Raises BudgetExceeded, and ValueError where the method cannot explain such an answer."""
        steps = explain(
            self._loaded,
            reading,
            asked.answer_ids,
            cast(Method, asked.method),
            asked.token_indices,
            log_probs=asked.log_probs,
            budget_bytes=self.budget_bytes,
            stop=stop,
        )
        return Explaining(asked, reading, steps)

    def header(self, explaining: Explaining, run_id: str) -> ExplanationHeader:
        """What stands before the rows."""
        loaded, (asked, reading, _) = self._loaded, explaining
        return {
            "id": run_id,
            "method": asked.method,
            "model": {
                "name": loaded.name,
                "revision": loaded.revision,
                "dtype": str(loaded.dtype).removeprefix("torch."),
                "device": str(loaded.device),
            },
            "tokenIndices": asked.token_indices,
            "patches": len(reading.patch_columns),
            "promptTokens": len(reading.prompt_columns),
        }

    def write(self, explaining: Explaining, rows: ExplanationWriter, after_row: Callable[[], None]) -> None:
        """Rows from `check` to `end`."""
        with closing(explaining.steps) as steps:  # a row that is refused leaves them half way, with all that they hold
            for step in steps:
                match step:
                    case Check():
                        rows.check(step.is_same, step.largest_difference)
                    case MethodMap():
                        rows.map(_token_map(step))
                    case Cost():
                        reason = "done" if step.tokens == len(explaining.asked.token_indices) else "cancelled"
                        rows.end(ExplanationEnd(reason, *step))
                after_row()

    def unembedding(self, ids: list[int]) -> bytes:
        """The rows of these tokens. Raises Refusal."""
        if not self.has_unembedding:
            raise Refusal(404, "no-unembedding", "this model's vocabulary layer is not one matrix without a bias")
        if outside := self._outside(ids):
            raise Refusal(404, "no-such-token", outside)
        return unembedding_bytes(self._loaded, ids)

    def _outside(self, ids: list[int]) -> str | None:
        """What is wrong with an id that the model does not have."""
        vocabulary = self._loaded.model.config.get_text_config().vocab_size
        if (largest := max(ids)) < vocabulary:
            return None
        return f"token id {largest} is outside of the model's vocabulary of {vocabulary}"


def _token_map(found: MethodMap) -> TokenMap:
    prompt, answer = (None if part is None else part.numpy() for part in (found.prompt, found.answer))
    return TokenMap(found.token_index, found.patches.numpy(), prompt, answer, found.grounding, found.ms)
