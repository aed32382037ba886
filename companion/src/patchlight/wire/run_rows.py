"""A model's answer as rows of a run: what the companion streams and what a recording keeps, from the same loop."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..models.answer_pieces import AnswerText, token_texts
from ..models.decoding import Prefill, Step, decode
from ..models.reading import Lvlm, Reading
from ..models.sampling import Sampling
from .run import Alternative, End, Map, PromptToken, RunWriter, Token
from .run_header import Frame, Geometry

# Relevancy of the patches [P, d] to the token that a state [d] predicted.
MapOf = Callable[[Tensor, Tensor], Map]


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
) -> str:
    """Rows from `states` to `end`; returns the answer. `started` is when the question was asked, by `perf_counter`."""
    words = AnswerText(tokenizer)
    patches = torch.empty(0)
    tokens, first_token_ms, reason = 0, 0.0, "length"
    for step in decode(model, reading, sampling, stop=stop):
        match step:
            case Prefill(patch_states=patches):
                first_token_ms = ms_since(started)
                run.states(_numbers(patches))
                after_row()
                ids = reading.inputs["input_ids"][0, reading.prompt_columns].tolist()
                spelt = zip(ids, token_texts(tokenizer, ids), strict=True)
                run.prompt([PromptToken(*token) for token in spelt], _numbers(step.prompt_states))
            case Step(is_end=True):
                reason = "stop"
            case Step():
                found = None if map_of is None else map_of(step.query_state, patches)
                run.token(_token(step, words, found))
                tokens += 1
        after_row()
    if reason == "length" and tokens < sampling.max_new_tokens:
        reason = "cancelled"
    run.end(End(reason, ms_since(started), first_token_ms))
    return words.answer


def geometry_of(reading: Reading, image: Image.Image) -> Geometry:
    """The reading's frames as the header has them."""
    frames: list[Frame] = [
        {
            "name": frame.name,
            "crop": {
                "xPx": frame.crop.x,
                "yPx": frame.crop.y,
                "widthPx": frame.crop.width,
                "heightPx": frame.crop.height,
            },
            "grid": {"rows": frame.rows, "cols": frame.cols},
            "modelWidthPx": frame.width_px,
            "modelHeightPx": frame.height_px,
        }
        for frame in reading.frames
    ]
    return {
        "sourceWidthPx": image.width,
        "sourceHeightPx": image.height,
        "preprocessing": reading.preprocessing,
        "frames": frames,
    }


def ms_since(start: float) -> float:
    """Milliseconds of `perf_counter`."""
    return (time.perf_counter() - start) * 1000


def _token(step: Step, words: AnswerText, found: Map | None) -> Token:
    # Before the token is added: each alternative as it would have read here.
    alternatives = [Alternative(token, words.text_of(token), score) for token, score in step.alternatives]
    text, word = words.add(step.token_id)
    state = _numbers(step.query_state)
    return Token(step.index, step.token_id, text, word, step.log_prob, alternatives, state, found)


def _numbers(states: Tensor) -> np.ndarray:
    """On the CPU; through float32 unless fp16 already, for numpy has no bfloat16."""
    return states.to("cpu", states.dtype if states.dtype == torch.float16 else torch.float32).numpy()
