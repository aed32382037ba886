"""Tests that images are packed back to back and that the index locates each of them."""

import hashlib
import json
from pathlib import Path

from patchlight.embedded.calibration.packed_images import write_images
from tests.helpers.packed_images import read_image


def test_each_image_is_found_by_its_name(tmp_path: Path):
    images = {"images/b.webp": b"first", "images/a.webp": b"second one", "images/c.webp": b"3"}
    facts = write_images(tmp_path, images, "image/webp")
    assert (tmp_path / facts["file"]).read_bytes() == b"".join(images.values())
    index = json.loads((tmp_path / facts["index"]).read_text())
    assert (index["formatVersion"], index["mediaType"], list(index["images"])) == (1, "image/webp", list(images))
    for name, content in images.items():
        assert read_image(tmp_path, name) == content
        assert index["images"][name]["sha256"] == hashlib.sha256(content).hexdigest()
