"""Rendered scenes on disk, so that training does not wait for the ray caster.

A pool is a folder of shards. The last shard can be shorter than the others; its name then includes its length. A shard
that exists is complete, because it is written under a temporary name and then renamed. Interrupted rendering resumes
with the missing shards, and several processes can fill the same pool.
"""

import os
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from .render import render_seed
from .scenes import GRID, IMAGE_PX, PATCH_PX, Scene, sample_scene, split_seed

SHARD_SCENES = 256


class PooledScene(NamedTuple):
    """A rendered scene.

    image [336, 336, 3] uint8. patch_objects [576] int8: the main object of each patch (see `patch_majority`), -1 for
    none.
    """

    scene: Scene
    image: np.ndarray
    patch_objects: np.ndarray


class ScenePool:
    """The first `count` scenes of a split, rendered once; images are memory-mapped."""

    def __init__(self, folder: Path, split: str, count: int):
        self.folder = folder / split
        self.split = split
        self.count = count
        self._images: dict[int, np.ndarray] = {}
        self._patches: dict[int, np.ndarray] = {}
        self._scenes: dict[int, list[Scene]] = {}

    def fill(self, *, workers: int) -> None:
        """Render the missing shards, showing a progress bar."""
        self.folder.mkdir(parents=True, exist_ok=True)
        shards = [s for s in range(-(-self.count // SHARD_SCENES)) if not self._shard_folder(s).exists()]
        if not shards:
            return
        with ProcessPoolExecutor(workers) as executor:
            jobs = [
                executor.submit(_render_shard, self._shard_folder(s), self.split, s * SHARD_SCENES, self._shard_size(s))
                for s in shards
            ]
            for job in tqdm(as_completed(jobs), total=len(jobs), desc=f"render {self.split}", unit="shard"):
                job.result()

    def __len__(self) -> int:
        return self.count

    def count_objects(self, index: int) -> int:
        """Return the number of objects in a scene without reading its image."""
        return len(self._load(index // SHARD_SCENES)[index % SHARD_SCENES].objects)

    def __getitem__(self, index: int) -> PooledScene:
        shard, row = divmod(index, SHARD_SCENES)
        scenes = self._load(shard)
        return PooledScene(scenes[row], self._images[shard][row], self._patches[shard][row])

    def _load(self, shard: int) -> list[Scene]:
        if shard not in self._scenes:
            folder = self._shard_folder(shard)
            self._images[shard] = np.load(folder / "images.npy", mmap_mode="r")
            self._patches[shard] = np.load(folder / "patches.npy")
            self._scenes[shard] = [_restore_scene(row) for row in np.load(folder / "scenes.npy")]
        return self._scenes[shard]

    def _shard_size(self, shard: int) -> int:
        return min(SHARD_SCENES, self.count - shard * SHARD_SCENES)

    def _shard_folder(self, shard: int) -> Path:
        """Return the folder of an existing shard with enough scenes for this pool, or else the folder to render to."""
        needed = self._shard_size(shard)
        for folder in self.folder.glob(f"{shard:05d}*"):
            _, _, size = folder.name.partition("-first-")
            if int(size or SHARD_SCENES) >= needed:
                return folder
        return self.folder / (f"{shard:05d}" if needed == SHARD_SCENES else f"{shard:05d}-first-{needed}")


def patch_majority(object_ids: np.ndarray) -> np.ndarray:
    """Convert object ids [336, 336] to the main object per patch, [576] int8.

    The main object has the most pixels in the patch and covers at least a quarter of the patch; -1 if there is none.
    """
    blocks = object_ids.reshape(GRID, PATCH_PX, GRID, PATCH_PX).transpose(0, 2, 1, 3).reshape(GRID * GRID, -1)
    counts = np.stack([(blocks == k).sum(1) for k in range(int(object_ids.max()) + 1)], axis=1)
    best = counts.argmax(1)
    return np.where(counts.max(1) >= PATCH_PX * PATCH_PX / 4, best, -1).astype(np.int8)


def _restore_scene(row: np.ndarray) -> Scene:
    """Rebuild a scene from `row`: (seed, draw, bit mask of the kept objects)."""
    scene = sample_scene(int(row[0]), int(row[1]))
    return scene._replace(objects=tuple(item for k, item in enumerate(scene.objects) if int(row[2]) >> k & 1))


def _render_shard(folder: Path, split: str, first: int, count: int) -> None:
    """Render `count` scenes of a split, starting with number `first`."""
    images = np.empty((count, IMAGE_PX, IMAGE_PX, 3), np.uint8)
    patches = np.empty((count, GRID * GRID), np.int8)
    rows = np.empty((count, 3), np.int64)
    for k in range(count):
        scene, rendered = render_seed(split_seed(split, first + k))
        images[k], patches[k] = rendered.image, patch_majority(rendered.object_ids)
        kept = {item.center for item in scene.objects}
        drawn = sample_scene(scene.seed, scene.draw).objects
        rows[k] = scene.seed, scene.draw, sum(1 << j for j, item in enumerate(drawn) if item.center in kept)
    temporary = folder.parent / f".{folder.name}.{os.getpid()}"
    temporary.mkdir()
    for name, array in (("images", images), ("patches", patches), ("scenes", rows)):
        np.save(temporary / f"{name}.npy", array)
    try:
        temporary.rename(folder)
    except OSError:  # another process finished this shard first
        for file in temporary.iterdir():
            file.unlink()
        temporary.rmdir()
