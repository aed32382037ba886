"""Run tests on one thread: PyTorch's threads busy-wait, which slows the other steps of `npm test`."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
