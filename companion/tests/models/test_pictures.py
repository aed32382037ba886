"""What a picture's file is taken for."""

import io

from PIL import Image

from patchlight.models.pictures import look_at, open_upright


def test_a_jpeg_with_a_second_picture_behind_it_is_a_jpeg() -> None:
    file = io.BytesIO()
    first, second = Image.new("RGB", (40, 30), "red"), Image.new("RGB", (8, 8), "blue")
    first.save(file, format="MPO", save_all=True, append_images=[second])
    assert look_at(file.getvalue()) == ("image/jpeg", 40, 30)
    assert open_upright(file.getvalue()).getpixel((20, 15)) == (254, 0, 0)  # red, as JPEG keeps it
