"""Runs an app on a socket: accepts connections up to a limit, enforces their deadlines, and stops within seconds.

uvicorn parses HTTP and calls the app. Accepting is done here, because asyncio's own loop logs thousands of lines when no
file descriptors are left and accepts no connections meanwhile.
"""

import asyncio
import contextlib
import errno
import logging
import math
import os
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

import uvicorn

from .access_log import AccessLog
from .connections import Connection, Connections
from .settings import ServeSettings

if TYPE_CHECKING:
    from fastapi import FastAPI

log = logging.getLogger("patchlight.connections")
# Connections that the system holds until they are accepted.
BACKLOG = 1024
# Time in seconds for open responses to end after the server was told to stop.
SHUTDOWN_S = 3
ACCEPT_RETRY_S = 0.1
# File descriptors kept free for model files, log files and libraries.
SPARE_FILES = 16
_OUT_OF_RESOURCES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class HttpServer(uvicorn.Server):
    """Serves an app on a listening or bound socket. before_shutdown: called before the server waits for
    open responses. each_sweep: called about once a second.
    """

    def __init__(
        self,
        app: "FastAPI",
        settings: ServeSettings,
        listener: socket.socket,
        *,
        before_shutdown: Callable[[], None] = lambda: None,
        each_sweep: Callable[[], None] = lambda: None,
    ):
        config = uvicorn.Config(
            AccessLog(app),
            loop="asyncio",
            http="h11",
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=math.ceil(settings.keep_alive_s),
            # A margin, because the connections are closed first.
            timeout_graceful_shutdown=SHUTDOWN_S + 2,
        )
        super().__init__(config)
        self._listener, self._before_shutdown, self._each_sweep = listener, before_shutdown, each_sweep
        self.open_connections = Connections(settings, connection_limit(settings))
        self._tasks: list[asyncio.Task[None]] = []

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=[])
        self._listener.setblocking(False)
        self._listener.listen(BACKLOG)
        self._tasks = [asyncio.create_task(self._accept()), asyncio.create_task(self._sweep())]

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._before_shutdown()
        accepting, sweeping = self._tasks
        accepting.cancel()
        self._listener.close()
        # A response that does not end would otherwise be reported as a fault of the app.
        closing = asyncio.get_running_loop().call_later(SHUTDOWN_S, self.open_connections.close_all)
        await super().shutdown()
        closing.cancel()
        sweeping.cancel()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, _ = await loop.sock_accept(self._listener)
            except OSError as error:
                log.error("cannot accept a connection: %s", error.strerror)
                if error.errno in _OUT_OF_RESOURCES:
                    self.open_connections.drop_one()
                await asyncio.sleep(ACCEPT_RETRY_S)
                continue
            connection = Connection(
                self.open_connections,
                config=self.config,
                server_state=self.server_state,
                app_state=self.lifespan.state,
                _loop=loop,
            )
            try:
                await loop.connect_accepted_socket(lambda made=connection: made, accepted)
            except OSError:
                accepted.close()
                continue
            await self.open_connections.make_room(connection)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(self.open_connections.sweep_s)
            self.open_connections.sweep()
            self._each_sweep()


def connection_limit(settings: ServeSettings) -> int:
    """Return how many connections may be open, after raising the process's limit of open files as far as it goes.

    A connection may need a second file: the page's file that it downloads, or the temporary file of its upload.
    """
    try:
        import resource
    except ImportError:  # Windows has no such limit.
        return settings.connections
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        # Some systems refuse values up to their `hard` limit.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
    if soft == resource.RLIM_INFINITY:
        return settings.connections
    free = soft - _open_files() - SPARE_FILES
    return max(1, min(settings.connections, free // 2))


def _open_files() -> int:
    for folder in ("/proc/self/fd", "/dev/fd"):
        with contextlib.suppress(OSError):
            return len(os.listdir(folder))
    return 64
