"""Determine from the models themselves which pixels each image token depends on, and compare with the readings."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from transformers import (
    AutoProcessor,
    Florence2Config,
    LlamaConfig,
    LlavaConfig,
    LlavaNextConfig,
    Pix2StructConfig,
    SiglipVisionConfig,
)
from transformers.image_processing_utils import get_patch_output_size, select_best_resolution
from transformers.image_utils import ChannelDimension

from patchlight.embedded.training.model import PROMPT, load_model, model_inputs
from patchlight.models.families.llava import trace_square
from patchlight.models.families.llava_next import _padded
from patchlight.models.families.registry import (
    FAMILIES,
    Frame,
    Place,
    Reading,
    Trace,
    UnsupportedFamily,
    extend,
    family_of,
)
from patchlight.models.language_model import decoder_arguments, decoder_of, logits_of
from patchlight.models.sizes import height_width
from tests.helpers.paths import EMBEDDED
from tests.helpers.tiny_models import KINDS, TILE_PX, Tiny, tiny

QUESTION = "What is it?"
WIDE, TALL = (400, 180), (180, 400)

_made: dict[str, Tiny] = {}


def local(kind: str) -> Tiny:
    """A model in which each image feature depends only on its own pixels; cached, because no test modifies it."""
    if kind not in _made:
        _made[kind] = tiny(kind, local=True)
    return _made[kind]


def read(lvlm: Tiny, pixels: np.ndarray | Image.Image, question: str = QUESTION) -> Reading:
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    return lvlm.family.read(lvlm.model, lvlm.processor, image, question)


def noise(width: int, height: int) -> np.ndarray:
    return np.random.default_rng(7).integers(60, 200, (height, width, 3), dtype=np.uint8)


def image_features(lvlm: Tiny, reading: Reading) -> torch.Tensor:
    """Return the features [n, d] that the model inserts at its image tokens, in order.

    The model itself raises an error if there are more or fewer than image tokens.
    """
    embeds = decoder_arguments(lvlm.model, decoder_of(lvlm.model), reading.inputs)["inputs_embeds"]
    return embeds[0, image_columns(lvlm, reading)]


def image_columns(lvlm: Tiny, reading: Reading) -> torch.Tensor:
    return (reading.inputs["input_ids"][0] == lvlm.model.config.image_token_id).nonzero()[:, 0]


def centre(frame: Frame, row: int, col: int) -> tuple[float, float]:
    rect = frame.patch(row, col)
    return rect.x + rect.width / 2, rect.y + rect.height / 2


@pytest.mark.parametrize("size", [WIDE, TALL], ids=["wide", "tall"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_image_feature_is_one_patch_or_a_newline_or_class_token(kind: str, size: tuple[int, int]) -> None:
    lvlm = local(kind)
    reading = read(lvlm, noise(*size))
    columns = image_columns(lvlm, reading)
    assert len(columns) == len(image_features(lvlm, reading))
    patches = reading.patch_columns.tolist()
    assert len(set(patches)) == len(patches) == len(set(reading.places)) == len(reading.places)
    assert len(patches) == sum(frame.rows * frame.cols for frame in reading.frames)
    assert set(patches) <= set(columns.tolist())
    newlines = reading.frames[0].rows if kind.startswith(("llava-next", "llava-onevision")) else 0
    others = newlines + (kind == "llava-full")
    assert len(columns) == len(patches) + others
    # The tokens between Pixtral's rows are not text of the prompt.
    breaks = range(columns[0], columns[-1] + 1) if kind in ("mistral3", "pixtral") else []
    others = {*columns.tolist(), *breaks}
    assert sorted([*others, *reading.prompt_columns.tolist()]) == list(range(len(reading.inputs["input_ids"][0])))
    assert [frame.name for frame in reading.frames] in (["image"], ["detail", "overview"])
    assert all(place.image == 0 for place in reading.places)


@pytest.mark.parametrize("size", [WIDE, TALL], ids=["wide", "tall"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_marked_square_changes_only_the_features_of_its_patch(kind: str, size: tuple[int, int]) -> None:
    lvlm = local(kind)
    pixels = noise(*size)
    reading = read(lvlm, pixels)
    before = image_features(lvlm, reading)
    columns = image_columns(lvlm, reading).tolist()
    first = reading.frames[0]
    marked = 0
    for row in range(first.rows):
        for col in range(first.cols):
            x, y = (round(value) for value in centre(first, row, col))
            if not (2 <= x < size[0] - 2 and 2 <= y < size[1] - 2):
                continue  # the patch's centre is in the padding
            other = pixels.copy()
            other[y - 2 : y + 3, x - 2 : x + 3] = 255 * (pixels[y - 2 : y + 3, x - 2 : x + 3] < 128)
            after = image_features(lvlm, read(lvlm, other))
            changed = {columns[n] for n in (after != before).any(dim=1).nonzero()[:, 0].tolist()}
            assert changed <= set(reading.patch_columns.tolist())
            start = 0
            for frame in reading.frames:
                may, must = touched(frame, x, y, reach=6 if kind in ("idefics3", "smolvlm") else 2)
                if frame is first:
                    # The square is small enough that no resizing filter spreads it beyond the patch.
                    assert may == must == {(row, col)}
                patches = {
                    divmod(n - start, frame.cols)
                    for n in range(start, start + frame.rows * frame.cols)
                    if int(reading.patch_columns[n]) in changed
                }
                assert must <= patches <= may, (frame.name, row, col)
                start += frame.rows * frame.cols
            marked += 1
    assert marked >= 0.7 * first.rows * first.cols / (2 if kind == "llava-padded-qwen2" else 1)


def touched(frame: Frame, x: int, y: int, *, reach: float) -> tuple[set[tuple[int, int]], set[tuple[int, int]]]:
    """Return the patches that a 5 x 5 square around (x, y) may change, and those that it must change.

    `reach` is the radius of the resizing filters in model pixels: two for one bicubic pass, three for each of two
    Lanczos passes.
    """
    reach_x = 2.5 + reach * max(1, frame.crop.width / frame.width_px)
    reach_y = 2.5 + reach * max(1, frame.crop.height / frame.height_px)
    may, must = set(), set()
    for row in range(frame.rows):
        for col in range(frame.cols):
            rect = frame.patch(row, col)
            left, top, right, bottom = rect.x, rect.y, rect.x + rect.width, rect.y + rect.height
            if left - reach_x < x + 0.5 < right + reach_x and top - reach_y < y + 0.5 < bottom + reach_y:
                may.add((row, col))
            if left <= x - 2 and x + 3 <= right and top <= y - 2 and y + 3 <= bottom:
                must.add((row, col))
    return may, must


@pytest.mark.parametrize("size", [WIDE, TALL, (333, 222), (97, 131)], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_a_patch_covers_the_pixels_stated_by_its_frame(kind: str, size: tuple[int, int]) -> None:
    """Red encodes the column and green the row, so a patch's mean colour gives the centre of its rectangle."""
    lvlm = local(kind)
    width, height = size
    rows, cols = np.mgrid[0:height, 0:width]
    pixels = np.stack([255 * (cols + 0.5) / width, 255 * (rows + 0.5) / height, 0 * rows], axis=-1)
    reading = read(lvlm, pixels.round().astype(np.uint8))
    resizer = lvlm.processor.image_processor
    mean, std = np.array(resizer.image_mean), np.array(resizer.image_std)
    start = 0
    for frame in reading.frames:
        for n in range(frame.rows * frame.cols):
            rect = frame.patch(*divmod(n, frame.cols))
            if min(rect.x, rect.y) < 0 or rect.x + rect.width > width or rect.y + rect.height > height:
                continue  # partly padding
            colour = pixels_of(kind, reading, reading.places[start + n]).mean(axis=(1, 2)) * std + mean
            # Half a model pixel, because filters at the image's edge use only pixels inside it; 1/255 for 8-bit
            # rounding.
            across, down = frame.crop.width / frame.width_px, frame.crop.height / frame.height_px
            # A joined frame ignores that each tile leaves 2 of its 58 px unread, and that the last pan-and-scan crop
            # is one source pixel short.
            unread = 2.0 if kind == "llava-next-siglip" else 0.0
            if kind == "llava-onevision-resized":
                unread = TILE_PX / 8  # half a patch: a token blends patches around its centre, and one is compared
            short = 1.0 if kind == "gemma3-crops" else 0.0
            tolerance = np.array([(0.5 + unread) * across + short, (0.5 + unread) * down + short, 0])
            tolerance = tolerance / [width, height, 1] + 1 / 255
            middle = np.array([(rect.x + rect.width / 2) / width, (rect.y + rect.height / 2) / height, 0])
            assert (np.abs(colour - middle) <= tolerance).all(), (frame.name, divmod(n, frame.cols), colour, middle)
        start += frame.rows * frame.cols


