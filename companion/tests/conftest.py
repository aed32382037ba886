"""Workers of pytest-xdist keep the machine busy together: each computes on one thread."""

import os

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
