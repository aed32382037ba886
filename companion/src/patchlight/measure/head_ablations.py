"""The FastRM paper's ablations (v1 figure 6), and others, on the embedded model's head.

    python -m patchlight.measure.head_ablations --samples FOLDER --held-out FOLDER --scenes FOLDER --work FOLDER \
        --out public/models/patchlight-scenes/report

Each ablation varies one option of the paper's recipe: the labelling threshold, the number of tokens to train on, the
number of steps, the loss. Every variant is judged alike, whatever it was trained on: against patches with at least 0.3
of Chefer's maximum, on the odd-numbered held-out scenes, at the classification threshold with the best F1 on the even-
numbered ones. Intervals come from resampled scenes; they leave out that another seed would give another head.

Heads, and the scores of their maps, are kept in the work folder under a digest of all that they depend on: options,
samples, model and held-out samples. An interrupted command resumes, within a training too; changed options or samples
are computed anew.
"""

import argparse
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from ..bootstrap import Bootstrap, Estimate, Ratio
from ..embedded.build_size import FULL
from ..embedded.held_out import HeldOut, read_held_out
from ..embedded.perturbation import SHARES, Perturbation, perturbation_area
from ..embedded.training.model import load_model
from ..embedded.world.pool import ScenePool
from ..head.fastrm import FACTS_FILE, FastRM, HeadFacts
from ..head.labels import TEACHERS
from ..head.losses import Loss
from ..head.map_scores import peak_hits, rank_correlation
from ..head.predictions import predict
from ..head.sample_store import HeadSamples
from ..head.scores import STEPS, best_threshold, count, curve_of
from ..head.training import HeadConfig, split_tokens, train_head
from ..head.whole_files import write_json
from ..head.work_folder import locked, read_manifest
from ..models.model_files import folder_revision
from ..report import figure, write_report

JUDGED_AT = 0.3
"""Labelling threshold that all variants are judged by."""
RANDOM_ORDERS = 5
CHEFER, RANDOM = "exact Chefer", "random order"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is varied, and from which recipe."""

    base: HeadConfig
    """The paper's recipe."""
    thresholds: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
    """Labelling thresholds."""
    tokens: tuple[int, ...] = (500, 5_000, 50_000, 100_000)
    """Numbers of tokens to train on; those that the samples do not reach are replaced by all of them."""
    steps: tuple[int, ...] = (500, 1_750, 3_500, 7_000)
    """Training steps."""
    bce_weights: tuple[float, ...] = (0.3, 3.0)
    """Further weights of the cross-entropy in `bce+kl`."""
    perturbed: int = 256
    """Number of held-out tokens whose patches are barred."""


_PAPER = FULL.heads["fastrm-paper"]
FULL_PLAN = Plan(base=_PAPER)
SMOKE_PLAN = Plan(
    base=replace(_PAPER, steps=6, batch=8),
    thresholds=(0.3, 0.5),
    tokens=(4, 1_000_000),
    steps=(3, 6),
    bce_weights=(3.0,),
    perturbed=3,
)


class Variant(NamedTuple):
    """One row of an ablation: the value of the varied option as text, and the recipe."""

    label: str
    config: HeadConfig


def variants_of(plan: Plan, available: int, *, has_attention: bool = False) -> dict[str, list[Variant]]:
    """Return the variants of each ablation, with the paper's recipe among them.

    available: tokens to train on. has_attention: whether the samples have attention rows, which FastRM+ reads.
    """
    base = plan.base
    used = min(available, base.samples or available)
    thresholds = sorted({*plan.thresholds, base.labelling_threshold})
    tokens = sorted({*(size for size in plan.tokens if size < available), used, available})
    steps = sorted({*plan.steps, base.steps})
    variants = {
        "labelling threshold": [Variant(f"{at:g}", replace(base, labelling_threshold=at)) for at in thresholds],
        "tokens to train on": [
            Variant(_size_name(size, available), replace(base, samples=base.samples if size == used else size))
            for size in tokens
        ],
        "training steps": [Variant(f"{number:,}", replace(base, steps=number)) for number in steps],
        "loss": _losses(base, plan.bce_weights),
    }
    if has_attention:
        features = {"last states": "states", "last states, attention": "attention"}
        variants["features"] = [Variant(label, replace(base, features=read)) for label, read in features.items()]
    return variants


