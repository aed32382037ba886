"""`patchlight evaluate`: a head on a data set. Heavy imports wait until the command runs."""

import argparse
import os
from pathlib import Path

from .data_arguments import add_data_arguments, add_model_arguments, answer_options, data_options, model_options

EPILOG = """Writes table.parquet (a row a sample and token), calibration.arrow (a row an answer, for
`patchlight serve --calibration`), summary.json and summary.md. Stopped or killed, it goes on
where it was; under torchrun or accelerate the processes share the work."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Put `evaluate` among the commands; `run(arguments)` does it."""
    parser = subparsers.add_parser("evaluate", help="measure a head on a data set", epilog=EPILOG)
    add_model_arguments(parser)
    add_data_arguments(parser)
    parser.add_argument("--head", type=Path, required=True, help="folder that `patchlight train` wrote")
    parser.add_argument("--out", type=Path, required=True, help="folder of the table; finished parts are kept")
    parser.add_argument(
        "--method",
        choices=("exact", "incremental", "none"),
        help="relevancy to compare with (default: what the head was trained on); none is far faster",
    )
    parser.add_argument(
        "--beside", type=Path, nargs="+", default=[], help="finished evaluations to show beside this one"
    )
    parser.add_argument("--shard-samples", type=int, default=32, help="questions of one part (default: %(default)s)")
    parser.add_argument("--skip-bad", action="store_true", help="pass over samples that cannot be read or explained")
    parser.set_defaults(run=run, extra="train")


def run(arguments: argparse.Namespace) -> None:
    from ..evaluation.evaluate import EvaluateOptions, differs_from_training, evaluate_head, read_summary
    from ..evaluation.summary import table_of
    from ..head.fastrm import FastRM
    from ..head.labels import TEACHERS
    from ..head.shards import Rank
    from ..models.loading import load

    beside = [read_summary(folder) for folder in arguments.beside]
    facts = FastRM.from_pretrained(arguments.head).facts
    if arguments.method is None:
        methods = [method for method, teacher in TEACHERS.items() if teacher == facts.teacher]
        if not methods:
            raise ValueError(f"the head's teacher is {facts.teacher!r}: say by --method what to compare it with")
        arguments.method = methods[0]
    rank = Rank.of(os.environ)
    options = EvaluateOptions(
        model=model_options(arguments, rank),
        head=arguments.head,
        data=data_options(arguments),
        answers=answer_options(arguments),
        shard_samples=arguments.shard_samples,
        skip_bad=arguments.skip_bad,
    )
    loaded = load(options.model)
    if warning := differs_from_training(options, loaded):
        print(f"note: {warning}")
    summary = evaluate_head(options, arguments.out, rank, loaded=loaded)
    if summary is None:
        print(f"this process is done; the last one to finish writes the table in {arguments.out}")
        return
    shown = table_of([*beside, summary], facts.name)
    (arguments.out / "summary.md").write_text(shown)
    print(shown, end="")
