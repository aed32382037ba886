"""`patchlight evaluate`: evaluates a head on a dataset. Heavy packages are imported when the command runs."""

import argparse
import os
from pathlib import Path

from .data_arguments import (
    add_data_arguments,
    add_force_head,
    add_model_arguments,
    add_teacher,
    answer_options,
    data_options,
    model_options,
)

EPILOG = """Writes table.parquet (one row per answer token), calibration.arrow (one row per answer, for
`patchlight serve --calibration`), summary.json and summary.md. To resume after a stop or a crash, run the
same command again. To use several GPUs, start it with torchrun or `accelerate launch`."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the `evaluate` command. The parsed arguments contain `run`, which runs the command."""
    parser = subparsers.add_parser(
        "evaluate",
        help="evaluate a head on a dataset and make a calibration",
        description="Answer the questions of a dataset and compare the head's maps with those of its teacher.",
        epilog=EPILOG,
    )
    add_model_arguments(parser)
    add_data_arguments(parser)
    parser.add_argument(
        "--head", type=Path, required=True, help="folder that `patchlight fit` or `patchlight train` wrote"
    )
    add_force_head(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder for the results; finished parts are kept")
    add_teacher(
        parser,
        "what to compare the head's maps with; none skips the comparison and is much faster (default: the head's teacher)",
        default=None,
        also=("none",),
    )
    parser.add_argument(
        "--beside",
        type=Path,
        nargs="+",
        default=[],
        metavar="FOLDER",
        help="results of finished evaluations to show in the same table",
    )
    parser.add_argument("--shard-samples", type=int, default=32, help="questions per part (default: %(default)s)")
    parser.add_argument(
        "--skip-bad", action="store_true", help="skip samples that cannot be read or explained (default: stop)"
    )
    parser.set_defaults(run=run, extra="train")


def run(arguments: argparse.Namespace) -> None:
    from ..evaluation.evaluate import EvaluateOptions, evaluate_head, read_summary
    from ..evaluation.summary import table_of
    from ..head.fastrm import FastRM
    from ..head.labels import TEACHERS
    from ..head.shards import Rank

    beside = [read_summary(folder) for folder in arguments.beside]
    facts = FastRM.from_pretrained(arguments.head).facts
    if arguments.teacher is None:
        names = [name for name, teacher in TEACHERS.items() if teacher == facts.teacher]
        if not names:
            raise ValueError(
                f"the head's teacher is {facts.teacher!r}, which is not available here: choose {', '.join(TEACHERS)} or "
                "none with --teacher"
            )
        arguments.teacher = names[0]
    rank = Rank.of(os.environ)
    options = EvaluateOptions(
        model=model_options(arguments, rank),
        head=arguments.head,
        force_head=arguments.force_head,
        data=data_options(arguments),
        answers=answer_options(arguments),
        shard_samples=arguments.shard_samples,
        skip_bad=arguments.skip_bad,
    )
    summary = evaluate_head(options, arguments.out, rank)
    if summary is None:
        print(f"this process is done; the last process to finish writes the table to {arguments.out}")
        return
    table = table_of([*beside, summary], facts.name)
    (arguments.out / "summary.md").write_text(table)
    print(table, end="")
