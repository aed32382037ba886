"""Runs the comparison of teachers on two scenes, and checks its scores against plain versions."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from transformers import AutoTokenizer

from patchlight.embedded.answering import ask_scenes, embed_images, prompt_embeds
from patchlight.embedded.collect import AnswerCall, CollectConfig, answer_call, collect
from patchlight.embedded.training.model import load_model
from patchlight.embedded.training.packing import prompt_pieces
from patchlight.embedded.world.pool import ScenePool
from patchlight.head.fastrm import FastRM, HeadFacts
from patchlight.head.labels import TEACHERS, Teacher
from patchlight.measure.teachers import (
    FIGURES,
    deletion_areas,
    lds_of,
    main,
    read_held,
    read_imitated,
    strongest_first,
)
from tests.helpers.paths import EMBEDDED

SCENES = 2
COMPARED: tuple[Teacher, ...] = ("chefer", "ablation")


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with scenes, held-out samples by two teachers, and a head with random weights for each."""
    folder = tmp_path_factory.mktemp("work")
    ScenePool(folder / "scenes", "test", SCENES).fill(workers=1)
    for teacher in COMPARED:
        config = CollectConfig(
            "test", 0, SCENES, questions_per_scene=2, seed=12, autocast=False, max_answer_tokens=8, teacher=teacher
        )
        collect(EMBEDDED, folder / "scenes", folder / teacher, config, workers=1)
        torch.manual_seed(len(teacher))
        facts = HeadFacts(
            hidden_size=192,
            stage="post_norm",
            teacher=TEACHERS[teacher],
            classification_threshold=0.5,
            model="patchlight-scenes",
            model_revision="0",
        )
        FastRM(192, facts).save_pretrained(folder / f"head-{teacher}")
    return folder


def paths(work: Path, *names: str) -> list[str]:
    return [str(work / name) for name in names]


