"""Does it mean anything? Every method's maps against the objects that the words name:
`python -m patchlight.measure.methods_report`.

Questions about test scenes that neither the model, nor the head, nor its threshold has seen; the answers are the
model's own, and a token counts where the answer goes in the right answer's words and the word names an object. Writes
`methods.json`; `node scripts/methods-doc.mjs` makes the tables of docs/methods.md of it.
"""

import argparse
import json
import re
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from ..embedded.world.questions import KINDS
from ..head.fastrm import FastRM
from ..head.scores import labels_of
from .method_costs import MethodCost, measure_costs
from .method_scores import (
    RESAMPLES,
    Bootstrap,
    Estimate,
    Ratio,
    binarised,
    f1,
    iou,
    mass_inside,
    pointing,
    spearman,
    top_iou,
)
from .method_verdict import Slice, verdict
from .methods_samples import (
    ATTRIBUTE_NAMES,
    FASTRM,
    NAMES,
    MethodSamplesConfig,
    Samples,
    collect_method_samples,
)

COMMAND = "python -m patchlight.measure.methods_report"
BINARISED_AT = 0.3
TEACHER = "chefer"
WORDS = {"found": "words not in the question", "repeated": "words repeated from the question"}
# Patches that the object covers; a third of the tokens each, about.
SIZES = ((1, 12), (13, 30), (31, 576))
SMOKE = MethodSamplesConfig(scenes=2, questions_per_scene=3, max_new_tokens=20)


class MethodFigures(NamedTuple):
    """One method on some tokens: against the object, and against its teacher's maps."""

    pointing: Estimate
    iou: Estimate
    mass: Estimate
    spearman: Estimate
    top: Estimate
    f1: Estimate


def figures_of(samples: Samples, threshold: float, bootstrap: Bootstrap, rows: np.ndarray) -> dict[str, MethodFigures]:
    """Of the tokens `rows` [n] bool, a method at a time. threshold: the head's classification threshold."""
    columns = samples.columns
    masks, teacher = columns["masks"], columns[f"maps/{TEACHER}"]
    wanted = labels_of(teacher, BINARISED_AT).bool()
    found = {}
    for name in NAMES:
        maps = columns[f"maps/{name}"]
        chosen = binarised(maps, threshold=threshold) if name == FASTRM else binarised(maps, share=BINARISED_AT)
        ratios: list[Ratio] = [
            pointing(maps, masks),
            iou(chosen, masks),
            mass_inside(maps, masks),
            spearman(maps, teacher),
            top_iou(maps, teacher),
            f1(chosen, wanted),
        ]
        found[name] = MethodFigures(*(bootstrap.estimate(ratio, rows) for ratio in ratios))
    return found


def report(
    samples: Samples, head: FastRM, costs: Mapping[str, MethodCost], config: MethodSamplesConfig
) -> dict[str, Any]:
    """All that docs/methods.md is made of."""
    columns = samples.columns
    bootstrap = Bootstrap(columns["scene"].numpy())
    is_found = columns["found"].numpy()
    groups = {"found": is_found, "repeated": ~is_found}
    threshold = head.facts.classification_threshold
    figures = {group: figures_of(samples, threshold, bootstrap, rows) for group, rows in groups.items()}
    slices = {group: _slices(columns, bootstrap, rows) for group, rows in groups.items()}
    return {
        "title": "Maps of words that name an object, by every method, against the object's patches",
        "command": COMMAND,
        "measuredOn": time.strftime("%Y-%m-%d"),
        "model": head.facts.model,
        "modelRevision": head.facts.model_revision,
        "facts": {
            "firstScene": config.first_scene,
            "scenes": config.scenes,
            "questions": samples.asked,
            "answeredInTheRightWords": samples.right,
            "explainedAnswers": len(columns["asked_tokens"]),
            "patches": columns["masks"].shape[1],
            "binarisedAt": BINARISED_AT,
            "classificationThreshold": threshold,
            "resamples": RESAMPLES,
            "largestDifference": max(float(columns[f"apart/{name}"].max()) for name in NAMES),
            "tokensPerAnswer": round(columns["asked_tokens"].double().mean().item(), 2),
        },
        "groups": {
            group: {
                "words": WORDS[group],
                "tokens": int(rows.sum()),
                "objectShare": float(columns["masks"].float().mean(1).numpy()[rows].mean()) if rows.any() else None,
                "methods": {name: _rounded(of) for name, of in figures[group].items()},
            }
            for group, rows in groups.items()
        },
        "costs": _costs(columns, costs),
        "emptyMaps": {name: float((columns[f"maps/{name}"].amax(1) <= 0).float().mean()) for name in NAMES},
        "pointingBy": [
            {
                "group": group,
                "label": one.label,
                "tokens": one.tokens,
                "methods": {name: _triple(estimate) for name, estimate in one.pointing.items()},
            }
            for group, some in slices.items()
            for one in some
        ],
        "verdict": [*verdict(figures, slices), _cheaper(costs)],
    }


