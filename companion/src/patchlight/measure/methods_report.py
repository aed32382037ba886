"""Compares every method's maps with the objects that words in an answer name.

    python -m patchlight.measure.methods_report

Asks questions about test scenes that were not used for the model, the head or its threshold. The answers are the
model's own. A token counts if the answer has the same words as the reference and the token's word names an object.
Writes `methods.json`, from which `node scripts/methods-doc.mjs` generates the tables of docs/methods.md.
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

from ..bootstrap import RESAMPLES, Bootstrap, Estimate, Ratio
from ..embedded.world.questions import KINDS
from ..head.fastrm import FastRM
from ..head.scores import labels_of
from .method_costs import MethodCost, measure_costs
from .method_scores import (
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
# Ranges for the number of patches that an object covers; each holds about a third of the tokens.
SIZES = ((1, 12), (13, 30), (31, 576))
SMOKE = MethodSamplesConfig(scenes=2, questions_per_scene=3, max_new_tokens=20)


class MethodFigures(NamedTuple):
    """The figures of one method on a group of tokens, compared with the objects and with the teacher's maps."""

    pointing: Estimate
    iou: Estimate
    mass: Estimate
    spearman: Estimate
    top: Estimate
    f1: Estimate


def figures_of(samples: Samples, threshold: float, bootstrap: Bootstrap, rows: np.ndarray) -> dict[str, MethodFigures]:
    """Return the figures per method for the tokens selected by `rows` ([n] bool).

    threshold: the head's classification threshold.
    """
    columns = samples.columns
    masks, teacher = columns["masks"], columns[f"maps/{TEACHER}"]
    labels = labels_of(teacher, BINARISED_AT).bool()
    figures = {}
    for name in NAMES:
        maps = columns[f"maps/{name}"]
        selected = binarised(maps, threshold=threshold) if name == FASTRM else binarised(maps, share=BINARISED_AT)
        ratios: list[Ratio] = [
            pointing(maps, masks),
            iou(selected, masks),
            mass_inside(maps, masks),
            spearman(maps, teacher),
            top_iou(maps, teacher),
            f1(selected, labels),
        ]
        figures[name] = MethodFigures(*(bootstrap.estimate(ratio, rows) for ratio in ratios))
    return figures


def report(
    samples: Samples, head: FastRM, costs: Mapping[str, MethodCost], config: MethodSamplesConfig
) -> dict[str, Any]:
    """Return the report that the tables of docs/methods.md are generated from."""
    columns = samples.columns
    bootstrap = Bootstrap(columns["scene"].numpy())
    is_found = columns["found"].numpy()
    groups = {"found": is_found, "repeated": ~is_found}
    threshold = head.facts.classification_threshold
    figures = {group: figures_of(samples, threshold, bootstrap, rows) for group, rows in groups.items()}
    covers = Ratio.mean(columns["masks"].double().mean(1).numpy())
    covered = {group: bootstrap.estimate(covers, rows) for group, rows in groups.items()}
    empty = {name: bootstrap.estimate(Ratio.mean((columns[f"maps/{name}"].amax(1) <= 0).numpy())) for name in NAMES}
    slices = {group: _slices(columns, bootstrap, rows) for group, rows in groups.items()}
    return {
        "title": "Maps of words that name an object, by method, compared with the object's patches",
        "command": COMMAND,
        "measuredOn": time.strftime("%Y-%m-%d"),
        "model": head.facts.model,
        "modelRevision": head.facts.model_revision,
        "facts": {
            "firstScene": config.first_scene,
            "scenes": config.scenes,
            "questions": samples.questions,
            "answeredInTheRightWords": samples.right,
            "explainedAnswers": len(columns["explained_tokens"]),
            "patches": columns["masks"].shape[1],
            "binarisedAt": BINARISED_AT,
            "classificationThreshold": threshold,
            "resamples": RESAMPLES,
            "largestDifference": max(float(columns[f"difference/{name}"].max()) for name in NAMES),
            "tokensPerAnswer": round(columns["explained_tokens"].double().mean().item(), 2),
        },
        "groups": {
            group: {
                "words": WORDS[group],
                "tokens": int(rows.sum()),
                "objectShare": covered[group].value if rows.any() else None,
                "objectShareInterval": [*covered[group].interval] if rows.any() else None,
                "methods": {name: _rounded(of) for name, of in figures[group].items()},
            }
            for group, rows in groups.items()
        },
        "costs": _costs(columns, costs),
        "emptyMaps": {name: share.value for name, share in empty.items()},
        "emptyMapsIntervals": {name: [*share.interval] for name, share in empty.items()},
        "pointingBy": [
            {
                "group": group,
                "label": one.label,
                "tokens": one.tokens,
                "methods": {name: estimate.rounded() for name, estimate in one.pointing.items()},
            }
            for group, some in slices.items()
            for one in some
        ],
        "verdict": [*verdict(figures, slices), _cheaper(costs)],
    }


