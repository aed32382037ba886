"""Tests the training stages: adding layers, resuming with two optimizers, and the weight of numbers."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from patchlight.embedded.build_size import SMOKE
from patchlight.embedded.training.depth import deepened
from patchlight.embedded.training.model import build_model
from patchlight.embedded.training.packed_forward import answer_loss, encode_patches, text_states
from patchlight.embedded.training.packing import IGNORED, PATCHES, PackedBatch, pack_scenes
from patchlight.embedded.training.stages import train_stage
from patchlight.embedded.training.supervision import AlignmentHead
from patchlight.embedded.training.vocabulary import build_tokenizer, token_id
from patchlight.embedded.world.pool import ScenePool
from patchlight.embedded.world.questions import KINDS, NUMBERS

TOKENIZER = build_tokenizer()
LONG = replace(next(stage for stage in SMOKE.stages if stage.name == "long"), steps=3)


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> ScenePool:
    pool = ScenePool(tmp_path_factory.mktemp("scenes"), "train", 4)
    pool.fill(workers=1)
    return pool


@pytest.fixture(scope="module")
def batch(pool: ScenePool) -> PackedBatch:
    scenes = [pool[index] for index in range(2)]
    return pack_scenes(scenes, TOKENIZER, seed=1, patches=PATCHES, text_tokens=400, description_share=0)


def test_a_deeper_model_computes_the_same_until_it_is_trained(batch: PackedBatch):
    shallow = build_model(TOKENIZER, vision_layers=2, text_layers=3).eval()
    deep = build_model(TOKENIZER, seed=1, vision_layers=3, text_layers=5).eval()
    deep.load_state_dict(deepened(shallow.state_dict(), deep))
    states = []
    for model in (shallow, deep):
        with torch.no_grad():
            states.append(text_states(model, batch, encode_patches(model, batch.pixels, batch.keep)))
    # Zeros are added, so the sums are the same.
    assert torch.equal(states[0].last, states[1].last)
    # Copies learn: their output projections get gradients at once.
    loss, _ = answer_loss(deep, batch, text_states(deep, batch, encode_patches(deep, batch.pixels, batch.keep)).last)
    loss.backward()
    gradients = [
        parameter.grad.abs().max()
        for name, parameter in deep.named_parameters()
        if name.endswith("down_proj.weight") and parameter.grad is not None
    ]
    assert len(gradients) == 5
    assert min(gradients) > 0
    with pytest.raises(ValueError, match="3 layers cannot become 2: use 3 to 6"):
        deepened(deep.state_dict(), shallow)


def test_an_interrupted_stage_gives_the_same_weights(pool: ScenePool, tmp_path: Path):
    def train(folder: Path, steps: int) -> dict[str, torch.Tensor]:
        model = build_model(TOKENIZER, vision_layers=LONG.vision_layers, text_layers=LONG.text_layers)
        torch.manual_seed(0)
        head = AlignmentHead(192, TOKENIZER)
        assert train_stage(model, head, TOKENIZER, pool, replace(LONG, steps=steps), folder)
        return {name: value.clone() for name, value in model.state_dict().items()}

    # A constant rate after one step of warm-up, so that the number of steps does not matter to the first ones.
    assert (LONG.final_rate, LONG.warmup_steps, LONG.optimizer) == (1.0, 1, "muon")
    at_once = train(tmp_path / "at-once", 3)
    train(tmp_path / "twice", 1)
    resumed = train(tmp_path / "twice", 3)
    for name, value in at_once.items():
        assert torch.equal(resumed[name], value), name
    model, head = build_model(TOKENIZER, vision_layers=3, text_layers=3), AlignmentHead(192, TOKENIZER)
    other = replace(LONG, learning_rate=1e-4, optimizer="adamw")
    with pytest.raises(ValueError, match=r"long.pt was trained with another learning_rate, optimizer: delete long\.\*"):
        train_stage(model, head, TOKENIZER, pool, other, tmp_path / "twice")


def test_numbers_of_counts_have_their_weight(batch: PackedBatch):
    model = build_model(TOKENIZER, vision_layers=2, text_layers=2).eval()
    numbers = torch.tensor([token_id(TOKENIZER, word) for word in NUMBERS])
    with torch.no_grad():
        states = text_states(model, batch, encode_patches(model, batch.pixels, batch.keep)).last
        weighted, _ = answer_loss(model, batch, states, numbers=numbers, number_weight=3)
        total = weight = 0.0
        counted = 0
        for row, column in (batch.labels != IGNORED).nonzero().tolist():
            token = batch.labels[row, column]
            is_number = int(token) in numbers.tolist() and KINDS[int(batch.kinds[row, column])] == "count"
            own = F.cross_entropy(model.lm_head(states[row, column])[None].float(), token[None]).item()
            total, weight = total + (3 if is_number else 1) * own, weight + (3 if is_number else 1)
            counted += is_number
    assert counted > 0
    # Sums of a few hundred float32 terms in another order.
    assert weighted.item() == pytest.approx(total / weight, rel=1e-5)
