"""`patchlight collect`: collects samples to train a head on. Heavy packages are imported when the command runs."""

import argparse
import os
from pathlib import Path

from .data_arguments import (
    add_data_arguments,
    add_model_arguments,
    add_teacher,
    answer_options,
    data_options,
    model_options,
)

EPILOG = """To resume after a stop or a crash, run the same command again. To use several GPUs, start it with
`torchrun --nproc_per_node 4 -m patchlight collect ...` or `accelerate launch`; the processes share the shards."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the `collect` command. The parsed arguments contain `run`, which runs the command."""
    parser = subparsers.add_parser(
        "collect",
        help="collect training samples for a head",
        description="Answer the questions of a dataset with a model and label every answer token.",
        epilog=EPILOG,
    )
    add_model_arguments(parser)
    add_data_arguments(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder for the samples; finished shards are kept")
    add_teacher(
        parser,
        "what labels the tokens: exact Chefer relevancy, incremental Chefer relevancy (which the paper most likely used), "
        "raw attention, or ablation of image regions (default: %(default)s)",
        default="chefer",
    )
    parser.add_argument("--shard-samples", type=int, default=32, help="questions per shard (default: %(default)s)")
    parser.add_argument(
        "--skip-bad", action="store_true", help="skip samples that cannot be read or explained (default: stop)"
    )
    parser.set_defaults(run=run, extra="train")


def run(arguments: argparse.Namespace) -> None:
    from ..head.collection import CollectOptions, collect_samples
    from ..head.sample_store import shard_questions
    from ..head.shards import Rank

    rank = Rank.of(os.environ)
    options = CollectOptions(
        model=model_options(arguments, rank),
        data=data_options(arguments),
        answers=answer_options(arguments),
        shard_samples=arguments.shard_samples,
        skip_bad=arguments.skip_bad,
    )
    tokens = collect_samples(options, arguments.out, rank)
    shards = sorted(arguments.out.glob("[0-9]*.safetensors"))
    skipped = [entry for shard in shards for entry in shard_questions(shard) if "skipped" in entry]
    print(f"labelled {tokens} tokens; {arguments.out} now has {len(shards)} shards")
    if skipped:
        print(f"{len(skipped)} samples were skipped; the first, {skipped[0]['id']}: {skipped[0]['skipped']}")
