"""Tests that the commands in docs/heads.md have valid arguments, and that its walk-through runs as written."""

import argparse
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from patchlight.cli import main as cli
from patchlight.embedded import pipeline
from patchlight.measure import latency, teachers
from tests.helpers.paths import ROOT

DOCUMENT = (ROOT / "docs" / "heads.md").read_text()
BLOCKS = re.findall(r"```(sh|python)\n(.*?)```", DOCUMENT, re.DOTALL)
COMMANDS = [
    shlex.split(line)
    for kind, block in BLOCKS
    if kind == "sh"
    for line in block.replace("\\\n", " ").splitlines()
    if "patchlight" in line.split("{")[0]
]


class Parsed(Exception):
    """Raised instead of running the command."""


def test_every_documented_command_is_valid(monkeypatch: pytest.MonkeyPatch):
    parse = argparse.ArgumentParser.parse_args

    def only_parse(self: argparse.ArgumentParser, *arguments: list[str]) -> argparse.Namespace:
        raise Parsed(parse(self, *arguments))

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", only_parse)
    assert len(COMMANDS) >= 13
    for words in COMMANDS:
        index = next(k for k, word in enumerate(words) if "patchlight" in word)
        modules = {
            "patchlight.measure.latency": latency.main,
            "patchlight.measure.teachers": teachers.main,
            "patchlight.embedded.pipeline": pipeline.main,
        }
        run = modules.get(words[index], cli.main)
        with pytest.raises(Parsed):
            run(words[index + 1 :])


@pytest.mark.slow
def test_the_documented_walk_through_runs(tmp_path: Path):
    for name in ("models", "public"):
        (tmp_path / name).symlink_to(ROOT / name)
    program = tmp_path / "bin" / "patchlight"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m patchlight "$@"\n')
    program.chmod(0o755)
    environment = {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"}
    walk = next(block for kind, block in BLOCKS if kind == "sh" and block.startswith("mkdir"))
    subprocess.run(["sh", "-e", "-c", walk], cwd=tmp_path, env=environment, check=True)
    assert "fastrm at 0.5" in (tmp_path / "try" / "evaluation" / "summary.md").read_text()
    assert (tmp_path / "try" / "browser" / "fastrm.bin").exists()
    for kind, block in BLOCKS:
        if kind == "python":
            subprocess.run([sys.executable, "-c", block], cwd=tmp_path, env=environment, check=True)