def pixels_of(kind: str, reading: Reading, place: Place) -> np.ndarray:
    """Return the model pixels [3, h, w] of one image token, cut from the processor's output."""
    values = reading.inputs["pixel_values"].numpy()
    if kind in ("qwen2.5-vl", "qwen2-vl", "qwen3-vl", "glm-4v"):
        cols = reading.frames[0].cols
        patches = values.reshape(-1, 4, 3, 2, TILE_PX // 4, TILE_PX // 4)[place.row * cols + place.col]
        return patches[:, :, 0].transpose(1, 0, 2, 3).reshape(3, -1, TILE_PX // 4)
    if kind in ("gemma4", "lfm2-vl"):
        # Rows of encoder patches, each [side, side, 3].
        side, pool = (4, 3) if kind == "gemma4" else (14, 2)
        if kind == "gemma4":
            cols = int(reading.inputs["image_position_ids"][0].amax(0)[0]) + 1
        else:
            cols = int(reading.inputs["spatial_shapes"][place.tile][1])
        patches = values[place.tile].reshape(-1, side, side, 3)
        block = [[(place.row * pool + i) * cols + place.col * pool + j for j in range(pool)] for i in range(pool)]
        return np.concatenate([np.concatenate([patches[n] for n in row], axis=1) for row in block]).transpose(2, 0, 1)
    tile = values.reshape(-1, *values.shape[-3:])[place.tile]
    side = 28 if kind in ("idefics3", "smolvlm", "internvl", "mistral3") else 14
    return tile[:, place.row * side : (place.row + 1) * side, place.col * side : (place.col + 1) * side]


@settings(max_examples=12, deadline=None)
@given(width=st.integers(1, 300), height=st.integers(1, 300))
@pytest.mark.parametrize("kind", KINDS)
def test_images_of_any_size_have_as_many_tokens_as_features(kind: str, width: int, height: int) -> None:
    if max(width, height) > 200 * min(width, height):
        return  # Qwen's processor rejects these itself
    lvlm = local(kind)
    if kind in ("mistral3", "pixtral") and max(width, height) > 112 * min(width, height):
        with pytest.raises(ValueError, match="thinner than one pixel: crop it"):
            read(lvlm, noise(width, height))
        return
    if kind == "mistral3" and max(width, height) <= 28:
        with pytest.raises(ValueError, match="needs at least two: use an image with a side of more than 28 px"):
            read(lvlm, noise(width, height))
        return
    reading = read(lvlm, noise(width, height))
    assert len(image_columns(lvlm, reading)) == len(image_features(lvlm, reading))
    assert len(reading.patch_columns) == sum(frame.rows * frame.cols for frame in reading.frames) == len(reading.places)
    for frame in reading.frames:
        # Check that each frame overlaps the image.
        assert frame.crop.x < width
        assert frame.crop.y < height
        assert frame.crop.x + frame.crop.width > 0
        assert frame.crop.y + frame.crop.height > 0


def test_an_image_whose_tiles_are_only_padding_is_read_as_a_whole() -> None:
    reading = read(local("llava-next"), noise(300, 2))
    assert [frame.name for frame in reading.frames] == ["image"]
    assert len(reading.patch_columns) == 16


@pytest.mark.parametrize("kind", ["idefics3", "smolvlm"])
def test_an_image_is_read_once_if_splitting_is_off(kind: str) -> None:
    lvlm = tiny(kind, local=True)
    lvlm.processor.image_processor.do_image_splitting = False
    reading = read(lvlm, noise(*WIDE))
    assert [frame.name for frame in reading.frames] == ["image"]
    assert reading.frames[0].crop == (0, 0, *WIDE)
    assert len(reading.patch_columns) == len(image_features(lvlm, reading)) == 4


def test_pan_and_scan_does_not_crop_a_square_image() -> None:
    reading = read(local("gemma3-crops"), noise(200, 200))
    assert [frame.name for frame in reading.frames] == ["image"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_prompt_starts_with_exactly_one_start_token(kind: str) -> None:
    """PaliGemma's start token follows the image."""
    lvlm = local(kind)
    ids = read(lvlm, noise(60, 60)).inputs["input_ids"][0].tolist()
    assert ids.count(lvlm.processor.tokenizer.bos_token_id) == 1
    columns = image_columns(lvlm, read(lvlm, noise(60, 60)))
    assert ids[columns[-1] + 1 if kind.startswith("paligemma") else 0] == lvlm.processor.tokenizer.bos_token_id


@pytest.mark.parametrize("kind", KINDS)
def test_grey_and_transparent_images_are_read_on_white(kind: str) -> None:
    lvlm = local(kind)
    transparent = Image.fromarray(noise(70, 50)).convert("RGBA")
    transparent.putalpha(0)
    cases = {"L": Image.fromarray(noise(70, 50)).convert("L"), "P": Image.fromarray(noise(70, 50)).convert("P")}
    expected = {mode: image.convert("RGB") for mode, image in cases.items()}
    cases["RGBA"], expected["RGBA"] = transparent, Image.new("RGB", (70, 50), "white")
    for mode, image in cases.items():
        actual = read(lvlm, image).inputs["pixel_values"]
        assert torch.equal(actual, read(lvlm, expected[mode]).inputs["pixel_values"])


def test_an_image_that_is_not_upright_is_refused() -> None:
    image = Image.fromarray(noise(70, 50))
    exif = Image.Exif()
    exif[0x0112] = 6
    image.info["exif"] = exif.tobytes()
    with pytest.raises(ValueError, match="not upright"):
        read(local("llava"), image)


@pytest.mark.parametrize(
    ("kind", "token"),
    [
        ("llava", "<image>"),
        ("qwen2.5-vl", "<|image_pad|>"),
        ("gemma3", "<start_of_image>"),
        ("gemma3", "<image_soft_token>"),
    ],
)
def test_a_question_with_an_image_placeholder_is_rejected(kind: str, token: str) -> None:
    with pytest.raises(ValueError, match=r"question contains|image tokens"):
        read(local(kind), noise(60, 60), f"What is {token}?")


def test_an_empty_question_is_rejected() -> None:
    with pytest.raises(ValueError, match="empty"):
        read(local("llava"), noise(60, 60), " \n")


@pytest.mark.parametrize("templated", [True, False])
def test_the_embedded_model_gets_the_same_inputs_as_in_the_browser(templated: bool) -> None:
    model, processor = load_model(EMBEDDED), AutoProcessor.from_pretrained(EMBEDDED)
    image = Image.fromarray(noise(500, 333))
    expected = model_inputs(processor, image, QUESTION)
    if not templated:
        processor.chat_template = None
    reading = family_of(model.config).read(model, processor, image, QUESTION)
    assert PROMPT.format(question=QUESTION).startswith("USER: <image>")
    assert set(reading.inputs) == set(expected)
    for name, value in expected.items():
        assert torch.equal(reading.inputs[name], value), name
    assert reading.frames[0][2:] == (24, 24, 336, 336, 0)


@pytest.mark.parametrize("kind", KINDS)
def test_the_vocabulary_layer_reads_the_output_of_the_decoder(kind: str) -> None:
    lvlm = local(kind)
    decoder, layers = lvlm.family.decoder(lvlm.model), lvlm.family.layers(lvlm.model)
    assert len(layers) == lvlm.model.config.get_text_config().num_hidden_layers
    seen: list[torch.Tensor] = []
    handle = decoder.register_forward_hook(lambda _module, _args, out: seen.append(out.last_hidden_state))
    reading = read(lvlm, noise(60, 60))
    try:
        with torch.no_grad():
            logits = lvlm.model(**reading.inputs).logits  # type: ignore[operator]
            torch.testing.assert_close(logits_of(lvlm.model, seen[0]), logits)
    finally:
        handle.remove()


@pytest.mark.parametrize("kind", KINDS)
def test_extended_inputs_hold_prompt_and_answer(kind: str) -> None:
    """Causality: appending an answer does not change the logits of the prompt.

    Tolerance 1e-5: the sums have different numbers of terms.
    """
    lvlm = local(kind)
    reading = read(lvlm, noise(60, 60))
    n = reading.inputs["input_ids"].shape[1]
    longer = extend(reading, [200, 201, 200])
    assert reading.inputs["input_ids"].shape[1] == n
    assert longer["input_ids"][0, n:].tolist() == [200, 201, 200]
    with torch.no_grad():
        short = lvlm.model(**reading.inputs).logits  # type: ignore[operator]
        long = lvlm.model(**longer).logits  # type: ignore[operator]
    assert long.shape[1] == n + 3
    torch.testing.assert_close(long[:, :n], short, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (LlamaConfig(), "transformers does not load it as a model for images and text"),
        (Pix2StructConfig(), "a pix2struct model does not continue a prompt that contains the image"),
        (Florence2Config(), "a florence2 model has an encoder and a decoder"),
    ],
    ids=["llama", "pix2struct", "florence2"],
)
def test_an_unsupported_type_is_rejected_with_the_reason_and_the_types_known(config: Any, reason: str) -> None:
    with pytest.raises(UnsupportedFamily) as caught:
        family_of(config)
    assert f"model type {config.model_type!r} is not supported: {reason}" in str(caught.value)
    for family in FAMILIES:
        assert family.name in str(caught.value)
        for model_type in family.model_types:
            assert model_type in str(caught.value)


@pytest.mark.parametrize(
    ("config", "name"),
    [
        (LlavaConfig(vision_config={"model_type": "dinov2"}), "dinov2"),
        (LlavaConfig(vision_config=SiglipVisionConfig(), vision_feature_select_strategy="default"), "default"),
        (LlavaNextConfig(vision_feature_select_strategy="full"), "full"),
    ],
    ids=["dinov2", "siglip without a class token", "tiles with a class token"],
)
def test_a_known_model_type_with_an_unsupported_part_is_rejected_by_that_part(config: Any, name: str) -> None:
    with pytest.raises(UnsupportedFamily, match=name):
        family_of(config)


class Recoloured:
    """An image whose pixels hold their own positions: the column in red, the row in green, and 255 in blue."""

    def __init__(self, width: int, height: int):
        rows, cols = np.mgrid[0:height, 0:width]
        self.image = Image.fromarray(np.stack([cols, rows, np.full_like(rows, 255)], axis=-1).astype(np.uint8))


def processed(processor: Any, image: Image.Image, **options: Any) -> np.ndarray:
    """Return the pixels [3, h, w] of an image processor that only moves pixels."""
    still: dict[str, Any] = {"do_resize": False, "do_normalize": False, "do_rescale": False, "return_tensors": "np"}
    return processor(images=[image], **still, **options)["pixel_values"][0]


def assert_moves_pixels_as_traced(trace: Trace, pixels: np.ndarray) -> None:
    """Compare each pixel that comes from the image with the traced rectangle, exactly."""
    assert pixels.shape[1:] == (trace.height, trace.width)
    assert (trace.covers.width, trace.covers.height) == (trace.width, trace.height)
    from_image = pixels[2] == 255
    assert from_image.any()
    rows, cols = np.nonzero(from_image)
    assert (pixels[0][from_image] == cols + trace.covers.x).all()
    assert (pixels[1][from_image] == rows + trace.covers.y).all()


sides = st.integers(1, 200)


@settings(max_examples=60, deadline=None)
@given(width=sides, height=sides)
def test_padding_to_a_square_moves_every_pixel_as_traced(width: int, height: int) -> None:
    processor = local("llava-padded-qwen2").processor.image_processor
    image = Recoloured(width, height).image
    steps = SimpleNamespace(do_pad=True, do_resize=False, do_center_crop=False)
    trace, _ = trace_square(steps, Trace.of(image))
    assert_moves_pixels_as_traced(trace, processed(processor, image, do_pad=True, do_center_crop=False))


@settings(max_examples=60, deadline=None)
@given(width=sides, height=sides, crop_width=sides, crop_height=sides, pad=st.booleans())
def test_centre_crops_move_every_pixel_as_traced(
    width: int, height: int, crop_width: int, crop_height: int, pad: bool
) -> None:
    processor = local("llava-padded-qwen2").processor.image_processor
    image, size = Recoloured(width, height).image, {"width": crop_width, "height": crop_height}
    steps = SimpleNamespace(do_pad=pad, do_resize=False, do_center_crop=True, crop_size=size)
    trace, _ = trace_square(steps, Trace.of(image))
    pixels = processed(processor, image, do_pad=pad, do_center_crop=True, crop_size=size)
    if (pixels[2] == 255).any():
        assert_moves_pixels_as_traced(trace, pixels)


@settings(max_examples=60, deadline=None)
@given(width=st.integers(1, 400), height=st.integers(1, 400))
def test_padding_of_tiles_is_where_the_processor_puts_it(width: int, height: int) -> None:
    resizer = local("llava-next").processor.image_processor
    target = select_best_resolution((height, width), resizer.image_grid_pinpoints)
    image = Image.new("RGB", (width, height))
    trace = _padded(image, *target)
    fitted = get_patch_output_size(np.zeros((3, height, width), np.uint8), target, ChannelDimension.FIRST)
    placed = resizer._pad_for_patching(np.ones((3, *fitted), np.uint8), target)[0]
    assert placed.shape == (trace.height, trace.width)
    rows, cols = np.nonzero(placed)
    across, down = trace.covers.width / trace.width, trace.covers.height / trace.height
    assert trace.covers.x == pytest.approx(-cols.min() * across)
    assert trace.covers.y == pytest.approx(-rows.min() * down)
    assert cols.max() + 1 - cols.min() == pytest.approx(width / across)
    assert rows.max() + 1 - rows.min() == pytest.approx(height / down)


@pytest.mark.parametrize(("width", "height"), [(113, 112), (112, 113), (57, 50), (50, 57)])
def test_an_odd_difference_is_padded_by_whole_pixels(width: int, height: int) -> None:
    [frame] = read(local("llava-padded-qwen2"), noise(width, height)).frames
    assert (frame.crop.x, frame.crop.y) == (-(max(0, height - width) // 2), -(max(0, width - height) // 2))


@pytest.mark.parametrize("size", [14, 14.0, [14, 14], (14,), {"height": 14, "width": 14}], ids=str)
def test_a_patch_size_may_be_a_number_or_a_height_and_a_width(size: Any) -> None:
    assert height_width(size) == (14, 14)


@pytest.mark.parametrize("size", [None, True, "14", [1, 2, 3], {"shortest_edge": 3}], ids=str)
def test_what_is_not_a_size_is_refused(size: Any) -> None:
    with pytest.raises(ValueError, match="expected a number, or a height and a width"):
        height_width(size)
