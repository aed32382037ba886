"""Compares ways to train a head, on the embedded model's labels: losses, ranks, and tokens of one picture per step.

    python -m patchlight.measure.head_trial --work FOLDER --scenes 192 --held-out 64 --steps 2000 --seeds 1

Renders scenes, and labels the embedded model's answers about them with exact Chefer in float32. Each variant is trained
on the same samples with several seeds, and judged on held-out scenes by F1 at its best threshold, pointing (the share
of tokens whose highest patch the teacher labels relevant) and Spearman's correlation with the teacher. For words that
the model found in the image, the object is known: the share of tokens whose highest patch lies on it is the pointing
game of docs/figures.md. Figures are means over the seeds; a finished seed is not trained again.
"""

import argparse
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from ..bootstrap import Bootstrap, Estimate, Ratio
from ..embedded.collect import CollectConfig, collect
from ..embedded.held_out import HeldOut, read_held_out
from ..embedded.world.pool import ScenePool
from ..head.fastrm import FastRM, HeadFacts
from ..head.losses import Loss
from ..head.map_scores import peak_hits, rank_correlation
from ..head.predictions import predict
from ..head.sample_store import HeadSamples, token_rows
from ..head.scores import count, curve_of, labels_of
from ..head.training import HeadConfig, train_head
from ..head.whole_files import write_json
from ..report import figure, write_report

