"""Decodes uploaded images and compares them with the pixels that the client says it shows."""

import hashlib
from collections.abc import Sequence

from PIL import Image

from ..models.image_header import UnreadableImage
from ..models.pictures import open_upright
from .problems import Refusal
from .schemas import Pixels
from .uploads import UploadedImage, image_label


def open_checked(files: Sequence[UploadedImage], pixels: Pixels | Sequence[Pixels] | None) -> list[Image.Image]:
    """Decode images to what the model sees.

    Raises Refusal if one cannot be read or its pixels are not the expected, and before decoding if there are more or
    fewer images than entries in `pixels`.
    """
    expected = [pixels] if isinstance(pixels, Pixels) else pixels
    if expected is not None and len(expected) != len(files):
        detail = f"invalid request: `pixels` is for {len(expected)} images, the request has {len(files)}"
        raise Refusal(422, "invalid-request", detail)
    labels = [image_label(at, len(files)) for at in range(len(files))]
    return [
        _open(file.content, None if expected is None else expected[at], label)
        for at, (file, label) in enumerate(zip(files, labels, strict=True))
    ]


def _open(content: bytes, expected: Pixels | None, label: str) -> Image.Image:
    try:
        image = open_upright(content)
    except UnreadableImage as error:
        raise Refusal(422, "image-damaged", f"{label} cannot be read: {error}") from None
    if expected is None:
        return image
    if image.size != (expected.width_px, expected.height_px):
        sizes = f"{image.width} x {image.height} pixels, the request says {expected.width_px} x {expected.height_px}"
        raise Refusal(422, "image-differs", f"{label} decodes to {sizes}: {_REMEDY}")
    if (digest := hashlib.sha256(image.tobytes()).hexdigest()) != expected.sha256:
        digests = f"with the SHA-256 {digest}, the request says {expected.sha256}"
        raise Refusal(422, "image-differs", f"{label} decodes to pixels {digests}: {_REMEDY}")
    return image


_REMEDY = "send the pixels as an RGB PNG without transparency or orientation, or leave out `pixels`"
