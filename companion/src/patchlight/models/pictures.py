"""A picture's file: which of three formats it is, how large, and its pixels upright."""

import io
from typing import NamedTuple

from PIL import Image, ImageOps

# Pillow's names; nothing else is given to its decoders, of which it has dozens.
MEDIA_TYPES = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}
# What Pillow calls a JPEG with further pictures behind its first (a phone's depth or HDR): a browser shows the first.
_MULTI_PICTURE = {"MPO": "image/jpeg"}


class PictureFacts(NamedTuple):
    """Size in the file's own pixels, before the camera's orientation is applied."""

    media_type: str
    width: int
    height: int


class UnreadablePicture(ValueError):
    """It is none of the formats, or damaged."""


def look_at(content: bytes) -> PictureFacts:
    """From the file's head; nothing is decoded."""
    try:
        with Image.open(io.BytesIO(content), formats=tuple(MEDIA_TYPES)) as image:
            return PictureFacts((MEDIA_TYPES | _MULTI_PICTURE)[str(image.format)], *image.size)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise
    except Exception as error:  # Pillow's readers raise whatever a damaged head leads them to.
        raise UnreadablePicture(f"it is none of {', '.join(MEDIA_TYPES.values())}") from error


def open_upright(content: bytes) -> Image.Image:
    """RGB, turned as the camera's orientation says: what a browser shows, and what a model sees."""
    try:
        with Image.open(io.BytesIO(content), formats=tuple(MEDIA_TYPES)) as image:
            return ImageOps.exif_transpose(image).convert("RGB")
    except Exception as error:  # As above: they have no common class.
        raise UnreadablePicture(f"it cannot be decoded: {error}"[:300]) from error
