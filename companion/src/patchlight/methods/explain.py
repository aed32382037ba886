"""Every way of explaining tokens of a finished answer, behind one call: `explain`.

What each method is, and which choices were made where papers leave them open, is said in its own module and in
docs/methods.md. FastRM is not among them: it reads states that the page already has (`head/fastrm.py`).
"""

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..models.families.registry import extend
from ..models.loading import Loaded
from ..models.reading import Reading
from .answer import Answer, Explains, Passes, Pause, Said
from .attention import raw_attention, rollout
from .chefer import chefer, chefer_incremental
from .dex_ar import dex_ar
from .gradcam import feature_gradcam, gradcam
from .memory_estimate import columns_that_fit, sizes_of, wanted_bytes
from .names import METHODS, Method
from .peak_memory import peak_memory
from .random_maps import random_maps
from .tam import token_activation


class Check(NamedTuple):
    """Whether the pass that is explained says what was streamed: src/contract/run.ts has the same of the page's own.

    is_same: at each place the likeliest token is the answer's or, where it is not (a sampled answer), the answer's token
    is as likely as it was when it was streamed, as far as the model's numbers tell. largest_difference: of the
    log-probabilities of the answer's tokens. What was streamed is what the caller handed in; where that is nothing, the
    model's ordinary forward pass stands in for it.
    """

    is_same: bool
    largest_difference: float


class MethodMap(NamedTuple):
    """One token's map, float32 on the CPU. patches [P] as in `Reading.patch_columns`.

    prompt [m] as in `Reading.prompt_columns` and answer [token_index], of the answer's earlier tokens, where the method
    weighs text, in the unit of `patches`. grounding: DEX-AR's token weight. ms: this token's own part and an equal
    share of what all wanted tokens had in common.
    """

    token_index: int
    patches: Tensor
    prompt: Tensor | None
    answer: Tensor | None
    grounding: float | None
    ms: float


class Cost(NamedTuple):
    """What an explanation took, check included, of `tokens` maps that were handed out.

    Passes are the decoder's; a backward pass through a single layer counts as one. peak_bytes above what was in use
    before, as `peak_memory` measures it.
    """

    tokens: int
    ms: float
    forward_passes: int
    backward_passes: int
    peak_bytes: int


class BudgetExceeded(ValueError):
    """The explanation would take more memory than it may; nothing was run."""

    def __init__(self, message: str, wanted_bytes: int, budget_bytes: int):
        super().__init__(message)
        self.wanted_bytes, self.budget_bytes = wanted_bytes, budget_bytes


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
    """One Check (where the method runs the model), a MethodMap for each of `token_indices` in turn, one Cost at the end.

    answer_ids: all T tokens of the answer without its end token, also where few are to be explained; log_probs [T] as
    they were streamed. `stop` is asked before each token, and between the passes that incremental Chefer makes for one; a
    stopped explanation still ends with its Cost. `seed` is the random maps' own. Raises ValueError, before anything is run, on an unknown method, an index outside the answer
    and other impossible requests, and BudgetExceeded where more than `budget_bytes` would be needed at once.
    """
    answer = _checked(loaded, reading, answer_ids, method, token_indices, log_probs)
    if budget_bytes is not None:
        _check_budget(answer, method, budget_bytes)
    return _explained(answer, _method(method, seed), log_probs, stop)


