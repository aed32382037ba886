"""Tests the samples of the embedded model's head, by each teacher, on two questions about one scene."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer

from patchlight.embedded.answering import ask_scenes, embed_images, prompt_embeds
from patchlight.embedded.collect import FRAME, CollectConfig, answer_call, collect
from patchlight.embedded.training.model import load_model
from patchlight.embedded.training.packing import prompt_pieces
from patchlight.embedded.world.pool import ScenePool
from patchlight.head.ablation import region_masks
from patchlight.head.labels import TEACHERS, Teacher
from patchlight.head.sample_store import HeadSamples, token_rows
from tests.helpers.paths import EMBEDDED


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scenes")
    ScenePool(folder, "test", 1).fill(workers=1)
    return folder


def config(teacher: Teacher) -> CollectConfig:
    return CollectConfig(
        "test", 0, 1, questions_per_scene=2, seed=3, autocast=False, max_answer_tokens=8, teacher=teacher
    )


@pytest.fixture(scope="module")
def samples(scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[Teacher, HeadSamples]:
    folder = tmp_path_factory.mktemp("samples")
    teachers: tuple[Teacher, ...] = ("chefer", "attention", "ablation")
    for teacher in teachers:
        collect(EMBEDDED, scenes, folder / teacher, config(teacher), workers=1)
        manifest = json.loads((folder / teacher / "manifest.json").read_text())
        assert manifest.get("teacher", "chefer") == teacher
    return {teacher: HeadSamples(folder / teacher) for teacher in teachers}


def test_all_teachers_label_the_same_answers(samples: dict[Teacher, HeadSamples]):
    first = samples["chefer"]
    for teacher, stored in samples.items():
        assert stored.teacher == TEACHERS[teacher]
        for name in ("token", "scene", "target", "found", "question"):
            assert torch.equal(stored.columns[name], first.columns[name])
        # Stored in fp16, of passes with other attention kernels.
        torch.testing.assert_close(stored.picture_states(0), first.picture_states(0), atol=5e-3, rtol=5e-3)
        assert len(token_rows(stored)) > 0
    assert not torch.equal(
        samples["attention"].relevancy(torch.tensor([0])).values, first.relevancy(torch.tensor([0])).values
    )
    assert len(token_rows(HeadSamples.of_files(list_of(samples["attention"]), output="text"))) > 0
    assert len(token_rows(HeadSamples.of_files(list_of(samples["ablation"]), output="text"))) == 0


def list_of(stored: HeadSamples) -> list[Path]:
    return sorted({source.path for source, _ in stored._sources})


def test_falls_are_those_of_patches_that_are_left_out_of_the_sequence(
    scenes: Path, samples: dict[Teacher, HeadSamples]
):
    """The embedded model numbers positions explicitly, so a barred patch can be taken out of its input altogether."""
    stored = samples["ablation"]
    model, tokenizer = load_model(EMBEDDED), AutoTokenizer.from_pretrained(EMBEDDED)
    pieces, pool = prompt_pieces(tokenizer), ScenePool(scenes, "test", 1)
    question = ask_scenes(pool, range(1), tokenizer, per_scene=2, seed=3, description_share=0.03)[0]
    rows = (stored.columns["question"] == 0).nonzero()[:, 0]
    masks, falls = stored.ablation(rows)
    ids = stored.columns["token"][rows].tolist()
    assert masks.shape[1:] == region_masks([FRAME], 0).shape
    with torch.no_grad():
        features = embed_images(model, np.array(pool[0].image)[None])[0]
        call, positions, tokens, patches = answer_call(
            model, prompt_embeds(model, features, pieces, question.prompt_after), ids, pieces
        )
        x = call.arguments["inputs_embeds"]

        def log_probs(mask: torch.Tensor) -> torch.Tensor:
            kept = torch.ones(x.shape[1], dtype=torch.bool)
            kept[patches[mask]] = False
            at = torch.arange(x.shape[1])[None, kept]
            # With a mask, positions with gaps are not taken for several packed sequences.
            given = {"inputs_embeds": x[:, kept], "position_ids": at, "attention_mask": torch.ones_like(at)}
            states = call.decoder(**given, use_cache=False).last_hidden_state[0]
            logits = call.logits(states[positions - int(mask.sum())]).log_softmax(-1)
            return logits.gather(1, tokens[:, None])[:, 0]

        plain = log_probs(torch.zeros(len(patches), dtype=torch.bool))
        for k in (0, 13, 31):
            # float32 passes over sequences of other lengths; falls reach several nats.
            torch.testing.assert_close(falls[:, k], plain - log_probs(masks[0, k]), atol=2e-4, rtol=1e-4)
    assert falls.abs().max() > 0.1


def test_a_folder_of_another_teacher_is_refused(scenes: Path, tmp_path: Path):
    collect(EMBEDDED, scenes, tmp_path, config("attention"), workers=1)
    with pytest.raises(ValueError, match="'attention', now 'ablation'"):
        collect(EMBEDDED, scenes, tmp_path, config("ablation"), workers=1)
    with pytest.raises(ValueError, match="unknown teacher 'lime'"):
        CollectConfig("test", 0, 1, teacher="lime")  # pyright: ignore[reportArgumentType]
