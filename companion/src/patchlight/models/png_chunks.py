"""Reduces PNG files to the chunks that decide their pixels.

Pillow refuses files whose texts or colour profile are damaged or large, and draws palette entries that do not exist in
shades of grey. Browsers ignore the former and draw the latter in black.
"""

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_GREY, _COLOUR, _PALETTE = 0, 2, 3


class _Chunk(NamedTuple):
    """A chunk's type, its data, and all of its bytes: length, type, data and checksum."""

    kind: bytes
    data: bytes
    content: bytes


def essential_png(content: bytes) -> bytes:
    """Return a PNG of the same pixels and EXIF data without other metadata and without animation.

    Of chunks that may occur only once, the first is kept. A palette is filled up with black, a transparent colour is
    reduced to the file's depth, and one that is too short is dropped. Files that are cut off are returned as they are.
    """
    chunks = list(_chunks(content))
    header = chunks[0].data if chunks and chunks[0].kind == b"IHDR" else b""
    if len(header) != 13 or chunks[-1].kind != b"IEND":
        return content
    bits, colour = header[8], header[9]
    first = {chunk.kind: chunk.data for chunk in reversed(chunks)}
    parts = [SIGNATURE, chunks[0].content]
    if colour == _PALETTE and b"PLTE" in first:
        parts.append(_chunk(b"PLTE", first[b"PLTE"][: 3 << bits].ljust(3 << bits, b"\0")))
    transparency = _transparency(first.get(b"tRNS"), bits, colour)
    if transparency is not None:
        parts.append(_chunk(b"tRNS", transparency))
    if b"eXIf" in first:
        parts.append(_chunk(b"eXIf", first[b"eXIf"]))
    parts += [chunk.content for chunk in chunks if chunk.kind in (b"IDAT", b"IEND")]
    return b"".join(parts)


def _transparency(stated: bytes | None, bits: int, colour: int) -> bytes | None:
    samples = {_GREY: 1, _COLOUR: 3}.get(colour)
    if stated is None or samples is None:
        return stated if colour == _PALETTE else None
    if len(stated) < 2 * samples:
        return None
    values = struct.unpack(f">{samples}H", stated[: 2 * samples])
    return struct.pack(f">{samples}H", *(value & ((1 << bits) - 1) for value in values))


def _chunks(content: bytes) -> Iterator[_Chunk]:
    """Yield the complete chunks up to the last one of the image."""
    at = len(SIGNATURE)
    while at + 12 <= len(content):
        length, kind = struct.unpack(">I4s", content[at : at + 8])
        end = at + 12 + length
        if end > len(content):
            return
        yield _Chunk(kind, content[at + 8 : end - 4], content[at:end])
        if kind == b"IEND":
            return
        at = end


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
