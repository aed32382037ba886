"""`patchlight examples`: writes example questions about drawn images. Heavy packages are imported when it runs."""

import argparse
from pathlib import Path


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the `examples` command. The parsed arguments contain `run`, which runs the command."""
    parser = subparsers.add_parser(
        "examples",
        help="write example questions, to try collect and train",
        description="Draw simple images and write a questions file about them, in the format of --data jsonl.",
        epilog="The examples show the file format and that everything works. A useful head needs thousands of questions "
        "about images like yours.",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the images and questions.jsonl")
    parser.add_argument(
        "--images", type=int, default=25, help="number of images, with four questions each (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of images and questions (default: %(default)s)")
    parser.set_defaults(run=run, extra="train")


def run(arguments: argparse.Namespace) -> None:
    from ..head.example_questions import write_examples

    path = write_examples(arguments.out, arguments.images, arguments.seed)
    print(f"wrote {4 * arguments.images} questions about {arguments.images} images: {path}")
