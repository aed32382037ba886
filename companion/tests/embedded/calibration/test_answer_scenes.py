"""Tests that the page's graphs reproduce the shipped calibration from the shipped images."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.ipc
import pytest
import torch
from PIL import Image
from transformers import AutoTokenizer, CLIPImageProcessorPil

from patchlight.calibration.entropy import bernoulli, kernel_density, sum_normalised
from patchlight.calibration.reader import read_calibration
from patchlight.embedded.browser.browser_model import BrowserModel
from patchlight.embedded.build import NAME, revision
from patchlight.embedded.calibration.answer_scenes import (
    CalibrationSize,
    answer_scenes,
    decode_webp,
    read_scenes,
)
from patchlight.embedded.calibration.folder import CELL_PX, SPRITE_COLS
from patchlight.embedded.calibration.question_sets import SETS
from patchlight.embedded.training.packing import PATCHES, prompt_pieces
from patchlight.embedded.world.questions import normalize_answer
from patchlight.embedded.world.render import render_seed
from patchlight.embedded.world.scenes import split_seed
from patchlight.head.shards import Rank
from patchlight.models.answer_pieces import token_texts
from tests.helpers.packed_images import read_image
from tests.helpers.paths import ROOT

HF, BROWSER, DATA = ROOT / "models" / NAME, ROOT / "public" / "models" / NAME, ROOT / "public" / "datasets" / NAME
SOME_ROWS = range(7, 10_188, 1_273)
SMALL = CalibrationSize(scenes=3, questions_each=1, answer_tokens=12, shard_scenes=2)


@pytest.fixture(scope="module")
def table() -> Any:
    with pyarrow.ipc.open_file(DATA / "calibration.arrow") as file:
        return file.read_all()


@pytest.fixture(scope="module")
def browser() -> BrowserModel:
    return BrowserModel(BROWSER)


def test_the_page_s_graphs_reproduce_answers_and_entropies(table: Any, browser: BrowserModel):
    """Reads each prompt in one pass. The calibration read each image once for all its questions, so sums are taken in a
    different order.
    """
    tokenizer = AutoTokenizer.from_pretrained(HF)
    pieces = prompt_pieces(tokenizer)
    for row in (table.slice(k, 1).to_pylist()[0] for k in SOME_ROWS):
        pixels = decode_webp(read_image(DATA, row["image"]))
        after = [*tokenizer(row["question"], add_special_tokens=False).input_ids, *pieces.after]
        answer = browser.answer(browser.image_features(pixels), pieces.before, after, limit=96)
        assert token_texts(tokenizer, answer.ids) == row["tokens"]
        assert answer.log_probs == pytest.approx(row["logProbs"], abs=1e-4)
        first = len(pieces.before)
        queries = answer.states[first + PATCHES + len(after) - 1 :][: len(answer.ids)]
        maps = torch.from_numpy(browser.relevancy(queries, answer.states[first : first + PATCHES]))
        for column, entropy in (
            ("entropySum", sum_normalised),
            ("entropyKde", kernel_density),
            ("entropyBernoulli", bernoulli),
        ):
            assert entropy(maps).tolist() == pytest.approx(row[column], abs=1e-3), column


def test_a_decoded_image_equals_the_processor_s_input(table: Any):
    content = read_image(DATA, table["image"][0].as_py())
    processor = CLIPImageProcessorPil(size={"shortest_edge": 336}, crop_size={"height": 336, "width": 336})
    inputs = processor(Image.open(io.BytesIO(content)), do_rescale=False, do_normalize=False, return_tensors="np")
    assert np.array_equal(inputs["pixel_values"][0].transpose(1, 2, 0), decode_webp(content))


def test_images_show_scenes_of_the_calibration_split(table: Any):
    images = table["image"].to_pylist()
    for number in (0, 400, 849):
        assert f"images/{number:04d}.webp" in images
        _, rendered = render_seed(split_seed("calibration", number))
        shown = decode_webp(read_image(DATA, f"images/{number:04d}.webp"))
        # Compression causes this difference; a different scene would differ by 10 or more.
        assert np.abs(shown.astype(int) - rendered.image).mean() < 3


def test_it_has_ten_thousand_answers_in_three_sets_scored_by_exact_match(table: Any):
    sets = table["set"].to_pylist()
    assert table.num_rows >= 10_000
    assert all(sets.count(name) >= 3_300 for name in SETS)
    for row in table.select(["answer", "reference", "correct", "tokens", "set"]).to_pylist():
        assert row["correct"] == (normalize_answer(row["answer"]) == normalize_answer(row["reference"]))
        assert "".join(row["tokens"]) == row["answer"]
    no = [r.startswith("No") for r, s in zip(table["reference"].to_pylist(), sets, strict=True) if s == "pope-like"]
    assert sum(no) * 2 == len(no)


def test_it_belongs_to_the_shipped_model_and_head():
    manifest, facts = (
        json.loads((BROWSER / "manifest.json").read_text()),
        read_calibration(DATA / "calibration.arrow").facts,
    )
    model = {"name": manifest["name"], "revision": manifest["revision"], "sameAs": [revision(HF)]}
    assert facts["model"] == model
    assert facts["head"] == {name: manifest["head"][name] for name in ("name", "revision")}


def test_thumbnails_show_the_images_in_order(table: Any):
    sheet = Image.open(DATA / "sprites.webp").convert("RGB")
    facts = read_calibration(DATA / "calibration.arrow").facts
    assert facts["sprites"] == {"file": "sprites.webp", "cols": SPRITE_COLS, "cellPx": CELL_PX}
    rows = table.select(["image", "thumbnail"]).to_pylist()
    for image, cell in {(row["image"], row["thumbnail"]) for row in rows[::1_500]}:
        row, col = divmod(cell, SPRITE_COLS)
        x, y = col * CELL_PX, row * CELL_PX
        thumbnail = np.asarray(sheet.crop((x, y, x + CELL_PX, y + CELL_PX)), dtype=float)
        original = Image.open(io.BytesIO(read_image(DATA, image))).convert("RGB")
        small = np.asarray(original.resize((CELL_PX, CELL_PX), Image.Resampling.LANCZOS), dtype=float)
        other = np.asarray(original.transpose(Image.Transpose.FLIP_LEFT_RIGHT).resize((CELL_PX, CELL_PX)), dtype=float)
        # Compression changes pixels slightly; a different image would differ much more.
        assert np.abs(thumbnail - small).mean() < 6 < np.abs(thumbnail - other).mean()


def test_an_interrupted_run_resumes_with_the_same_result(browser: BrowserModel, tmp_path: Path):
    tokenizer = AutoTokenizer.from_pretrained(HF)
    complete = answer_scenes(browser, tokenizer, tmp_path / "complete", SMALL)
    interrupted = answer_scenes(browser, tokenizer, tmp_path / "interrupted", SMALL)
    interrupted.path(1).unlink()
    (interrupted.folder / ".00001.999999999").write_bytes(b"half")
    kept = interrupted.path(0).stat().st_mtime_ns
    assert len(interrupted.missing(Rank())) == 1
    resumed = answer_scenes(browser, tokenizer, tmp_path / "interrupted", SMALL)
    assert resumed.path(0).stat().st_mtime_ns == kept
    assert read_scenes(resumed) == read_scenes(complete)
    assert len(read_scenes(resumed)) == 3
    assert not list(resumed.folder.glob(".*"))


def test_a_folder_with_another_config_is_refused(browser: BrowserModel, tmp_path: Path):
    tokenizer = AutoTokenizer.from_pretrained(HF)
    one = CalibrationSize(scenes=1, questions_each=1, answer_tokens=4)
    answer_scenes(browser, tokenizer, tmp_path, one)
    with pytest.raises(ValueError, match="seed: 5, now 6"):
        answer_scenes(
            browser, tokenizer, tmp_path, CalibrationSize(scenes=1, questions_each=1, answer_tokens=4, seed=6)
        )
