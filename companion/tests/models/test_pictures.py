"""Tests for image file formats."""

import io

from PIL import Image

from patchlight.models.pictures import open_upright, read_image_info


def test_a_jpeg_that_contains_a_second_image_is_a_jpeg() -> None:
    file = io.BytesIO()
    first, second = Image.new("RGB", (40, 30), "red"), Image.new("RGB", (8, 8), "blue")
    first.save(file, format="MPO", save_all=True, append_images=[second])
    assert read_image_info(file.getvalue()) == ("image/jpeg", 40, 30)
    assert open_upright(file.getvalue()).getpixel((20, 15)) == (254, 0, 0)  # red after JPEG compression