def _method(name: Method, seed: int) -> Explains:
    methods: dict[Method, Explains] = {
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
        raise ValueError(f"method {method!r}: want one of {', '.join(METHODS)}")
    ids, wanted = tuple(answer_ids), tuple(token_indices)
    if not wanted:
        raise ValueError("no token to explain: want at least one")
    for index in wanted:
        if not 0 <= index < len(ids):
            raise ValueError(f"token {index} of an answer of {len(ids)} tokens: want 0 to {len(ids) - 1}")
    if len(set(wanted)) != len(wanted):
        raise ValueError(f"tokens {list(wanted)}: one is asked for twice")
    vocabulary = loaded.model.config.get_text_config().vocab_size
    for token in ids:
        if not 0 <= token < vocabulary:
            raise ValueError(f"token id {token}: the model's vocabulary has {vocabulary}")
    if log_probs is not None and len(log_probs) != len(ids):
        raise ValueError(f"{len(log_probs)} log-probabilities for an answer of {len(ids)} tokens")
    extend(reading, ids)  # refuses the picture's own token
    return Answer(loaded, reading, ids, wanted)


def _check_budget(answer: Answer, method: Method, budget_bytes: int) -> None:
    sizes = sizes_of(answer)
    wanted = wanted_bytes(method, sizes)
    if wanted <= budget_bytes:
        return
    fits = columns_that_fit(method, sizes, budget_bytes)
    others = [name for name in METHODS if name != "random" and wanted_bytes(name, sizes) <= budget_bytes]
    room = f"{fits} columns would fit" if fits else "not even a short prompt would fit"
    instead = f"these methods fit as it is: {', '.join(others)}" if others else "no other method fits as it is"
    raise BudgetExceeded(
        f"{method} over {sizes.N} columns ({sizes.prompt} of the prompt with its picture, {sizes.N - sizes.prompt} of the "
        f"answer) in {sizes.L} layers of {sizes.H} heads may take {_megabytes(wanted)} at once; "
        f"{_megabytes(budget_bytes)} are allowed: {room}, and {instead}",
        wanted,
        budget_bytes,
    )


def _megabytes(size: int) -> str:
    return f"{size / 1e9:.3g} GB" if size >= 1e9 else f"{size / 1e6:.3g} MB"


def _explained(
    answer: Answer, method: Explains, log_probs: Sequence[float] | None, stop: Callable[[], bool]
) -> Generator[Check | MethodMap | Cost]:
    passes, tokens, spent_ms, shared_ms, own_ms = Passes(), 0, 0.0, 0.0, 0.0
    with peak_memory(answer.loaded.device) as peak, closing(method(answer, passes)) as steps:
        while not stop():
            start = time.perf_counter()
            step = next(steps, None)
            if step is None:
                break
            if isinstance(step, Said):
                said = step.logits.float().log_softmax(-1).cpu()  # waits for the device
                shared_ms = _ms_since(start) / len(answer.wanted)
                event = _check(answer, said, log_probs, passes)
                spent_ms += _ms_since(start)
            else:
                took_ms = _ms_since(start)
                own_ms, spent_ms = own_ms + took_ms, spent_ms + took_ms
                if isinstance(step, Pause):
                    continue
                event = MethodMap(*step, own_ms + shared_ms)
                tokens, own_ms = tokens + 1, 0.0
            peak()
            yield event
    yield Cost(tokens, spent_ms, passes.forward, passes.backward, peak())


def _ms_since(start: float) -> float:
    return (time.perf_counter() - start) * 1000


def _check(answer: Answer, said: Tensor, log_probs: Sequence[float] | None, passes: Passes) -> Check:
    """said [T, vocabulary]: log-probabilities of the pass that is explained."""
    tokens = answer.tokens
    if log_probs is None:
        streamed = _ordinary_log_probs(answer).gather(1, tokens[:, None])[:, 0]
        passes.forward += 1
    else:
        streamed = torch.tensor(log_probs)
    apart = (said.gather(1, tokens[:, None])[:, 0].double() - streamed.double()).abs()
    is_same = (said.argmax(-1) == tokens) | (apart <= _as_likely(answer.loaded.dtype))
    return Check(bool(is_same.all()), float(apart.max()))


def _as_likely(dtype: torch.dtype) -> float:
    """Nats that a token's log-probability may move by when the same model is run in another order of sums: logits of 16
    to 32 are 16 epsilons apart, and two of them are rounded; in float32 what many layers' sums come to is more."""
    return max(1e-3, 32 * torch.finfo(dtype).eps)


@torch.no_grad()
def _ordinary_log_probs(answer: Answer) -> Tensor:
    """[T, vocabulary] on the CPU, by the model's own attention."""
    model: Any = answer.loaded.model
    fed = {
        name: value.to(model.device, model.dtype if value.is_floating_point() else None)
        for name, value in extend(answer.reading, answer.ids[:-1]).items()
    }
    states = model.model(**fed, use_cache=False).last_hidden_state[0]
    return model.lm_head(states[answer.positions.to(states.device)]).float().log_softmax(-1).cpu()
