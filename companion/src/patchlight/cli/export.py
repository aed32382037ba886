"""`patchlight export`: a trained head's folder for the browser. Heavy imports wait until the command runs."""

import argparse
from pathlib import Path


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Put `export` among the commands; `run(arguments)` does it."""
    parser = subparsers.add_parser("export", help="write a trained head as the browser runs it")
    parser.add_argument("--head", type=Path, required=True, help="folder that `patchlight train` wrote")
    parser.add_argument("--out", type=Path, required=True, help="folder for the two graphs, the weights, the manifest")
    parser.set_defaults(run=run, extra="train")


def run(arguments: argparse.Namespace) -> None:
    from ..head.export import export_head

    manifest = export_head(arguments.head, arguments.out)
    for role, file in manifest["files"].items():
        print(f"{role:<10} {file['path']:<18} {file['bytes']:>12} bytes  sha256 {file['sha256'][:12]}")
    print(
        f"{manifest['name']} for {manifest['model']}: hidden size {manifest['hiddenSize']}, {manifest['stage']}, "
        f"read at {manifest['classificationThreshold']}; in {arguments.out}"
    )
