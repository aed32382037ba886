"""What it costs to hand hidden states out with an answer: `python -m patchlight.measure.serving_cost --model FOLDER`.

The companion's loop is compared with the library's `generate`, which gives no states, on the same question, turn by
turn; and the bytes of a token's row are counted at LLaVA-1.5-7B's width.
"""

import argparse
import io
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
from PIL import Image

from ..models.decoding import Step, decode
from ..models.loading import Loaded, LoadOptions, load
from ..models.reading import Reading
from ..models.sampling import Sampling
from ..report import figure, write_report
from ..wire.run import Alternative, PromptToken, RunWriter, Token
from ..wire.run_header import Geometry, Header
from ..wire.run_rows import write_answer

QUESTION = "Describe the image."
WIDE = 4096


def measure_decoding(loaded: Loaded, reading: Reading, *, tokens: int, rounds: int) -> dict[str, float]:
    """Median milliseconds of an answer of exactly `tokens` tokens, each way once a round, in turn.

    Raises ValueError where the two ways differ in a token: times of different answers are not compared.
    """
    sampling = Sampling(max_new_tokens=tokens)
    inputs = {name: value.to(loaded.device) for name, value in reading.inputs.items()}
    said: dict[str, list[int]] = {}

    def plain() -> None:
        ids: Any = cast(Any, loaded.model).generate(**inputs, max_new_tokens=tokens, do_sample=False)
        said["plain"] = ids[0, inputs["input_ids"].shape[1] :].tolist()

    def stepwise() -> None:
        steps = decode(loaded.model, reading, sampling)
        said["stepwise"] = [step.token_id for step in steps if isinstance(step, Step)]

    def written() -> None:
        header = _header(loaded.hidden_size, len(reading.patch_columns))
        with RunWriter(io.BytesIO(), header) as run:
            write_answer(
                run,
                model=loaded.model,
                tokenizer=cast(Any, loaded.processor).tokenizer,
                reading=reading,
                sampling=sampling,
                started=time.perf_counter(),
            )

    ways: dict[str, Callable[[], None]] = {"plain": plain, "stepwise": stepwise, "written": written}
    times: dict[str, list[float]] = {name: [] for name in ways}
    ends = loaded.model.generation_config.eos_token_id
    loaded.model.generation_config.eos_token_id = None
    try:
        for turn in range(rounds + 1):
            for name, way in ways.items():
                start = time.perf_counter()
                way()
                if turn > 0:  # the first warms up
                    times[name].append((time.perf_counter() - start) * 1000)
    finally:
        loaded.model.generation_config.eos_token_id = ends
    if said["plain"] != said["stepwise"]:
        raise ValueError("generate and the companion's loop gave different answers")
    return {name: statistics.median(values) for name, values in times.items()}


def row_bytes(hidden_size: int, patches: int) -> tuple[int, int]:
    """Bytes of the rows before the first token, and of each token's row with five alternatives."""
    random = np.random.default_rng(0)
    sink = io.BytesIO()
    with RunWriter(sink, _header(hidden_size, patches)) as run:
        run.states(random.standard_normal((patches, hidden_size)).astype(np.float32))
        prompt = [PromptToken(k, " word") for k in range(64)]
        run.prompt(prompt, random.standard_normal((64, hidden_size)).astype(np.float32))
        before = sink.tell()
        for index in range(10):
            state = random.standard_normal(hidden_size).astype(np.float32)
            alternatives = [Alternative(k, " word", -1.0) for k in range(5)]
            run.token(Token(index, index, " word", index, -0.1, alternatives, state, None))
        return before, (sink.tell() - before) // 10


def _header(hidden_size: int, patches: int) -> Header:
    frame = {
        "name": "image",
        "crop": {"xPx": 0, "yPx": 0, "widthPx": 336, "heightPx": 336},
        "grid": {"rows": 1, "cols": patches},
        "modelWidthPx": 336,
        "modelHeightPx": 336,
    }
    geometry = {"sourceWidthPx": 336, "sourceHeightPx": 336, "preprocessing": "none", "frames": [frame]}
    return cast(
        Header,
        {
            "id": "cost",
            "createdAt": "2026-01-01T00:00:00Z",
            "question": QUESTION,
            "image": {"mediaType": "image/png", "name": "none.png", "sha256": "0" * 64},
            "geometry": cast(Geometry, geometry),
            "model": {
                "name": "cost",
                "revision": "0",
                "family": "llava",
                "dtype": "float32",
                "hiddenSize": hidden_size,
                "stage": "post_norm",
                "knows": "",
            },
            "head": None,
            "sampling": {"maxNewTokens": 1, "temperature": 0, "topP": 1, "seed": 0},
            "recorded": False,
        },
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the companion's loop against generate, and count its bytes.")
    parser.add_argument("--model", required=True, help="hub id or folder")
    parser.add_argument("--image", type=Path, required=True, help="picture that the question is about")
    parser.add_argument("--tokens", type=int, default=100, help="tokens of each answer")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--out", type=Path, help="folder that the report goes to")
    given = parser.parse_args()
    loaded = load(LoadOptions(model=given.model))
    with Image.open(given.image) as picture:
        reading = loaded.family.read(loaded.model, loaded.processor, picture.convert("RGB"), QUESTION)
    times = measure_decoding(loaded, reading, tokens=given.tokens, rounds=given.rounds)
    before, each = row_bytes(WIDE, 576)
    figures = [
        figure("tokens of the answer", given.tokens),
        figure("generate, without states", times["plain"] / given.tokens, unit="ms a token"),
        figure("own loop, with states, over generate", times["stepwise"] / times["plain"], unit="×", goal="<= 1.05"),
        figure("own loop with its rows written, over generate", times["written"] / times["plain"], unit="×"),
        figure(f"bytes of a token's row at d = {WIDE}", each, unit="B"),
        figure(f"of which the state, at d = {WIDE}", 2 * WIDE, unit="B"),
        figure(f"bytes before the first token at d = {WIDE}, 576 patches, 64 prompt tokens", before, unit="B"),
    ]
    for row in figures:
        print(row["label"], row["value"], row.get("unit", ""))
    if given.out:
        what = "--model models/patchlight-scenes --image public/samples/scene-1.png"
        command = f"python -m patchlight.measure.serving_cost {what}"
        title = f"What hidden states cost the companion ({loaded.name}, {loaded.device}, {platform.machine()})"
        write_report(given.out, "companion", title, f"{command} --out bench/report", figures)


if __name__ == "__main__":
    main()
