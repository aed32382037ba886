"""Renders `scenes.Scene`: shaded image and visible-pixel masks."""

import math
from typing import NamedTuple

import numpy as np

from .ray_caster import CUBE, CYLINDER, SPHERE, TILE, TONE_LEVELS, cast_image
from .scenes import IMAGE_PX, Scene, sample_scene

MIN_VISIBLE_PX = 160
_SHAPE_CODE = {"sphere": SPHERE, "cube": CUBE, "cylinder": CYLINDER}


def _tone_curve() -> np.ndarray:
    """8-bit sRGB level for linear light 0..2 in `TONE_LEVELS` steps, with a soft shoulder above 0.8."""
    light = np.linspace(0, 2, TONE_LEVELS)
    light = np.where(light > 0.8, 0.8 + 0.2 * (1 - np.exp(-(light - 0.8) / 0.2 * 0.6)), light)
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055) * 255


_TONE = _tone_curve()


class Rendered(NamedTuple):
    """`image` [height, width, 3] uint8 sRGB; `object_ids` [height, width] int8, -1 where no object is visible."""

    image: np.ndarray
    object_ids: np.ndarray


def render_seed(seed: int) -> tuple[Scene, Rendered]:
    """The scene of `seed` as the data set has it: objects of which fewer than MIN_VISIBLE_PX can be seen are left out.

    Where fewer than three objects would remain, the seed is drawn again.
    """
    draw = 0
    while True:
        scene = sample_scene(seed, draw)
        while True:
            rendered = render(scene)
            visible = np.bincount(rendered.object_ids.ravel() + 1, minlength=len(scene.objects) + 1)[1:]
            keep = tuple(item for item, count in zip(scene.objects, visible, strict=True) if count >= MIN_VISIBLE_PX)
            if len(keep) == len(scene.objects):
                break
            scene = scene._replace(objects=keep)
        if len(scene.objects) >= 3:
            return scene, rendered
        draw += 1


def render(scene: Scene, *, width: int = IMAGE_PX, height: int = IMAGE_PX) -> Rendered:
    """Render a scene, by default at the model's size; the same scene always gives the same bytes.

    The camera's angle of view spans the height, so a wide picture's centre square shows what a square one shows.
    Raises ValueError for sides that are no multiples of 14.
    """
    if width % TILE or height % TILE:
        raise ValueError(f"sides must be multiples of {TILE} pixels, got {width} x {height}")
    n = len(scene.objects)
    table = np.zeros((n, 13))  # columns as in ray_caster
    for row, item in zip(table, scene.objects, strict=True):
        half = item.radius / math.sqrt(2) * 1.08 if item.shape == "cube" else item.radius
        wide = half * 0.92 if item.shape == "cylinder" else half
        bound = {"sphere": half, "cube": half * math.sqrt(3), "cylinder": math.hypot(wide, half)}[item.shape]
        row[:] = (
            _SHAPE_CODE[item.shape],
            *item.center,
            half,
            wide,
            half,
            math.cos(item.yaw),
            math.sin(item.yaw),
            *item.albedo,
            1.0 if item.material == "metal" else 0.0,
            bound,
        )
    camera, light = scene.camera, scene.light
    basis = np.stack([camera.position, camera.right, camera.up, camera.forward])
    sky = np.array([light.spread, light.key, light.ambient, *light.ground])
    image, ids = cast_image(
        table, basis, camera.tan_half_fov, light.direction, sky, scene.seed % 100_003, _TONE, width, height
    )
    return Rendered(image, ids)
