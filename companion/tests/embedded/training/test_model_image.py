"""Checks the fixture that the page's image resizing is tested against. The fixture contains results from Pillow and the CLIP processor.

`python -m tests.embedded.training.test_model_image` rewrites the fixture.
"""

import hashlib
import json
from typing import Any

import numpy as np
from PIL import Image
from transformers import CLIPImageProcessorPil

from tests.helpers.paths import ROOT

FIXTURE = ROOT / "src/inference/fixtures/pillow-bicubic.json"
RESIZES = [((29, 23), (13, 11)), ((11, 9), (24, 17)), ((40, 30), (40, 12)), ((150, 4), (7, 3)), ((16, 16), (16, 16))]
IMAGES = [(500, 375), (375, 500), (336, 336), (200, 64), (101, 337), (1200, 801)]


def noise(width: int, height: int) -> np.ndarray:
    """Return [height, width, 3] uint8 from a linear congruential generator; four in ten values are 0 or 255."""
    powers = np.cumprod(np.full(width * height * 3, 1664525, dtype=np.uint32), dtype=np.uint32)
    sums = np.cumsum(np.concatenate([np.ones(1, np.uint32), powers[:-1]]), dtype=np.uint32)
    state = powers + np.uint32(1013904223) * sums
    values = (state >> 22).astype(np.int64) * 425 // 1024 - 85
    return values.clip(0, 255).astype(np.uint8).reshape(height, width, 3)


def expected() -> dict[str, Any]:
    resizes = [
        {
            "from": source,
            "to": target,
            "rgb": np.asarray(Image.fromarray(noise(*source)).resize(target, Image.Resampling.BICUBIC))
            .ravel()
            .tolist(),
        }
        for source, target in RESIZES
    ]
    processor = CLIPImageProcessorPil(size={"shortest_edge": 336}, crop_size={"height": 336, "width": 336})
    images = []
    for width, height in IMAGES:
        image = Image.fromarray(noise(width, height))
        crop = processor(image, do_rescale=False, do_normalize=False, return_tensors="np")["pixel_values"][0]
        values = processor(image, return_tensors="np")["pixel_values"][0]
        rgb = crop.astype(np.uint8).transpose(1, 2, 0)
        images.append(
            {
                "size": [width, height],
                "cropSha256": hashlib.sha256(rgb.tobytes()).hexdigest(),
                "pixelValues": [round(float(v), 6) for v in values.reshape(-1)[:: 336 * 336 // 4 + 1]],
            }
        )
    return {"resizes": resizes, "images": images}


def test_the_fixture_matches_pillow() -> None:
    assert json.loads(FIXTURE.read_text()) == json.loads(json.dumps(expected()))


if __name__ == "__main__":
    FIXTURE.parent.mkdir(parents=True, exist_ok=True)
    FIXTURE.write_text(json.dumps(expected(), separators=(",", ":")) + "\n")
