"""Runs the paper's five-line example on a tiny random model."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from patchlight.head.fastrm import FastRM, HeadFacts
from patchlight.head.labels import label_answer
from patchlight.lvlm import LVLM
from patchlight.models.model_files import weight_files, weights_identity
from tests.helpers.serving import loaded
from tests.helpers.tiny_models import save, tiny

FACTS = HeadFacts(hidden_size=32, stage="post_norm", teacher="none", model="tiny", model_revision="0")


def test_a_transparent_image_is_read_on_white(tmp_path: Path):
    model = LVLM(loaded(tiny("llava", seed=1)))
    hidden = Image.effect_noise((120, 80), 90).convert("RGBA")
    hidden.putalpha(0)
    hidden.save(tmp_path / "hidden.png")
    white = model.generate(Image.new("RGB", (120, 80), "white"), "What is it?", max_new_tokens=2)
    for image in (hidden, tmp_path / "hidden.png"):
        states = model.generate(image, "What is it?", max_new_tokens=2).last_hidden_states
        assert torch.equal(states.patch_states, white.last_hidden_states.patch_states)


def test_a_question_about_two_images_has_the_frames_of_both(tmp_path: Path):
    model = LVLM(loaded(tiny("qwen2.5-vl", seed=1)))
    first, second = Image.effect_noise((120, 80), 90), Image.effect_noise((60, 120), 90)
    second.save(tmp_path / "second.png")
    out = model.generate([first, tmp_path / "second.png"], "What is it?", max_new_tokens=2)
    assert [frame.image for frame in out.frames] == [0, 1]
    patches = sum(frame.rows * frame.cols for frame in out.frames)
    assert out.last_hidden_states.patch_states.shape == (patches, 32)
    other = model.generate([second, first], "What is it?", max_new_tokens=2)
    assert not torch.equal(out.last_hidden_states.patch_states, other.last_hidden_states.patch_states)


@pytest.mark.parametrize("kind", ["llava", "llava-next"])
def test_the_paper_s_snippet_returns_one_map_per_token(kind: str, tmp_path: Path):
    made = tiny(kind, seed=1)
    save(made, tmp_path / "model")
    weights = weights_identity(weight_files(tmp_path / "model"))
    FastRM(32).save_pretrained(tmp_path / "head", replace(FACTS, model_weights=weights))
    image, maps = Image.effect_noise((120, 80), 90), []

    model = LVLM.from_pretrained(tmp_path / "model", device="cpu")
    proxy = FastRM.from_pretrained(tmp_path / "head", model=model.loaded)
    with torch.no_grad():
        out = model.generate(image, "What is it?", max_new_tokens=5)
        for lhs in out.last_hidden_states:
            rm = proxy(lhs)
            maps.append(rm)

    patches = sum(frame.rows * frame.cols for frame in out.frames)
    assert [rm.shape for rm in maps] == [(patches,)] * len(out.token_ids)
    assert len(out.last_hidden_states) == len(out.token_ids) > 0
    states = out.last_hidden_states
    with torch.no_grad():
        together = proxy(states.query_states, states.patch_states)
    # The order of summation differs between one row and several.
    torch.testing.assert_close(torch.stack(maps), together, rtol=0, atol=1e-6)
    # The query states are those that predicted the tokens.
    logits = made.model.lm_head(states.query_states)
    assert logits.argmax(-1).tolist() == out.token_ids
    assert torch.equal(states[1:3].query_states, states.query_states[1:3])
    reading = made.family.read(made.model, made.processor, image.convert("RGB"), "What is it?")
    assert label_answer(made.model, made.family, reading, out.token_ids).relevancy.shape == together.shape
