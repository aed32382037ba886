"""All methods for explaining the tokens of a finished answer, behind one call: `explain`.

Each method's module and docs/methods.md define the method, and the choices made where its paper is silent. FastRM is
not included, because it needs only hidden states, which the page already has (`head/fastrm.py`).
"""

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from ..models.families.registry import extend
from ..models.language_model import logits_of, on_device
from ..models.loading import Loaded
from ..models.quantisation import quantisation_of
from ..models.reading import Reading
from .answer import Answer, ExplanationMethod, Logits, Passes, Pause
from .attention import raw_attention, rollout
from .chefer import chefer, chefer_incremental
from .dex_ar import dex_ar
from .gradcam import feature_gradcam, gradcam
from .memory_estimate import columns_that_fit, estimated_bytes, sizes_of
from .names import METHODS, Method
from .peak_memory import peak_memory
from .random_maps import random_maps
from .support import refused_methods
from .tam import token_activation


class Check(NamedTuple):
    """Whether the explained pass agrees with the streamed answer; src/contract/run.ts is the page's counterpart.

    is_same: every answer token is as likely as it was when streamed, within `log_prob_bounds` of the model's dtype.
    largest_difference: the largest difference, in nats, between an answer token's explained and streamed
    log-probabilities. If the caller gives no streamed log-probabilities, those
    from the model's ordinary forward pass are used instead.
    """

    is_same: bool
    largest_difference: float


class MethodMap(NamedTuple):
    """One token's map, float32 on the CPU. patches [P] is in the order of `Reading.patch_columns`.

    If the method also scores text, prompt [m] is in the order of `Reading.prompt_columns` and answer [token_index]
    covers the answer's earlier tokens, both in the same unit as `patches`. grounding: DEX-AR's token weight. ms: time
    spent on this token, plus an equal share of the time common to all requested tokens.
    """

    token_index: int
    patches: Tensor
    prompt: Tensor | None
    answer: Tensor | None
    grounding: float | None
    ms: float


class Cost(NamedTuple):
    """The cost of an explanation that yielded `tokens` maps, including the cost of the check.

    Only passes through the decoder are counted; a backward pass through a single layer counts as one. peak_bytes is the
    peak memory above the memory in use before the explanation, as measured by `peak_memory`.
    """

    tokens: int
    ms: float
    forward_passes: int
    backward_passes: int
    peak_bytes: int


class BudgetExceeded(ValueError):
    """The explanation would need more memory than its budget. Raised before anything is run."""

    def __init__(self, message: str, required_bytes: int, budget_bytes: int):
        super().__init__(message)
        self.required_bytes, self.budget_bytes = required_bytes, budget_bytes


def explain(
    loaded: Loaded,
    reading: Reading,
    answer_ids: Sequence[int],
    method: Method,
    token_indices: Sequence[int],
    *,
    log_probs: Sequence[float] | None = None,
    budget_bytes: int | None = None,
    seed: int = 0,
    stop: Callable[[], bool] = lambda: False,
) -> Generator[Check | MethodMap | Cost]:
    """Yield one Check (if the method runs the model), then a MethodMap for each of `token_indices` in order, then one
    Cost.

    answer_ids: all T tokens of the answer without the end token, even if only some are to be explained. log_probs [T]:
    the log-probabilities with which these tokens were streamed. `stop` is called before each token and, for incremental
    Chefer, between the passes for one token; a stopped explanation still ends with its Cost. `seed` only affects the
    random maps.

    Before anything is run, raises ValueError for an unknown method, an index outside the answer or another invalid
    request, and BudgetExceeded if more than `budget_bytes` would be in use at once.
    """
    answer = _checked(loaded, reading, answer_ids, method, token_indices, log_probs)
    if budget_bytes is not None:
        _check_budget(answer, method, budget_bytes)
    return _explained(answer, _method(method, seed), log_probs, stop)


def _method(name: Method, seed: int) -> ExplanationMethod:
    methods: dict[Method, ExplanationMethod] = {
        "chefer": chefer,
        "chefer-incremental": chefer_incremental,
        "gradcam": gradcam,
        "feature-gradcam": feature_gradcam,
        "dex-ar": dex_ar,
        "tam": token_activation,
        "rollout": rollout,
        "attention": raw_attention,
        "random": random_maps(seed),
    }
    return methods[name]


def _checked(
    loaded: Loaded,
    reading: Reading,
    answer_ids: Sequence[int],
    method: str,
    token_indices: Sequence[int],
    log_probs: Sequence[float] | None,
) -> Answer:
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, got {method!r}")
    if reason := refused_methods(loaded.model).get(cast(Method, method)):
        raise ValueError(f"{method} cannot explain answers of this model: {reason}")
    ids, indices = tuple(answer_ids), tuple(token_indices)
    if not indices:
        raise ValueError("no token to explain: expected at least one token index")
    for index in indices:
        if not 0 <= index < len(ids):
            raise ValueError(f"token index {index} is outside the answer: expected 0 to {len(ids) - 1}")
    if len(set(indices)) != len(indices):
        raise ValueError(f"token indices {list(indices)} contain a duplicate")
    vocabulary = loaded.model.config.get_text_config().vocab_size
    for token in ids:
        if not 0 <= token < vocabulary:
            raise ValueError(f"token id {token} is outside the model's vocabulary of {vocabulary} tokens")
    if log_probs is not None and len(log_probs) != len(ids):
        raise ValueError(f"got {len(log_probs)} log-probabilities for an answer of {len(ids)} tokens")
    extend(reading, ids)  # raises ValueError if the answer contains the image token
    return Answer(loaded, reading, ids, indices)


