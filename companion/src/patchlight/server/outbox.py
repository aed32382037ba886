"""A bounded buffer from the model's thread to a socket on the event loop. Either side can close it."""

import asyncio
import threading


class Outbox:
    """A buffer of bytes. Create it and call `take` on the event loop; the other methods may be called on any thread."""

    def __init__(self, limit_bytes: int):
        self._loop = asyncio.get_running_loop()
        self._limit = limit_bytes
        self._chunks: list[bytes] = []
        self._size = 0
        self._closed = self._abandoned = False
        self._has_room = threading.Condition()
        self._filled = asyncio.Event()

    def write(self, data: bytes) -> None:
        """Append a row without waiting. Call `wait_for_room` between rows."""
        with self._has_room:
            if self._abandoned or self._closed:
                return
            self._chunks.append(data)
            self._size += len(data)
        self._tell_reader()

    def wait_for_room(self) -> None:
        """Block the model's thread while the buffer exceeds the limit, unless the client has disconnected."""
        with self._has_room:
            self._has_room.wait_for(lambda: self._size <= self._limit or self._abandoned)

    def close(self) -> None:
        """Mark the end of the data."""
        with self._has_room:
            self._closed = True
        self._tell_reader()

    def abandon(self) -> None:
        """Discard all data, present and future, because the client has disconnected."""
        with self._has_room:
            self._abandoned = True
            self._chunks.clear()
            self._size = 0
            self._has_room.notify_all()

    async def take(self) -> bytes | None:
        """Wait for data and return all that is buffered; None at the end."""
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
        # While the server shuts down, a run may write its last row after the loop has closed.
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._filled.set)
