"""Tests compute on one thread: PyTorch's threads wait in busy loops, and other steps of `npm test` run alongside."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
