"""Connections with deadlines: a client that sends or reads nothing cannot keep one, nor keep others from getting one.

uvicorn has a timeout only for the time between two requests, and starts it after the first. Here, `Connections.sweep`
looks at what each connection waits for and since when. If there are too many connections, one of the client with most
of them is closed in favour of a new one. Connections whose answer is being computed or read are kept.
"""

import asyncio
import logging
import sys
import time
from collections import Counter
from collections.abc import Callable
from enum import IntEnum
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from .problems import ProblemResponse, Refusal
from .security import DENY_ALL_POLICY, ISOLATION_HEADERS, OTHER_HEADERS
from .settings import ServeSettings

log = logging.getLogger("patchlight.connections")
# Time in seconds for a client to read a refusal of something that is not a valid request.
LINGER_S = 2.0


class Phase(IntEnum):
    """What a connection waits for. A client's connections with a smaller number are closed first if there are
    too many.
    """

    CLOSING = 0
    """The client should read the rest of the response; the connection then closes."""
    IDLE = 1
    """The client may send another request."""
    HEADERS = 2
    """The client should send the headers, on a new connection or after some of them."""
    BODY = 3
    """The client should send the body, whether or not the response has been sent."""
    STALLED = 4
    """The client should read some of the response: the buffer is full."""
    ANSWERING = 5
    """The companion should answer."""


