"""The package as a library: what `import patchlight` gives, and what it does not load."""

import subprocess
import sys

import pytest

import patchlight
from patchlight.head.fastrm import FastRM
from patchlight.lvlm import LVLM


def test_the_library_s_names_are_its_classes():
    assert patchlight.FastRM is FastRM
    assert patchlight.LVLM is LVLM
    assert {"FastRM", "LVLM"} <= set(dir(patchlight))
    with pytest.raises(AttributeError, match="has no attribute 'FastRn'"):
        getattr(patchlight, "FastRn")  # noqa: B009


def test_importing_it_loads_no_torch():
    program = """
import sys
import patchlight
assert "torch" not in sys.modules
from patchlight import FastRM
assert "torch" in sys.modules
assert FastRM.__module__ == "patchlight.head.fastrm"
"""
    subprocess.run([sys.executable, "-c", program], check=True)
