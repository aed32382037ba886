"""Measures what it costs to send hidden states with an answer.

    python -m patchlight.measure.serving_cost --model FOLDER --image IMAGE

Times the companion's decoding loop and the library's `generate`, which returns no states, alternately on the same
question. Also counts the bytes of a token's row at LLaVA-1.5-7B's width.
"""

import argparse
import io
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
from PIL import Image

from ..models.decoding import Step, decode
from ..models.loading import Loaded, LoadOptions, load
from ..models.pictures import read_pixels
from ..models.reading import Reading
from ..models.sampling import Sampling
from ..report import figure, processor_name, write_report
from ..wire.run import Alternative, PromptToken, RunWriter, Token
from ..wire.run_header import Geometry, Header
from ..wire.run_rows import write_answer

QUESTION = "Describe the image."
WIDE = 4096


def measure_decoding(loaded: Loaded, reading: Reading, *, tokens: int, rounds: int) -> dict[str, float]:
    """Return each loop's median milliseconds for an answer of exactly `tokens` tokens. A round runs every loop once.

    Raises ValueError if the answers differ, because times of different answers are not comparable.
    """
    sampling = Sampling(max_new_tokens=tokens)
    inputs = {name: value.to(loaded.device) for name, value in reading.inputs.items()}
    answers: dict[str, list[int]] = {}

    def plain() -> None:
        ids: Any = cast(Any, loaded.model).generate(**inputs, max_new_tokens=tokens, do_sample=False)
        answers["plain"] = ids[0, inputs["input_ids"].shape[1] :].tolist()

    def stepwise() -> None:
        steps = decode(loaded.model, reading, sampling)
        answers["stepwise"] = [step.token_id for step in steps if isinstance(step, Step)]

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

    loops: dict[str, Callable[[], None]] = {"plain": plain, "stepwise": stepwise, "written": written}
    times: dict[str, list[float]] = {name: [] for name in loops}
    eos = loaded.model.generation_config.eos_token_id
    loaded.model.generation_config.eos_token_id = None
    try:
        for round_number in range(rounds + 1):
            for name, loop in loops.items():
                start = time.perf_counter()
                loop()
                if round_number > 0:  # the first is a warm-up
                    times[name].append((time.perf_counter() - start) * 1000)
    finally:
        loaded.model.generation_config.eos_token_id = eos
    if answers["plain"] != answers["stepwise"]:
        raise ValueError("generate and the companion's loop returned different answers")
    return {name: statistics.median(values) for name, values in times.items()}


def row_bytes(hidden_size: int, patches: int) -> tuple[int, int]:
    """Return the size in bytes of all rows before the first token, and of a token's row with five alternatives."""
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
    parser = argparse.ArgumentParser(
        description="Compare the speed of the companion's loop with generate, and count the bytes it writes."
    )
    parser.add_argument("--model", required=True, help="hub id or folder")
    parser.add_argument("--image", type=Path, required=True, help="image that the question is about")
    parser.add_argument("--tokens", type=int, default=100, help="tokens of each answer")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--out", type=Path, help="folder for the report")
    args = parser.parse_args()
    loaded = load(LoadOptions(model=args.model))
    with Image.open(args.image) as image:
        reading = loaded.family.read(loaded.model, loaded.processor, read_pixels(image), QUESTION)
    times = measure_decoding(loaded, reading, tokens=args.tokens, rounds=args.rounds)
    before, each = row_bytes(WIDE, 576)
    figures = [
        figure("answer length in tokens", args.tokens),
        figure("generate, without states", times["plain"] / args.tokens, unit="ms per token"),
        figure("companion's loop, relative to generate", times["stepwise"] / times["plain"], unit="×", goal="<= 1.05"),
        figure("companion's loop with rows written, relative to generate", times["written"] / times["plain"], unit="×"),
        figure(f"size of a token's row at d = {WIDE}", each, unit="B"),
        figure(f"hidden state in a token's row at d = {WIDE}", 2 * WIDE, unit="B"),
        figure(
            f"size of the rows before the first token at d = {WIDE}, 576 patches, 64 prompt tokens", before, unit="B"
        ),
    ]
    for row in figures:
        print(row["label"], row["value"], row.get("unit", ""))
    if args.out:
        what = "--model models/patchlight-scenes --image public/samples/scene-1.png"
        command = f"python -m patchlight.measure.serving_cost {what}"
        title = f"Cost of sending hidden states from the companion ({loaded.name}, {loaded.device}, {processor_name()})"
        write_report(args.out, "companion", title, f"{command} --out bench/report", figures)


if __name__ == "__main__":
    main()
