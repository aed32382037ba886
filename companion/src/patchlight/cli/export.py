"""`patchlight export`: exports a trained head for the browser. Heavy packages are imported when the command runs."""

import argparse
from pathlib import Path


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the `export` command. The parsed arguments contain `run`, which runs the command."""
    parser = subparsers.add_parser(
        "export",
        help="export a trained head for the browser",
        description="Export a trained head as two ONNX graphs, a weights file and a manifest.",
    )
    parser.add_argument(
        "--head", type=Path, required=True, help="folder that `patchlight fit` or `patchlight train` wrote"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the exported files")
    parser.set_defaults(run=run, extra="train")


def run(arguments: argparse.Namespace) -> None:
    from ..head.export import export_head

    manifest = export_head(arguments.head, arguments.out)
    for role, file in manifest["files"].items():
        print(f"{role:<10} {file['path']:<18} {file['bytes']:>12} bytes  sha256 {file['sha256'][:12]}")
    print(
        f"exported {manifest['name']} for {manifest['model']} to {arguments.out}: hidden size "
        f"{manifest['hiddenSize']}, {manifest['stage']}, classification threshold {manifest['classificationThreshold']}"
    )
