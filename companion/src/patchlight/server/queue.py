"""The bounded queue for the model: first come, first served. Use it only on the event loop's thread."""

import asyncio
import math
import time
from collections.abc import AsyncIterator

# The estimated duration of a run: its initial value, and the weight of the latest run in the moving average.
INITIAL_RUN_S, LATEST_WEIGHT = 5.0, 0.3


class QueueFull(Exception):
    """The queue has no room.

    found: the number of questions that would wait. retry_after_s: roughly the time until all runs ahead have ended.
    """

    def __init__(self, length: int, found: int, retry_after_s: int):
        super().__init__(
            f"the queue is full: this question would be number {found}, and at most {length} may wait: try again in "
            f"about {retry_after_s} s"
        )
        self.found, self.retry_after_s = found, retry_after_s


class RunQueue:
    """A queue of tickets. The first one has the model; up to `length` more wait behind it."""

    def __init__(self, length: int):
        self._length = length
        self._tickets: list[Ticket] = []
        self._run_s = INITIAL_RUN_S

    def enter(self) -> "Ticket":
        """Return a ticket at the end of the queue; the caller must call its `leave`. Raises QueueFull."""
        self.ensure_room()
        ticket = Ticket(self)
        self._tickets.append(ticket)
        return ticket

    def ensure_room(self) -> None:
        """Raise QueueFull unless there is room for one more ticket."""
        ahead = len(self._tickets)
        if ahead > self._length:
            raise QueueFull(self._length, ahead, max(1, math.ceil(ahead * self._run_s)))

    def __len__(self) -> int:
        return len(self._tickets)

    def position_of(self, ticket: "Ticket") -> int:
        """Return the number of tickets ahead of this one."""
        return self._tickets.index(ticket)

    def remove(self, ticket: "Ticket") -> None:
        """Remove a ticket and notify the others."""
        if ticket not in self._tickets:
            return
        self._tickets.remove(ticket)
        for other in self._tickets:
            other.wake()

    def note_run(self, seconds: float) -> None:
        """Record the duration of a run for the estimate in `retry_after_s`."""
        self._run_s += LATEST_WEIGHT * (seconds - self._run_s)


class Ticket:
    """A run's ticket in the queue. waited_s: the time that it waited for the model, in seconds, once it has it."""

    def __init__(self, queue: RunQueue):
        self._queue, self._entered = queue, time.perf_counter()
        self.waited_s: float | None = None
        self._changed = asyncio.Event()

    async def positions(self) -> AsyncIterator[int]:
        """Yield the ticket's position now and after each possible change; end with 0, when the model is free."""
        while True:
            self._changed.clear()
            position = self._queue.position_of(self)
            if position == 0:
                self.waited_s = time.perf_counter() - self._entered
            yield position
            if position == 0:
                return
            await self._changed.wait()

    def wake(self) -> None:
        """Signal that the position may have changed or the run was stopped."""
        self._changed.set()

    def leave(self) -> None:
        """Leave the queue. Later calls have no effect."""
        self._queue.remove(self)
