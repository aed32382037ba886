"""Decodes an uploaded image and compares it with the pixels that the client says it shows."""

import hashlib

from PIL import Image

from ..models.pictures import open_upright
from .problems import Refusal
from .schemas import Pixels


def open_checked(content: bytes, expected: Pixels | None) -> Image.Image:
    """Decode an image to what the model sees. Raises UnreadableImage, or Refusal if its pixels are not the expected."""
    image = open_upright(content)
    if expected is None:
        return image
    if image.size != (expected.width_px, expected.height_px):
        sizes = f"{image.width} x {image.height} pixels, the request says {expected.width_px} x {expected.height_px}"
        raise Refusal(422, "image-differs", f"the image decodes to {sizes}: {_REMEDY}")
    if (digest := hashlib.sha256(image.tobytes()).hexdigest()) != expected.sha256:
        digests = f"with the SHA-256 {digest}, the request says {expected.sha256}"
        raise Refusal(422, "image-differs", f"the image decodes to pixels {digests}: {_REMEDY}")
    return image


_REMEDY = "send the pixels as an RGB PNG without transparency or orientation, or leave out `pixels`"