def _losses(base: HeadConfig, weights: tuple[float, ...]) -> list[Variant]:
    """Return the losses against maps, and `bce+kl` with other weights of the cross-entropy."""
    losses: tuple[Loss, ...] = ("bce", "bce+kl", "kl")
    both = replace(base, loss="bce+kl")
    weighted = [Variant(f"bce+kl, bce × {weight:g}", replace(both, bce_weight=weight)) for weight in weights]
    return [*(Variant(loss, replace(base, loss=loss)) for loss in losses), *weighted]


def _size_name(size: int, available: int) -> str:
    return f"all {size:,}" if size == available else f"{size:,}"


class Judge:
    """Scores maps of the held-out tokens: against the teacher, the objects, and the model's own probabilities."""

    def __init__(self, held: HeldOut, perturbation: Callable[[torch.Tensor], Perturbation], perturbed: int):
        """perturbation: makes the perturbation of some token rows. perturbed: how many are drawn."""
        self.held = held
        self._reported = torch.from_numpy(held.scenes % 2 == 1)
        odd = self._reported.nonzero()[:, 0]
        drawn = torch.randperm(len(odd), generator=torch.Generator().manual_seed(0))[:perturbed]
        self._perturbed = odd[drawn.sort().values]
        self._perturbation = perturbation(held.rows[self._perturbed])
        self._scenes = Bootstrap(held.scenes[self._reported.numpy()])
        self._perturbed_scenes = Bootstrap(held.scenes[self._perturbed.numpy()])

    def score(self, maps: torch.Tensor) -> dict[str, Any]:
        """Score maps `[n, 576]` of all held-out tokens. Returns the classification threshold, and per reported token,
        counts at it, correlation and hits.
        """
        held, reported = self.held, self._reported
        chosen_on, counts = (count(maps[part], held.relevancy[part], JUDGED_AT) for part in (~reported, reported))
        threshold = best_threshold(curve_of(chosen_on))
        at = round(threshold * (STEPS - 1))
        columns = {
            "truePositive": counts.true_positive[:, at],
            "falsePositive": counts.false_positive[:, at],
            "positive": counts.positive,
            "spearman": rank_correlation(maps[reported], held.relevancy[reported]),
            "onObject": peak_hits(maps[reported], held.objects[reported]),
        }
        return {"threshold": threshold, **{name: column.tolist() for name, column in columns.items()}}

    def perturb(self, maps: torch.Tensor, *, seed: int = 0) -> list[list[float]]:
        """Return the probabilities of the drawn tokens, at each share of barred patches. maps `[n, 576]`."""
        return self._perturbation.probabilities(maps[self._perturbed], seed=seed).tolist()

    def random_order(self) -> list[list[float]]:
        """Return the probabilities for patches barred in random order, a mean over `RANDOM_ORDERS` orders."""
        equal = torch.zeros(len(self._perturbed), self.held.relevancy.shape[1])
        orders = [self._perturbation.probabilities(equal, seed=seed + 1) for seed in range(RANDOM_ORDERS)]
        return np.mean(orders, axis=0).tolist()

    def estimates(self, scores: Mapping[str, Any]) -> dict[str, Estimate]:
        """Estimate F1, Spearman and pointing game from what `score` returns."""
        columns = {name: np.array(column) for name, column in scores.items() if isinstance(column, list)}
        tp = columns["truePositive"]
        of_found = self.held.found[self._reported].numpy()
        return {
            "f1": self._scenes.estimate(Ratio(2 * tp, tp + columns["falsePositive"] + columns["positive"])),
            "spearman": self._scenes.estimate(Ratio.mean(columns["spearman"])),
            "pointing": self._scenes.estimate(Ratio.mean(columns["onObject"]), of_found),
        }

    def area(self, probabilities: list[list[float]]) -> Estimate:
        """Estimate the mean area under the probabilities."""
        return self._perturbed_scenes.estimate(Ratio.mean(perturbation_area(np.array(probabilities))))

    def unbarred(self, probabilities: list[list[float]]) -> Estimate:
        """Estimate the mean probability with no patch barred."""
        return self._perturbed_scenes.estimate(Ratio.mean(np.array(probabilities)[:, 0]))

    def sizes(self) -> dict[str, int]:
        """Return the numbers of tokens by what they are used for."""
        return {
            "tokens that choose the classification thresholds": int((~self._reported).sum()),
            "tokens judged": int(self._reported.sum()),
            "tokens judged by the pointing game": int(self.held.found[self._reported].sum()),
            "tokens whose patches are barred": len(self._perturbed),
        }


