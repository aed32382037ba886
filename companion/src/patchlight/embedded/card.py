"""Writes the model card: what the model is, how it was built, and every measured figure with its command."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..report import is_met
from .training.stages import StageConfig
from .world.questions import KINDS

CARD_FILE = "MODEL_CARD.md"
_FIGURES, _LIMITS = "## What it gets right and wrong", "## Limits"
_TEXT = """# {name}

A LLaVA-1.5 with {parameters:.1f} million parameters (CLIP vision tower, two-layer projector, Llama language model), trained from
scratch on rendered scenes of spheres, cubes and cylinders, so that Patchlight can answer in a browser tab without a
server and without downloading anything from elsewhere. {knows}

| | |
|---|---|
| licence | Apache-2.0, weights and data |
| architecture | `LlavaForConditionalGeneration`: vision {vision_layers} x {vision_width}, language {layers} x {width} with {heads} heads, vocabulary {vocabulary} |
| image | 336 x 336 px, patches of 14 px: a grid of 24 x 24 = 576; shorter side to 336 px (bicubic), centre crop, CLIP's mean and standard deviation |
| prompt | `{prompt}` |
| hidden states | `post_norm`: after the final norm, Hugging Face's last hidden state |
| question types | {kinds} |
| revision | `{revision}` (first 12 digits of the SHA-256 of the weights) |

## How it was built

`python -m patchlight.embedded.pipeline` builds everything from scratch. Scenes are functions of their seeds (training,
validation and test use disjoint ranges) and are rendered by our own ray caster.

{stages}

The alignment stage does, on a small scale, what CLIP's pre-training and LLaVA's projector stage do for the real model.
The projected feature of each patch is classified by its dot products with the word embeddings of its object's colour,
shape, material and size, and a linear map, discarded after training, predicts the object's position. Without this stage
the model learns the sentence patterns and guesses the words. Later stages add the same for phrases: in the middle layer
of the language model, the state at the end of "the small red sphere" must tell how many objects fit it and, if exactly
one does, which one.

{notes}

{figures_heading}

{figures}

{limits_heading}

The model knows only such scenes and answers a photograph as if it were one. It was never trained on words outside its
vocabulary, or on those that the manifest lists as `neverSeen`; the page shows which words of a question it does not
know, and asks the `synonyms` of the manifest, such as "colour", with the model's own word. It is weak at counting and
at distinguishing small cubes from small cylinders (see the table). The FastRM head imitates Chefer's maps of this model
and inherits their errors. Words that the model has to find in the image rest on their object far more than words that
it repeats from the question, which need no image; the table of maps lists the two groups separately.
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
    """Write `out/MODEL_CARD.md` with the figures from `out/report/*.json` and from any `further_reports` that exist."""
    config = json.loads((hf / "config.json").read_text())
    text, vision = config["text_config"], config["vision_config"]
    weights = (hf / "model.safetensors").stat().st_size
    rows = [
        "| stage | steps | images per step | patches kept | learning rate (relative rate of the vision tower) |",
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


def update_figures(out: Path, further_reports: Sequence[Path] = ()) -> None:
    """Update the figures in an existing card from the current reports. Leaves the rest of the card unchanged."""
    path = out / CARD_FILE
    before, rest = path.read_text().split(f"{_FIGURES}\n", 1)
    after = rest.split(f"{_LIMITS}\n", 1)[1]
    path.write_text(f"{before}{_FIGURES}\n\n{_figures(out, further_reports)}\n\n{_LIMITS}\n{after}")


def _figures(out: Path, further_reports: Sequence[Path]) -> str:
    files = [*sorted((out / "report").glob("*.json")), *(file for file in further_reports if file.exists())]
    reports = [json.loads(file.read_text()) for file in files]
    # Reports without figures are data for other documents.
    return "\n\n".join(_report(report) for report in reports if isinstance(report.get("figures"), list))


def _report(report: dict[str, Any]) -> str:
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
        f"| | measured{' (95 % interval)' if any('interval' in f for f in report['figures']) else ''} | goal |",
        "|---|---:|---|",
        *(f"| {f['label']} | {_value(f)} | {_judged(f)} |" for f in report["figures"]),
    ]
    return "\n".join(row.rstrip() for row in rows)


def _judged(figure: dict[str, Any]) -> str:
    """Return a figure's goal and whether it is met; empty if it has none."""
    goal = figure.get("goal", "")
    if not goal:
        return ""
    return f"{goal}: {'met' if is_met(goal, figure['value'], figure.get('interval')) else 'missed'}"


def _value(figure: dict[str, Any]) -> str:
    value = f"{figure['value']} {figure.get('unit', '')}".rstrip()
    low, high = figure.get("interval", (None, None))
    return value if low is None else f"{value} ({low} to {high})"
