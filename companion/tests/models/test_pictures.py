"""Tests what a model sees of an image file."""

import base64
import io
import json
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageCms

from patchlight.models.image_header import UnreadableImage, read_image_info
from patchlight.models.pictures import open_upright, read_pixels
from tests.makers import picture_fixture

PICTURES = json.loads((picture_fixture.FOLDER / "pixels.json").read_text())


def saved(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(size: tuple[int, int], bits: int, colour: int, rows: list[bytes], *before: bytes, after: bytes = b"") -> bytes:
    """Return a PNG with chunks before and after its pixels. `rows` are packed samples, without filter bytes."""
    header = struct.pack(">IIBBBBB", *size, bits, colour, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(before) + pixels + after + chunk(b"IEND", b"")


def pixels(content: bytes) -> list[list[int]]:
    return np.asarray(open_upright(content)).reshape(-1, 3).tolist()


def exif_of(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


# --- transparency ---


@settings(deadline=None)
@given(st.binary(min_size=24, max_size=24), st.sampled_from(["RGBA", "LA", "RGBa"]))
def test_alpha_is_flattened_on_white_to_the_nearest_value(samples: bytes, mode: str) -> None:
    image = Image.frombytes("RGBA", (3, 2), samples)
    image = image.convert("RGBa") if mode == "RGBa" else image.convert(mode)
    straight = np.asarray(image.convert("RGBA"), dtype=np.float64)
    colour, alpha = straight[..., :3], straight[..., 3:] / 255
    flat = np.asarray(read_pixels(image), dtype=np.float64)
    assert np.abs(flat - (colour * alpha + 255 * (1 - alpha))).max() <= 0.5 + 1e-9


def test_a_hidden_image_behind_full_transparency_is_not_seen() -> None:
    hidden = Image.effect_noise((8, 8), 90).convert("RGBA")
    hidden.putalpha(0)
    for kind, options in (("PNG", {}), ("WEBP", {"lossless": True, "exact": True})):
        assert set(open_upright(saved(hidden, kind, **options)).tobytes()) == {255}


def test_a_palette_with_alpha_is_flattened() -> None:
    palette = chunk(b"PLTE", bytes([10, 20, 30, 40, 50, 60, 70, 80, 90]))
    content = png((3, 1), 8, 3, [bytes([0, 1, 2])], palette, chunk(b"tRNS", bytes([0, 128])))
    assert pixels(content) == [[255, 255, 255], [147, 152, 157], [70, 80, 90]]


@pytest.mark.parametrize(("bits", "row", "key", "expected"), [
    (1, 0b01000000, 1, [0, 255]),
    (1, 0b01000000, 0, [255, 255]),
    (2, 0b00010000, 1, [0, 255]),
    (4, 0b00111111, 3, [255, 255]),
    (8, 7, 7, [255]),
])  # fmt: skip
def test_the_transparent_grey_of_a_png_is_white(bits: int, row: int, key: int, expected: list[int]) -> None:
    content = png((len(expected), 1), bits, 0, [bytes([row])], chunk(b"tRNS", struct.pack(">H", key)))
    assert pixels(content) == [[grey] * 3 for grey in expected]


def test_a_transparent_colour_of_16_bits_is_compared_in_all_of_them() -> None:
    grey = png((2, 1), 16, 0, [struct.pack(">2H", 0x0304, 0x0305)], chunk(b"tRNS", struct.pack(">H", 0x0304)))
    assert pixels(grey) == [[255] * 3, [3] * 3]
    row = struct.pack(">6H", 0x0304, 0x0102, 0x0506, 0x0304, 0x0102, 0x0507)
    colour = png((2, 1), 16, 2, [row], chunk(b"tRNS", struct.pack(">3H", 0x0304, 0x0102, 0x0506)))
    assert pixels(colour) == [[255] * 3, [3, 1, 5]]


def test_a_transparent_colour_of_8_bits_is_white() -> None:
    content = png((2, 1), 8, 2, [bytes([1, 2, 3, 1, 2, 4])], chunk(b"tRNS", struct.pack(">3H", 1, 2, 3)))
    assert pixels(content) == [[255] * 3, [1, 2, 4]]


# --- 16 bits and modes without a range ---


@given(st.lists(st.integers(0, 65535), min_size=4, max_size=4))
def test_16_bit_samples_keep_their_high_byte(samples: list[int]) -> None:
    row = struct.pack(">4H", *samples)
    high = [sample >> 8 for sample in samples]
    assert pixels(png((4, 1), 16, 0, [row])) == [[grey] * 3 for grey in high]
    assert pixels(png((1, 1), 16, 2, [row[:6]])) == [high[:3]]
    flat = [(colour * high[3] + 127) // 255 + 255 - high[3] for colour in high[:3]]
    assert pixels(png((1, 1), 16, 6, [row])) == [flat]


def test_a_16_bit_grey_image_is_not_white() -> None:
    ramp = np.linspace(0, 65535, 256, dtype=np.uint16).reshape(16, 16)
    content = saved(Image.fromarray(ramp))
    assert np.array_equal(np.asarray(open_upright(content))[..., 0], ramp >> 8)


def test_a_16_bit_pgm_keeps_its_high_byte() -> None:
    content = b"P5 2 1 65535\n" + struct.pack(">2H", 0x1234, 0xFFFF)
    assert np.asarray(read_pixels(Image.open(io.BytesIO(content))))[..., 0].tolist() == [[0x12, 255]]


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_samples_without_a_defined_range_are_refused(dtype: type) -> None:
    image = Image.fromarray(np.ones((2, 2), dtype=dtype))
    with pytest.raises(UnreadableImage, match=f"mode {image.mode}, whose range is not defined.*convert"):
        read_pixels(image)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr", "HSV"])
def test_an_opaque_image_becomes_rgb_as_pillow_converts_it(mode: str) -> None:
    image = Image.effect_noise((9, 5), 90).convert("RGB").convert(mode)
    assert read_pixels(image).tobytes() == image.convert("RGB").tobytes()


# --- orientation ---


def quarters() -> Image.Image:
    """Return an image of 16 x 8 pixels with a different colour in each quarter."""
    image = Image.new("RGB", (16, 8), "red")
    for box, colour in (((8, 0, 16, 4), "lime"), ((0, 4, 8, 8), "blue"), ((8, 4, 16, 8), "yellow")):
        image.paste(colour, box)
    return image


# What a camera stores, by the definition of each orientation in the EXIF standard.
STORED: dict[int, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    1: lambda upright: upright,
    2: np.fliplr,
    3: lambda upright: np.rot90(upright, 2),
    4: np.flipud,
    5: lambda upright: upright.transpose(1, 0, 2),
    6: np.rot90,
    7: lambda upright: np.rot90(upright, 2).transpose(1, 0, 2),
    8: lambda upright: np.rot90(upright, -1),
}


@pytest.mark.parametrize("orientation", STORED)
def test_exif_orientation_is_applied_in_every_format(orientation: int) -> None:
    upright = np.asarray(quarters())
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](upright)))
    exif = exif_of(orientation)
    for content in (saved(stored, exif=exif), saved(stored, "WEBP", lossless=True, exif=exif)):
        assert np.array_equal(np.asarray(open_upright(content)), upright)
    lossy = np.asarray(open_upright(saved(stored, "JPEG", quality=100, subsampling=0, exif=exif)), dtype=int)
    assert lossy.shape == upright.shape
    assert np.abs(lossy - upright).max() < 12


def test_exif_after_the_pixels_of_a_png_is_applied() -> None:
    tiff = exif_of(6).tobytes().removeprefix(b"Exif\0\0")
    content = png((2, 1), 8, 0, [bytes([3, 9])], after=chunk(b"eXIf", tiff))
    assert np.asarray(open_upright(content))[..., 0].tolist() == [[3], [9]]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_an_orientation_in_xmp_only_is_ignored(kind: str) -> None:
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf tiff:Orientation="6"/></x:xmpmeta>'
    if kind == "PNG":
        text = chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp)
        content = png((2, 1), 8, 0, [bytes([3, 9])], text)
    else:
        content = saved(quarters(), kind, xmp=xmp)
    assert open_upright(content).size == read_image_info(content)[1:3]


