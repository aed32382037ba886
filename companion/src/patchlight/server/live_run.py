"""One answer or explanation being made: it waits its turn, has the model's thread, and is streamed to whoever asked.

POST /v1/generate or /v1/explain -> LiveRun (a place in the queue) -> RunStream: `produce` puts rows into the outbox on
the event loop and then on the model's thread; `_send` takes them to the socket; whichever ends first ends the other.
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
from starlette.types import Message, Receive, Scope, Send

from ..wire.row_stream import Sink
from .outbox import Outbox
from .queue import RunQueue
from .schemas import ARROW_STREAM
from .settings import ServeSettings

log = logging.getLogger("patchlight.server")
# What one write to the socket holds: a reader that takes so much in `stall_s` is not stalled.
PIECE_BYTES = 64 * 1024
REASON_CHARS = 500


class LiveWriter(Protocol):
    """Rows that begin with `queued` and close with `end`, which `cut` writes where the work does not come to it."""

    def queued(self, place: int) -> None: ...
    def has_passed(self, kind: str, /) -> bool: ...
    def cut(self, reason: Literal["cancelled", "failed"], ms: float, message: str | None = None) -> None: ...
    def close(self) -> None: ...


W = TypeVar("W", bound=LiveWriter)


@dataclass(frozen=True)
class Job(Generic[W]):
    """What is to be made, once the request has been read and found good."""

    open_writer: Callable[[Sink], W]
    """Writes the header."""
    work: Callable[[W, Callable[[], bool], Callable[[], None]], None]
    """Writes all rows after `queued`, `end` too, on the model's thread. Its second argument says whether to stop, and
    is asked between tokens; its third waits for a slow reader, and is called after each row."""


class LiveRun:
    """Made with a place in the queue; `produce` gives it up again, so it must be called once."""

    def __init__(self, queue: RunQueue, settings: ServeSettings):
        self.id = secrets.token_hex(8)
        self.outbox = Outbox(settings.buffer_bytes)
        self._queue, self._ticket = queue, queue.enter()
        self._stopped = threading.Event()

    @property
    def is_stopped(self) -> bool:
        return self._stopped.is_set()

    def stop(self) -> None:
        """Ends it before its next token, or before its turn."""
        self._stopped.set()
        self._ticket.wake()

    def leave(self) -> None:
        """Gives up its place with nothing made."""
        self._ticket.leave()

    async def produce(self, job: Job[W], model_thread: ThreadPoolExecutor) -> None:
        """All rows, then the end of the outbox. The place is kept until the model's thread is free of this run."""
        handed_over = False
        try:
            writer = job.open_writer(self.outbox)
            async for place in self._ticket.places():
                if self.is_stopped:
                    writer.end_early("cancelled", 0)
                    writer.close()
                    return
                writer.queued(place)
            started = time.perf_counter()
            work = model_thread.submit(self._work, writer, job)
            handed_over = True
            loop = asyncio.get_running_loop()

            def finished(_: object) -> None:
                if not loop.is_closed():
                    loop.call_soon_threadsafe(self._leave_model, started)

            work.add_done_callback(finished)
            await asyncio.wrap_future(work)
        finally:
            self.outbox.close()
            if not handed_over:
                self._ticket.leave()

    def _leave_model(self, started: float) -> None:
        self._queue.note_run(time.perf_counter() - started)
        self._ticket.leave()

    def _work(self, writer: W, job: Job[W]) -> None:
        """On the model's thread. What goes wrong there ends the stream in good order."""
        started = time.perf_counter()
        try:
            job.work(writer, self._stopped.is_set, self.outbox.wait_for_room)
        except Exception as error:
            log.exception("run %s failed", self.id)
            if not writer.has_passed("end"):
                writer.end_early("failed", (time.perf_counter() - started) * 1000, reason_in_words(error))
        finally:
            writer.close()


def reason_in_words(error: Exception) -> str:
    """One line for the page; the traceback is in the log."""
    line = next(iter(str(error).strip().splitlines()), "")
    return f"{type(error).__name__}: {line}"[:REASON_CHARS] if line else type(error).__name__


class RunStream(Response):
    """The run as a response. It listens for the reader's leaving while it sends, and lets go of the run in any case."""

    media_type = ARROW_STREAM

    def __init__(self, run: LiveRun, produce: Coroutine[None, None, None], stall_s: float):
        self.status_code = 200
        self.background = None
        # A proxy that gathers the answer first would show it all at once.
        self.init_headers({"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        self._run, self._produce, self._stall_s = run, produce, stall_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        producer = asyncio.create_task(self._produce)
        sender = asyncio.create_task(self._send(send))
        leaving = asyncio.create_task(_reader_left(receive))
        try:
            await asyncio.wait({sender, leaving}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            log.warning("run %s: the server ends before its reader has taken all", self._run.id)
        finally:
            self._run.stop()
            self._run.outbox.abandon()
            tasks = (producer, sender, leaving)
            for task in tasks:
                task.cancel()
            for result in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(result, Exception):
                    log.error("run %s: %s", self._run.id, reason_in_words(result), exc_info=result)

    async def _send(self, send: Send) -> None:
        async def write(message: Message) -> None:
            async with asyncio.timeout(self._stall_s):
                await send(message)

        try:
            await write({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            while (data := await self._run.outbox.take()) is not None:
                for at in range(0, len(data), PIECE_BYTES):
                    piece = data[at : at + PIECE_BYTES]
                    await write({"type": "http.response.body", "body": piece, "more_body": True})
            await write({"type": "http.response.body", "body": b"", "more_body": False})
        except TimeoutError:
            # The body is left without its end, so that the reader, should it wake, sees that this is not all.
            log.warning("run %s: its reader took nothing for %g s and is dropped", self._run.id, self._stall_s)


async def _reader_left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