def test_one_table_has_every_figure_of_every_map(work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    command = ["--model", str(EMBEDDED), "--scenes", str(work / "scenes"), "--answers", "3", "--masks", "8"]
    command += ["--samples", *paths(work, *COMPARED), "--heads", *paths(work, "head-chefer", "head-ablation")]
    main([*command, "--out", str(tmp_path)])
    report = json.loads((tmp_path / "teachers.json").read_text())
    rows = {row["label"]: row for row in report["figures"]}
    assert rows["answers with a deletion curve"]["value"] == 3
    assert rows["masks per answer"]["value"] == 8
    names = ("chefer", "head of chefer", "ablation", "head of ablation", "random maps")
    for name in names:
        for label in FIGURES:
            row = rows[f"{name}: {label}"]
            assert row["interval"][0] <= row["value"] <= row["interval"][1]
            assert (-1 if label == "LDS" else 0) <= row["value"] <= 1
    printed = capsys.readouterr().out
    assert all(name in printed for name in (*names, *FIGURES))
    # Fresh masks, and still what was measured says more about them than a random map does.
    assert rows["ablation: LDS"]["value"] > rows["random maps: LDS"]["value"] + 0.1
    assert "--answers 3" in report["command"]


def test_pairs_that_do_not_belong_together_are_refused(work: Path, tmp_path: Path):
    chefer, ablation, head_chefer, head_ablation = (
        work / name for name in ("chefer", "ablation", "head-chefer", "head-ablation")
    )
    with pytest.raises(
        ValueError, match=r"imitates 'ablation of image regions, 32 masks', and .* 'Chefer relevancy, exact'"
    ):
        read_imitated([chefer], [head_ablation])
    with pytest.raises(ValueError, match="got 2 folders of samples and 1 heads"):
        read_imitated([chefer, ablation], [head_chefer])
    with pytest.raises(ValueError, match="is the second one labelled by 'Chefer relevancy, exact'"):
        read_imitated([chefer, chefer], [head_chefer, head_chefer])
    other = tmp_path / "other"
    other.mkdir()
    for path in ablation.glob("*.safetensors"):
        (other / path.name).write_bytes(path.read_bytes())
    manifest = json.loads((ablation / "manifest.json").read_text())
    (other / "manifest.json").write_text(json.dumps({**manifest, "seed": 13}))
    with pytest.raises(ValueError, match=r"not of the same questions \(seed: 12 and 13\)"):
        read_imitated([chefer, other], [head_chefer, head_ablation])
    with pytest.raises(SystemExit, match="error: got 1 folders of samples and 2 heads"):
        main(["--scenes", str(work), "--samples", str(chefer), "--heads", str(head_chefer), str(head_ablation)])


def test_maps_objects_and_words_are_those_of_the_samples(work: Path):
    pairs = read_imitated([work / "chefer", work / "ablation"], [work / "head-chefer", work / "head-ablation"])
    pool = ScenePool(work / "scenes", "test", SCENES)
    held = read_held(pairs, pool, seed=0)
    columns = pairs[1].samples.columns
    for t in range(len(held.token)):
        target = int(columns["target"][t])
        expected = pool[int(columns["scene"][t])].patch_objects == target if target >= 0 else np.zeros(576, bool)
        assert (held.objects[t].numpy() == expected).all()
        assert bool(held.found[t]) == (bool(columns["found"][t]) and expected.any())
        assert bool(held.has_map[t]) == all(float(pair.samples.columns["peak"][t]) > 0 for pair in pairs)
        states = pairs[1].samples.picture_states(int(columns["image"][t])).float()
        with torch.no_grad():
            values = pairs[1].head(columns["query_states"][t].float()[None], states)[0]
        torch.testing.assert_close(held.maps["head of ablation"][t], values, atol=1e-5, rtol=1e-4)
        assert torch.equal(held.selected["head of ablation"][t], held.maps["head of ablation"][t] >= 0.5)
        own = held.maps["ablation"][t]
        assert torch.equal(held.selected["ablation"][t], (own >= 0.3 * own.max()) & (own.max() > 0))


def test_lds_is_spearman_s_correlation_with_sums_under_the_masks():
    random = torch.Generator().manual_seed(0)
    maps, masks = torch.rand(3, 50, generator=random), torch.rand(32, 50, generator=random) < 0.5
    falls = maps @ masks.float().T + torch.randn(3, 32, generator=random)
    for row, one, fall in zip(lds_of(maps, masks, falls), maps, falls, strict=True):
        sums = [sum(float(value) for value, barred in zip(one, mask, strict=True) if barred) for mask in masks]
        expected = np.asarray(spearmanr(sums, fall.numpy()))[0]
        assert float(row) == pytest.approx(float(expected), abs=1e-9)


def test_the_strongest_patch_of_an_answer_comes_first_and_ties_have_no_direction():
    maps = torch.zeros(3, 100)
    maps[0, 7], maps[0, 50], maps[1, 50] = 9.0, 1.0, 0.001  # each token counts the same; the third has no map
    order = strongest_first(maps, seed=0)
    assert order[:2].tolist() == [50, 7]
    rest = order[2:].double()
    assert sorted(rest.tolist()) == [number for number in range(100) if number not in (7, 50)]
    assert abs(np.corrcoef(rest.numpy(), np.arange(98))[0, 1]) < 0.3


def one_answer(work: Path) -> AnswerCall:
    model, tokenizer = load_model(EMBEDDED), AutoTokenizer.from_pretrained(EMBEDDED)
    pieces, pool = prompt_pieces(tokenizer), ScenePool(work / "scenes", "test", SCENES)
    item = ask_scenes(pool, range(1), tokenizer, per_scene=1, seed=1)[0]
    with torch.no_grad():
        features = embed_images(model, np.array(pool[0].image)[None])[0]
        return answer_call(
            model, prompt_embeds(model, features, pieces, item.prompt_after), item.reference[:-1], pieces
        )


def test_the_deletion_area_is_that_under_the_probabilities_of_shortened_sequences(work: Path):
    sequence = one_answer(work)
    call, positions, ids, patches = sequence
    random = torch.Generator().manual_seed(3)
    maps = {name: torch.rand(len(ids), 576, generator=random) for name in ("one", "other")}
    areas = deletion_areas(sequence, maps, seed=0)
    x = call.arguments["inputs_embeds"]
    for name, map_ in maps.items():
        pooled = (map_ / map_.sum(1, keepdim=True)).mean(0)
        order = pooled.argsort(descending=True)
        curve = []
        for percent in range(0, 101, 10):
            count = round(576 * percent / 100)
            kept = torch.ones(x.shape[1], dtype=torch.bool)
            kept[patches[order[:count]]] = False
            at = torch.arange(x.shape[1])[None, kept]
            with torch.no_grad():
                states = call.decoder(
                    inputs_embeds=x[:, kept], position_ids=at, attention_mask=torch.ones_like(at), use_cache=False
                ).last_hidden_state[0]
                probabilities = call.logits(states[positions - count]).softmax(-1).gather(1, ids[:, None])
            curve.append(probabilities.mean().item())
        steps = [round(576 * percent / 100) / 576 for percent in range(0, 101, 10)]
        # float32 passes over sequences of other lengths.
        assert float(areas[name]) == pytest.approx(np.trapezoid(curve, steps), abs=1e-4)
    assert areas["one"] != areas["other"]
