"""Remakes the photographs in public/photographs from the packages that they come from.

    pip install scikit-image==0.26.0
    apt-get download gcompris-qt-data && dpkg -x gcompris-qt-data_*.deb gcompris
    python scripts/photographs.py gcompris/usr/share/gcompris-qt/rcc

index.json, next to the photographs, is written by hand: it has their SHA-256 hashes, texts, suggested questions, and
licences.
"""

import io
import struct
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import skimage
from PIL import Image

OUT = Path(__file__).parent.parent / "public/photographs"
SIDE_PX = 720
MAX_BYTES = 60_000


class Source(NamedTuple):
    """activity: of GCompris, or None for scikit-image. file: within the activity, or in scikit-image's data folder.
    ratio: width divided by height of the part that is kept, or None to keep the whole image. left: where that part
    begins, as a share of the width.
    """

    activity: str | None
    file: str
    ratio: float | None = None
    left: float = 0.0


PHOTOGRAPHS = {
    "kingfisher.jpg": Source("erase", "kingfisher.webp", ratio=1, left=0.17),
    "astronaut.jpg": Source(None, "astronaut.png"),
    "coffee.jpg": Source(None, "coffee.png"),
    "hens.jpg": Source("explore_farm_animals", "animals/chicken.webp"),
    "festival.jpg": Source("explore_world_music", "music/japan.webp"),
    "machu-picchu.jpg": Source("explore_monuments", "wonders/machuPicchu.webp", ratio=4 / 3, left=0.12),
}


def resources(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the path and the content of each file in a Qt resource file (`rcc --binary`)."""
    version, tree, contents, names = struct.unpack(">4I", data[4:20])
    node_size = 22 if version >= 2 else 14

    def walk(node: int, path: str) -> Iterator[tuple[str, bytes]]:
        name, flags = struct.unpack_from(">IH", data, tree + node * node_size)
        if node > 0:
            length = struct.unpack_from(">H", data, names + name)[0]
            path += "/" + data[names + name + 6 : names + name + 6 + 2 * length].decode("utf-16-be")
        if flags & 2:
            count, first = struct.unpack_from(">II", data, tree + node * node_size + 6)
            for child in range(first, first + count):
                yield from walk(child, path)
            return
        start = contents + struct.unpack_from(">I", data, tree + node * node_size + 10)[0]
        content = data[start + 4 : start + 4 + struct.unpack_from(">I", data, start)[0]]
        yield path, zlib.decompress(content[4:]) if flags & 1 else content

    yield from walk(0, "")


def source_image(source: Source, rcc: Path) -> Image.Image:
    """Return the part of the source image that is kept, at its original size."""
    if source.activity is None:
        content = (Path(skimage.__file__).parent / "data" / source.file).read_bytes()
    else:
        path = f"/gcompris/src/activities/{source.activity}/resource/{source.file}"
        content = dict(resources((rcc / f"{source.activity}.rcc").read_bytes()))[path]
    image = Image.open(io.BytesIO(content)).convert("RGB")
    left = round(source.left * image.width)
    width = image.width - left if source.ratio is None else round(source.ratio * image.height)
    return image.crop((left, 0, left + width, image.height))


def as_jpeg(image: Image.Image) -> bytes:
    """Encode at quality 80, or at the highest lower quality that stays within MAX_BYTES."""
    for quality in range(80, 0, -2):
        file = io.BytesIO()
        image.save(file, "JPEG", quality=quality, optimize=True, progressive=True)
        if file.tell() <= MAX_BYTES:
            return file.getvalue()
    raise ValueError(f"the image needs more than {MAX_BYTES} bytes at any quality")


if __name__ == "__main__":
    for name, source in PHOTOGRAPHS.items():
        image = source_image(source, Path(sys.argv[1]))
        image.thumbnail((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS)
        jpeg = as_jpeg(image)
        (OUT / name).write_bytes(jpeg)
        print(f"{name}: {image.width} x {image.height} px, {len(jpeg)} bytes")
