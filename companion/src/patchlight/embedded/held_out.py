"""Held-out samples of the embedded model's head, with what the scenes know about each token.

The kinds of the questions are not stored: they follow from the scenes and from the options that the samples were
collected with.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from ..head.sample_store import HeadSamples, token_rows
from ..head.work_folder import read_manifest
from .answering import SceneSource, ask_scenes
from .training.packing import prompt_pieces
from .training.vocabulary import build_tokenizer


class HeldOut(NamedTuple):
    """The n held-out tokens that have a map.

    rows [n]: their rows in `samples`. relevancy [n, 576]: the teacher's maps, scaled to a maximum of 1. scenes [n].
    objects [n, 576] bool: the visible patches of the object that the token names, if any. found [n] bool: whether the
    token names a visible object with a word that is not in the question (`found_words`).
    """

    samples: HeadSamples
    rows: torch.Tensor
    relevancy: torch.Tensor
    scenes: np.ndarray
    found: torch.Tensor
    objects: torch.Tensor


def read_held_out(folder: Path, pool: SceneSource) -> HeldOut:
    """Read held-out samples; `pool` has their scenes."""
    samples = HeadSamples(folder, attention=True)
    rows = token_rows(samples)
    columns = {name: samples.columns[name][rows] for name in ("scene", "target", "found")}
    objects = torch.stack(
        [
            torch.from_numpy(pool[scene].patch_objects == target)
            for scene, target in zip(columns["scene"].tolist(), columns["target"].tolist(), strict=True)
        ]
    )
    objects &= (columns["target"] >= 0)[:, None]
    found = columns["found"] & objects.any(1)
    return HeldOut(samples, rows, samples.relevancy(rows).values, columns["scene"].numpy(), found, objects)


def question_kinds(folder: Path, pool: SceneSource) -> list[str]:
    """Return the kind of each question, in the order of the column `question`, by asking the questions again.

    Raises ValueError if the questions are no longer those of the samples.
    """
    manifest, tokenizer = read_manifest(folder), build_tokenizer()
    first = manifest["first_scene"]
    items = ask_scenes(
        pool,
        range(first, first + manifest["scenes"]),
        tokenizer,
        per_scene=manifest["questions_per_scene"],
        seed=manifest["seed"],
        description_share=manifest["description_share"],
    )
    stored, before = HeadSamples(folder, output="text", hold=False), prompt_pieces(tokenizer).before
    prompts = [stored.prompt_ids(number).tolist() for number in range(len(stored.patches))]
    stored.close()
    if prompts != [[*before, *item.prompt_after] for item in items]:
        raise ValueError(
            f"{folder} has other questions than this version asks about its scenes: collect the samples again"
        )
    return [item.question.kind for item in items]
