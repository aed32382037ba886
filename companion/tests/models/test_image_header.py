"""Tests reading the format, size and completeness of image files from their bytes."""

import contextlib
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from patchlight.models.image_header import DamagedImage, UnreadableImage, read_image_info

FORMATS = {
    "PNG": {"format": "PNG"},
    "interlaced APNG": {"format": "PNG", "save_all": True, "append_images": [Image.new("RGB", (37, 23), "blue")]},
    "JPEG": {"format": "JPEG"},
    "progressive JPEG": {"format": "JPEG", "progressive": True},
    "JPEG with restarts": {"format": "JPEG", "restart_marker_blocks": 1},
    "WebP": {"format": "WEBP"},
    "lossless WebP": {"format": "WEBP", "lossless": True},
    "animated WebP": {"format": "WEBP", "save_all": True, "append_images": [Image.new("RGB", (37, 23), "blue")]},
}
MEDIA_TYPES = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}


def file_of(kind: str) -> bytes:
    file = io.BytesIO()
    Image.effect_noise((37, 23), 90).convert("RGB").save(file, **FORMATS[kind])
    return file.getvalue()


@pytest.mark.parametrize("kind", FORMATS)
def test_a_complete_file_has_pillow_s_size(kind: str) -> None:
    info = read_image_info(file_of(kind))
    assert info == (MEDIA_TYPES[str(FORMATS[kind]["format"])], 37, 23, None)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.99])
def test_a_file_that_was_cut_off_is_said_to_be_cut_off(kind: str, share: float) -> None:
    content = file_of(kind)
    cut = content[: int(share * len(content))]
    try:
        reason = read_image_info(cut).missing
    except DamagedImage as error:
        reason = str(error)
    assert reason is not None
    assert "cut off" in reason
    assert str(len(cut)) in reason


def test_an_image_in_another_format_is_refused_by_its_name() -> None:
    file = io.BytesIO()
    Image.new("RGB", (4, 4)).save(file, "GIF")
    with pytest.raises(UnreadableImage, match="found a GIF file, expected one of image/png, image/jpeg, image/webp"):
        read_image_info(file.getvalue())


@given(st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF1234WEBP", b"RIFF1234WEBPVP8X"]), st.binary())
def test_any_bytes_are_read_or_refused(start: bytes, rest: bytes) -> None:
    with contextlib.suppress(UnreadableImage):
        read_image_info(start + rest)
