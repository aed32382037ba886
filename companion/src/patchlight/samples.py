"""The page's sample images and recorded runs: scenes of the test split, rendered large, answered by the real model."""

import json
from pathlib import Path

from PIL import Image

from .record import record_run
from .render import render, render_seed
from .scenes import split_seed

# (test scene, width, height, alternative text, questions that the page suggests)
IMAGES = (
    (
        18,
        672,
        672,
        "A red metal cylinder, a cyan cube, a small brown and a large gray metal sphere",
        (
            "What color is the large sphere?",
            "What color is the cube?",
            "What color is the object behind the small sphere?",
            "How many metal objects are there?",
            "Describe the image.",
        ),
    ),
    (
        5,
        1008,
        672,
        "A brown and a gray sphere, a shiny yellow ball, a yellow cylinder and four cubes on a light ground",
        (
            "What color is the small sphere?",
            "What shape is the purple object?",
            "How many spheres are there?",
            "What color is the cube in front of the green cube?",
            "Describe the image.",
        ),
    ),
    (
        17,
        672,
        672,
        "Seven objects: red, blue and yellow spheres, two cylinders and a blue cube",
        (
            "How many spheres are there?",
            "What color is the large metal sphere?",
            "Is the red sphere left of the green cylinder?",
            "Is there a green cube?",
            "Describe the image.",
        ),
    ),
    (
        14,
        672,
        672,
        "Three small objects in dim light",
        (
            "What color is the cylinder left of the gray cylinder?",
            "What shape is the purple object?",
            "How many objects are there?",
            "Describe the image.",
        ),
    ),
    (
        10,
        1008,
        672,
        "A yellow metal sphere among cubes, with a purple cylinder at the right",
        (
            "What color is the sphere?",
            "What shape is the purple object?",
            "Is the sphere behind the purple cylinder?",
            "How many cubes are there?",
            "Describe the image.",
        ),
    ),
)
# (which image, which of its questions): the first is the page's first look
RUNS = ((0, 0), (1, 3), (0, 4), (2, 1))


def write_samples(hf_folder: Path, head_folder: Path, out: Path, *, name: str, revision: str, knows: str) -> None:
    """Images, runs and `index.json` into `out`."""
    out.mkdir(parents=True, exist_ok=True)
    images, runs = [], []
    for number, (scene_number, width, height, alt, questions) in enumerate(IMAGES):
        scene, _ = render_seed(split_seed("test", scene_number))
        file = f"scene-{number + 1}.png"
        Image.fromarray(render(scene, width=width, height=height).image).save(out / file, optimize=True)
        images.append({"file": file, "alt": alt, "questions": list(questions)})
    for image, question in RUNS:
        text = images[image]["questions"][question]
        file = f"run-{len(runs) + 1}.run"
        picture = out / images[image]["file"]
        record_run(hf_folder, head_folder, picture, text, out / file, name=name, revision=revision, knows=knows)
        runs.append({"file": file, "title": text, "image": images[image]["file"]})
    (out / "index.json").write_text(json.dumps({"runs": runs, "images": images}, indent=1) + "\n")