def _check_budget(answer: Answer, method: Method, budget_bytes: int) -> None:
    sizes = sizes_of(answer)
    required = estimated_bytes(method, sizes)
    if required <= budget_bytes:
        return
    fits = columns_that_fit(method, sizes, budget_bytes)
    others = [name for name in METHODS if name != "random" and estimated_bytes(name, sizes) <= budget_bytes]
    shorter = f"{fits} columns would fit" if fits else "not even a short prompt would fit"
    instead = f"these methods fit unchanged: {', '.join(others)}" if others else "no other method fits"
    raise BudgetExceeded(
        f"{method} over {sizes.N} columns ({sizes.prompt} of prompt and image, {sizes.N - sizes.prompt} of the answer) "
        f"in {sizes.L} layers of {sizes.H} heads may need {_megabytes(required)} of memory, but "
        f"{_megabytes(budget_bytes)} is allowed: {shorter}, and {instead}",
        required,
        budget_bytes,
    )


def _megabytes(size: int) -> str:
    return f"{size / 1e9:.3g} GB" if size >= 1e9 else f"{size / 1e6:.3g} MB"


def _explained(
    answer: Answer, method: ExplanationMethod, log_probs: Sequence[float] | None, stop: Callable[[], bool]
) -> Generator[Check | MethodMap | Cost]:
    passes, tokens, spent_ms, shared_ms, own_ms = Passes(), 0, 0.0, 0.0, 0.0
    with peak_memory(answer.loaded.device) as peak, closing(method(answer, passes)) as steps:
        while not stop():
            start = time.perf_counter()
            step = next(steps, None)
            if step is None:
                break
            if isinstance(step, Logits):
                explained = step.logits.float().log_softmax(-1).cpu()  # waits for the device
                shared_ms = _ms_since(start) / len(answer.token_indices)
                event = _check(answer, explained, log_probs, passes)
                spent_ms += _ms_since(start)
            else:
                step_ms = _ms_since(start)
                own_ms, spent_ms = own_ms + step_ms, spent_ms + step_ms
                if isinstance(step, Pause):
                    continue
                event = MethodMap(*step, own_ms + shared_ms)
                tokens, own_ms = tokens + 1, 0.0
            peak()
            yield event
    yield Cost(tokens, spent_ms, passes.forward, passes.backward, peak())


def _ms_since(start: float) -> float:
    return (time.perf_counter() - start) * 1000


def _check(answer: Answer, explained: Tensor, log_probs: Sequence[float] | None, passes: Passes) -> Check:
    """Compare `explained` [T, vocabulary], the log-probabilities of the explained pass, with the streamed ones."""
    tokens = answer.tokens
    if log_probs is None:
        streamed = _ordinary_log_probs(answer).gather(1, tokens[:, None])[:, 0]
        passes.forward += 1
    else:
        streamed = torch.tensor(log_probs)
    differences = (explained.gather(1, tokens[:, None])[:, 0].double() - streamed.double()).abs()
    largest, mean = log_prob_bounds(_rounded_to(answer.loaded), len(answer.ids))
    is_same = float(differences.max()) <= largest and float(differences.mean()) <= mean
    return Check(is_same, float(differences.max()))


def _rounded_to(loaded: Loaded) -> torch.dtype:
    """Return the dtype whose rounding the model's products have at least: 8-bit layers round their inputs to 8 bits."""
    quantisation = quantisation_of(loaded.model.config)
    is_8_bit = quantisation is not None and quantisation.method == "bitsandbytes" and quantisation.bits == 8
    return torch.bfloat16 if is_8_bit else loaded.dtype


def log_prob_bounds(dtype: torch.dtype, tokens: int) -> tuple[float, float]:
    """Return the largest and the mean change in the log-probabilities of an answer's tokens, in nats, that a different
    order of summation may cause.

    In bfloat16 and float16, logits between 16 and 32 are spaced 16 epsilons apart, and both passes round theirs, after
    errors that add up over the layers. So a single token may be several spacings off, but not all of them: through 24
    random layers in bfloat16, differences reached 0.48, with means below 0.13. In float32, they stayed below 5e-5; the
    bound of 1e-3 leaves room for many layers.
    """
    eps = torch.finfo(dtype).eps
    return max(1e-3, 64 * eps), max(1e-3, (16 + 48 / tokens) * eps)


@torch.no_grad()
def _ordinary_log_probs(answer: Answer) -> Tensor:
    """Log-probabilities [T, vocabulary] on the CPU, computed with the model's own attention."""
    model: Any = answer.loaded.model
    fed = on_device(model, extend(answer.reading, answer.ids[:-1]))
    states = model.model(**fed, use_cache=False).last_hidden_state[0]
    return logits_of(model, states[answer.positions.to(states.device)]).float().log_softmax(-1).cpu()
