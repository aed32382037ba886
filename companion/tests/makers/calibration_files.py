"""Writes calibration fixtures for the page's tests to src/contract/fixtures.

Run `python -m tests.makers.calibration_files`. The fixtures hold forty made-up answers from two sets, both as
calibration files in Arrow and Parquet (docs/calibration.md) and as the table that `patchlight evaluate` writes. The
maps are random, so their entropies are meaningless.
"""

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import torch

from patchlight.calibration import entropy
from patchlight.calibration.content_tokens import content_tokens
from patchlight.evaluation import table as evaluation_table
from tests.helpers.paths import ROOT

FIXTURES = ROOT / "src" / "contract" / "fixtures"
KEY = "patchlight.calibration"
ANSWERS, PATCHES = 40, 16
TEXTS_AND_WORDS = (
    (["The", " cube", " is", " red", "."], [0, 1, 2, 3, 3]),
    (["Yes", "."], [0, 0]),
    (["There", " are", " two", " sph", "eres", "."], [0, 1, 2, 3, 3, 3]),
    ([], []),
)
FACTS = {
    "formatVersion": 1,
    "model": {"name": "made-up", "revision": "0011", "sameAs": ["2233"]},
    "head": {"name": "fastrm", "revision": "4455"},
    "data": {"name": "made-up questions", "sets": ["gqa-like", "vqa-like"], "about": "Nothing."},
    "n": ANSWERS,
    "createdAt": "2026-11-25T10:00:00Z",
    "command": "python -m tests.makers.calibration_files",
    "patches": PATCHES,
    "seed": 3,
    "licence": "Apache-2.0",
    "sprites": {"file": "sprites.webp", "cols": 8, "cellPx": 48},
    "images": {"file": "images.bin", "index": "images.json"},
}
_category = pa.dictionary(pa.int32(), pa.string())
_floats = pa.list_(pa.float32())
SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("id", "question", "answer", "reference", "image")),
        *((name, _category) for name in ("set", "kind", "variety")),
        ("correct", pa.float32()),
        ("thumbnail", pa.int32()),
        ("tokens", pa.list_(pa.string())),
        ("isContent", pa.list_(pa.bool_())),
        *((name, _floats) for name in ("logProbs", "entropySum", "entropyKde", "entropyBernoulli")),
    ],
    metadata={KEY: json.dumps(FACTS)},
)
_EVALUATION = {
    "patchlight.evaluation": json.dumps(
        {"model": "made-up", "modelRevision": "0011", "head": FACTS["head"], "data": "vqav2", "seed": 3}
    )
}


def calibration_rows() -> list[dict[str, Any]]:
    """Return the rows of the calibration file, one per answer."""
    random = np.random.default_rng(5)
    rows = []
    for number in range(ANSWERS):
        texts, words = TEXTS_AND_WORDS[number % len(TEXTS_AND_WORDS)]
        maps = torch.from_numpy(random.random((len(texts), PATCHES)))
        rows.append(
            {
                "id": f"q{number}",
                "set": ("vqa-like", "gqa-like")[number % 3 == 0],
                "kind": ("attribute", "count")[number % 2],
                "variety": "",
                "question": f"Question {number}?",
                "answer": "".join(texts),
                "reference": "red — or not",
                "correct": None if number == 7 else round(float(random.random()), 3),
                "image": None if number == 5 else f"images/{number}.webp",
                "thumbnail": None if number == 5 else number,
                "tokens": texts,
                "isContent": content_tokens(texts, words),
                "logProbs": (-random.random(len(texts))).tolist(),
                "entropySum": entropy.sum_normalised(maps).tolist(),
                "entropyKde": entropy.kernel_density(maps).tolist(),
                "entropyBernoulli": entropy.bernoulli(maps).tolist(),
            }
        )
    return rows


def evaluation_rows() -> list[dict[str, Any]]:
    """Return the rows of the evaluation table for the same answers, one per token."""
    rows = []
    for number, answer in enumerate(calibration_rows()):
        shared = {
            "data": "vqav2",
            "sample": answer["id"],
            "image": answer["image"] or "",
            "question": answer["question"],
            "rightAnswers": [answer["reference"], "blue"],
            "answer": answer["answer"],
            "score": answer["correct"],
            "tokens": len(answer["tokens"]),
            "patches": PATCHES,
        }
        words = TEXTS_AND_WORDS[number % len(TEXTS_AND_WORDS)][1]
        rows += [
            {
                **shared,
                "token": token,
                "text": text,
                "word": words[token],
                "logProb": answer["logProbs"][token],
                **{f"entropy{kind}Nats": answer[f"entropy{kind}"][token] for kind in ("Sum", "Kde", "Bernoulli")},
            }
            for token, text in enumerate(answer["tokens"])
        ] or [shared]
    return rows


def main() -> None:
    table = pa.Table.from_pylist(calibration_rows(), schema=SCHEMA)
    with pa.ipc.new_file(FIXTURES / "calibration.arrow", SCHEMA) as file:
        # Two batches, since larger files have several.
        file.write_table(table, max_chunksize=24)
    pq.write_table(table, FIXTURES / "calibration.parquet")
    evaluation = evaluation_table.SCHEMA.with_metadata(_EVALUATION)
    pq.write_table(pa.Table.from_pylist(evaluation_rows(), schema=evaluation), FIXTURES / "evaluation.parquet")


if __name__ == "__main__":
    main()
