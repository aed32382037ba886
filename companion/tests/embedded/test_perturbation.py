"""Tests barring patches against slow, independent forms: the plain model, and one without the barred columns."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import LlavaForConditionalGeneration

from patchlight.embedded.collect import CollectConfig, collect
from patchlight.embedded.perturbation import (
    SHARES,
    Perturbation,
    highest_patches,
    perturbation_area,
    token_probabilities,
)
from patchlight.embedded.training.llava_parts import language_model, word_embeddings
from patchlight.embedded.training.model import build_model, build_processor, model_inputs, save_model
from patchlight.embedded.training.packing import prompt_pieces
from patchlight.embedded.training.vocabulary import build_tokenizer
from patchlight.embedded.world.pool import ScenePool
from patchlight.head.sample_store import HeadSamples

# Both sides compute in float32, in another order: a few ulps of the logits' sums.
CLOSE = 2e-4
N = 40


@pytest.fixture(scope="module")
def model() -> LlavaForConditionalGeneration:
    made = build_model(build_tokenizer(), seed=2, vision_layers=1, text_layers=3)
    with torch.no_grad():  # random weights attend evenly: sharper attention makes single columns matter
        for name, weight in language_model(made).named_parameters():
            if name.endswith("q_proj.weight"):
                weight.mul_(20)
    return made.eval()


@pytest.fixture(scope="module")
def embeds(model: LlavaForConditionalGeneration) -> torch.Tensor:
    ids = torch.randint(5, 60, (N,), generator=torch.Generator().manual_seed(1))
    return word_embeddings(model)(ids).detach()


@torch.no_grad()
def plain(model: LlavaForConditionalGeneration, embeds: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    # Without a mask, transformers would take a gap in the positions for the start of another sequence.
    states = language_model(model)(
        inputs_embeds=embeds[None],
        attention_mask=torch.ones(1, len(embeds)),
        position_ids=positions[None],
        use_cache=False,
    )
    return model.lm_head(states.last_hidden_state[0, -1]).softmax(-1)


def test_barring_nothing_gives_the_plain_probability(model: LlavaForConditionalGeneration, embeds: torch.Tensor):
    got = token_probabilities(model, embeds, 17, torch.zeros(2, N, dtype=torch.bool))
    np.testing.assert_allclose(got, [plain(model, embeds, torch.arange(N))[17].item()] * 2, rtol=CLOSE)


def test_barred_columns_count_as_little_as_removed_ones(model: LlavaForConditionalGeneration, embeds: torch.Tensor):
    generator = torch.Generator().manual_seed(3)
    barred = torch.rand(6, N, generator=generator) < torch.linspace(0.1, 0.7, 6)[:, None]
    barred[:, -1] = False
    barred[0, 0] = True
    got = token_probabilities(model, embeds, 17, barred)
    for row, probability in zip(barred, got, strict=True):
        kept = (~row).nonzero()[:, 0]
        expected = plain(model, embeds[kept], kept)[17].item()
        assert probability.item() == pytest.approx(expected, rel=CLOSE)
    whole = plain(model, embeds, torch.arange(N))[17].item()
    assert min(abs(got / whole - 1)) > 10 * CLOSE  # otherwise barring nothing would pass, too


def test_the_highest_patches_are_barred_and_ties_are_broken_evenly():
    maps = torch.rand(5, 576, generator=torch.Generator().manual_seed(0))
    highest = highest_patches(maps)
    assert highest.sum(2).tolist() == [[0, 29, 58, 86, 115]] * 5
    for row, chosen in zip(maps, highest, strict=True):
        for mask in chosen[1:]:
            assert row[mask].min() > row[~mask].max()
    of_equals = highest_patches(torch.zeros(400, 576))[:, -1].double().mean(0)
    # 400 draws of a patch with probability 0.2: a standard deviation of 0.02, and five of them.
    assert (of_equals - 115 / 576).abs().max() < 0.1


def test_the_area_is_that_of_the_trapezoids():
    curves = np.array([[0.7] * len(SHARES), [0.8, 0.4, 0.4, 0.4, 0.0]])
    by_hand = sum(0.05 * (a + b) / 2 for a, b in [(0.8, 0.4), (0.4, 0.4), (0.4, 0.4), (0.4, 0.0)]) / 0.2
    np.testing.assert_allclose(perturbation_area(curves), [0.7, by_hand], rtol=1e-12)


def test_a_stored_token_is_read_after_its_own_prompt_image_and_answer(
    model: LlavaForConditionalGeneration, tmp_path: Path
):
    save_model(model, tmp_path / "model")
    pool = ScenePool(tmp_path / "scenes", "test", 2)
    pool.fill(workers=1)
    config = CollectConfig("test", 0, 2, questions_per_scene=2, max_answer_tokens=3, autocast=False)
    collect(tmp_path / "model", tmp_path / "scenes", tmp_path / "samples", config, workers=1)
    samples = HeadSamples(tmp_path / "samples", output="text")
    rows = torch.tensor([0, 4, len(samples) - 1])
    got = Perturbation(model, tmp_path / "samples", pool, rows).probabilities(torch.rand(3, 576))
    # The model answers the same prompt through its processor, which nothing above uses.
    pieces, processor = prompt_pieces(build_tokenizer()), build_processor()
    for row, probabilities in zip(rows.tolist(), got, strict=True):
        columns = samples.columns
        question = int(columns["question"][row])
        answer = [r for r in range(row) if columns["question"][r] == question]
        prompt = samples.prompt_ids(question)
        text = processor.tokenizer.decode(prompt[len(pieces.before) : -len(pieces.after)])
        image = np.array(pool[int(columns["scene"][row])].image)
        inputs = model_inputs(processor, Image.fromarray(image), str(text))
        ids = torch.cat([inputs["input_ids"], columns["token"][answer][None]], 1)
        with torch.no_grad():
            logits = model(input_ids=ids, pixel_values=inputs["pixel_values"]).logits[0, -1]
        expected = logits.softmax(-1)[columns["token"][row]].item()
        assert probabilities[0] == pytest.approx(expected, rel=CLOSE)
        assert len(set(probabilities.tolist())) > 1
