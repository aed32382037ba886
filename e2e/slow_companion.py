"""Run `patchlight` with forward passes of at least 80 ms, as if the model were large.

Tests can then act in the middle of an answer, however fast the machine is. Everything else is unchanged.
"""

import sys
import time

from patchlight.cli.main import main
from patchlight.models import loading

PASS_S = 0.08

load = loading.load


def load_slow(options: loading.LoadOptions) -> loading.Loaded:
    loaded = load(options)
    loaded.model.model.register_forward_pre_hook(lambda *_: time.sleep(PASS_S))
    return loaded


loading.load = load_slow
sys.exit(main())
