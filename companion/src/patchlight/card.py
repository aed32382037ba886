"""The model card: what the model is, how it was made, and every measured figure with its command."""

import json
from pathlib import Path

from .questions import KINDS
from .training import StageConfig

_TEXT = """# {name}

A LLaVA-1.5 of {parameters:.1f} million parameters (CLIP vision tower, two-layer projector, Llama language model), trained from
scratch on rendered scenes of spheres, cubes and cylinders, so that Patchlight can answer in a browser tab with no
server and nothing downloaded from elsewhere. {knows}

| | |
|---|---|
| licence | Apache-2.0, weights and data |
| architecture | `LlavaForConditionalGeneration`: vision {vision_layers} x {vision_width}, language {layers} x {width} with {heads} heads, vocabulary {vocabulary} |
| image | 336 x 336, patches of 14: a grid of 24 x 24 = 576; shorter side to 336 (bicubic), centre crop, CLIP's mean and deviation |
| prompt | `{prompt}` |
| hidden states | `post_norm`: after the final norm, what Hugging Face calls last |
| kinds of question | {kinds} |
| revision | `{revision}` (SHA-256 of the weights, first 12 digits) |

## How it was made

`python -m patchlight.pipeline` makes all of it from nothing: scenes are functions of their seeds (train, validation
and test are disjoint ranges), rendered by our own ray caster.

{stages}

The alignment stage is what CLIP's pre-training and LLaVA's projector stage do for the real model, on a small scale:
the projected feature of each patch is classified by its dot product with the word embeddings of its object's colour,
shape, material and size, and a linear map that is thrown away afterwards reads the object's place. Without it the
model learns the sentences and guesses the words. The later stages add the same for phrases: half way up the language
model, the state at the end of "the small red sphere" must tell how many objects fit it and, if it is one, which.

{notes}

## What it gets right and wrong

{figures}

## Limits

It knows nothing but such scenes: a photograph is answered as if it were one. It has never seen a word outside its
vocabulary, nor those in it that the manifest lists as `neverSeen`; the page names the words that it does not know. Counting, and telling small cubes from small cylinders,
are its weak points (see the table). The relevancy head imitates Chefer's maps of this model and inherits their faults.
Words that the model had to find in the image rest on their object far more than words that it repeats from the
question, which need no image: the table of maps tells them apart.
"""


def write_card(
    out: Path,
    hf: Path,
    *,
    name: str,
    knows: str,
    revision: str,
    prompt: str,
    stages: tuple[StageConfig, ...],
    notes: str,
) -> None:
    """`out/MODEL_CARD.md`, its figures read from `out/report/*.json`."""
    config = json.loads((hf / "config.json").read_text())
    text, vision = config["text_config"], config["vision_config"]
    weights = (hf / "model.safetensors").stat().st_size
    rows = [
        "| stage | steps | images a step | patches kept | learning rate (vision's share) |",
        "|---|---:|---:|---:|---|",
        *(
            f"| {s.name} | {s.steps} | {s.batch_images} | {s.patches} | {s.learning_rate} ({s.vision_rate}) |"
            for s in stages
        ),
    ]
    body = _TEXT.format(
        name=name,
        parameters=weights / 2e6,
        knows=knows,
        vision_layers=vision["num_hidden_layers"],
        vision_width=vision["hidden_size"],
        layers=text["num_hidden_layers"],
        width=text["hidden_size"],
        heads=text["num_attention_heads"],
        vocabulary=text["vocab_size"],
        prompt=prompt.replace("\n", "\\n"),
        kinds=", ".join(KINDS),
        revision=revision,
        stages="\n".join(rows),
        notes=notes,
        figures="\n\n".join(_table(json.loads(file.read_text())) for file in sorted((out / "report").glob("*.json"))),
    )
    (out / "MODEL_CARD.md").write_text(body)


def _table(report: dict[str, object]) -> str:
    figures = report.get("figures")
    if not isinstance(figures, list):
        return ""
    rows = [
        f"### {report['title']}",
        "",
        f"`{report['command']}`, measured on {report['measuredOn']}.",
        "",
        "| | measured | wanted |",
        "|---|---:|---|",
        *(f"| {f['label']} | {f['value']} {f.get('unit', '')} | {f.get('goal', '')} |" for f in figures),
    ]
    return "\n".join(row.rstrip() for row in rows)
