"""Writes small images of many kinds, and their pixels as a model sees them, to src/inference/fixtures/pictures.

Python and TypeScript tests decode the same files. Run `python -m tests.makers.picture_fixture` in companion/.
"""

import base64
import io
import json
import struct
import zlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from patchlight.models.pictures import open_upright
from tests.helpers.paths import ROOT

FOLDER = ROOT / "src/inference/fixtures/pictures"
WIDTH, HEIGHT = 13, 9
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def samples(channels: int, bits: int, seed: int = 0) -> NDArray[np.int64]:
    """Return random samples [HEIGHT, WIDTH, channels]."""
    return np.random.default_rng(seed).integers(0, 2**bits, (HEIGHT, WIDTH, channels))


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def packed(rows: NDArray[np.int64], bits: int) -> bytes:
    """Pack samples [H, W, channels] into rows, each after a filter byte; filters 0 to 4 take turns."""
    channels = rows.shape[2]
    step = max(1, channels * bits // 8)
    out, above = b"", None
    for y, row in enumerate(rows.reshape(len(rows), -1)):
        binary = "".join(f"{value:0{bits}b}" for value in row)
        binary += "0" * (-len(binary) % 8)
        raw = np.frombuffer(int(binary, 2).to_bytes(len(binary) // 8, "big"), dtype=np.uint8).astype(int)
        up = np.zeros_like(raw) if above is None else above
        left = np.concatenate([np.zeros(step, dtype=int), raw])[: len(raw)]
        corner = np.concatenate([np.zeros(step, dtype=int), up])[: len(raw)]
        kind = y % 5
        guesses = (0 * raw, left, up, (left + up) // 2, paeth(left, up, corner))
        out += bytes([kind]) + ((raw - guesses[kind]) % 256).astype(np.uint8).tobytes()
        above = raw
    return out


def paeth(left: NDArray[np.int64], up: NDArray[np.int64], corner: NDArray[np.int64]) -> NDArray[np.int64]:
    guess = left + up - corner
    distances = [np.abs(guess - value) for value in (left, up, corner)]
    return np.where(
        (distances[0] <= distances[1]) & (distances[0] <= distances[2]),
        left,
        np.where(distances[1] <= distances[2], up, corner),
    )


def png(
    pixels: NDArray[np.int64],
    bits: int,
    colour: int,
    *before: bytes,
    interlaced: bool = False,
    after: bytes = b"",
) -> bytes:
    """Return a PNG of samples [H, W, channels] with chunks before and after its pixels, in two IDAT chunks."""
    height, width, _ = pixels.shape
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlaced)
    passes = ADAM7 if interlaced else ((0, 0, 1, 1),)
    raw = b"".join(packed(pixels[y::dy, x::dx], bits) for x, y, dx, dy in passes if pixels[y::dy, x::dx].size)
    data = zlib.compress(raw)
    body = b"".join([*before, chunk(b"IDAT", data[:20]), chunk(b"IDAT", data[20:]), after, chunk(b"IEND", b"")])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def exif(orientation: int) -> bytes:
    data = Image.Exif()
    data[0x0112] = orientation
    return data.tobytes()


def bare_exif(orientation: int, kind: int = 3) -> bytes:
    """Return a PNG's chunk whose only entry is an orientation, as a number of a TIFF type (3: unsigned, 16 bits)."""
    entry = struct.pack("<HHIHH", 0x0112, kind, 1, orientation, 0)
    return chunk(b"eXIf", b"II*\0\x08\0\0\0\x01\0" + entry + bytes(4))


def smooth(mode: str = "RGB") -> Image.Image:
    """Return an image that survives lossy compression well."""
    x, y = np.meshgrid(np.linspace(0, 255, WIDTH), np.linspace(0, 255, HEIGHT))
    planes = np.stack([x, y, 255 - x, (x + y) / 2], axis=2).astype(np.uint8)
    return Image.fromarray(planes, "RGBA").convert(mode) if mode != "RGBA" else Image.fromarray(planes, "RGBA")


def animation(kind: str, **options: object) -> bytes:
    frames = [Image.fromarray(samples(3, 8, seed).astype(np.uint8)) for seed in (1, 2)]
    return saved(frames[0], kind, save_all=True, append_images=frames[1:], duration=50, loop=0, **options)


def partial_webp() -> bytes:
    """Return an animation whose first frame covers a part of the canvas and has half-transparent pixels."""
    part = saved(Image.fromarray(samples(4, 8)[:5, :7].astype(np.uint8), "RGBA"), "WEBP", lossless=True, exact=True)
    at = part.index(b"VP8L")
    pixels = part[at : at + 8 + int.from_bytes(part[at + 4 : at + 8], "little")]
    pixels += b"\0" * (len(pixels) % 2)

    def u24(value: int) -> bytes:
        return value.to_bytes(3, "little")

    def riff(kind: bytes, data: bytes) -> bytes:
        return kind + len(data).to_bytes(4, "little") + data

    frame = u24(4 // 2) + u24(2 // 2) + u24(7 - 1) + u24(5 - 1) + u24(50) + b"\0" + pixels
    canvas = b"\x12\0\0\0" + u24(WIDTH - 1) + u24(HEIGHT - 1)
    body = riff(b"VP8X", canvas) + riff(b"ANIM", bytes(6)) + riff(b"ANMF", frame) * 2
    return b"RIFF" + (len(body) + 4).to_bytes(4, "little") + b"WEBP" + body


def partial_gif() -> bytes:
    """Return an animation whose first frame covers a part of the screen and has a transparent colour."""
    first = Image.fromarray(samples(1, 2)[:5, :7, 0].astype(np.uint8), "P")
    first.putpalette([200, 30, 40, 30, 200, 40, 30, 40, 200, 90, 90, 90])
    content = bytearray(saved(first, "GIF", transparency=1, save_all=True, append_images=[first], duration=50))
    content[6:10] = struct.pack("<HH", WIDTH, HEIGHT)
    at = content.index(b"\x2c\0\0\0\0\x07\0\x05\0")
    content[at + 1 : at + 5] = struct.pack("<HH", 4, 2)
    return bytes(content)


def files() -> Iterable[tuple[str, bytes]]:
    """Yield the name and content of each image."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
    odd_gamma = chunk(b"gAMA", struct.pack(">I", 200_000))
    palette = chunk(b"PLTE", samples(3, 8).astype(np.uint8).tobytes()[:12])
    colour8 = samples(3, 8)
    yield "rgb.png", png(colour8, 8, 2)
    yield "rgb-interlaced.png", png(colour8, 8, 2, interlaced=True)
    yield "rgb-key.png", png(colour8, 8, 2, chunk(b"tRNS", struct.pack(">3H", *colour8[4, 4])))
    yield "rgb-profile.png", saved(Image.fromarray(colour8.astype(np.uint8)), "PNG", icc_profile=profile)
    yield "rgb-gamma.png", png(colour8, 8, 2, odd_gamma)
    yield "rgb-16-bit.png", png(samples(3, 16), 16, 2)
    yield "rgb-16-bit-key.png", png(samples(3, 16), 16, 2, chunk(b"tRNS", struct.pack(">3H", *samples(3, 16)[4, 4])))
    yield "rgba.png", png(samples(4, 8), 8, 6)
    yield "rgba-gamma.png", png(samples(4, 8), 8, 6, odd_gamma)
    yield "rgba-16-bit-interlaced.png", png(samples(4, 16), 16, 6, interlaced=True)
    yield "grey.png", png(samples(1, 8), 8, 0)
    yield "grey-1-bit.png", png(samples(1, 1), 1, 0)
    yield "grey-2-bit-key-interlaced.png", png(samples(1, 2), 2, 0, chunk(b"tRNS", b"\0\1"), interlaced=True)
    yield "grey-4-bit-key.png", png(samples(1, 4), 4, 0, chunk(b"tRNS", b"\0\7"))
    yield "grey-16-bit.png", png(samples(1, 16), 16, 0)
    yield "grey-alpha.png", png(samples(2, 8), 8, 4)
    yield "grey-alpha-16-bit.png", png(samples(2, 16), 16, 4)
    yield "palette-2-bit.png", png(samples(1, 2), 2, 3, palette)
    yield "palette-alpha.png", png(samples(1, 2), 8, 3, palette, chunk(b"tRNS", bytes([0, 77, 200])))
    for orientation in range(2, 9):
        turned = png(colour8, 8, 2, after=chunk(b"eXIf", exif(orientation).removeprefix(b"Exif\0\0")))
        yield f"orientation-{orientation}.png", turned
    yield "orientation-twice.png", png(colour8, 8, 2, bare_exif(6), bare_exif(3))
    # A signed number, which EXIF does not allow.
    yield "orientation-signed.png", png(colour8, 8, 2, bare_exif(6, kind=8))
    yield "palette-gap.png", png(samples(1, 8), 8, 3, palette)
    yield "grey-high-key.png", png(samples(1, 8), 8, 0, chunk(b"tRNS", bytes([1, samples(1, 8)[4, 4, 0]])))
    yield "short-key.png", png(colour8, 8, 2, chunk(b"tRNS", bytes([0, colour8[4, 4, 0]])))
    yield "large-text.png", png(colour8, 8, 2, chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(3_000_000))))
    yield "damaged-text.png", png(colour8, 8, 2, chunk(b"tEXt", b"Comment\0 one").replace(b"one", b"two"))
    yield "animated.png", animation("PNG")
    yield "animated-default.png", animation("PNG", default_image=True)

    opaque = Image.fromarray(colour8.astype(np.uint8))
    alpha = Image.fromarray(samples(4, 8).astype(np.uint8), "RGBA")
    yield "lossless.webp", saved(opaque, "WEBP", lossless=True)
    yield "lossless-alpha.webp", saved(alpha, "WEBP", lossless=True, exact=True)
    yield "lossy.webp", saved(smooth(), "WEBP", quality=80)
    yield "lossy-alpha.webp", saved(smooth("RGBA"), "WEBP", quality=80, exact=True)
    yield "profile.webp", saved(opaque, "WEBP", lossless=True, icc_profile=profile)
    yield "orientation-6.webp", saved(opaque, "WEBP", lossless=True, exif=exif(6))
    unannounced = bytearray(saved(opaque, "WEBP", lossless=True, exif=exif(6)))
    unannounced[unannounced.index(b"VP8X") + 8] &= ~0x08
    yield "orientation-unannounced.webp", bytes(unannounced)
    yield "orientation-7-alpha.webp", saved(alpha, "WEBP", lossless=True, exact=True, exif=exif(7))
    yield "animated.webp", animation("WEBP", lossless=True)
    yield "animated-part.webp", partial_webp()

    yield "plain.jpg", saved(smooth(), "JPEG")
    yield "progressive.jpg", saved(smooth(), "JPEG", progressive=True, subsampling=0)
    yield "grey.jpg", saved(smooth("L"), "JPEG")
    yield "profile.jpg", saved(smooth(), "JPEG", icc_profile=profile)
    yield "cmyk.jpg", saved(smooth("RGB").convert("CMYK"), "JPEG")
    for orientation in range(2, 9):
        yield f"orientation-{orientation}.jpg", saved(smooth(), "JPEG", exif=exif(orientation))
    plain = saved(smooth(), "JPEG")
    late = b"\xff\xe1" + struct.pack(">H", 2 + len(exif(6))) + exif(6)
    yield "orientation-late.jpg", plain[:-2] + late + plain[-2:]

    yield "animated.gif", animation("GIF")
    yield "animated-part.gif", partial_gif()


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    pictures: dict[str, object] = {}
    for name, content in files():
        (FOLDER / name).write_bytes(content)
        image = open_upright(content, any_format=True)
        width, height = image.size
        rgb = base64.b64encode(image.tobytes()).decode()
        pictures[name] = {"widthPx": width, "heightPx": height, "rgb": rgb}
    (FOLDER / "pixels.json").write_text(json.dumps(pictures, indent=1) + "\n")


if __name__ == "__main__":
    main()
