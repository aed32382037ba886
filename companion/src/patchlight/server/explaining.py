"""Explains the model's answers: checks requests, estimates memory, writes rows. Also returns unembedding rows."""

from collections.abc import Callable, Generator
from contextlib import closing
from typing import NamedTuple, cast

from ..methods.explain import Check, Cost, MethodMap, explain
from ..methods.names import METHODS, Method
from ..methods.support import refused_methods
from ..models.loading import Loaded
from ..models.memory import free_bytes
from ..models.reading import Reading
from ..wire.explanation import ExplanationEnd, ExplanationHeader, ExplanationWriter, TokenMap
from ..wire.unembedding import has_unembedding, unembedding_bytes
from .problems import Refusal
from .schemas import ExplainRequest
from .settings import EXPLAIN_SHARE, GIB, ServeSettings

# Assumed free memory if the system does not report it.
UNKNOWN_FREE_BYTES = 4 * GIB
# Maximum number of token ids per request for unembedding rows.
UNEMBEDDING_IDS = 512


class Explaining(NamedTuple):
    """An explanation that passed all checks. Nothing is computed until its steps are iterated."""

    request: ExplainRequest
    reading: Reading
    steps: Generator[Check | MethodMap | Cost]


class Explainer:
    """Explains answers of one model.

    Call `check`, `prepare` and `unembedding` on one thread, and `write` on the model's thread.
    """

    def __init__(self, loaded: Loaded, settings: ServeSettings):
        self._loaded = loaded
        free = free_bytes(loaded.device)
        self.budget_bytes = settings.explain_bytes or int(
            EXPLAIN_SHARE * (UNKNOWN_FREE_BYTES if free is None else free)
        )
        self.refused = refused_methods(loaded.model)
        self.methods: tuple[Method, ...] = tuple(method for method in METHODS if method not in self.refused)
        self.has_unembedding = has_unembedding(loaded.model)

    def check(self, request: ExplainRequest) -> None:
        """Check the method and the token ids, which does not require the image. Raises Refusal."""
        if request.method not in self.methods:
            reason = self.refused.get(cast(Method, request.method))
            because = f", because {reason}" if reason else ""
            detail = f"method {request.method!r} is not available{because}: use one of {', '.join(self.methods)}"
            raise Refusal(422, "method-not-offered", detail)
        if problem := self._unknown_id(request.answer_ids):
            raise Refusal(422, "unknown-token-id", problem)
        config = self._loaded.model.config
        image_id = getattr(config, "image_token_id", getattr(config, "image_token_index", None))
        if image_id in request.answer_ids:
            detail = f"answerIds contains {image_id}, the id of image tokens: an answer cannot have one"
            raise Refusal(422, "unknown-token-id", detail)

    def prepare(self, request: ExplainRequest, reading: Reading, stop: Callable[[], bool]) -> Explaining:
        """Prepare an explanation; `stop` is polled between tokens.

        Raises BudgetExceeded if the explanation needs too much memory, and ValueError if the method cannot explain the
        answer.
        """
        steps = explain(
            self._loaded,
            reading,
            request.answer_ids,
            cast(Method, request.method),
            request.token_indices,
            log_probs=request.log_probs,
            budget_bytes=self.budget_bytes,
            stop=stop,
        )
        return Explaining(request, reading, steps)

    def header(self, explaining: Explaining, run_id: str) -> ExplanationHeader:
        """Return the header that precedes the rows."""
        loaded, (request, reading, _) = self._loaded, explaining
        return {
            "id": run_id,
            "method": request.method,
            "model": {
                "name": loaded.name,
                "revision": loaded.revision,
                "dtype": str(loaded.dtype).removeprefix("torch."),
                "device": str(loaded.device),
            },
            "tokenIndices": request.token_indices,
            "patches": len(reading.patch_columns),
            "promptTokens": len(reading.prompt_columns),
        }

    def write(self, explaining: Explaining, rows: ExplanationWriter, after_row: Callable[[], None]) -> None:
        """Compute the explanation and write its rows, from `check` to `end`."""
        # If writing a row fails, closing the generator frees the tensors that it holds.
        with closing(explaining.steps) as steps:
            for step in steps:
                match step:
                    case Check():
                        rows.check(step.is_same, step.largest_difference)
                    case MethodMap():
                        rows.map(_token_map(step))
                    case Cost():
                        reason = "done" if step.tokens == len(explaining.request.token_indices) else "cancelled"
                        rows.end(ExplanationEnd(reason, *step))
                after_row()

    def unembedding(self, ids: list[int]) -> bytes:
        """Return the unembedding rows of the given token ids as an Arrow stream. Raises Refusal."""
        if not self.has_unembedding:
            detail = "this model's output layer is not a single matrix without bias: it has no unembedding rows"
            raise Refusal(404, "no-unembedding", detail)
        if problem := self._unknown_id(ids):
            raise Refusal(404, "no-such-token", problem)
        return unembedding_bytes(self._loaded, ids)

    def _unknown_id(self, ids: list[int]) -> str | None:
        """Return an error message if an id is outside the vocabulary, else None."""
        size = self._loaded.model.config.get_text_config().vocab_size
        if (largest := max(ids)) < size:
            return None
        return f"token id {largest} is outside the vocabulary: ids go from 0 to {size - 1}"


def _token_map(result: MethodMap) -> TokenMap:
    prompt, answer = (None if part is None else part.numpy() for part in (result.prompt, result.answer))
    return TokenMap(result.token_index, result.patches.numpy(), prompt, answer, result.grounding, result.ms)
