"""Request bodies that are arriving. Their number and bytes are bounded without making anyone wait for a slow one."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from .problems import Refusal

# A body is judged by its rate only after this time in seconds.
MIN_JUDGED_S = 0.1


class Arrival:
    """A body that is arriving."""

    def __init__(self, client: str, started: float, deadline: asyncio.Timeout):
        self.client, self.started, self._deadline = client, started, deadline
        self.size, self.is_dropped = 0, False

    def drop(self) -> None:
        self.is_dropped = True
        self._deadline.reschedule(0)

    def rate(self, now: float) -> float:
        return self.size / max(now - self.started, MIN_JUDGED_S)


class UploadSlots:
    """All bodies that are arriving, at most `limit` with `limit_bytes` in total.

    If a new body or more of one exceeds a limit, the slowest body of the client with most bodies is refused: many
    slow bodies, from one client or from several, end each other and not the others' uploads.
    """

    def __init__(self, limit: int, limit_bytes: int, deadline_s: float, clock: Callable[[], float] = time.monotonic):
        self._limit, self._limit_bytes, self._deadline_s, self._clock = limit, limit_bytes, deadline_s, clock
        self._arrivals: set[Arrival] = set()

    @asynccontextmanager
    async def open(self, client: str) -> AsyncIterator[Callable[[int], None]]:
        """Enter a body for as long as it arrives. Yields a function to call with the size of each piece.

        Raises Refusal if the body takes too long, or if it is the one to end when there are too many.
        """
        arrival = None
        try:
            async with asyncio.timeout(self._deadline_s) as deadline:
                arrival = Arrival(client, self._clock(), deadline)
                self._make_room_for(arrival)

                def add(size: int) -> None:
                    arrival.size += size
                    self._make_room_for(arrival)

                yield add
        except TimeoutError:
            if arrival is not None and arrival.is_dropped:
                raise self._refusal() from None
            detail = f"the body did not arrive within {self._deadline_s:g} s: send it faster, or send a smaller image"
            raise Refusal(408, "upload-too-slow", detail, headers={"Connection": "close"}) from None
        finally:
            if arrival is not None:
                self._arrivals.discard(arrival)

    def _make_room_for(self, arrival: Arrival) -> None:
        if arrival.is_dropped:
            return
        self._arrivals.add(arrival)
        while len(self._arrivals) > self._limit or sum(each.size for each in self._arrivals) > self._limit_bytes:
            others = self._arrivals - {arrival}
            if not others:
                return
            now = self._clock()
            per_client = Counter(each.client for each in self._arrivals)
            slowest = min(others, key=lambda each: (-per_client[each.client], each.rate(now)))
            self._arrivals.discard(slowest)
            slowest.drop()

    def _refusal(self) -> Refusal:
        detail = f"too many images are being uploaded, at most {self._limit} with {self._limit_bytes} bytes, and this "
        detail += "upload was the slowest: try again in 1 s"
        headers = {"Retry-After": "1", "Connection": "close"}
        return Refusal(503, "too-many-uploads", detail, headers=headers)
