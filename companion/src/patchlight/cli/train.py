"""`patchlight train`: trains a FastRM head on collected samples. Heavy packages are imported when the command runs."""

import argparse
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from .data_arguments import add_loss


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the `train` command. The parsed arguments contain `run`, which runs the command."""
    parser = subparsers.add_parser(
        "train",
        help="train a head on collected samples",
        description="Train a FastRM head on samples from `patchlight collect`.",
        epilog="The defaults are the FastRM paper's recipe. To resume from the last checkpoint after a stop or a "
        "crash, run the same command again. A head that is no better than a constant map is not written, and the "
        "command fails.",
    )

    def add(name: str, description: str, **options: Any) -> None:
        parser.add_argument(name, help=f"{description} (default: %(default)s)", **options)

    parser.add_argument("--samples", type=Path, required=True, help="folder that `patchlight collect` wrote")
    parser.add_argument("--out", type=Path, required=True, help="folder for the head and its learning curve")
    add("--steps", "training steps", type=int, default=3500)
    add("--batch", "tokens per step", type=int, default=128)
    add("--learning-rate", "the default suits d = 4096; narrower models need more", type=float, default=2e-5)
    add(
        "--schedule",
        "learning rate schedule; cosine decays to 1/50",
        choices=("constant", "cosine"),
        default="constant",
    )
    add_loss(parser, "bce")
    parser.add_argument("--rank", type=int, help="make a smaller head of this rank (default: the hidden size)")
    add("--labelling-threshold", "share of a map's maximum that makes a patch relevant", type=float, default=0.3)
    parser.add_argument(
        "--classification-threshold",
        type=float,
        help="threshold to store with the head (default: the one with the best F1 on held-out tokens)",
    )
    parser.add_argument("--tokens", type=int, help="number of tokens to train on, drawn at random (default: all)")
    add("--validation-share", "share of the questions to hold out", type=float, default=0.04)
    add("--seed", "seed of initial weights, batches and --tokens", type=int, default=5)
    add("--checkpoint-steps", "steps between checkpoints", type=int, default=500)
    add("--device", "auto, cpu, mps, cuda, or one GPU such as cuda:1", default="auto")
    add("--name", "name of the head", default="fastrm")
    parser.add_argument("--overwrite", action="store_true", help="replace a finished head in --out")
    parser.add_argument(
        "--allow-missing", action="store_true", help="train although some shards of the samples are missing"
    )
    parser.add_argument(
        "--keep-failed",
        action="store_true",
        help="write the head even if it is no better than a constant map; its report says so",
    )
    parser.set_defaults(run=run, extra="train")


def run(arguments: argparse.Namespace) -> None:
    import torch

    from ..head.fastrm import HeadFacts
    from ..head.sample_store import HeadSamples, has_prompts, left_out
    from ..head.shards import Rank
    from ..head.training import HeadConfig, train_head
    from ..head.work_folder import MANIFEST_FILE, read_manifest

    rank = Rank.of(os.environ)
    if rank.ranks > 1:
        raise ValueError(f"started with {rank.ranks} processes: train the head in one, without torchrun or accelerate")
    manifest = read_manifest(arguments.samples)
    for name in ("hiddenSize", "stage", "teacher", "model", "modelRevision", "samples", "shardSamples"):
        if name not in manifest:
            place = arguments.samples / MANIFEST_FILE
            raise ValueError(f"{place} has no {name}: pass a folder that `patchlight collect` wrote")
    config = HeadConfig(
        steps=arguments.steps,
        batch=arguments.batch,
        learning_rate=arguments.learning_rate,
        schedule=arguments.schedule,
        loss=arguments.loss or "bce",
        bce_weight=arguments.bce_weight,
        rank=arguments.rank,
        labelling_threshold=arguments.labelling_threshold,
        samples=arguments.tokens,
        validation_share=arguments.validation_share,
        seed=arguments.seed,
        checkpoint_steps=arguments.checkpoint_steps,
    )
    facts = HeadFacts(
        hidden_size=manifest["hiddenSize"],
        stage=manifest["stage"],
        teacher=manifest["teacher"],
        labelling_threshold=config.labelling_threshold,
        classification_threshold=0.4
        if arguments.classification_threshold is None
        else arguments.classification_threshold,
        model=manifest["model"],
        model_revision=manifest["modelRevision"],
        model_weights=manifest.get("modelWeights"),
        label_precision=manifest.get("labelPrecision", manifest.get("dtype")),
        name=arguments.name,
    )
    device = arguments.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    samples = HeadSamples(arguments.samples, allow_missing=arguments.allow_missing)
    if samples.teacher not in (None, manifest["teacher"]):
        raise ValueError(
            f"the shards in {arguments.samples} are by {samples.teacher}, its {MANIFEST_FILE} says {manifest['teacher']}: "
            "collect the samples again in another folder"
        )
    if arguments.loss is None and samples.has_masks:
        config = replace(config, loss="pearson")
    if samples.missing:
        print(f"training without {len(samples.missing)} missing shards: {', '.join(samples.missing)}")
    for reason, tokens in left_out(samples).items():
        if tokens:
            print(f"leaving out {tokens} of {len(samples)} tokens: {reason}")

    def open_text() -> HeadSamples:
        return HeadSamples(arguments.samples, output="text", allow_missing=arguments.allow_missing)

    has_text = has_prompts(arguments.samples) and not samples.has_masks
    if samples.has_masks:
        print("training without a text output: ablation bars patches only, so it has no labels for the prompt's words")
    elif not has_text:
        print("training without a text output: these samples have no prompts, which an earlier version did not collect")
    head, verdict, text = train_head(
        samples,
        arguments.out,
        facts,
        config,
        open_text=open_text if has_text else None,
        device=device,
        choose_threshold=arguments.classification_threshold is None,
        overwrite=arguments.overwrite,
        keep_failed=arguments.keep_failed,
    )
    print(verdict.reason)
    if verdict.status == "failed":
        print("warning: this head is no better than a constant map; it is written because of --keep-failed")
    if text is not None:
        print(text.verdict.reason)
        if text.head is None:
            print("warning: the head is written without its text output, which would weigh the prompt's words")
    print(
        f"trained {head.facts.name} for {head.facts.model}, classification threshold "
        f"{head.facts.classification_threshold}: {arguments.out}"
    )
