"""Turns image files into what a model sees. docs/protocol.md, "The image that is read", states the rules.

Every image that reaches a model goes through `read_pixels`. The page follows the same rules in TypeScript.
"""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from PIL.Image import Transpose

from .exif_orientation import exif_orientation
from .image_header import MEDIA_TYPES, UnreadableImage
from .png_chunks import SIGNATURE, essential_png

_UPRIGHT = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
# Modes that Pillow converts to 8-bit RGB. Of 16-bit colours, it has kept the high bytes.
_OPAQUE_MODES = ("1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr", "HSV")
_ALPHA_MODES = ("RGBA", "LA", "PA", "RGBa", "La")
_SIXTEEN_BIT_MODES = ("I;16", "I;16B", "I;16L", "I;16N")
_STRIP_PIXELS = 1 << 20


def open_upright(content: bytes, *, any_format: bool = False) -> Image.Image:
    """Decode a PNG, JPEG or WebP file, or any file that Pillow can read, to what the model sees.

    Raises UnreadableImage.
    """
    if content.startswith(SIGNATURE):
        content = essential_png(content)
    try:
        with Image.open(io.BytesIO(content), formats=None if any_format else tuple(MEDIA_TYPES)) as image:
            return read_pixels(image)
    except UnreadableImage:
        raise
    except UnidentifiedImageError as error:
        raise UnreadableImage("it is damaged, or no image of a format that is supported") from error
    except Exception as error:  # Pillow's decoding errors have no common base class.
        raise UnreadableImage(f"decoding failed: {error}"[:300]) from error


def read_pixels(image: Image.Image) -> Image.Image:
    """Return what a model sees of an image: 8-bit RGB, upright, the first frame, flattened on white.

    16-bit samples keep their high byte. Orientation comes from EXIF only, not from XMP. Colour profiles are ignored.
    Raises UnreadableImage if the samples have no defined range, and passes on Pillow's decoding errors.
    """
    if getattr(image, "n_frames", 1) > 1:
        image.seek(0)
    keyed = _colour_key(image)
    image.load()
    if image.format == "GIF":
        return _on_screen(_flat(image), image)
    if keyed is not None:
        flat = _on_white(np.asarray(image.convert("RGB")), np.where(keyed, 0, 255).astype(np.uint8))
    else:
        flat = _flat(image)
    # Read after `load`, because the EXIF chunk of a PNG may follow its pixels.
    turn = _UPRIGHT.get(exif_orientation(image.info.get("exif") or b""))
    # A copy keeps the EXIF data, by which a second call would turn the image again.
    flat.info.clear()
    return flat if turn is None else flat.transpose(turn)


def _flat(image: Image.Image) -> Image.Image:
    mode = image.mode
    if mode in _SIXTEEN_BIT_MODES or (mode == "I" and image.format == "PPM"):
        samples = np.asarray(image)
        grey = np.repeat((samples >> 8).astype(np.uint8)[..., None], 3, axis=2)
        key = image.info.get("transparency")
        if key is None:
            return Image.fromarray(grey)
        return _on_white(grey, np.where(samples == key, 0, 255).astype(np.uint8))
    if mode in _ALPHA_MODES or (mode in _OPAQUE_MODES and image.has_transparency_data):
        straight = image.convert({"RGBa": "RGBA", "La": "LA"}.get(mode, mode)).convert("RGBA")
        rgba = np.asarray(straight)
        return _on_white(rgba[..., :3], rgba[..., 3])
    if mode in _OPAQUE_MODES:
        return image.convert("RGB")
    raise UnreadableImage(
        f"found samples of Pillow's mode {mode}, whose range is not defined; expected 8 or 16 bits per sample: convert "
        "the image to 8 bits"
    )


def _on_screen(flat: Image.Image, image: Any) -> Image.Image:
    """Return a GIF's first frame on a white screen. Pillow fills the rest of the screen with a colour of the palette."""
    screen = Image.new("RGB", flat.size, "white")
    left, top, right, bottom = image.dispose_extent
    screen.paste(flat.crop((left, top, right, bottom)), (left, top))
    return screen


def _on_white(rgb: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> Image.Image:
    """Blend straight colours [H, W, 3] with alpha [H, W] onto white: round(colour * alpha / 255) + 255 - alpha."""
    flat = np.empty_like(rgb)
    rows = max(1, _STRIP_PIXELS // rgb.shape[1])
    for start in range(0, len(rgb), rows):
        strip = slice(start, start + rows)
        weight = alpha[strip, :, None].astype(np.uint16)
        flat[strip] = (rgb[strip] * weight + 127) // 255 + 255 - weight
    return Image.fromarray(flat)


def _colour_key(image: Image.Image) -> NDArray[np.bool_] | None:
    """Return which pixels [H, W] have a PNG's transparent colour, if Pillow cannot tell.

    It compares the colour with samples that it has already scaled from 2 or 4 bits, or reduced from 16 bits. Must be
    called before the image is loaded.
    """
    key = image.info.get("transparency")
    raw_modes = [tile.args for tile in getattr(image, "tile", ())]
    if key is None or image.format != "PNG" or raw_modes not in (["L;2"], ["L;4"], ["RGB;16B"]):
        return None
    if raw_modes == ["RGB;16B"]:
        high, low = _reopened(image, "RGB;16B"), _reopened(image, "RGB;16L")
        return ((high.astype(np.uint16) << 8 | low) == np.array(key)).all(axis=2)
    bits = int(raw_modes[0][-1])
    return _reopened(image, raw_modes[0]) == key * (255 // (2**bits - 1))


def _reopened(image: Any, raw_mode: str) -> NDArray[np.uint8]:
    """Decode the file of an image that is not loaded yet. "RGB;16L" takes each sample's second byte, the low one."""
    position = image.fp.tell()
    image.fp.seek(0)
    with Image.open(io.BytesIO(image.fp.read()), formats=("PNG",)) as again:
        image.fp.seek(position)
        again.tile = [tile._replace(args=raw_mode) for tile in again.tile]
        return np.asarray(again)