class Kept:
    """Results in the work folder, each under a digest of what it depends on."""

    def __init__(self, work: Path, facts: Mapping[str, object]):
        """facts: what every result depends on."""
        self._work, self._facts = work, dict(facts)

    def get(self, name: str, depends_on: Mapping[str, object], compute: Callable[[], Any]) -> Any:
        """Read a result, or compute and write it. The file also holds what it depends on."""
        facts = {"result": name, **self._facts, **depends_on}
        path = self._work / f"{name.replace(' ', '-')}-{digest(facts)}.json"
        if path.exists():
            return json.loads(path.read_text())["result"]
        path.parent.mkdir(parents=True, exist_ok=True)
        result = compute()
        write_json(path, {"dependsOn": facts, "result": result})
        return result


def digest(facts: Mapping[str, object]) -> str:
    """Return 16 hex digits that stand for the facts."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def trained(samples: Path, fingerprint: str, config: HeadConfig, heads: Path) -> FastRM:
    """Train a head with these options, or read it if it is finished. Its folder has options, samples and curve.

    Raises TrainingFailed if its numbers are not finite.
    """
    folder = heads / digest({**asdict(config), "samples (SHA-256)": fingerprint})
    if (folder / FACTS_FILE).exists():
        return FastRM.from_pretrained(folder, attention=True)
    store = HeadSamples(samples, attention=config.features == "attention")
    manifest = read_manifest(samples)
    facts = HeadFacts(
        hidden_size=store.hidden_size,
        stage=manifest["stage"],
        teacher=store.teacher or TEACHERS["chefer"],
        labelling_threshold=config.labelling_threshold,
        model="patchlight-scenes",
        model_revision=manifest["modelRevision"],
    )
    return train_head(store, folder, facts, config, keep_failed=True).head


def ablate(plan: Plan, model: Path, samples: Path, held_out: Path, scenes: Path, work: Path) -> dict[str, Any]:
    """Train and judge every variant, unless that is done, and return the report's content: figures, tables and
    ablations.

    Raises ValueError if the samples are of another model, and TrainingFailed if a head's numbers are not finite.
    """
    manifests = {name: read_manifest(folder) for name, folder in (("samples", samples), ("held-out", held_out))}
    revision = folder_revision(model)
    for name, manifest in manifests.items():
        if manifest["modelRevision"] != revision:
            raise ValueError(
                f"the {name} are those of the model {manifest['modelRevision']}, {model} is {revision}: use the same"
            )
    store = HeadSamples(samples, hold=False, attention=True)
    fingerprint, available = store.fingerprint(), len(split_tokens(store, replace(plan.base, samples=None)).training)
    of_held_out = manifests["held-out"]
    pool = ScenePool(scenes, of_held_out["split"], of_held_out["first_scene"] + of_held_out["scenes"])
    held = read_held_out(held_out, pool)
    language = load_model(model)
    judge = Judge(held, lambda rows: Perturbation(language, held_out, pool, rows), plan.perturbed)
    # What the scores of any maps depend on.
    kept = Kept(
        work / "scores",
        {
            "heldOut": held.samples.fingerprint(),
            "model": revision,
            "judgedAt": JUDGED_AT,
            "perturbed": plan.perturbed,
            "shares": SHARES,
        },
    )
    chefer = kept.get(CHEFER, {}, lambda: judge.perturb(held.relevancy))
    random = kept.get(RANDOM, {"orders": RANDOM_ORDERS}, judge.random_order)
    references = {CHEFER: judge.area(chefer), RANDOM: judge.area(random)}

    def scored(config: HeadConfig) -> dict[str, Any]:
        head = trained(samples, fingerprint, config, work / "heads")
        maps = predict(head, held.samples, held.rows)
        return {**judge.score(maps), "probabilities": judge.perturb(maps)}

    ablations = []
    for name, variants in variants_of(plan, available, has_attention="attention" in store.columns).items():
        rows = []
        for label, config in variants:
            print(f"{name}: {label}", flush=True)
            depends_on = {"options": asdict(config), "samples": fingerprint}
            scores = kept.get("head", depends_on, lambda config=config: scored(config))
            probabilities = scores.pop("probabilities")
            area = judge.area(probabilities)
            rows.append(
                {
                    "label": label,
                    "isPaper": config == plan.base,
                    "tokens": min(available, config.samples or available),
                    "steps": config.steps,
                    "threshold": scores["threshold"],
                    **{key: estimate.rounded() for key, estimate in judge.estimates(scores).items()},
                    "area": area.rounded(),
                    "areaOverRandom": area.minus(references[RANDOM]).rounded(),
                    "areaOverChefer": area.minus(references[CHEFER]).rounded(),
                }
            )
        ablations.append({"name": name, "rows": rows})
    return {
        "figures": [
            *(figure(label, size) for label, size in {"tokens to train on": available, **judge.sizes()}.items()),
            _estimated("probability of a token with no patch barred", judge.unbarred(chefer)),
            *(_estimated(f"perturbation area, {name}", area) for name, area in references.items()),
        ],
        "tables": [_table(ablation) for ablation in ablations],
        "ablations": ablations,
        "references": {name: area.rounded() for name, area in references.items()},
    }


def _estimated(label: str, estimate: Estimate) -> dict[str, object]:
    return figure(label, estimate.value, interval=estimate.interval)


def _table(ablation: Mapping[str, Any]) -> dict[str, Any]:
    """Return an ablation as a table for documents."""
    measures = {
        "f1": "F1",
        "spearman": "Spearman",
        "pointing": "pointing game, words not in the question",
        "area": f"perturbation area, first {SHARES[-1]:.0%} of the patches".replace("%", " %"),
        "areaOverRandom": "area minus that of random order",
        "areaOverChefer": "area minus that of exact Chefer",
    }
    return {
        "title": f"Ablation of the {ablation['name']}",
        "columns": [ablation["name"], "classification threshold", *measures.values()],
        "rows": [
            [
                f"{row['label']} (the paper's)" if row["isPaper"] else row["label"],
                f"{row['threshold']:.2f}",
                *(_shown(row[key]) for key in measures),
            ]
            for row in ablation["rows"]
        ],
    }


def _shown(triple: list[float] | None) -> str:
    return "" if triple is None else f"{triple[0]:.3f} ({triple[1]:.3f} to {triple[2]:.3f})"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Vary the recipe of the embedded model's head, one option at a time.")
    parser.add_argument("--model", type=Path, default=Path("models/patchlight-scenes"), help="the embedded model")
    parser.add_argument("--samples", type=Path, required=True, help="folder of samples to train on")
    parser.add_argument("--held-out", type=Path, required=True, help="folder of samples to judge on")
    parser.add_argument("--scenes", type=Path, required=True, help="folder of rendered scenes")
    parser.add_argument("--work", type=Path, required=True, help="folder for heads and scores")
    parser.add_argument("--out", type=Path, required=True, help="folder for the report")
    parser.add_argument(
        "--perturbed",
        type=int,
        help=f"held-out tokens whose patches are barred (default: {FULL_PLAN.perturbed})",
    )
    parser.add_argument("--smoke", action="store_true", help="run the same code with a few steps")
    args = parser.parse_args(arguments)
    plan = SMOKE_PLAN if args.smoke else FULL_PLAN
    if args.perturbed is not None:
        plan = replace(plan, perturbed=args.perturbed)
    torch.set_num_threads(1)
    with locked(args.work):
        content = ablate(plan, args.model, args.samples, args.held_out, args.scenes, args.work)
    folders = "--samples FOLDER --held-out FOLDER --scenes FOLDER --work FOLDER"
    options = f"--perturbed {plan.perturbed} --out public/models/patchlight-scenes/report"
    write_report(
        args.out,
        "ablations",
        "Ablations of the FastRM head on held-out answers",
        f"python -m patchlight.measure.head_ablations {folders} {options}",
        content.pop("figures"),
        **content,
    )


if __name__ == "__main__":
    main()
