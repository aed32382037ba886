"""Compares teachers and the heads that imitate them, on held-out answers of the embedded model.

    python -m patchlight.measure.teachers --scenes WORK/scenes --samples HELD_OUT ... --heads HEAD ... --out bench/report

Takes a folder of held-out samples (`embedded/collect.py`) and a head for each teacher. All folders hold the same questions,
so the tokens are the same. Five figures for the maps of each teacher and of its head, and for random maps:

pointing  the share of words that the model had to find in the image whose highest patch is on the object they name
IoU       of the binarised map with the object's patches, for the same words
mass      share of the map's sum on the object, for the same words
LDS       linear datamodelling score (vSTREAM, arXiv 2604.16587): Spearman's correlation, over 32 fresh masks, of the sum of
          a map under each mask with the fall of the token's log-probability that is measured with it; all tokens that
          lose different amounts under different masks
deletion  area under the mean probability of the answer's tokens while the most relevant patches are barred, 0 to 100 % of
          them in 11 steps; the map is the mean of the tokens' maps, each divided by its sum; lower is better

Nothing is painted: patches are barred from the language model (`methods/barring.py`). Intervals are 95 % over scenes.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from tqdm import tqdm
from transformers import AutoTokenizer

from ..bootstrap import Bootstrap, Estimate, Ratio
from ..embedded.answering import TokenizedQuestion, ask_scenes, embed_images, prompt_embeds
from ..embedded.collect import FRAME, AnswerCall, answer_call
from ..embedded.training.model import load_model
from ..embedded.training.packing import PATCHES, prompt_pieces
from ..embedded.world.pool import ScenePool
from ..head.ablation import MASKS, ablate, has_effect, mask_seed, region_masks
from ..head.fastrm import FastRM
from ..head.labels import TEACHERS
from ..head.map_scores import rank_correlation
from ..head.predictions import predict
from ..head.sample_store import HeadSamples, token_rows
from ..head.work_folder import read_manifest
from ..methods.barring import barred_passes
from ..report import figure, write_report
from .method_scores import binarised, iou, mass_inside, pointing

RANDOM = "random maps"
STEPS = 11
FIGURES = ("pointing", "IoU", "mass", "LDS", "deletion")
_MOST_OTHER = 0.02
"""Share of tokens that may differ from the model's own."""
# Fields of a manifest in which folders of the same questions may differ.
_OF_TEACHER = {"teacher", "method", "autocast"}


class Imitated(NamedTuple):
    """A teacher's short name, held-out samples with its maps, and the head that imitates it."""

    name: str
    samples: HeadSamples
    head: FastRM


class Held(NamedTuple):
    """The held-out tokens, t in all, and every map of them.

    scene, question, token `[t]`: of each token. maps: `[t, P]` by name; 0 where there is none. selected: the same
    binarised. has_map `[t]`: whether every teacher has a map of the token. found `[t]`: whether it is a word that the
    model had to find in the image and that names an object in `objects` `[t, P]` bool.
    """

    scene: torch.Tensor
    question: torch.Tensor
    token: torch.Tensor
    maps: Mapping[str, torch.Tensor]
    selected: Mapping[str, torch.Tensor]
    has_map: torch.Tensor
    found: torch.Tensor
    objects: torch.Tensor


class Effects(NamedTuple):
    """Scores of maps by barring patches, by the name of the maps. lds: correlation per token `[t]`, NaN where unmeasured.
    deletion: area per answer `[a]`. answer_scenes `[a]`: the answers' scenes.
    """

    lds: Mapping[str, torch.Tensor]
    deletion: Mapping[str, torch.Tensor]
    answer_scenes: torch.Tensor


