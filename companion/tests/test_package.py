"""Tests the package as a library: which names `import patchlight` provides, and that it does not import torch."""

import subprocess
import sys

import pytest

import patchlight
from patchlight.head.fastrm import FastRM
from patchlight.lvlm import LVLM


def test_the_package_provides_its_public_classes():
    assert patchlight.FastRM is FastRM
    assert patchlight.LVLM is LVLM
    assert {"FastRM", "LVLM"} <= set(dir(patchlight))
    with pytest.raises(AttributeError, match="has no attribute 'FastRn'"):
        getattr(patchlight, "FastRn")  # noqa: B009


def test_importing_the_package_does_not_import_torch():
    program = """
import sys
import patchlight
assert "torch" not in sys.modules
from patchlight import FastRM
assert "torch" in sys.modules
assert FastRM.__module__ == "patchlight.head.fastrm"
"""
    subprocess.run([sys.executable, "-c", program], check=True)
