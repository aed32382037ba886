"""Reads the format and size of PNG, JPEG and WebP files, and finds out whether they are complete.

Nothing is decoded: a small file may decode to gigabytes of pixels, and Pillow allocates some of them on opening.
"""

import struct
from typing import NamedTuple

MEDIA_TYPES = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}
"""Media types that a companion accepts. Keys are Pillow's format names."""

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# The first bytes of formats that are recognised only to name them in a message.
_OTHER_FORMATS = (
    (0, b"GIF8", "GIF"),
    (0, b"BM", "BMP"),
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (4, b"ftypavi", "AVIF"),
    (4, b"ftyphe", "HEIC"),
    (4, b"ftypmif1", "HEIC"),
    (0, b"\xff\x0a", "JPEG XL"),
    (0, b"\0\0\0\x0cJXL ", "JPEG XL"),
    (0, b"<svg", "SVG"),
    (0, b"%PDF", "PDF"),
)


class ImageInfo(NamedTuple):
    """Media type and size of an image file, in pixels before the camera's orientation is applied.

    missing: what a file that was cut off lacks, as a sentence; None if it is complete.
    """

    media_type: str
    width: int
    height: int
    missing: str | None


class UnreadableImage(ValueError):
    """The file is not in a supported format, it is damaged, or its samples have no defined range."""


class DamagedImage(UnreadableImage):
    """The file is in a supported format, but it is cut off or damaged."""


def read_image_info(content: bytes) -> ImageInfo:
    """Read an image's format and size, and whether the file is complete.

    Raises UnreadableImage for other formats, and DamagedImage if the size is missing.
    """
    if content.startswith(_PNG_SIGNATURE):
        return _info("PNG", _png_size(content), _missing_png(content))
    if content.startswith(b"\xff\xd8\xff"):
        return _info("JPEG", *_read_jpeg(content))
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return _info("WEBP", _webp_size(content), _missing_webp(content))
    accepted = ", ".join(MEDIA_TYPES.values())
    raise UnreadableImage(f"found {_name_of(content)}, expected one of {accepted}: convert it to PNG")


Size = tuple[int, int] | None


def _info(name: str, size: Size, missing: str | None) -> ImageInfo:
    cut_off = missing and f"the {name} file is cut off: {missing}. Download or save it again"
    if size is None or 0 in size:
        damage = f"the {name} file is damaged: its size in pixels is missing. Download or save it again"
        raise DamagedImage(cut_off or damage)
    return ImageInfo(MEDIA_TYPES[name], *size, cut_off)


def _name_of(content: bytes) -> str:
    for start, magic, name in _OTHER_FORMATS:
        if content[start : start + len(magic)] == magic:
            return f"{'an' if name[0] in 'AS' else 'a'} {name} file"
    return f"a file that starts with {content[:8]!r}" if content else "an empty file"


def _png_size(content: bytes) -> Size:
    return struct.unpack(">II", content[16:24]) if content[12:16] == b"IHDR" and len(content) >= 24 else None


def _missing_png(content: bytes) -> str | None:
    at = len(_PNG_SIGNATURE)
    while at + 8 <= len(content):
        length, kind = struct.unpack(">I4s", content[at : at + 8])
        at += 12 + length
        if at > len(content):
            return f"it has {len(content)} bytes, its chunks need at least {at}"
        if kind == b"IEND":
            return None
    return f"it ends after {len(content)} bytes, before its IEND chunk"


def _read_jpeg(content: bytes) -> tuple[Size, str | None]:
    """Walk the segments to the end-of-image marker. Return the size and what is missing."""
    size: Size = None
    at = 2
    while True:
        # In a scan, a 0xFF that is followed by 0 or by a restart marker belongs to the data.
        while (at := content.find(b"\xff", at)) >= 0 and at + 1 < len(content) and _is_data(content[at + 1]):
            at += 2 if content[at + 1] != 0xFF else 1
        if at < 0 or at + 4 > len(content):
            ends = at >= 0 and content[at + 1 : at + 2] == b"\xd9"
            return size, None if ends else f"it ends after {len(content)} bytes, before its end marker"
        marker = content[at + 1]
        if marker == 0xD9:
            return size, None
        length = int.from_bytes(content[at + 2 : at + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC) and size is None and at + 9 <= len(content):
            height, width = struct.unpack(">HH", content[at + 5 : at + 9])
            size = width, height
        at += 2 + max(2, length)


def _is_data(following: int) -> bool:
    """Whether 0xFF followed by this byte is no segment: a stuffed byte, a fill byte, or a marker without a length."""
    return following in (0x00, 0x01, 0xD8, 0xFF) or 0xD0 <= following <= 0xD7


def _webp_size(content: bytes) -> Size:
    kind, at = content[12:16], 20
    if len(content) < 30:
        return None
    if kind == b"VP8X":
        return _uint24(content, 24) + 1, _uint24(content, 27) + 1
    if kind == b"VP8L":
        packed = int.from_bytes(content[at + 1 : at + 5], "little")
        return (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        width, height = struct.unpack("<HH", content[at + 6 : at + 10])
        return width & 0x3FFF, height & 0x3FFF
    return None


def _missing_webp(content: bytes) -> str | None:
    needed = int.from_bytes(content[4:8], "little") + 8
    return f"it has {len(content)} bytes, its header says {needed}" if len(content) < needed else None


def _uint24(content: bytes, at: int) -> int:
    return int.from_bytes(content[at : at + 3], "little")