def read_imitated(samples: Sequence[Path], heads: Sequence[Path]) -> list[Imitated]:
    """Read the samples and the heads, pair by pair.

    Raises ValueError if a head imitates another teacher than its samples', if two pairs have the same teacher, or if the
    samples are not of the same answers.
    """
    if len(samples) != len(heads):
        raise ValueError(
            f"got {len(samples)} folders of samples and {len(heads)} heads: pass one head for each, in order"
        )
    pairs: list[Imitated] = []
    for folder, head_folder in zip(samples, heads, strict=True):
        stored, head = HeadSamples(folder), FastRM.from_pretrained(head_folder).eval()
        # Samples from before teachers were named are by exact Chefer.
        teacher = stored.teacher or TEACHERS["chefer"]
        if head.facts.teacher != teacher:
            raise ValueError(f"{head_folder} imitates {head.facts.teacher!r}, and {folder} is labelled by {teacher!r}")
        name = next((short for short, shown in TEACHERS.items() if shown == teacher), teacher)
        if name in (pair.name for pair in pairs):
            raise ValueError(f"{folder} is the second one labelled by {teacher!r}: pass one for each teacher")
        if pairs:
            _check_same(pairs[0].samples, stored, samples[0], folder)
        pairs.append(Imitated(name, stored, head))
    return pairs


def _check_same(first: HeadSamples, second: HeadSamples, one: Path, other: Path) -> None:
    """Raise ValueError unless two folders hold the same answers to the same questions."""
    before, after = read_manifest(one), read_manifest(other)
    names = [name for name in {**before, **after} if name not in _OF_TEACHER and before.get(name) != after.get(name)]
    if names:
        shown = "; ".join(f"{name}: {before.get(name)!r} and {after.get(name)!r}" for name in names)
        raise ValueError(
            f"{one} and {other} are not of the same questions ({shown}): collect them with the same options"
        )
    if not torch.equal(first.columns["token"], second.columns["token"]):
        raise ValueError(f"{one} and {other} have different answers: collect both again, with the same model")


def read_held(pairs: Sequence[Imitated], pool: ScenePool, *, seed: int) -> Held:
    """Gather the maps of all tokens, by teacher and by head. seed: of the random maps."""
    columns = pairs[0].samples.columns
    count = len(columns["token"])
    every = torch.arange(count)
    has_map = torch.ones(count, dtype=torch.bool)
    maps, selected = {}, {}
    for name, samples, head in pairs:
        usable = torch.zeros(count, dtype=torch.bool)
        usable[token_rows(samples)] = True
        has_map &= usable
        own = samples.relevancy(every).values * usable[:, None]
        predicted = predict(head, samples, every)
        maps |= {name: own, f"head of {name}": predicted}
        selected |= {
            name: binarised(own, share=head.facts.labelling_threshold),
            f"head of {name}": binarised(predicted, threshold=head.facts.classification_threshold),
        }
    maps[RANDOM] = torch.rand(count, PATCHES, generator=torch.Generator().manual_seed(seed))
    selected[RANDOM] = binarised(maps[RANDOM], share=pairs[0].head.facts.labelling_threshold)
    objects = torch.stack(
        [
            torch.from_numpy(pool[scene].patch_objects == target)
            for scene, target in zip(columns["scene"].tolist(), columns["target"].tolist(), strict=True)
        ]
    )
    objects &= (columns["target"] >= 0)[:, None]
    found = columns["found"] & objects.any(1)
    return Held(columns["scene"], columns["question"], columns["token"], maps, selected, has_map, found, objects)


