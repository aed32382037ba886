"""Tests scenes and their renderings."""

import numpy as np
import pytest

from patchlight.embedded.world.pool import ScenePool, patch_majority
from patchlight.embedded.world.render import MIN_VISIBLE_PX, render, render_seed
from patchlight.embedded.world.scenes import SPLITS, project, sample_scene, split_seed


def test_splits_share_no_seed() -> None:
    ranges = [range(first, first + count) for first, count in SPLITS.values()]
    for one in ranges:
        for other in ranges:
            assert one is other or one.stop <= other.start or other.stop <= one.start
    with pytest.raises(ValueError, match="has scenes 0 to 1048575, got index 1048576"):
        split_seed("test", 1 << 20)


def test_a_seed_always_gives_the_same_image() -> None:
    scene, first = render_seed(split_seed("validation", 7))
    again, second = render_seed(split_seed("validation", 7))
    assert scene.objects == again.objects
    assert np.array_equal(first.image, second.image)
    assert np.array_equal(first.object_ids, second.object_ids)


@pytest.mark.parametrize("index", range(12))
def test_every_object_of_a_scene_is_visible(index: int) -> None:
    scene, rendered = render_seed(split_seed("validation", index))
    assert 3 <= len(scene.objects) <= 8
    visible = np.bincount(rendered.object_ids.ravel() + 1, minlength=len(scene.objects) + 1)[1:]
    assert visible.min() >= MIN_VISIBLE_PX
    assert rendered.object_ids.max() == len(scene.objects) - 1


def test_the_mask_is_where_the_camera_projects_the_object() -> None:
    for seed in range(8):
        scene = sample_scene(seed)
        alone = scene._replace(objects=scene.objects[:1])
        item = alone.objects[0]
        rows, cols = np.nonzero(render(alone).object_ids == 0)
        x, y, _ = project(alone.camera, np.array([[*item.center, item.radius * 0.75]]))[0]
        # Because of perspective and the height of cylinders, a silhouette's centre differs from the projected centre.
        assert abs(cols.mean() - x) < 8
        assert abs(rows.mean() - y) < 14


def test_the_centre_of_a_wide_image_equals_the_square_image() -> None:
    scene, square = render_seed(split_seed("validation", 3))
    wide = render(scene, width=504, height=336)
    assert np.array_equal(wide.object_ids[:, 84:420], square.object_ids)
    with pytest.raises(ValueError, match="multiples of 14"):
        render(scene, width=500)


def test_patch_majority_counts_pixels() -> None:
    ids = np.full((336, 336), -1, np.int8)
    ids[:14, :4] = 2  # 56 of 196 pixels, more than a quarter
    ids[14:28, :3] = 1  # 42 pixels, less than a quarter
    patches = patch_majority(ids).reshape(24, 24)
    assert patches[0, 0] == 2
    assert patches[1, 0] == -1


def test_a_pool_resumes_and_returns_what_was_rendered(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("patchlight.embedded.world.pool.SHARD_SCENES", 2)
    pool = ScenePool(tmp_path, "validation", 4)
    pool.fill(workers=1)
    written = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.npy")}
    pool.fill(workers=1)
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.npy")} == written
    scene, rendered = render_seed(split_seed("validation", 3))
    assert pool[3].scene.objects == scene.objects
    assert np.array_equal(pool[3].image, rendered.image)


def test_a_pool_renders_only_what_is_missing_when_it_grows(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("patchlight.embedded.world.pool.SHARD_SCENES", 2)
    ScenePool(tmp_path, "test", 3).fill(workers=1)
    folders = {folder.name: folder.stat().st_mtime_ns for folder in (tmp_path / "test").iterdir()}
    assert folders.keys() == {"00000", "00001-first-1"}
    smaller, grown = ScenePool(tmp_path, "test", 1), ScenePool(tmp_path, "test", 4)
    assert np.array_equal(smaller[0].image, render_seed(split_seed("test", 0))[1].image)
    grown.fill(workers=1)
    after = {folder.name: folder.stat().st_mtime_ns for folder in (tmp_path / "test").iterdir()}
    assert after.keys() == {"00000", "00001-first-1", "00001"}
    assert after["00000"] == folders["00000"]
    assert np.array_equal(grown[3].image, render_seed(split_seed("test", 3))[1].image)
