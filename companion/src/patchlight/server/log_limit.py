"""Limits how many similar lines are logged, so that a flood of requests cannot fill the disk or slow the server."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

# Attribute of a log record, a tuple: records with equal values are similar. Without it, those of one format string are.
SIMILAR = "similar"
# Lines per window of one kind, and of one format string, which say much the same.
MAX_LINES, MAX_REPEATED, WINDOW_S = 200, 20, 60.0
# Beyond this many kinds at a time, all further lines are of one kind.
MAX_KINDS = 200
_OTHERS = ("others",)


@dataclass
class _Window:
    started: float
    level: int
    lines: int = 0
    suppressed: int = 0


class LogLimit(logging.Handler):
    """Passes up to `max_lines` similar lines per `window_s` seconds to another handler, and counts the others.

    max_repeated: the number for records of one format string.
    """

    def __init__(
        self,
        target: logging.Handler,
        *,
        max_lines: int = MAX_LINES,
        max_repeated: int = MAX_REPEATED,
        window_s: float = WINDOW_S,
        clock: Callable[[], float] = time.monotonic,
    ):
        super().__init__()
        self._target, self._window_s, self._clock = target, window_s, clock
        self._max_lines, self._max_repeated = max_lines, max_repeated
        self._windows: dict[tuple[object, ...], _Window] = {}

    def emit(self, record: logging.LogRecord) -> None:
        self.report()
        kind = getattr(record, SIMILAR, None) or (record.name, record.msg)
        if kind not in self._windows and len(self._windows) >= MAX_KINDS:
            kind = _OTHERS
        window = self._windows.setdefault(kind, _Window(self._clock(), record.levelno))
        if window.lines < (self._max_lines if hasattr(record, SIMILAR) else self._max_repeated):
            window.lines += 1
            self._target.handle(record)
        else:
            window.suppressed += 1

    def report(self, *, everything: bool = False) -> None:
        """Log how many lines were suppressed in each window that has ended, or in all of them."""
        with self._own_lock():
            now = self._clock()
            ended = [kind for kind, w in self._windows.items() if everything or now - w.started >= self._window_s]
            for kind in ended:
                window = self._windows.pop(kind)
                if window.suppressed:
                    self._target.handle(_summary(kind, window))

    def close(self) -> None:
        self.report(everything=True)
        self._target.close()
        super().close()

    def _own_lock(self):
        assert self.lock is not None  # It is None only in handlers that are created without one.
        return self.lock


def _summary(kind: tuple[object, ...], window: _Window) -> logging.LogRecord:
    shown = " ".join(str(part) for part in kind if part != "")
    message = "%d similar lines suppressed: %s"
    return logging.LogRecord("patchlight.log", window.level, __file__, 0, message, (window.suppressed, shown), None)
