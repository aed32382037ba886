"""Writes the page's sample images and recorded runs: large renderings of test scenes with the model's answers."""

import hashlib
import json
from pathlib import Path

from PIL import Image

from ..models.model_files import weight_files, weights_identity
from .record import record_run
from .world.render import render, render_seed
from .world.scenes import split_seed

# (test scene, width px, height px, alternative text, questions that the page suggests)
IMAGES = (
    (
        18,
        672,
        672,
        "A red metal cylinder and a cyan cube behind a small brown and a large gray metal sphere",
        (
            "What color is the cylinder?",
            "What shape is the large gray object?",
            "Is the cube behind the large sphere?",
            "How many spheres are there?",
            "Describe the image.",
        ),
    ),
    (
        23,
        1008,
        672,
        "Eight objects, far away: two yellow, two blue and a brown cube, a gray cylinder, a purple and a gray sphere",
        (
            "What color is the cylinder?",
            "What is the purple object made of?",
            "How many blue cubes are there?",
            "What color is the cube behind the large sphere?",
            "Describe the image.",
        ),
    ),
    (
        17,
        672,
        672,
        "Two large red metal spheres, a blue and two yellow ones, a cyan metal cylinder and a purple cube",
        (
            "How many spheres are there?",
            "What color is the large rubber sphere?",
            "Is the blue sphere left of the cylinder?",
            "Is there a green cube?",
            "Describe the image.",
        ),
    ),
    (
        14,
        672,
        672,
        "Three small metal objects in dim light: a purple sphere, a blue and a gray cylinder",
        (
            "What shape is the purple object?",
            "What color is the cylinder right of the blue cylinder?",
            "How many objects are there?",
            "Describe the image.",
        ),
    ),
    (
        25,
        1008,
        672,
        "Six spheres, yellow, purple, blue, brown and two red ones, around a gray rubber cylinder",
        (
            "What color is the cylinder?",
            "How many red spheres are there?",
            "Is the blue sphere behind the cylinder?",
            "What color is the large metal sphere?",
            "Describe the image.",
        ),
    ),
)
# (image, question): the first questions about three images, and a request for a description. They were chosen before
# the model answered them, so an example can be wrong. The example that the page opens with was chosen because its map
# is easy to read.
RUNS = ((2, 0), (0, 0), (0, 4), (1, 0))


def write_samples(hf_folder: Path, head_folder: Path, out: Path, *, name: str, revision: str, knows: str) -> None:
    """Write sample images, recorded runs and `index.json` to `out`. The page compares the weights with a companion's."""
    out.mkdir(parents=True, exist_ok=True)
    images, runs = [], []
    for number, (scene_number, width, height, alt, questions) in enumerate(IMAGES):
        scene, _ = render_seed(split_seed("test", scene_number))
        file = f"scene-{number + 1}.png"
        Image.fromarray(render(scene, width=width, height=height).image).save(out / file, optimize=True)
        sha256 = hashlib.sha256((out / file).read_bytes()).hexdigest()
        images.append({"file": file, "sha256": sha256, "alt": alt, "questions": list(questions)})
    for image, question in RUNS:
        text = images[image]["questions"][question]
        file = f"run-{len(runs) + 1}.run"
        image_file = out / images[image]["file"]
        record_run(hf_folder, head_folder, image_file, text, out / file, name=name, revision=revision, knows=knows)
        runs.append({"file": file, "title": text, "image": images[image]["file"]})
    index = {"weights": weights_identity(weight_files(hf_folder)), "runs": runs, "images": images}
    (out / "index.json").write_text(json.dumps(index, indent=1) + "\n")
