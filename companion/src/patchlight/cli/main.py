"""`patchlight COMMAND`: each command's module adds its own arguments, and imports what is heavy when it runs."""

import argparse
import importlib
import sys
from importlib.metadata import version

COMMANDS = ("serve", "collect", "train", "evaluate", "export")


def main(arguments: list[str] | None = None) -> int:
    """The exit status: 0, or 2 where a command refused what it was given."""
    given = build_parser().parse_args(arguments)
    try:
        given.run(given)
    except (ValueError, OSError, MemoryError) as refusal:
        # Those that a user can do something about; anything else is a fault of ours and keeps its traceback.
        print(f"patchlight: {refusal}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def build_parser() -> argparse.ArgumentParser:
    """All commands' arguments; `run` of what it parses does the command."""
    parser = argparse.ArgumentParser(
        prog="patchlight", description="See what in the picture a model's answer rested on."
    )
    parser.add_argument("--version", action="version", version=f"patchlight {version('patchlight')}")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        importlib.import_module(f".{command}", __package__).add_parser(subparsers)
    return parser
