"""Says when to save a checkpoint: a minute after the last one, or 20 times as long as saving takes, if that is more."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

INTERVAL_S = 60.0


class CheckpointClock:
    def __init__(self) -> None:
        self._saved_at, self._saving_s = time.monotonic(), 0.0

    @property
    def is_due(self) -> bool:
        return time.monotonic() - self._saved_at > max(INTERVAL_S, 20 * self._saving_s)

    @contextmanager
    def saving(self) -> Iterator[None]:
        """Save a checkpoint in this context."""
        started = time.monotonic()
        yield
        self._saved_at = time.monotonic()
        self._saving_s = self._saved_at - started
