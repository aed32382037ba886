"""The line before the model: first come, first served, bounded. It lives on the event loop's thread alone."""

import asyncio
import math
from collections.abc import AsyncIterator

# Before a run has been timed, and how fast old runs are forgotten.
FIRST_GUESS_S, FORGETTING = 5.0, 0.3


class QueueFull(Exception):
    """As many wait, or are about to, as may. `retry_after_s` is about how long one run takes."""

    def __init__(self, length: int, retry_after_s: int):
        super().__init__(f"no more than {length} questions may wait: try again in {retry_after_s} s")
        self.retry_after_s = retry_after_s


class RunQueue:
    """The first ticket has the model; up to `length` more wait behind it."""

    def __init__(self, length: int):
        self._length = length
        self._tickets: list[Ticket] = []
        self._run_s = FIRST_GUESS_S

    def enter(self) -> "Ticket":
        """A place at the end; whoever holds it must `leave`."""
        self.ensure_room()
        ticket = Ticket(self)
        self._tickets.append(ticket)
        return ticket

    def ensure_room(self, *, also: int = 0) -> None:
        """Raises QueueFull where there is none, or none if `also` so many more come."""
        waiting = len(self._tickets) - 1
        if waiting + max(also, 0) >= self._length:
            raise QueueFull(self._length, max(1, math.ceil(self._run_s)))

    def __len__(self) -> int:
        return len(self._tickets)

    def place_of(self, ticket: "Ticket") -> int:
        """How many are before it."""
        return self._tickets.index(ticket)

    def remove(self, ticket: "Ticket") -> None:
        """It is done or has gone; those behind it move up."""
        if ticket not in self._tickets:
            return
        self._tickets.remove(ticket)
        for other in self._tickets:
            other.wake()

    def note_run(self, seconds: float) -> None:
        """How long the model was busy with one run."""
        self._run_s += FORGETTING * (seconds - self._run_s)


class Ticket:
    """One place in the line."""

    def __init__(self, queue: RunQueue):
        self._queue = queue
        self._moved = asyncio.Event()

    async def places(self) -> AsyncIterator[int]:
        """Its place now and each time that it may have changed, down to 0: the model is free for it."""
        while True:
            self._moved.clear()
            place = self._queue.place_of(self)
            yield place
            if place == 0:
                return
            await self._moved.wait()

    def wake(self) -> None:
        """Something changed: the place, or that it is wanted no more."""
        self._moved.set()

    def leave(self) -> None:
        """Makes room; may be called again."""
        self._queue.remove(self)
