"""Reads the orientation from EXIF data. src/contract/exif-orientation.ts follows the same rules."""

import struct

_TAG, _SHORT, _LONG = 0x0112, 3, 4
_PREFIX = b"Exif\0\0"


def exif_orientation(exif: bytes) -> int:
    """Return the EXIF orientation, 1 to 8; 1 if there is none or it cannot be read.

    exif: a TIFF structure, with or without the prefix that starts it in a JPEG.
    """
    while exif.startswith(_PREFIX):
        exif = exif[len(_PREFIX) :]
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None or len(exif) < 8:
        return 1
    (directory,) = struct.unpack_from(f"{order}I", exif, 4)
    if directory + 2 > len(exif):
        return 1
    (entries,) = struct.unpack_from(f"{order}H", exif, directory)
    for at in range(directory + 2, min(directory + 2 + 12 * entries, len(exif) - 11), 12):
        tag, kind, count = struct.unpack_from(f"{order}HHI", exif, at)
        if tag == _TAG:
            if count != 1 or kind not in (_SHORT, _LONG):
                return 1
            (value,) = struct.unpack_from(order + ("H" if kind == _SHORT else "I"), exif, at + 8)
            return value if 1 <= value <= 8 else 1
    return 1