def measure_effects(
    held: Held,
    model_folder: Path,
    pool: ScenePool,
    questions: Sequence[TokenizedQuestion],
    *,
    seed: int,
    masks: int = MASKS,
    answers: int | None = None,
) -> Effects:
    """Measure LDS and deletion of every map with the model itself. answers: only the first so many; None for all.

    questions: in the order of the samples' numbers. Raises ValueError if the model's answers are not those of the samples.
    """
    model, pieces = load_model(model_folder), prompt_pieces(AutoTokenizer.from_pretrained(model_folder))
    lds = {name: torch.full((len(held.token),), torch.nan, dtype=torch.float64) for name in held.maps}
    deletion: dict[str, list[torch.Tensor]] = {name: [] for name in held.maps}
    scenes, features, tokens, other = [], {}, 0, 0
    for number in tqdm(held.question.unique().tolist()[:answers], desc="bar patches", unit="answer"):
        rows = (held.question == number).nonzero()[:, 0]
        item = questions[number]
        if item.scene not in features:
            with torch.no_grad():
                features = {item.scene: embed_images(model, np.array(pool[item.scene].image)[None])[0]}
        with torch.no_grad():
            prompt = prompt_embeds(model, features[item.scene], pieces, item.prompt_after)
            sequence = answer_call(model, prompt, held.token[rows].tolist(), pieces)
        drawn = region_masks([FRAME], mask_seed(b"fresh", str((seed, number)).encode()), count=masks)
        measured = ablate(*sequence, drawn)
        is_own = measured.likeliest == sequence.ids
        tokens, other = tokens + len(rows), other + int((~is_own).sum())
        has_falls = has_effect(measured.ablation.deltas) & is_own
        for name, maps in held.maps.items():
            lds[name][rows[has_falls]] = lds_of(maps[rows], drawn, measured.ablation.deltas)[has_falls]
        for name, area in deletion_areas(
            sequence, {name: maps[rows] for name, maps in held.maps.items()}, seed
        ).items():
            deletion[name].append(area)
        scenes.append(item.scene)
    # Two tokens may be so equally likely that rounding decides.
    if other > _MOST_OTHER * tokens:
        raise ValueError(
            f"the model gives {other} other tokens than the samples: pass the model that they were made with"
        )
    return Effects(lds, {name: torch.stack(areas) for name, areas in deletion.items()}, torch.tensor(scenes))


def lds_of(maps: torch.Tensor, masks: torch.Tensor, falls: torch.Tensor) -> torch.Tensor:
    """Return the linear datamodelling score `[t]` float64 of maps `[t, P]` for masks `[K, P]` and falls `[t, K]`."""
    return rank_correlation(maps.double() @ masks.double().T, falls.double())


def deletion_areas(sequence: AnswerCall, maps: Mapping[str, torch.Tensor], seed: int) -> dict[str, torch.Tensor]:
    """Return the area under the mean probability of an answer's tokens while patches are barred, by name of the map.

    maps `[t, P]`: those of the answer's tokens. Patches with the same value are barred in random order.
    """
    call, positions, ids, patch_columns = sequence
    count = len(patch_columns)
    shares = [round(count * step / (STEPS - 1)) for step in range(STEPS)]
    barred = torch.zeros(len(maps), STEPS, call.arguments["inputs_embeds"].shape[1], dtype=torch.bool)
    for steps, tokens in zip(barred, maps.values(), strict=True):
        order = strongest_first(tokens, seed)
        for step, share in zip(steps, shares, strict=True):
            step[patch_columns[order[:share]]] = True
    # The ends, with nothing and everything barred, are the same for all maps.
    passes = torch.cat([barred[0, :1], barred[0, -1:], barred[:, 1:-1].flatten(0, 1)])
    means = barred_passes(call, positions, ids, passes).log_probs.double().exp().mean(1)
    first, last, middle = means[0], means[1], means[2:].view(len(maps), STEPS - 2)
    ends = torch.ones(len(maps), 1, dtype=torch.float64)
    curves = torch.cat([first * ends, middle, last * ends], dim=1)
    x = torch.tensor(shares, dtype=torch.float64) / count
    return dict(zip(maps, torch.trapezoid(curves, x), strict=True))


def strongest_first(maps: torch.Tensor, seed: int) -> torch.Tensor:
    """Return the patches `[P]` from most to least relevant for an answer with maps `[t, P]`: the mean of the maps, each
    divided by its sum. Ties are broken at random, because their order by number would run from top to bottom.
    """
    totals = maps.double().sum(1, keepdim=True)
    pooled = torch.where(totals > 0, maps / totals.clamp(min=1e-30), 0).mean(0)
    shuffled = torch.randperm(len(pooled), generator=torch.Generator().manual_seed(seed))
    return shuffled[pooled[shuffled].argsort(descending=True, stable=True)]


