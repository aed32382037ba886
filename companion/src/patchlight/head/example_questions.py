"""Example questions about drawn images, with right answers: enough to try `collect`, `train` and `evaluate`.

The images are coloured balls and blocks on grey. Real heads need thousands of questions about real images.
"""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from PIL import Image, ImageDraw

from .whole_files import write_text, write_whole

QUESTIONS_FILE = "questions.jsonl"
_SIDE, _CELLS = 336, 3
_COLORS = {"red": "#c8323c", "green": "#2e9c4b", "blue": "#2f62c9", "yellow": "#e2c22b", "purple": "#8a3fb0"}
_NUMBERS = ("no", "one", "two", "three", "four", "five")


class _Thing(NamedTuple):
    shape: str
    color: str
    cell: int


def write_examples(folder: Path, images: int, seed: int = 0) -> Path:
    """Write `images` images with four questions each, and return the questions file. The same arguments always write
    the same files.

    Raises ValueError if the folder has another questions file.
    """
    if images < 1:
        raise ValueError(f"images is {images}: use 1 or more")
    scenes = [_scene(Random(seed * 1_000_003 + number)) for number in range(images)]
    entries = [entry for number, things in enumerate(scenes) for entry in _questions(number, things, seed)]
    text = "".join(json.dumps(entry) + "\n" for entry in entries)
    path = folder / QUESTIONS_FILE
    if path.exists() and path.read_text() != text:
        raise ValueError(f"{path} exists with other questions: use another folder")
    folder.mkdir(parents=True, exist_ok=True)
    for number, things in enumerate(scenes):
        write_whole(folder / _name(number), _saver(_draw(things)))
    write_text(path, text)
    return path


def _scene(random: Random) -> list[_Thing]:
    cells = random.sample(range(_CELLS**2), random.randint(2, 5))
    return [_Thing(random.choice(("ball", "block")), random.choice(list(_COLORS)), cell) for cell in cells]


def _questions(number: int, things: list[_Thing], seed: int) -> list[dict[str, Any]]:
    random = Random(f"{seed} {number}")
    counts = Counter(thing.shape for thing in things)
    shape = random.choice(("ball", "block"))
    color = random.choice(list(_COLORS))
    is_there = any((thing.shape, thing.color) == (shape, color) for thing in things)
    thing = random.choice(things)
    asked = [
        (f"How many {shape}s are there?", [_NUMBERS[counts[shape]], str(counts[shape])]),
        (f"Is there a {color} {shape}?", ["yes" if is_there else "no"]),
        _about(thing, things),
        ("Describe the image.", []),
    ]
    return [
        {"id": f"{number}-{k}", "image": _name(number), "question": question, "answers": answers}
        for k, (question, answers) in enumerate(asked)
    ]


def _about(thing: _Thing, things: list[_Thing]) -> tuple[str, list[str]]:
    """Return a question about a thing, and its right answers."""
    if sum(other.shape == thing.shape for other in things) == 1:
        return f"What color is the {thing.shape}?", [thing.color, f"The {thing.shape} is {thing.color}."]
    count = sum(other._replace(cell=thing.cell) == thing for other in things)
    return f"How many {thing.color} {thing.shape}s are there?", [_NUMBERS[count], str(count)]


def _draw(things: list[_Thing]) -> Image.Image:
    image = Image.new("RGB", (_SIDE, _SIDE), "#b9b9b9")
    draw = ImageDraw.Draw(image)
    step = _SIDE // _CELLS
    for thing in things:
        left, top = thing.cell % _CELLS * step + step // 6, thing.cell // _CELLS * step + step // 6
        box = (left, top, left + 2 * step // 3, top + 2 * step // 3)
        shape = draw.ellipse if thing.shape == "ball" else draw.rectangle
        shape(box, fill=_COLORS[thing.color], outline="#303030", width=2)
    return image


def _saver(image: Image.Image) -> Callable[[Path], None]:
    return lambda path: image.save(path, "PNG")


def _name(number: int) -> str:
    return f"example-{number:03d}.png"
