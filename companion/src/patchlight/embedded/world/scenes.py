"""Scenes of spheres, cubes and cylinders, sampled from a seed: `sample_scene` defines the dataset.

Nothing is stored. A scene is a function of its seed, so splits are disjoint ranges of seeds (`SPLITS`), and a resumed
run sees the same scenes as an uninterrupted one.

World space: x right, y away, z up, ground at z = 0; a large object has a radius of about one unit.
"""

from typing import NamedTuple

import numpy as np

SHAPES = ("sphere", "cube", "cylinder")
COLORS = ("red", "green", "blue", "yellow", "purple", "cyan", "brown", "gray")
SIZES = ("small", "large")
MATERIALS = ("metal", "rubber")

IMAGE_PX = 336
PATCH_PX = 14
GRID = IMAGE_PX // PATCH_PX
EDGE_PX = 32  # minimum distance of an object's centre from the image border

# First seed and number of seeds per split; the ranges are disjoint. Stages are compared on `validation`; recipes,
# thresholds and the page's examples are chosen on `test`; nothing is chosen on `final`, which the reports are about.
SPLITS = {
    "train": (0, 1 << 30),
    "validation": (1 << 30, 1 << 20),
    "test": ((1 << 30) + (1 << 20), 1 << 20),
    "calibration": ((1 << 30) + (2 << 20), 1 << 20),
    "final": ((1 << 30) + (3 << 20), 1 << 20),
}

# 8-bit sRGB, in the order of COLORS.
COLOR_SRGB = np.array(
    [
        (173, 35, 35),
        (29, 105, 20),
        (42, 75, 215),
        (255, 220, 40),
        (129, 38, 192),
        (41, 208, 208),
        (129, 74, 25),
        (105, 110, 115),
    ],
    dtype=np.float64,
)
RADIUS = {"small": 0.58, "large": 0.95}


class SceneObject(NamedTuple):
    """One object. center: x, y on the ground plane; radius: half extent before scaling by shape; yaw: radians."""

    shape: str
    color: str
    size: str
    material: str
    center: tuple[float, float]
    radius: float
    yaw: float
    albedo: tuple[float, float, float]  # linear RGB, including the scene's colour jitter


class Camera(NamedTuple):
    """A pinhole camera; `right`, `up` and `forward` are orthonormal world vectors."""

    position: np.ndarray
    right: np.ndarray
    up: np.ndarray
    forward: np.ndarray
    tan_half_fov: float


class Light(NamedTuple):
    """A distant disk light and a hemisphere of sky light."""

    direction: np.ndarray  # unit vector from the scene towards the light
    spread: float  # radius of the disk at unit distance; sets how soft shadows are
    key: float
    ambient: float
    ground: tuple[float, float, float]  # linear RGB


class Scene(NamedTuple):
    """A scene with its objects in sampling order; `hard` is the deliberate difficulty, one of HARD_KINDS, or ""."""

    seed: int
    draw: int  # number of rejected draws of this seed before this one
    objects: tuple[SceneObject, ...]
    camera: Camera
    light: Light
    hard: str


HARD_KINDS = ("dim", "far", "crowded", "alike", "small")


def split_seed(split: str, index: int) -> int:
    """Return the seed of scene `index` of a split. Raises ValueError if the split has no such scene."""
    first, count = SPLITS[split]
    if not 0 <= index < count:
        raise ValueError(f"split {split} has scenes 0 to {count - 1}, got index {index}")
    return first + index


def srgb_to_linear(srgb: np.ndarray) -> np.ndarray:
    """Convert 8-bit sRGB to linear RGB in 0..1."""
    unit = np.asarray(srgb, dtype=np.float64) / 255
    return np.where(unit <= 0.04045, unit / 12.92, ((unit + 0.055) / 1.055) ** 2.4)


