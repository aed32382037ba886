"""Write a model's answer as the rows of a run. The companion's stream and recorded runs use the same loop."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..models.answer_pieces import AnswerText, token_texts
from ..models.decoding import Prefill, Step, decode
from ..models.reading import Frame as ReadFrame
from ..models.reading import Lvlm, Reading
from ..models.sampling import Sampling
from .run import Alternative, End, Map, PromptToken, RunWriter, Token
from .run_header import Frame, Geometry
from .unembedding import unembedding_rows

# Maps a query state [d] and the prompt's states to the relevancy of the patches for the predicted token.
MapOf = Callable[[Tensor, Prefill], Map]
# Returns the attention logits [P] of the token that the latest pass predicted.
AttentionLogits = Callable[[], np.ndarray]


def write_answer(
    run: RunWriter,
    *,
    model: Lvlm,
    tokenizer: Any,
    reading: Reading,
    sampling: Sampling,
    started: float,
    stop: Callable[[], bool] = lambda: False,
    after_row: Callable[[], None] = lambda: None,
    map_of: MapOf | None = None,
    attention_logits: AttentionLogits | None = None,
    has_unembedding: bool = False,
) -> str:
    """Write the rows from `states` to `end` and return the answer.

    `started` is the `perf_counter` time at which the question was asked. `stop` is called before each forward pass, and
    `after_row` after each row. `map_of`, if given, computes a map for each token, and `attention_logits` what FastRM+
    adds to its logits.
    `has_unembedding` adds the unembedding rows of all text tokens, for which `run` must have the columns.
    """
    answer = AnswerText(tokenizer)
    prefill: Prefill | None = None
    tokens, first_token_ms, reason = 0, 0.0, "length"
    for step in decode(model, reading, sampling, stop=stop):
        match step:
            case Prefill():
                prefill = step
                first_token_ms = ms_since(started)
                run.states(_numbers(step.patch_states))
                after_row()
                ids = reading.inputs["input_ids"][0, reading.prompt_columns].tolist()
                prompt_tokens = zip(ids, token_texts(tokenizer, ids), strict=True)
                rows = unembedding_rows(model, ids) if has_unembedding else None
                run.prompt([PromptToken(*token) for token in prompt_tokens], _numbers(step.prompt_states), rows)
            case Step(is_end=True):
                reason = "stop"
            case Step():
                assert prefill is not None
                token_map = None if map_of is None else map_of(step.query_state, prefill)
                row = unembedding_rows(model, [step.token_id])[0] if has_unembedding else None
                token = _token(step, answer, token_map, row)
                run.token(token if attention_logits is None else replace(token, attention_logits=attention_logits()))
                tokens += 1
        after_row()
    if reason == "length" and tokens < sampling.max_new_tokens:
        reason = "cancelled"
    run.end(End(reason, ms_since(started), first_token_ms))
    return answer.answer


def geometry_of(reading: Reading, image: Image.Image) -> Geometry:
    """Return the reading's frames in the format of the run header. `image` is the first image."""
    return {
        "sourceWidthPx": image.width,
        "sourceHeightPx": image.height,
        "preprocessing": reading.preprocessing,
        "frames": [_frame(frame) for frame in reading.frames],
    }


def ms_since(start: float) -> float:
    """Return the milliseconds since `start`, a `perf_counter` time."""
    return (time.perf_counter() - start) * 1000


def _frame(frame: ReadFrame) -> Frame:
    x, y, width, height = frame.crop
    facts: Frame = {
        "name": frame.name,
        "crop": {"xPx": x, "yPx": y, "widthPx": width, "heightPx": height},
        "grid": {"rows": frame.rows, "cols": frame.cols},
        "modelWidthPx": frame.width_px,
        "modelHeightPx": frame.height_px,
    }
    if frame.image > 0:
        facts["image"] = frame.image
    return facts


def _token(step: Step, answer: AnswerText, token_map: Map | None, unembedding: np.ndarray | None) -> Token:
    # Computed before `answer.add`, because the text of an alternative depends on the tokens before this one.
    alternatives = [Alternative(token, answer.text_of(token), score) for token, score in step.alternatives]
    text, word = answer.add(step.token_id)
    state = _numbers(step.query_state)
    return Token(step.index, step.token_id, text, word, step.log_prob, alternatives, state, token_map, unembedding)


def _numbers(states: Tensor) -> np.ndarray:
    """Convert states to NumPy: fp16 is unchanged, and other dtypes become float32, because NumPy has no bfloat16."""
    return states.to("cpu", states.dtype if states.dtype == torch.float16 else torch.float32).numpy()
