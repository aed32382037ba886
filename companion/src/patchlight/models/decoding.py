"""Decode an answer token by token, and yield the last hidden states that the page needs to explain it.

Runs its own loop over `model.model` and `lm_head` with a key-value cache, because `generate` does not return the
prompt's hidden states and cannot be stopped between tokens. It produces the same tokens as `generate`, both greedily
and when sampling with the same seed.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import torch
from torch import FloatTensor, LongTensor, Tensor
from transformers import (
    DynamicCache,
    LogitsProcessorList,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopPLogitsWarper,
)

from .language_model import logits_of, on_device
from .reading import Lvlm, Reading
from .sampling import Sampling

# Options that `generate` also applies, each with the values that mean "off". A model whose generation config turns one
# of these on would answer differently here than under `generate`, so it is rejected with an error that names the
# option. Sampling options (temperature, top_k, ...) are not listed, because the user sets them.
_UNSUPPORTED_OPTIONS: dict[str, tuple[Any, ...]] = {
    "bad_words_ids": (None, []),
    "begin_suppress_tokens": (None, []),
    "encoder_no_repeat_ngram_size": (None, 0),
    "encoder_repetition_penalty": (None, 1.0),
    "exponential_decay_length_penalty": (None,),
    "forced_bos_token_id": (None,),
    "forced_eos_token_id": (None,),
    "guidance_scale": (None, 1.0),
    "min_length": (None, 0),
    "min_new_tokens": (None, 0),
    "no_repeat_ngram_size": (None, 0),
    "num_beams": (None, 1),
    "sequence_bias": (None,),
    "suppress_tokens": (None, []),
    "watermarking_config": (None,),
}


class Prefill(NamedTuple):
    """Hidden states of the prompt, after the final norm, in the model's dtype and on its device.

    patch_states [P, d] of the image patches; prompt_states [m, d] of the text tokens.
    """

    patch_states: Tensor
    prompt_states: Tensor


@dataclass(frozen=True, eq=False)
class Step:
    """One answer token.

    log_prob and alternatives (id, log-probability; most likely first) come from the raw logits, before temperature and
    repetition penalty. query_state [d] is the last hidden state that predicted the token:
    `logits_of(model, query_state)` equals those logits. is_end marks an end token, which is always the last step.
    """

    index: int
    token_id: int
    log_prob: float
    alternatives: list[tuple[int, float]]
    query_state: Tensor
    is_end: bool


class NonFiniteStates(ValueError):
    """The model's hidden states or logits contain NaN or infinity."""


class UnsupportedGeneration(ValueError):
    """The model's generation config sets an option that this loop does not support; the message names it."""


def check_generation(model: Lvlm) -> None:
    """Raise UnsupportedGeneration if the model's generation config sets an option that this loop does not support."""
    for name, off in _UNSUPPORTED_OPTIONS.items():
        value = getattr(model.generation_config, name, None)
        if value not in off:
            raise UnsupportedGeneration(f"the model's generation config sets {name} to {value!r}: not supported")


def decode(
    model: Lvlm, reading: Reading, sampling: Sampling, *, stop: Callable[[], bool] = lambda: False
) -> Iterator[Prefill | Step]:
    """Yield one Prefill, then one Step per token, until the end token (included) or `max_new_tokens`.

    `stop` is called before each forward pass, so a stopped answer costs no further token. Raises UnsupportedGeneration
    before the first pass, and NonFiniteStates at the first token whose states or logits are not finite.
    """
    check_generation(model)
    if stop():
        return
    fed = on_device(model, reading.inputs)
    ids = fed["input_ids"]
    cache = DynamicCache(config=model.config.get_text_config(decoder=True))
    choose = _Chooser(model, sampling)
    ends = _end_ids(model)
    for index in range(sampling.max_new_tokens):
        if index > 0 and stop():
            return
        # Not inference_mode: gradient methods cannot use its tensors afterwards.
        with torch.no_grad():
            states = model.model(**fed, past_key_values=cache, use_cache=True).last_hidden_state[0]
            token, facts = choose(ids, states, logits_of(model, states[-1:]))
        finite, token_id, log_prob, *top = facts.tolist()
        if not finite:
            raise NonFiniteStates(f"the model's hidden states are not finite at token {index}; try dtype bfloat16")
        if index == 0:
            yield Prefill(
                states[reading.patch_columns.to(states.device)], states[reading.prompt_columns.to(states.device)]
            )
        half = len(top) // 2
        alternatives = [(int(number), score) for number, score in zip(top[:half], top[half:], strict=True)]
        is_end = int(token_id) in ends
        # Clone: a view from the first step would keep the states of the whole prompt in memory.
        yield Step(index, int(token_id), log_prob, alternatives, states[-1].clone(), is_end)
        if is_end:
            return
        ids = torch.cat([ids, token.to(ids.device)], dim=1)
        fed = {"input_ids": ids[:, -1:]}


class _Chooser:
    """Chooses the next token. All facts about the token are returned in one tensor, so each step waits for the device
    only once.
    """

    def __init__(self, model: Lvlm, sampling: Sampling):
        self._sampling = sampling
        self._warp = LogitsProcessorList()
        penalty = getattr(model.generation_config, "repetition_penalty", None)
        if penalty is not None and penalty != 1.0:
            self._warp.append(RepetitionPenaltyLogitsProcessor(penalty))
        self._random: torch.Generator | None = None
        if sampling.temperature > 0:
            if sampling.temperature != 1:
                self._warp.append(TemperatureLogitsWarper(sampling.temperature))
            if sampling.top_p < 1:
                self._warp.append(TopPLogitsWarper(sampling.top_p))

    def __call__(self, ids: Tensor, states: Tensor, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Choose a token from the ids so far [1, n], the states just computed [s, d] and the logits of the last state
        [1, V].

        Returns the token [1, 1] and facts [3 + 2k]: whether all states and logits are finite, the token's id and
        log-probability, then the k most likely ids and their log-probabilities. The facts are float32, which represents
        ids below 2^24 exactly.
        """
        logits = logits.float()
        finite = states.isfinite().all().to(logits.device) & logits.isfinite().all()
        # Sampling from NaN would abort the GPU context.
        logits = torch.where(finite, logits, 0.0)
        scores = self._warp(cast(LongTensor, ids.to(logits.device)), cast(FloatTensor, logits))
        if self._sampling.temperature == 0:
            token = scores.argmax(dim=-1, keepdim=True)
        else:
            if self._random is None:
                self._random = torch.Generator(scores.device).manual_seed(self._sampling.seed)
            token = torch.multinomial(scores.softmax(dim=-1), 1, generator=self._random)
        log_probs = logits.log_softmax(dim=-1)
        top = log_probs[0].topk(min(self._sampling.alternatives, log_probs.shape[-1]))
        parts = (finite[None], token[0], log_probs.gather(1, token)[0], top.indices, top.values)
        return token, torch.cat([part.float() for part in parts])


def _end_ids(model: Lvlm) -> set[int]:
    ends = model.generation_config.eos_token_id
    return set() if ends is None else {ends} if isinstance(ends, int) else set(ends)
