"""An answer or explanation in progress: it waits in the queue, runs on the model's thread and streams to the client.

POST /v1/generate or /v1/explain -> LiveRun (a ticket in the queue) -> RunStream. `produce` writes rows to the outbox,
first on the event loop, then on the model's thread; `_send` passes them to the socket. When one of them ends, it stops
the other.
"""

import asyncio
import logging
import secrets
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ..wire.row_stream import Sink
from .access_log import note
from .outbox import Outbox
from .queue import RunQueue
from .schemas import ARROW_STREAM
from .settings import ServeSettings

log = logging.getLogger("patchlight.server")
# Bytes per write to the socket, so that the server never buffers much more for a client that does not read.
PIECE_BYTES = 64 * 1024
MAX_REASON_CHARS = 500


class LiveWriter(Protocol):
    """Writes the rows from `queued` to `end`. `end_early` writes the `end` row if the work stops early."""

    def queued(self, place: int) -> None: ...
    def has_passed(self, kind: str, /) -> bool: ...
    def end_early(self, reason: Literal["cancelled", "failed"], ms: float, message: str | None = None) -> None: ...
    def close(self) -> None: ...


W = TypeVar("W", bound=LiveWriter)


@dataclass(frozen=True)
class Job(Generic[W]):
    """The work for a valid request."""

    open_writer: Callable[[Sink], W]
    """Creates the writer, which writes the header."""
    work: Callable[[W, Callable[[], bool], Callable[[], None]], None]
    """Writes all rows after `queued`, including `end`, on the model's thread. The second argument returns whether to
    stop and is called between tokens; the third waits for a slow client and is called after each row."""


class LiveRun:
    """A run with a ticket in the queue. Call either `produce` or `leave`, once, to release the ticket.

    Raises QueueFull if the queue has no room.
    """

    def __init__(self, queue: RunQueue, settings: ServeSettings):
        self.id = secrets.token_hex(8)
        self.outbox = Outbox(settings.buffer_bytes)
        self._queue, self._ticket = queue, queue.enter()
        self._stopped = threading.Event()

    @property
    def is_stopped(self) -> bool:
        return self._stopped.is_set()

    @property
    def waited_s(self) -> float | None:
        """Time in the queue in seconds, or None while the run waits."""
        return self._ticket.waited_s

    def stop(self) -> None:
        """Stop the run before its next token or, if it is waiting, before its turn."""
        self._stopped.set()
        self._ticket.wake()

    def leave(self) -> None:
        """Leave the queue without producing anything."""
        self._ticket.leave()

    async def produce(self, job: Job[W], model_thread: ThreadPoolExecutor) -> None:
        """Write all rows, then close the outbox. The ticket is kept until the model's thread has finished this run."""
        is_submitted = False
        try:
            writer = job.open_writer(self.outbox)
            async for position in self._ticket.positions():
                if self.is_stopped:
                    writer.end_early("cancelled", 0)
                    writer.close()
                    return
                writer.queued(position)
            started = time.perf_counter()
            work = model_thread.submit(self._work, writer, job)
            is_submitted = True
            loop = asyncio.get_running_loop()

            def finished(_: object) -> None:
                if not loop.is_closed():
                    loop.call_soon_threadsafe(self._leave_model, started)

            work.add_done_callback(finished)
            await asyncio.wrap_future(work)
        finally:
            self.outbox.close()
            if not is_submitted:
                self._ticket.leave()

    def _leave_model(self, started: float) -> None:
        self._queue.note_run(time.perf_counter() - started)
        self._ticket.leave()

    def _work(self, writer: W, job: Job[W]) -> None:
        """Run the job on the model's thread. An exception ends the stream with a `failed` row."""
        started = time.perf_counter()
        try:
            job.work(writer, self._stopped.is_set, self.outbox.wait_for_room)
        except Exception as error:
            log.exception("run %s failed", self.id)
            if not writer.has_passed("end"):
                writer.end_early("failed", (time.perf_counter() - started) * 1000, describe_error(error))
        finally:
            writer.close()


def describe_error(error: Exception) -> str:
    """Describe an error in one line for the page. The log has the traceback."""
    line = next(iter(str(error).strip().splitlines()), "")
    return f"{type(error).__name__}: {line}"[:MAX_REASON_CHARS] if line else type(error).__name__


class RunStream(Response):
    """A response that streams a run. It watches for the client to disconnect, and always stops the run at the end."""

    media_type = ARROW_STREAM

    def __init__(self, run: LiveRun, produce: Coroutine[None, None, None]):
        self.status_code = 200
        self.background = None
        # Proxies must not buffer the answer, or it would arrive all at once.
        self.init_headers({"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        self._run, self._produce = run, produce

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        producer = asyncio.create_task(self._produce)
        sender = asyncio.create_task(self._send(send))
        disconnected = asyncio.create_task(_wait_for_disconnect(receive))
        try:
            await asyncio.wait({sender, disconnected}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if (waited_s := self._run.waited_s) is not None:
                note(scope, queue_s=waited_s)
            self._run.stop()
            self._run.outbox.abandon()
            tasks = (producer, sender, disconnected)
            for task in tasks:
                task.cancel()
            for result in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(result, Exception):
                    log.error("run %s: %s", self._run.id, describe_error(result), exc_info=result)

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        while (data := await self._run.outbox.take()) is not None:
            for at in range(0, len(data), PIECE_BYTES):
                await send({"type": "http.response.body", "body": data[at : at + PIECE_BYTES], "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