def test_damaged_exif_is_ignored() -> None:
    content = png((2, 1), 8, 0, [bytes([3, 9])], chunk(b"eXIf", b"MM\0*\xff\xff\xff\xffrest"))
    assert open_upright(content).size == (2, 1)


def test_reading_twice_does_not_turn_an_image_twice() -> None:
    once = read_pixels(Image.open(io.BytesIO(saved(quarters(), exif=exif_of(6)))))
    assert once.size == (8, 16)
    assert read_pixels(once).tobytes() == once.tobytes()


# --- files with several images ---


def test_a_jpeg_that_contains_a_second_image_is_a_jpeg() -> None:
    first, second = Image.new("RGB", (40, 30), "red"), Image.new("RGB", (8, 8), "blue")
    content = saved(first, "MPO", save_all=True, append_images=[second])
    assert read_image_info(content) == ("image/jpeg", 40, 30, None)
    assert open_upright(content).getpixel((20, 15)) == (254, 0, 0)  # red after JPEG compression


@pytest.mark.parametrize(("kind", "options"), [
    ("PNG", {"default_image": False}),
    ("PNG", {"default_image": True}),
    ("WEBP", {"lossless": True}),
    ("GIF", {}),
])  # fmt: skip
def test_the_first_image_of_an_animation_is_read(kind: str, options: dict[str, bool]) -> None:
    first = Image.new("RGB", (6, 4), "red")
    frames = [Image.new("RGB", (6, 4), colour) for colour in ("lime", "blue")]
    content = saved(first, kind, save_all=True, append_images=frames, **options)
    assert read_pixels(Image.open(io.BytesIO(content))).tobytes() == first.tobytes()
    animation = Image.open(io.BytesIO(content))
    animation.seek(1)
    assert read_pixels(animation).tobytes() == first.tobytes()


def test_a_colour_profile_is_ignored() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    assert open_upright(saved(quarters(), icc_profile=profile)).tobytes() == quarters().tobytes()


# --- the sample set that the page decodes too ---


@pytest.mark.parametrize("name", PICTURES)
def test_each_sample_has_the_pixels_that_the_page_compares_with(name: str) -> None:
    expected = PICTURES[name]
    image = open_upright((picture_fixture.FOLDER / name).read_bytes(), any_format=True)
    assert image.size == (expected["widthPx"], expected["heightPx"])
    difference = np.abs(np.frombuffer(image.tobytes(), np.uint8).astype(int) - list(base64.b64decode(expected["rgb"])))
    # Decoders of lossy files may round differently from one version to the next.
    assert difference.max() <= (2 if name.endswith(("jpg", "lossy.webp", "lossy-alpha.webp")) else 0)
