"""Tests that PNGs are reduced to their pixels without changing them."""

import io
import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from patchlight.models.image_header import UnreadableImage
from patchlight.models.pictures import open_upright
from patchlight.models.png_chunks import essential_png
from tests.makers.picture_fixture import FOLDER, chunk, png, samples

PNGS = sorted(path.name for path in FOLDER.glob("*.png"))
COLOURS = samples(3, 8)
PIXELS = COLOURS.astype("uint8").tobytes()


def compressed(size: int) -> bytes:
    return zlib.compress(bytes(size))


@pytest.mark.parametrize("name", PNGS)
def test_a_second_reduction_changes_nothing(name: str):
    once = essential_png((FOLDER / name).read_bytes())
    assert essential_png(once) == once
    assert Image.open(io.BytesIO(once)).size == (13, 9)


@pytest.mark.parametrize(
    "extra",
    [
        chunk(b"zTXt", b"Comment\0\0" + compressed(3_000_000)),
        chunk(b"iTXt", b"Comment\0\1\0\0\0" + compressed(3_000_000)),
        chunk(b"iCCP", b"profile\0\0" + compressed(3_000_000)),
        chunk(b"iCCP", b"profile\0\0no deflate"),
        chunk(b"tEXt", b"Comment\0 one").replace(b"one", b"two"),
        chunk(b"tRNS", b""),
        chunk(b"tRNS", bytes(3)),
        chunk(b"pHYs", b""),
    ],
    ids=[
        "large text",
        "large text in UTF-8",
        "large profile",
        "damaged profile",
        "checksum",
        "no key",
        "cut key",
        "pHYs",
    ],
)
def test_what_does_not_decide_the_pixels_never_refuses_an_image(extra: bytes):
    assert open_upright(png(COLOURS, 8, 2, extra)).tobytes() == PIXELS
    assert open_upright(png(COLOURS, 8, 2, after=extra)).tobytes() == PIXELS


def test_palette_entries_that_do_not_exist_are_black():
    image = open_upright(png(samples(1, 2), 2, 3, chunk(b"PLTE", bytes([9, 8, 7]))))
    assert set(image.get_flattened_data()) == {(9, 8, 7), (0, 0, 0)}


def test_bits_of_a_transparent_colour_above_the_depth_do_not_count():
    grey = samples(1, 8)
    stated = [chunk(b"tRNS", struct.pack(">H", high << 8 | int(grey[4, 4, 0]))) for high in (0, 1)]
    assert len({open_upright(png(grey, 8, 0, key)).tobytes() for key in stated}) == 1


def test_a_damaged_checksum_of_pixels_is_still_found():
    content = bytearray(png(COLOURS, 8, 2))
    content[content.index(b"IDAT") + 10] ^= 1
    with pytest.raises(UnreadableImage):
        open_upright(bytes(content))


@settings(deadline=None)
@given(name=st.sampled_from(PNGS), at=st.integers(0), value=st.integers(0, 255), length=st.integers(0))
def test_any_changed_or_cut_file_is_reduced_or_returned(name: str, at: int, value: int, length: int):
    content = bytearray((FOLDER / name).read_bytes())
    content[at % len(content)] = value
    for file in (bytes(content), bytes(content[: length % len(content)])):
        assert len(essential_png(file)) <= len(file) + 3 * 256 + 12
