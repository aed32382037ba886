"""`patchlight train`: a FastRM head from collected samples. Heavy imports wait until the command runs."""

import argparse
import os
from pathlib import Path


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Put `train` among the commands; `run(arguments)` does it."""
    parser = subparsers.add_parser(
        "train",
        help="train a head on collected samples",
        epilog="The defaults are the FastRM paper's recipe. Stopped or killed, it goes on from its last checkpoint.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--samples", type=Path, required=True, help="folder that `patchlight collect` filled")
    parser.add_argument("--out", type=Path, required=True, help="folder of the head, its facts and its curve")
    parser.add_argument("--steps", type=int, default=3500)
    parser.add_argument("--batch", type=int, default=128, help="tokens a step")
    parser.add_argument("--learning-rate", type=float, default=2e-5, help="for d = 4096; narrower models want more")
    parser.add_argument("--schedule", choices=("constant", "cosine"), default="constant")
    parser.add_argument("--labelling-threshold", type=float, default=0.3, help="share of a map's maximum")
    parser.add_argument("--classification-threshold", type=float, help="best F1 on held-out tokens where not given")
    parser.add_argument("--tokens", type=int, help="tokens to learn from; all where not given")
    parser.add_argument("--validation-share", type=float, default=0.04, help="of the questions, held out")
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--checkpoint-steps", type=int, default=500)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1")
    parser.add_argument("--name", default="fastrm", help="of the head")
    parser.set_defaults(run=run, extra="train")


def run(arguments: argparse.Namespace) -> None:
    import torch

    from ..head.fastrm import HeadFacts
    from ..head.shards import MANIFEST_FILE, Rank, read_manifest
    from ..head.training import HeadConfig, train_head

    rank = Rank.of(os.environ)
    if rank.ranks > 1:
        raise ValueError(f"{rank.ranks} processes: a head is small, and one process trains it")
    manifest = read_manifest(arguments.samples)
    for name in ("hiddenSize", "stage", "teacher", "model", "modelRevision"):
        if name not in manifest:
            place = arguments.samples / MANIFEST_FILE
            raise ValueError(f"{place} does not say the {name}: was this folder filled by `patchlight collect`?")
    config = HeadConfig(
        steps=arguments.steps,
        batch=arguments.batch,
        learning_rate=arguments.learning_rate,
        schedule=arguments.schedule,
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
        classification_threshold=arguments.classification_threshold or 0.4,
        model=manifest["model"],
        model_revision=manifest["modelRevision"],
        name=arguments.name,
    )
    device = arguments.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    head = train_head(
        arguments.samples,
        arguments.out,
        facts,
        config,
        device=device,
        choose_threshold=arguments.classification_threshold is None,
    )
    print(f"{head.facts.name} for {head.facts.model}, read at {head.facts.classification_threshold}: {arguments.out}")
