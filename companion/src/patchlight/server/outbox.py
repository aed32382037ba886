"""Bytes on their way from the model's thread to a socket on the event loop: bounded, and closed from either side."""

import asyncio
import threading


class Outbox:
    """Made on the event loop. `write`, `wait_for_room` and `close` may be called on any thread, `take` on the loop."""

    def __init__(self, limit_bytes: int):
        self._loop = asyncio.get_running_loop()
        self._limit = limit_bytes
        self._chunks: list[bytes] = []
        self._size = 0
        self._closed = self._abandoned = False
        self._has_room = threading.Condition()
        self._filled = asyncio.Event()

    def write(self, data: bytes) -> None:
        """Never waits: a row goes in whole, and `wait_for_room` stands between rows."""
        with self._has_room:
            if self._abandoned or self._closed:
                return
            self._chunks.append(data)
            self._size += len(data)
        self._tell_reader()

    def wait_for_room(self) -> None:
        """Blocks the model's thread while the reader is more than the limit behind; not once the reader has gone."""
        with self._has_room:
            self._has_room.wait_for(lambda: self._size <= self._limit or self._abandoned)

    def close(self) -> None:
        """Nothing more will come."""
        with self._has_room:
            self._closed = True
        self._tell_reader()

    def abandon(self) -> None:
        """The reader has gone: what is here and what comes is thrown away."""
        with self._has_room:
            self._abandoned = True
            self._chunks.clear()
            self._size = 0
            self._has_room.notify_all()

    async def take(self) -> bytes | None:
        """All that has come since; None at the end."""
        while True:
            with self._has_room:
                self._filled.clear()
                if self._chunks:
                    data = b"".join(self._chunks)
                    self._chunks.clear()
                    self._size = 0
                    self._has_room.notify_all()
                    return data
                if self._closed or self._abandoned:
                    return None
            await self._filled.wait()

    def _tell_reader(self) -> None:
        # A run may outlive the loop by its last row, when the server is being stopped.
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._filled.set)
