"""Tests the message for a missing optional dependency, and that other import errors keep their traceback."""

import argparse
import re
import subprocess
import sys
import tomllib

import pytest

from patchlight.cli import serve
from patchlight.cli.extras import OPTIONAL
from patchlight.cli.main import main
from tests.helpers.paths import COMPANION

# Distributions whose import names differ from the distribution name.
IMPORT_NAMES = {"pillow": {"PIL"}, "python-multipart": {"multipart", "python_multipart"}}


@pytest.mark.parametrize(
    ("arguments", "package", "extra"),
    [
        (["serve", "--model", "x"], "torch", "serve"),
        (["serve", "--model", "x"], "transformers", "serve"),
        (["collect", "--model", "x", "--data", "jsonl", "--questions", "q", "--out", "o"], "tqdm", "train"),
        (["train", "--samples", "s", "--out", "o"], "torch", "train"),
        (["evaluate", "--model", "x", "--data", "pope", "--questions", "q", "--head", "h", "--out", "o"], "torch", "train"),
        (["export", "--head", "h", "--out", "o"], "onnx", "train"),
    ],
)  # fmt: skip
def test_the_message_names_the_missing_extra(arguments: list[str], package: str, extra: str):
    program = (
        f"import sys; sys.modules[{package!r}] = None; "
        f"from patchlight.cli.main import main; sys.exit(main({arguments!r}))"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.stderr == (
        f'patchlight: "{arguments[0]}" needs {package}, which is not installed. '
        f'Install it with: pip install "patchlight[{extra}]"\n'
    )
    assert result.returncode == 2


@pytest.mark.parametrize(
    "error",
    [
        ModuleNotFoundError("No module named 'patchlight.nothing'", name="patchlight.nothing"),
        ModuleNotFoundError("No module named 'torch._C'", name="torch._C"),
        ModuleNotFoundError("No module named 'uvicorn'", name="uvicorn"),
        ImportError("cannot import name 'load' from 'torch'", name="torch"),
    ],
)
def test_other_import_errors_keep_their_traceback(error: ImportError, monkeypatch: pytest.MonkeyPatch):
    def fail(_: argparse.Namespace) -> None:
        raise error

    monkeypatch.setattr(serve, "run", fail)
    with pytest.raises(ImportError) as raised:
        main(["serve", "--model", "x"])
    assert raised.value is error


def test_the_optional_dependencies_match_pyproject():
    extras = tomllib.loads((COMPANION / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    names = {
        re.split(r"[<>=\[]", requirement)[0] for extra in ("serve", "train", "build") for requirement in extras[extra]
    }
    assert set().union(*(IMPORT_NAMES.get(name, {name}) for name in names - {"patchlight"})) == OPTIONAL
