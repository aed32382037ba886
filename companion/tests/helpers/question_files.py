"""Small question files in the published dataset formats and in Patchlight's JSON Lines format."""

import json
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from patchlight.head.datasets import DataOptions

TEN = ["net"] * 4 + ["netting"] * 2 + ["fence", "a net", "mesh", "wire"]


def write(path: Path, content: Any, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, **options))
    return path


def vqa_questions(count: int, split: str = "val2014") -> dict[str, Any]:
    """Return a questions file with the same members as the published file, in the same order.

    A question id is the image id followed by three digits.
    """
    return {
        "info": {"description": "This is v2.0 of the VQA dataset.", "version": "2.0", "year": 2017},
        "task_type": "Open-Ended",
        "data_type": "mscoco",
        "license": {"name": "Creative Commons Attribution 4.0 International License"},
        "data_subtype": split,
        "questions": [
            {"image_id": 458752 + k, "question": f"What is {k}?", "question_id": (458752 + k) * 1000}
            for k in range(count)
        ],
    }


def vqa_annotations(numbers: list[int]) -> dict[str, Any]:
    return {
        "info": {},
        "license": {},
        "data_subtype": "val2014",
        "annotations": [
            {
                "question_type": "what is",
                "multiple_choice_answer": f"net{k}",
                "answers": [
                    {"answer": f"{word}{k}", "answer_confidence": "yes", "answer_id": i + 1}
                    for i, word in enumerate(TEN)
                ],
                "image_id": 458752 + k,
                "answer_type": "other",
                "question_id": (458752 + k) * 1000,
            }
            for k in numbers
        ],
        "data_type": "mscoco",
    }


def vqa(folder: Path, count: int = 3, order: list[int] | None = None, **more: Any) -> DataOptions:
    return DataOptions(
        kind="vqav2",
        questions=write(folder / "v2_OpenEnded_mscoco_val2014_questions.json", vqa_questions(count)),
        annotations=write(
            folder / "v2_mscoco_val2014_annotations.json",
            vqa_annotations(list(range(count)) if order is None else order),
        ),
        images=folder / "val2014",
        **more,
    )


def pope(folder: Path, split: str, labels: list[str]) -> Path:
    lines = [
        {"question_id": k + 1, "image": "COCO_val2014_000000310196.jpg", "text": f"Is there a {split}?", "label": label}
        for k, label in enumerate(labels)
    ]
    path = folder / f"coco_pope_{split}.json"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def write_questions(folder: Path, count: int) -> Path:
    """Write questions about images of several sizes, with two consecutive questions per image."""
    lines = []
    for k in range(count):
        torch.manual_seed(k // 2)
        name = f"{k // 2}.png"
        Image.effect_noise((56 + 28 * (k // 2 % 3), 84), 90).convert("RGB").save(folder / name)
        lines.append({"id": f"q{k}", "image": name, "question": f"What is {k}?", "answers": ["a", "b"]})
    path = folder / "questions.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path
