"""Tests that the serving benchmark times every loop on the same answer, and counts the bytes of real rows."""

from PIL import Image

from patchlight.measure.serving_cost import measure_decoding, row_bytes
from tests.helpers.serving import loaded
from tests.helpers.tiny_models import tiny


def test_all_loops_are_timed_on_the_same_answer() -> None:
    model = loaded(tiny("llava"))
    reading = model.family.read(model.model, model.processor, Image.new("RGB", (60, 40), "red"), "what is it")
    eos = model.model.generation_config.eos_token_id
    times = measure_decoding(model, reading, tokens=4, rounds=2)
    assert set(times) == {"plain", "stepwise", "written"}
    assert min(times.values()) > 0
    assert model.model.generation_config.eos_token_id == eos


def test_a_row_grows_by_two_bytes_per_value_of_its_state() -> None:
    narrow, wide = row_bytes(256, 16), row_bytes(512, 16)
    assert wide[1] - narrow[1] == 2 * 256
    # 16 patches and 64 prompt tokens
    assert wide[0] - narrow[0] == 2 * 256 * (16 + 64)
