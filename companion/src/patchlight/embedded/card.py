"""The model card: what the model is, how it was made, and every measured figure with its command."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .training.stages import StageConfig
from .world.questions import KINDS

CARD_FILE = "MODEL_CARD.md"
_FIGURES, _LIMITS = "## What it gets right and wrong", "## Limits"
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

`python -m patchlight.embedded.pipeline` makes all of it from nothing: scenes are functions of their seeds (train, validation
and test are disjoint ranges), rendered by our own ray caster.

{stages}

The alignment stage is what CLIP's pre-training and LLaVA's projector stage do for the real model, on a small scale:
the projected feature of each patch is classified by its dot product with the word embeddings of its object's colour,
shape, material and size, and a linear map that is thrown away afterwards reads the object's place. Without it the
model learns the sentences and guesses the words. The later stages add the same for phrases: half way up the language
model, the state at the end of "the small red sphere" must tell how many objects fit it and, if it is one, which.

{notes}

{figures_heading}

{figures}

{limits_heading}

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
    further_reports: Sequence[Path] = (),
) -> None:
    """`out/MODEL_CARD.md`, its figures read from `out/report/*.json` and from further reports, where they are there."""
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
        figures_heading=_FIGURES,
        limits_heading=_LIMITS,
        figures=_figures(out, further_reports),
    )
    (out / CARD_FILE).write_text(body)


def renew_figures(out: Path, further_reports: Sequence[Path] = ()) -> None:
    """The card that is there with the figures of the reports that are there now; nothing else of it changes."""
    path = out / CARD_FILE
    before, rest = path.read_text().split(f"{_FIGURES}\n", 1)
    after = rest.split(f"{_LIMITS}\n", 1)[1]
    path.write_text(f"{before}{_FIGURES}\n\n{_figures(out, further_reports)}\n\n{_LIMITS}\n{after}")


def _figures(out: Path, further_reports: Sequence[Path]) -> str:
    files = [*sorted((out / "report").glob("*.json")), *(file for file in further_reports if file.exists())]
    return "\n\n".join(_report(json.loads(file.read_text())) for file in files)


def _report(report: dict[str, Any]) -> str:
    if not isinstance(report.get("figures"), list):
        return ""
    return "\n\n".join([_figure_table(report), *map(_column_table, report.get("tables", []))])


def _column_table(table: dict[str, Any]) -> str:
    rows = [table["columns"], ["---", *["---:"] * (len(table["columns"]) - 1)], *table["rows"]]
    return "\n".join([f"{table['title']}:", "", *(f"| {' | '.join(map(str, row))} |" for row in rows)])


def _figure_table(report: dict[str, Any]) -> str:
    rows = [
        f"### {report['title']}",
        "",
        f"`{report['command']}`, measured on {report['measuredOn']}.",
        "",
        "| | measured | wanted |",
        "|---|---:|---|",
        *(f"| {f['label']} | {f['value']} {f.get('unit', '')} | {f.get('goal', '')} |" for f in report["figures"]),
    ]
    return "\n".join(row.rstrip() for row in rows)
