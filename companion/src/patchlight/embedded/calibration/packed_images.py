"""Packs a dataset's images into one file with an index, so that an HTTP range request can fetch a single image."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from ...calibration.file import PackedImages

IMAGES_FILE, INDEX_FILE = "images.bin", "images.json"
FORMAT_VERSION = 1


def write_images(folder: Path, images: Mapping[str, bytes], media_type: str) -> PackedImages:
    """Write the index, and the images back to back in the given order.

    images: contents by name, as in the `image` column of the calibration.
    """
    places = {}
    with (folder / IMAGES_FILE).open("wb") as file:
        for name, content in images.items():
            places[name] = {
                "offset": file.tell(),
                "bytes": len(content),
                "sha256": hashlib.sha256(content).hexdigest(),
            }
            file.write(content)
    # One line per image, so that a diff shows which ones changed.
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(place)}" for name, place in places.items())
    head = f' "formatVersion": {FORMAT_VERSION},\n "mediaType": {json.dumps(media_type)},'
    (folder / INDEX_FILE).write_text(f'{{\n{head}\n "images": {{\n{lines}\n }}\n}}\n')
    return {"file": IMAGES_FILE, "index": INDEX_FILE}