def _rounded(of: MethodFigures) -> dict[str, list[float] | None]:
    """Each figure as [value, low, high]; None where there is no token."""
    return {name: _triple(getattr(of, name)) for name in of._fields}


def _triple(estimate: Estimate) -> list[float] | None:
    if np.isnan(estimate.value):
        return None
    return [round(number, 4) for number in (estimate.value, estimate.low, estimate.high)]


def _costs(columns: Mapping[str, torch.Tensor], costs: Mapping[str, MethodCost]) -> dict[str, dict[str, float]]:
    """Passes are means over the explained answers, of which only the tokens that name an object were asked for."""
    return {
        name: {
            "msPerToken": round(costs[name].ms_per_token, 3),
            "peakMegabytes": round(costs[name].peak_bytes / 1e6, 1),
            "forwardPerAnswer": round(columns[f"forward/{name}"].double().mean().item(), 2),
            "backwardPerAnswer": round(columns[f"backward/{name}"].double().mean().item(), 2),
        }
        for name in NAMES
    }


def _cheaper(costs: Mapping[str, MethodCost]) -> str:
    ours, teacher = costs[FASTRM].ms_per_token, costs[TEACHER].ms_per_token
    return f"FastRM takes {ours:.2g} ms of one core a token, exact Chefer {teacher:.2g} ms: {teacher / ours:.0f} times as much."


def _slices(columns: Mapping[str, torch.Tensor], bootstrap: Bootstrap, rows: np.ndarray) -> list[Slice]:
    """The pointing game of the tokens `rows`, by what the word says, how large the object is, and what was asked."""
    size = columns["masks"].sum(1).numpy()
    kinds, attributes = columns["kind"].numpy(), columns["attribute"].numpy()
    cuts: list[tuple[str, np.ndarray]] = [
        *((f"object of {low} to {high} patches", (size >= low) & (size <= high)) for low, high in SIZES),
        *((f"the word is {_article(name)}", attributes == k) for k, name in enumerate(ATTRIBUTE_NAMES)),
        *((f"question of {kind}", kinds == k) for k, kind in enumerate(KINDS)),
    ]
    scored = {name: pointing(columns[f"maps/{name}"], columns["masks"]) for name in NAMES}
    return [
        Slice(
            label,
            int((rows & cut).sum()),
            {name: bootstrap.estimate(ratio, rows & cut) for name, ratio in scored.items()},
        )
        for label, cut in cuts
        if (rows & cut).any()
    ]


def _article(attribute: str) -> str:
    return '"object"' if attribute == "object" else f"a {attribute}"


def main(arguments: list[str] | None = None) -> None:
    root = Path(__file__).resolve().parents[4]
    parser = argparse.ArgumentParser(description="Score every method's maps against known objects.")
    parser.add_argument("--smoke", action="store_true", help="the same code on two scenes")
    parser.add_argument(
        "--model", type=Path, default=root / "models" / "patchlight-scenes", help="with its head in `fastrm`"
    )
    parser.add_argument("--work", type=Path, help="where the maps go, shard by shard")
    parser.add_argument("--out", type=Path, help="folder that methods.json goes to")
    parser.add_argument("--scenes", type=int, help=f"of the test split (default {MethodSamplesConfig().scenes})")
    given = parser.parse_args(arguments)
    work = given.work or root / ".cache" / ("methods-smoke" if given.smoke else "methods")
    out = given.out or (work if given.smoke else root / "public" / "models" / "patchlight-scenes" / "report")
    config = SMOKE if given.smoke else MethodSamplesConfig()
    if given.scenes is not None:
        config = MethodSamplesConfig(**{**config.__dict__, "scenes": given.scenes})
    if given.smoke and given.work is None:
        shutil.rmtree(work, ignore_errors=True)
    samples = collect_method_samples(given.model, work, config)
    costs = measure_costs(given.model, config, answers=2 if given.smoke else 8)
    written = report(samples, FastRM.from_pretrained(given.model / "fastrm"), costs, config)
    out.mkdir(parents=True, exist_ok=True)
    lines = json.dumps(written, indent=1, ensure_ascii=False)
    # an estimate on one line: 1.0, 0.9, 1.1
    lines = re.sub(r"\[\s+(-?[\d.]+),\s+(-?[\d.]+),\s+(-?[\d.]+)\s+\]", r"[\1, \2, \3]", lines)
    (out / "methods.json").write_text(lines + "\n")
    for sentence in written["verdict"]:
        print(sentence)
    print(out / "methods.json")


if __name__ == "__main__":
    main()