THRESHOLD = 0.3


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One way to train a head."""

    loss: Loss = "bce"
    """What the head minimises."""
    rank: int | None = None
    """Width of query and key; None for d."""
    picture_tokens: int = 16
    """Most tokens of one picture per step."""

    @property
    def name(self) -> str:
        rank = "" if self.rank is None else f", rank {self.rank}"
        tokens = "" if self.picture_tokens == 16 else f", {self.picture_tokens} tokens of a picture"
        return f"{self.loss}{rank}{tokens}".replace("1 tokens", "1 token")


VARIANTS = (
    Variant(),
    Variant(loss="bce+kl"),
    Variant(loss="kl"),
    Variant(picture_tokens=1),
    Variant(loss="bce+kl", rank=96),
    Variant(loss="bce+kl", rank=48),
    Variant(loss="bce+kl", rank=12),
)


def make_samples(model: Path, work: Path, *, scenes: int, held_out: int, workers: int = 2) -> None:
    """Render the scenes, and collect samples about them in `samples` and `held-out`, unless that is done."""
    for split, count_, folder, seed in (("train", scenes, "samples", 11), ("test", held_out, "held-out", 12)):
        ScenePool(work / "scenes", split, count_).fill(workers=workers)
        config = CollectConfig(split, 0, count_, seed=seed, autocast=False)
        collect(model, work / "scenes", work / folder, config, workers=workers)


def score(head: FastRM, judged: HeldOut) -> dict[str, list[float]]:
    """Return per token: true positives and false positives at the best threshold, positives, hits and correlation."""
    maps = predict(head, judged.samples, judged.rows)
    counts = count(maps, judged.relevancy, THRESHOLD)
    best = 1 + int(curve_of(counts).f1[1:].argmax())
    columns = {
        "truePositive": counts.true_positive[:, best],
        "falsePositive": counts.false_positive[:, best],
        "positive": counts.positive,
        "pointing": peak_hits(maps, labels_of(judged.relevancy, THRESHOLD).bool()),
        "onObject": peak_hits(maps, judged.objects),
        "spearman": rank_correlation(maps, judged.relevancy),
    }
    return {name: column.double().tolist() for name, column in columns.items()}


def train_variant(variant: Variant, samples: HeadSamples, judged: HeldOut, work: Path, seed: int, steps: int) -> None:
    """Train and judge one variant with one seed, unless that is done."""
    folder = work / f"{variant.name.replace(' ', '-').replace(',', '')}-{seed}"
    if (folder / "scores.json").exists():
        return
    config = HeadConfig(
        steps=steps,
        learning_rate=2e-3,
        schedule="cosine",
        seed=seed,
        loss=variant.loss,
        rank=variant.rank,
        picture_tokens=variant.picture_tokens,
    )
    facts = HeadFacts(
        hidden_size=samples.hidden_size,
        stage="post_norm",
        teacher=samples.teacher or "trial",
        model="trial",
        model_revision="0",
    )
    head, *_ = train_head(samples, folder / "head", facts, config, overwrite=True, keep_failed=True)
    write_json(folder / "scores.json", {**asdict(variant), "scores": score(head, judged)})


def estimates(work: Path, judged: HeldOut) -> dict[str, dict[str, Estimate]]:
    """Estimate each figure of each variant, as a mean over the seeds, with intervals from resampled scenes."""
    found: dict[str, list[dict[str, np.ndarray]]] = {}
    for path in sorted(work.glob("*/scores.json")):
        content = json.loads(path.read_text())
        scores = {name: np.array(values) for name, values in content.pop("scores").items()}
        found.setdefault(Variant(**content).name, []).append(scores)
    result = {}
    for name, seeds in found.items():
        mean = {column: np.mean([scores[column] for scores in seeds], axis=0) for column in seeds[0]}
        result[name] = estimates_of(mean, judged)
    return result


def estimates_of(scores: Mapping[str, np.ndarray], judged: HeldOut) -> dict[str, Estimate]:
    """Estimate each figure from what `score` returns, with intervals from resampled scenes."""
    bootstrap = Bootstrap(judged.scenes)
    under = scores["truePositive"] + scores["falsePositive"] + scores["positive"]
    return {
        "F1": bootstrap.estimate(Ratio(2 * scores["truePositive"], under)),
        "pointing": bootstrap.estimate(Ratio.mean(scores["pointing"])),
        "Spearman": bootstrap.estimate(Ratio.mean(scores["spearman"])),
        "pointing game, words not in the question": bootstrap.estimate(
            Ratio.mean(scores["onObject"]), judged.found.numpy()
        ),
    }


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Compare ways to train a head on the embedded model's labels.")
    parser.add_argument("--model", type=Path, default=Path("models/patchlight-scenes"), help="the embedded model")
    parser.add_argument("--work", type=Path, required=True, help="folder for scenes, samples, heads and scores")
    parser.add_argument("--scenes", type=int, default=192, help="scenes to train on (default: %(default)s)")
    parser.add_argument("--held-out", type=int, default=64, help="scenes to judge on (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=2, help="heads per variant (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=3500, help="training steps (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="folder for the report")
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)
    make_samples(args.model, args.work, scenes=args.scenes, held_out=args.held_out)
    samples = HeadSamples(args.work / "samples")
    judged = read_held_out(args.work / "held-out", ScenePool(args.work / "scenes", "test", args.held_out))
    for seed in range(args.seeds):
        for variant in VARIANTS:
            train_variant(variant, samples, judged, args.work, seed, args.steps)
    figures = [
        figure("scenes trained on", len(samples.columns["scene"].unique())),
        figure("tokens trained on", len(token_rows(samples))),
        figure("tokens judged", len(judged.rows)),
        figure("steps", args.steps),
        figure("seeds", args.seeds),
    ]
    for name, row in estimates(args.work, judged).items():
        figures += [figure(f"{name}: {label}", value.value, interval=value.interval) for label, value in row.items()]
    for row in figures:
        print(f"{row['label']}: {row['value']} {row.get('interval', '')}")
    if args.out:
        amount = f"--scenes {args.scenes} --held-out {args.held_out} --steps {args.steps} --seeds {args.seeds}"
        command = f"python -m patchlight.measure.head_trial --work FOLDER {amount} --out bench/report"
        write_report(args.out, "head-trial", "Ways to train a head, on the embedded model's labels", command, figures)


if __name__ == "__main__":
    main()