class Connection(H11Protocol):
    """An HTTP/1.1 connection. `refuse` answers what is not a valid request, and lets the client read the answer."""

    def __init__(self, connections: "Connections", **uvicorn_arguments: Any):
        super().__init__(**uvicorn_arguments)
        self._connections = connections
        self.is_refused = False
        self._stalls, self._is_stalled = 0, False
        self._waits: tuple[Phase, object] = (Phase.HEADERS, None)
        self.since = connections.clock()

    @property
    def phase(self) -> Phase:
        return self._waits[0]

    def observe(self, now: float) -> None:
        """Note what the connection waits for, and since when if that has changed."""
        waits = self._current()
        if waits != self._waits:
            self._waits, self.since = waits, now

    def _current(self) -> tuple[Phase, object]:
        """Return the phase and an object that changes if another wait of this phase begins."""
        if self.is_refused or self.transport.is_closing():
            return Phase.CLOSING, None
        if self._is_stalled:
            return Phase.STALLED, self._stalls
        if self.conn.their_state is h11.SEND_BODY:
            return Phase.BODY, self.cycle
        if self.cycle is not None and not self.cycle.response_complete:
            return Phase.ANSWERING, self.cycle
        is_fresh = self.cycle is None or bool(self.conn.trailing_data[0])
        return Phase.HEADERS if is_fresh else Phase.IDLE, self.cycle

    @property
    def has_sent_part_of_headers(self) -> bool:
        return self.phase is Phase.HEADERS and bool(self.conn.trailing_data[0])

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._connections.open.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._connections.open.discard(self)
        # uvicorn keeps the timer, and with it this object, if the connection was lost through an error.
        self._unset_keepalive_if_required()

    def data_received(self, data: bytes) -> None:
        if not self.is_refused:
            super().data_received(data)

    def pause_writing(self) -> None:
        self._stalls, self._is_stalled = self._stalls + 1, True
        super().pause_writing()

    def resume_writing(self) -> None:
        self._is_stalled = False
        super().resume_writing()

    def _should_upgrade(self) -> bool:
        # Nothing here speaks WebSocket or HTTP/2: the request is answered as if it had not offered them.
        return False

    def send_400_response(self, msg: str) -> None:
        error = sys.exception()
        status, reason = (
            (error.error_status_hint, str(error)) if isinstance(error, h11.RemoteProtocolError) else (400, msg)
        )
        kind = {431: "headers-too-large", 501: "unsupported-encoding"}.get(status, "invalid-http")
        self.refuse(Refusal(status, kind, f"this is not a valid HTTP/1.1 request: {reason}"))

    def refuse(self, refusal: Refusal) -> None:
        """Send a refusal and read no more requests. Without room for one in the protocol, close the connection."""
        if self.is_refused or self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.abort()
            return
        self.is_refused = True
        # Before the response: once that has arrived, its client may look for the line in the log.
        self._connections.note(f"refused: {refusal.status} {refusal.kind}")
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        response = ProblemResponse(refusal)
        policy = {"Content-Security-Policy": DENY_ALL_POLICY, "Connection": "close"}
        response.headers.update(ISOLATION_HEADERS | OTHER_HEADERS | policy)
        reason = refusal.title.encode()
        head = h11.Response(status_code=refusal.status, headers=response.raw_headers, reason=reason)
        body = b"" if self.scope is not None and self.scope["method"] == "HEAD" else bytes(response.body)
        for event in (head, h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        # Closing at once would reset the connection if the client is still sending, and it would not see the answer.
        if self.transport.can_write_eof():
            self.transport.write_eof()


class Connections:
    """All open connections of a server. limit: the number beyond which others are closed."""

    def __init__(self, settings: ServeSettings, limit: int, clock: Callable[[], float] = time.monotonic):
        self._settings, self.limit, self.clock = settings, limit, clock
        self.open: set[Connection] = set()
        # A margin, because the app's own refusal of a slow body says more.
        self._deadlines_s = {
            Phase.CLOSING: settings.stall_s,
            Phase.IDLE: settings.keep_alive_s,
            Phase.HEADERS: settings.header_s,
            Phase.BODY: settings.upload_s + LINGER_S,
            Phase.STALLED: settings.stall_s,
        }
        self.sweep_s = min(1.0, min(self._deadlines_s.values()) / 4)

    def sweep(self) -> None:
        """Close the connections that have waited too long for their clients."""
        now = self.clock()
        for connection in list(self.open):
            connection.observe(now)
            deadline_s = self._deadline_s(connection)
            if deadline_s is not None and now - connection.since > deadline_s:
                self._close(connection)

    async def make_room(self, newest: Connection) -> None:
        """Close a connection if there are more than `limit`, or refuse the newest one if all others are answering.

        Waits until one has had its time. A flood of new connections must not close those of clients whose requests are
        on their way; the flood waits instead.
        """
        while newest in self.open and len(self.open) > self.limit:
            if self.drop_one(keep=newest):
                return
            if all(each.phase is Phase.ANSWERING for each in self.open if each is not newest):
                detail = f"{self.limit} requests are being answered, as many as possible: try again in a few seconds"
                headers = {"Retry-After": "5"}
                newest.refuse(Refusal(503, "too-many-connections", detail, headers=headers))
                return
            await asyncio.sleep(self._settings.grace_s / 10)

    def drop_one(self, keep: Connection | None = None) -> bool:
        """Close the least useful connection of the client with most of them. Return whether there was one to close.

        Clients with fewer keep theirs even if none of the busiest one's may be closed yet: the newest waits for that.
        """
        now = self.clock()
        for connection in self.open:
            connection.observe(now)
        per_client = Counter(_client(each) for each in self.open if each.phase is not Phase.ANSWERING)
        most = max(per_client.values(), default=0)
        droppable = [
            each
            for each in self.open
            if each is not keep
            and self._may_drop(each, now)
            and (each.phase is Phase.CLOSING or per_client[_client(each)] == most)
        ]
        if not droppable:
            return False
        victim = min(droppable, key=lambda each: (each.phase, each.since))
        self.note(f"closed in favour of a new one, at most {self.limit} may be open")
        victim.transport.abort()
        self.open.discard(victim)
        return True

    def _may_drop(self, connection: Connection, now: float) -> bool:
        if connection.phase in (Phase.CLOSING, Phase.IDLE):
            return True
        return connection.phase is not Phase.ANSWERING and now - connection.since >= self._settings.grace_s

    def close_all(self) -> None:
        """Close all connections without waiting for their clients."""
        for connection in list(self.open):
            connection.transport.abort()

    def note(self, event: str) -> None:
        """Log that a connection was refused or closed."""
        # The text is the format string, so that the log limits each kind of event on its own.
        log.warning(f"connection {event}")

    def _deadline_s(self, connection: Connection) -> float | None:
        return LINGER_S if connection.is_refused else self._deadlines_s.get(connection.phase)

    def _close(self, connection: Connection) -> None:
        match connection.phase:
            case Phase.HEADERS if connection.has_sent_part_of_headers:
                detail = f"the headers of the request did not arrive within {self._settings.header_s:g} s"
                connection.refuse(Refusal(408, "headers-too-slow", detail))
            case Phase.STALLED:
                self.note(f"closed, the client accepted no data for {self._settings.stall_s:g} s")
                connection.transport.abort()
            case Phase.BODY:
                self.note(f"closed, the body did not arrive within {self._settings.upload_s:g} s")
                connection.transport.abort()
            case Phase.CLOSING:
                connection.transport.abort()
            case _:
                # Sends what is left in the buffer first.
                connection.transport.close()


def _client(connection: Connection) -> str:
    return "" if connection.client is None else connection.client[0]
