"""`patchlight collect`: samples to train a head on. Heavy imports wait until the command runs."""

import argparse
import os
from pathlib import Path

from .data_arguments import add_data_arguments, add_model_arguments, answer_options, data_options, model_options

EPILOG = """Stopped or killed, it goes on where it was when it is started again with the same options. Under
`torchrun --nproc_per_node 4 -m patchlight collect ...` or `accelerate launch` each process does every fourth shard."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Put `collect` among the commands; `run(arguments)` does it."""
    parser = subparsers.add_parser("collect", help="answer a data set and label each token for a head", epilog=EPILOG)
    add_model_arguments(parser)
    add_data_arguments(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder of the shards; finished ones are kept")
    parser.add_argument(
        "--method",
        default="exact",
        choices=("exact", "incremental"),
        help="Chefer relevancy to learn from; the paper's was most likely the incremental one (default: %(default)s)",
    )
    parser.add_argument("--shard-samples", type=int, default=32, help="questions of one file (default: %(default)s)")
    parser.add_argument("--skip-bad", action="store_true", help="pass over samples that cannot be read or explained")
    parser.set_defaults(run=run, extra="train")


def run(arguments: argparse.Namespace) -> None:
    from ..head.collection import CollectOptions, collect_samples
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
    done = len(list(arguments.out.glob("[0-9]*.safetensors")))
    print(f"{tokens} tokens explained now; {done} shards in {arguments.out}")
