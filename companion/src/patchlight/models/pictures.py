"""Read the format and size of image files, and decode their pixels the right way up."""

import io
from typing import NamedTuple

from PIL import Image, ImageOps

# Keys are Pillow's format names. Only these few of Pillow's many decoders are enabled.
MEDIA_TYPES = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}
# Pillow's name for a JPEG with more images after the first (a phone's depth or HDR data). Browsers show the first.
_MULTI_IMAGE = {"MPO": "image/jpeg"}


class ImageInfo(NamedTuple):
    """Media type and size of an image file, in pixels before the camera's orientation is applied."""

    media_type: str
    width: int
    height: int


class UnreadableImage(ValueError):
    """The file is not in a supported format, or it is damaged."""


def read_image_info(content: bytes) -> ImageInfo:
    """Read an image's format and size from the file header, without decoding its pixels.

    Raises UnreadableImage, and passes on Pillow's DecompressionBombError and DecompressionBombWarning.
    """
    try:
        with Image.open(io.BytesIO(content), formats=tuple(MEDIA_TYPES)) as image:
            return ImageInfo((MEDIA_TYPES | _MULTI_IMAGE)[str(image.format)], *image.size)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise
    except Exception as error:  # Pillow's exceptions for damaged headers have no common base class.
        raise UnreadableImage(f"expected {', '.join(MEDIA_TYPES.values())}") from error


def open_upright(content: bytes) -> Image.Image:
    """Decode an image to RGB and apply the camera's orientation, as browsers show it. Raises UnreadableImage."""
    try:
        with Image.open(io.BytesIO(content), formats=tuple(MEDIA_TYPES)) as image:
            return ImageOps.exif_transpose(image).convert("RGB")
    except Exception as error:  # Pillow's decoding errors have no common base class either.
        raise UnreadableImage(f"decoding failed: {error}"[:300]) from error
