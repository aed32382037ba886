"""Reads single images from a dataset's packed file."""

import json
from pathlib import Path


def read_image(folder: Path, name: str) -> bytes:
    place = json.loads((folder / "images.json").read_text())["images"][name]
    with (folder / "images.bin").open("rb") as file:
        file.seek(place["offset"])
        return file.read(place["bytes"])
