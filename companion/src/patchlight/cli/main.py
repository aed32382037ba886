"""`patchlight COMMAND`: each command's module adds its own arguments, and imports what is heavy when it runs."""

import argparse
import importlib
import sys
from collections.abc import Sequence
from importlib.metadata import version

from .extras import what_to_install

COMMANDS = ("page", "serve", "collect", "train", "evaluate", "export")
DEFAULT_COMMAND = "page"


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0, or 2 if a command refused what it was given or lacks a package."""
    given = build_parser().parse_args(with_command(sys.argv[1:] if arguments is None else arguments))
    try:
        given.run(given)
    except ModuleNotFoundError as missing:
        advice = what_to_install(given.command, given.extra, missing)
        if advice is None:
            raise
        print(f"patchlight: {advice}", file=sys.stderr)
        return 2
    except (ValueError, OSError, MemoryError) as refusal:
        # Those that a user can do something about; anything else is a fault of ours and keeps its traceback.
        print(f"patchlight: {refusal}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def with_command(arguments: Sequence[str]) -> list[str]:
    """Options alone are those of the default command."""
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in ("-h", "--help", "--version")):
        return [DEFAULT_COMMAND, *arguments]
    return list(arguments)


def build_parser() -> argparse.ArgumentParser:
    """All commands' arguments. Of what it parses, `run` does the command and `extra` names what installs its packages."""
    parser = argparse.ArgumentParser(
        prog="patchlight",
        description="See what in the picture a model's answer rested on. "
        f"Without a command: `patchlight {DEFAULT_COMMAND}`, which opens the page with the model in it.",
    )
    parser.add_argument("--version", action="version", version=f"patchlight {version('patchlight')}")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")
    for command in COMMANDS:
        importlib.import_module(f".{command}", __package__).add_parser(subparsers)
    return parser
