"""What `page` and `serve` share: the arguments that say where to listen, and running the server there."""

import argparse
import logging
import os
import signal
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from fastapi import FastAPI

    from ..server.settings import ServeSettings

TOKEN_VARIABLE = "PATCHLIGHT_TOKEN"


def add_server_arguments(parser: argparse.ArgumentParser, *, opens: bool) -> None:
    """`opens`: whether the page is opened in a browser unless the user says otherwise."""
    group = parser.add_argument_group("where")
    group.add_argument("--host", default="127.0.0.1", help="anything but this machine alone needs --token")
    group.add_argument("--port", type=int, default=8642, help="0 takes a free one")
    group.add_argument("--token", help=f"secret that every caller must show; also from {TOKEN_VARIABLE}")
    group.add_argument(
        "--allow-host", action="append", default=[], help="a further name of this server; may be repeated"
    )
    group.add_argument("--page", type=Path, help="folder of the built page, instead of the one in this package")
    group.add_argument(
        "--open",
        action=argparse.BooleanOptionalAction,
        default=opens,
        help="open the page in a browser (default: %(default)s)",
    )


def token(arguments: argparse.Namespace) -> str | None:
    return arguments.token or os.environ.get(TOKEN_VARIABLE) or None


def listen(settings: "ServeSettings") -> socket.socket:
    """Bound, not yet listening."""
    family, kind, protocol, _, address = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        # The system drops a connection that the server has given up on, unsent bytes included.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(settings.stall_s * 1000))
    try:
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise OSError(f"cannot listen on {settings.host} port {settings.port}: {error.strerror}") from None
    return listener


def run_server(
    app: "FastAPI",
    settings: "ServeSettings",
    listener: socket.socket,
    *,
    opens: bool,
    before_shutdown: Callable[[], None] = lambda: None,
) -> None:
    """Serves until a signal ends it. Prints the address once connections are accepted."""
    import uvicorn

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            url = address(settings, listener.getsockname()[1])
            say(f"Patchlight is at {url}")
            if opens:
                open_in_browser(url)

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            before_shutdown()
            await super().shutdown(sockets)

    # It warns about each malformed body, which only its sender can do something about.
    logging.getLogger("python_multipart").setLevel(logging.ERROR)
    # An access log would hold the token of GET /?token=...
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, ws="none", timeout_graceful_shutdown=3
    )
    # The server passes a signal on once it has ended. Exiting then runs the callers' clean-up.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    Server(config).run(sockets=[listener])


def open_in_browser(url: str) -> None:
    """In a thread: some browsers return only when they are closed. Does nothing where no window can be shown."""
    if sys.platform.startswith("linux") and not {"BROWSER", "DISPLAY", "WAYLAND_DISPLAY"} & set(os.environ):
        # What would be left are browsers that take over the terminal.
        return
    threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()


def address(settings: "ServeSettings", port: int) -> str:
    """Where to open the page, with its token if there is one."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.host, settings.host)
    host = f"[{host}]" if ":" in host and not host.startswith("[") else host
    query = "" if settings.token is None else f"?token={quote(settings.token, safe='')}"
    return f"http://{host}:{port}/{query}"


def say(line: str) -> None:
    """To whoever started the server; flushed, because it may be read through a pipe."""
    print(line, file=sys.stderr, flush=True)


def warn_of_short_token(settings: "ServeSettings") -> None:
    if settings.token is not None and len(settings.token) < 16:
        say("the token is short: somebody on the network may guess it")