def sample_scene(seed: int, draw: int = 0) -> Scene:
    """Sample the scene for `seed`: 3 to 8 objects that do not intersect, a camera and a light.

    A quarter of the scenes are hard: dim light, a distant camera, crowded (partly hidden) objects, similar colours, or
    mostly small objects.
    """
    rng = np.random.default_rng((seed, draw))
    hard = str(rng.choice(HARD_KINDS)) if rng.random() < 0.25 else ""
    camera = _sample_camera(rng, far=hard == "far")
    light = _sample_light(rng, dim=hard == "dim")
    count = int(rng.integers(5, 9)) if hard == "crowded" else int(rng.integers(3, 9))
    objects: list[SceneObject] = []
    reach = 2.2 if hard == "crowded" else 2.9
    for _ in range(400):
        if len(objects) == count:
            break
        candidate = _sample_object(rng, reach, hard)
        if _fits(candidate, objects, camera, gap=0.06 if hard == "crowded" else 0.22):
            objects.append(candidate)
    return Scene(seed, draw, tuple(objects), camera, light, hard)


def project(camera: Camera, points: np.ndarray) -> np.ndarray:
    """Project world points [n, 3] to the model's input image. Returns [n, 3]: x, y in pixels, depth in world units."""
    relative = points - camera.position
    depth = relative @ camera.forward
    scale = IMAGE_PX / 2 / (camera.tan_half_fov * depth)
    x = IMAGE_PX / 2 + (relative @ camera.right) * scale
    y = IMAGE_PX / 2 - (relative @ camera.up) * scale
    return np.stack([x, y, depth], axis=1)


def _sample_camera(rng: np.random.Generator, *, far: bool) -> Camera:
    azimuth = rng.uniform(-0.6, 0.6)
    elevation = np.radians(rng.uniform(24, 40))
    distance = rng.uniform(10.5, 12) if far else rng.uniform(8.2, 10)
    position = distance * np.array(
        [np.sin(azimuth) * np.cos(elevation), -np.cos(azimuth) * np.cos(elevation), np.sin(elevation)]
    )
    target = np.array([rng.uniform(-0.3, 0.3), rng.uniform(-0.2, 0.3), rng.uniform(0.1, 0.4)])
    forward = target - position
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, [0, 0, 1])
    right /= np.linalg.norm(right)
    return Camera(position, right, np.cross(right, forward), forward, np.tan(np.radians(rng.uniform(21, 24))))


def _sample_light(rng: np.random.Generator, *, dim: bool) -> Light:
    azimuth = rng.uniform(0, 2 * np.pi)
    elevation = np.radians(rng.uniform(35, 65))
    direction = np.array([np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation), np.sin(elevation)])
    level = rng.uniform(0.25, 0.42) if dim else rng.uniform(0.85, 1.15)
    tint = rng.uniform(0.96, 1.04, size=3)
    ground = rng.uniform(0.34, 0.46) * tint
    return Light(direction, rng.uniform(0.05, 0.16), 1.75 * level, 0.55 * level, tuple(ground))


def _sample_object(rng: np.random.Generator, reach: float, hard: str) -> SceneObject:
    shape, color, material = (str(rng.choice(values)) for values in (SHAPES, COLORS, MATERIALS))
    size = "small" if hard == "small" and rng.random() < 0.8 else str(rng.choice(SIZES))
    srgb = COLOR_SRGB[COLORS.index(color)] + rng.normal(0, 16 if hard == "alike" else 5, size=3)
    if hard == "alike":
        other = COLOR_SRGB[rng.integers(len(COLORS))]
        srgb = srgb + rng.uniform(0, 0.22) * (other - srgb)
    albedo = srgb_to_linear(np.clip(srgb, 4, 255))
    radius = RADIUS[size] * rng.uniform(0.95, 1.05)
    center = (float(rng.uniform(-reach, reach)), float(rng.uniform(-reach, reach)))
    return SceneObject(shape, color, size, material, center, radius, float(rng.uniform(0, np.pi)), tuple(albedo))


def _fits(candidate: SceneObject, objects: list[SceneObject], camera: Camera, *, gap: float) -> bool:
    x, y, _ = project(camera, np.array([[*candidate.center, candidate.radius]]))[0]
    if not (EDGE_PX < x < IMAGE_PX - EDGE_PX and EDGE_PX < y < IMAGE_PX - EDGE_PX):
        return False
    for other in objects:
        distance = np.hypot(candidate.center[0] - other.center[0], candidate.center[1] - other.center[1])
        if distance < candidate.radius + other.radius + gap:
            return False
    return True
