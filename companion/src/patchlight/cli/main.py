"""Parses the `patchlight` command line and runs the command. Each command is a module that adds its own arguments."""

import argparse
import errno
import importlib
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version

from .extras import what_to_install

COMMANDS = ("page", "serve", "fit", "examples", "collect", "train", "evaluate", "export")
DEFAULT_COMMAND = "page"
# The disk is full, the user's quota is used up, or a file would exceed the limit on the size of files.
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit status: 0, 2 for invalid input or a missing package, or 130 if interrupted."""
    parsed = build_parser().parse_args(with_command(sys.argv[1:] if arguments is None else arguments))
    try:
        parsed.run(parsed)
    except ModuleNotFoundError as error:
        advice = what_to_install(parsed.command, parsed.extra, error)
        if advice is None:
            raise
        print(f"patchlight: {advice}", file=sys.stderr)
        return 2
    except (ValueError, OSError, MemoryError) as error:
        # These are errors that the user can fix. Any other exception is a bug and keeps its traceback.
        print(f"patchlight: {_reason(error, parsed)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def _reason(error: Exception, arguments: argparse.Namespace) -> str:
    """Return an error's message. A full disk is reported without the number that the system uses for it."""
    if not isinstance(error, OSError) or error.errno not in _NO_SPACE:
        return str(error)
    place = error.filename or getattr(arguments, "out", None)
    where = "on the disk of the temporary folder or the Hub's cache" if place is None else f"to write {place}"
    return (
        f"there is no space left {where} ({os.strerror(error.errno)}): free some space or use another disk, then run "
        "the same command again"
    )


def with_command(arguments: Sequence[str]) -> list[str]:
    """Insert the default command if the arguments begin with an option or are empty."""
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in ("-h", "--help", "--version")):
        return [DEFAULT_COMMAND, *arguments]
    return list(arguments)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser for all commands.

    The parsed arguments contain `run`, which runs the command, and `extra`, the package extra that the command needs.
    """
    parser = argparse.ArgumentParser(
        prog="patchlight",
        description="See which image patches each token of a model's answer rested on. "
        f"Without a command, `patchlight` runs `patchlight {DEFAULT_COMMAND}`, which opens the page.",
    )
    parser.add_argument("--version", action="version", version=f"patchlight {version('patchlight')}")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")
    for command in COMMANDS:
        importlib.import_module(f".{command}", __package__).add_parser(subparsers)
    return parser