def _rounded(of: MethodFigures) -> dict[str, list[float] | None]:
    """Return each figure as [value, low, high], or None if there are no tokens."""
    return {name: getattr(of, name).rounded() for name in of._fields}


def _costs(columns: Mapping[str, torch.Tensor], costs: Mapping[str, MethodCost]) -> dict[str, dict[str, float]]:
    """Return the costs per method. The numbers of passes are means per answer, where only the tokens that name an
    object are explained.
    """
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
    return (
        f"FastRM takes {ours:.2g} ms of one core per token; exact Chefer takes {teacher:.2g} ms, "
        f"{teacher / ours:.0f} times as much."
    )


def _slices(columns: Mapping[str, torch.Tensor], bootstrap: Bootstrap, rows: np.ndarray) -> list[Slice]:
    """Return the pointing game for the tokens in `rows` by object size, attribute of the word and kind of question."""
    size = columns["masks"].sum(1).numpy()
    kinds, attributes = columns["kind"].numpy(), columns["attribute"].numpy()
    cuts: list[tuple[str, np.ndarray]] = [
        *((f"objects of {low} to {high} patches", (size >= low) & (size <= high)) for low, high in SIZES),
        *(
            ('the word "object"' if name == "object" else f"{name} words", attributes == k)
            for k, name in enumerate(ATTRIBUTE_NAMES)
        ),
        *((f"{kind} questions", kinds == k) for k, kind in enumerate(KINDS)),
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


def main(arguments: list[str] | None = None) -> None:
    root = Path(__file__).resolve().parents[4]
    parser = argparse.ArgumentParser(description="Compare every method's maps with known objects.")
    parser.add_argument("--smoke", action="store_true", help="run the same code on two scenes")
    parser.add_argument(
        "--model",
        type=Path,
        default=root / "models" / "patchlight-scenes",
        help="model folder, with its head in `fastrm`",
    )
    parser.add_argument("--work", type=Path, help="folder for the shards of maps")
    parser.add_argument("--out", type=Path, help="folder for methods.json")
    parser.add_argument("--scenes", type=int, help=f"number of test scenes (default {MethodSamplesConfig().scenes})")
    args = parser.parse_args(arguments)
    work = args.work or root / ".cache" / ("methods-smoke" if args.smoke else "methods")
    out = args.out or (work if args.smoke else root / "public" / "models" / "patchlight-scenes" / "report")
    config = SMOKE if args.smoke else MethodSamplesConfig()
    if args.scenes is not None:
        config = MethodSamplesConfig(**{**config.__dict__, "scenes": args.scenes})
    if args.smoke and args.work is None:
        shutil.rmtree(work, ignore_errors=True)
    samples = collect_method_samples(args.model, work, config)
    costs = measure_costs(args.model, config, answers=2 if args.smoke else 8)
    body = report(samples, FastRM.from_pretrained(args.model / "fastrm"), costs, config)
    out.mkdir(parents=True, exist_ok=True)
    lines = json.dumps(body, indent=1, ensure_ascii=False)
    # Put each estimate on one line: [1.0, 0.9, 1.1].
    lines = re.sub(r"\[\s+(-?[\d.]+),\s+(-?[\d.]+),\s+(-?[\d.]+)\s+\]", r"[\1, \2, \3]", lines)
    (out / "methods.json").write_text(lines + "\n")
    for sentence in body["verdict"]:
        print(sentence)
    print(out / "methods.json")


if __name__ == "__main__":
    main()