def estimates(held: Held, effects: Effects) -> dict[str, dict[str, Estimate]]:
    """Estimate the figures of each map by name, with 95 % intervals from resampled scenes.

    All maps are compared on the same tokens: those of which every teacher has a map.
    """
    tokens, answers = Bootstrap(held.scene.numpy()), Bootstrap(effects.answer_scenes.numpy())
    named = (held.found & held.has_map).numpy()
    table = {}
    for name, maps in held.maps.items():
        lds = effects.lds[name]
        measured = (~lds.isnan() & held.has_map).numpy()
        table[name] = {
            "pointing": tokens.estimate(pointing(maps, held.objects), named),
            "IoU": tokens.estimate(iou(held.selected[name], held.objects), named),
            "mass": tokens.estimate(mass_inside(maps, held.objects), named),
            "LDS": tokens.estimate(Ratio.mean(lds.nan_to_num().numpy()), measured),
            "deletion": answers.estimate(Ratio.mean(effects.deletion[name].numpy())),
        }
    return table


def shown(table: Mapping[str, Mapping[str, Estimate]]) -> str:
    """Return the figures as a table for a terminal."""
    rows: list[tuple[str, ...]] = [("", *FIGURES)]
    for name, row in table.items():
        rows.append((name, *(f"{cell.value:.3f} ({cell.low:.3f} to {cell.high:.3f})" for cell in row.values())))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Compare teachers and their heads on the embedded model's answers.")
    parser.add_argument("--model", type=Path, default=Path("models/patchlight-scenes"), help="the embedded model")
    parser.add_argument("--scenes", type=Path, required=True, help="folder of the rendered scenes")
    parser.add_argument("--samples", type=Path, nargs="+", required=True, help="held-out samples, one folder a teacher")
    parser.add_argument("--heads", type=Path, nargs="+", required=True, help="the heads, in the order of --samples")
    parser.add_argument("--answers", type=int, help="answers for LDS and deletion (default: all)")
    parser.add_argument("--masks", type=int, default=MASKS, help="fresh masks per answer (default: %(default)s)")
    parser.add_argument(
        "--seed", type=int, default=0, help="seed of masks, random maps and ties (default: %(default)s)"
    )
    parser.add_argument("--out", type=Path, help="folder for the report")
    args = parser.parse_args(arguments)
    try:
        _compare(args)
    except ValueError as reason:
        sys.exit(f"error: {reason}")


def _compare(args: argparse.Namespace) -> None:
    pairs = read_imitated(args.samples, args.heads)
    manifest: dict[str, Any] = read_manifest(args.samples[0])
    scenes = range(manifest["first_scene"], manifest["first_scene"] + manifest["scenes"])
    pool = ScenePool(args.scenes, manifest["split"], scenes.stop)
    questions = ask_scenes(
        pool,
        scenes,
        AutoTokenizer.from_pretrained(args.model),
        per_scene=manifest["questions_per_scene"],
        seed=manifest["seed"],
        description_share=manifest["description_share"],
    )
    held = read_held(pairs, pool, seed=args.seed)
    effects = measure_effects(held, args.model, pool, questions, seed=args.seed, masks=args.masks, answers=args.answers)
    table = estimates(held, effects)
    print(shown(table))
    if args.out is None:
        return
    lds = next(iter(effects.lds.values()))
    figures = [
        figure("scenes", len(held.scene.unique())),
        figure("tokens of words not in the question", int((held.found & held.has_map).sum())),
        figure("tokens with an LDS", int((~lds.isnan() & held.has_map).sum())),
        figure("answers with a deletion curve", len(effects.answer_scenes)),
        figure("masks per answer", args.masks),
    ]
    for name, row in table.items():
        for label, cell in row.items():
            if not np.isnan(cell.value):
                figures.append(figure(f"{name}: {label}", cell.value, interval=cell.interval))
    some = "" if args.answers is None else f" --answers {args.answers}"
    command = (
        "python -m patchlight.measure.teachers --scenes WORK/scenes --samples HELD_OUT ... --heads HEAD ... "
        f"--masks {args.masks} --seed {args.seed}{some} --out bench/report"
    )
    title = "Teachers and their heads, on held-out answers of the embedded model"
    write_report(args.out, "teachers", title, command, figures, model=pairs[0].head.facts.model)


if __name__ == "__main__":
    main()
