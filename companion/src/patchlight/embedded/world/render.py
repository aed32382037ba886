"""Renders a scene to a shaded image and, per pixel, the id of the visible object."""

import math
from typing import NamedTuple

import numpy as np

from .ray_caster import CUBE, CYLINDER, SPHERE, TILE, TONE_LEVELS, cast_image
from .scenes import IMAGE_PX, Scene, sample_scene

MIN_VISIBLE_PX = 160
_SHAPE_CODE = {"sphere": SPHERE, "cube": CUBE, "cylinder": CYLINDER}


def _tone_curve() -> np.ndarray:
    """Return the tone curve [TONE_LEVELS]: 8-bit sRGB levels for linear light from 0 to 2, with a soft shoulder above
    0.8.
    """
    light = np.linspace(0, 2, TONE_LEVELS)
    light = np.where(light > 0.8, 0.8 + 0.2 * (1 - np.exp(-(light - 0.8) / 0.2 * 0.6)), light)
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055) * 255


_TONE = _tone_curve()


class Rendered(NamedTuple):
    """`image` [height, width, 3] uint8 sRGB; `object_ids` [height, width] int8, -1 where no object is visible."""

    image: np.ndarray
    object_ids: np.ndarray


def render_seed(seed: int) -> tuple[Scene, Rendered]:
    """Return the dataset's scene for `seed` and its rendering.

    Objects with fewer than MIN_VISIBLE_PX visible pixels are removed. If fewer than three objects remain, the scene is
    sampled again with the next `draw`.
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
    """Render a scene, at the model's input size by default. The same scene always renders to the same bytes.

    The field of view is vertical, so the centre square of a wide image shows the same view as a square image.
    Raises ValueError if a side is not a multiple of 14 pixels.
    """
    if width % TILE or height % TILE:
        raise ValueError(f"sides must be multiples of {TILE} pixels, got {width} x {height}")
    n = len(scene.objects)
    table = np.zeros((n, 13))  # columns: see ray_caster
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
