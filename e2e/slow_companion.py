"""`patchlight ...` with a model whose every pass takes as long as a large one's: an answer then has a middle that a test
can look at, however fast the machine. Everything else is the companion as it is.
"""

import sys
import time

from patchlight.models import loading
from patchlight.cli.main import main

PASS_S = 0.08

load = loading.load


def load_slow(options: loading.LoadOptions) -> loading.Loaded:
    loaded = load(options)
    loaded.model.model.register_forward_pre_hook(lambda *_: time.sleep(PASS_S))
    return loaded


loading.load = load_slow
sys.exit(main())
