"""Arguments and functions that `page` and `serve` share to run an HTTP server."""

import argparse
import getpass
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

    from ..server.log_limit import LogLimit
    from ..server.settings import ServeSettings

TOKEN_VARIABLE = "PATCHLIGHT_TOKEN"


def add_server_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the server options."""
    group = parser.add_argument_group("server")
    group.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on; one that other machines can reach requires --token (default: %(default)s)",
    )
    group.add_argument(
        "--port", type=int, default=8642, help="port to listen on; 0 picks a free one (default: %(default)s)"
    )
    group.add_argument(
        "--token", help=f"secret that every client must send (default: the environment variable {TOKEN_VARIABLE})"
    )
    group.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="additional host name of this server, such as a proxy's; may be repeated",
    )
    group.add_argument(
        "--root-path",
        default="",
        metavar="PATH",
        help="path under which a proxy serves the companion, such as /patchlight, whether or not the proxy removes it",
    )
    group.add_argument(
        "--log-level",
        choices=("info", "warning", "error"),
        default="info",
        help="least severe lines to log: info has a line for each request, warning one for each refused request, error "
        "only failures (default: %(default)s)",
    )
    group.add_argument("--page", type=Path, help="folder of a built page (default: the page in this package)")
    group.add_argument(
        "--open",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="open the page in a browser, if this machine has a display (default: %(default)s)",
    )


def token(arguments: argparse.Namespace) -> str | None:
    """Return the token from the option or the environment variable, or None."""
    return arguments.token or os.environ.get(TOKEN_VARIABLE) or None


def listen(settings: "ServeSettings") -> socket.socket:
    """Return a socket that is bound but not yet listening. Raises OSError if the address is not available."""
    family, kind, protocol, _, address = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        # Lets the system close a connection to a stalled client even if data is still unsent.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(settings.stall_s * 1000))
    try:
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise OSError(
            f"cannot listen on {settings.host} port {settings.port}: {error.strerror}. Choose another with --port"
        ) from None
    return listener


def run_server(
    app: "FastAPI",
    settings: "ServeSettings",
    listener: socket.socket,
    *,
    opens: bool,
    log_level: str,
    before_shutdown: Callable[[], None] = lambda: None,
) -> None:
    """Serve until a signal arrives. Prints the address once the server accepts connections."""
    from ..server.http_server import HttpServer

    class Server(HttpServer):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            url = address(settings, listener.getsockname()[1])
            say(f"Patchlight is at {url}")
            if opens and not open_in_browser(url):
                say_how_to_forward(settings, listener.getsockname()[1])

    log = configure_logging(log_level)
    # The server re-raises the signal once it has stopped. Exiting through an exception lets the callers clean up.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        Server(app, settings, listener, before_shutdown=before_shutdown, each_sweep=log.report).run()
    finally:
        log.report(everything=True)


def configure_logging(level: str) -> "LogLimit":
    """Log to stderr, with a limit on similar lines. level: the least severe lines of Patchlight to log."""
    from ..server.log_limit import LogLimit

    target = logging.StreamHandler()
    target.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    limited = LogLimit(target)
    logging.getLogger().addHandler(limited)
    logging.getLogger("patchlight").setLevel(level.upper())
    # The multipart parser warns about every malformed body, which only the sender can fix.
    logging.getLogger("python_multipart").setLevel(logging.ERROR)
    return limited


def open_in_browser(url: str) -> bool:
    """Open a URL in a browser and return True, or return False if there is no display.

    Runs in a thread, because some browser commands return only when the browser closes.
    """
    if sys.platform.startswith("linux") and not {"BROWSER", "DISPLAY", "WAYLAND_DISPLAY"} & set(os.environ):
        # Without a display, only text browsers remain, which would take over the terminal.
        return False
    threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
    return True


def say_how_to_forward(settings: "ServeSettings", port: int) -> None:
    """In an SSH session, print the command that forwards the port to the user's own machine."""
    from ..server.settings import is_loopback

    server = os.environ.get("SSH_CONNECTION", "").split()[2:3]
    if server and is_loopback(settings.host):
        say(
            f"to open it on your own machine, run there: ssh -N -L {port}:{settings.host}:{port} "
            f"{getpass.getuser()}@{server[0]}"
        )


def address(settings: "ServeSettings", port: int) -> str:
    """Return the URL of the page, including the token if there is one."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.host, settings.host)
    host = f"[{host}]" if ":" in host and not host.startswith("[") else host
    query = "" if settings.token is None else f"?token={quote(settings.token, safe='')}"
    return f"http://{host}:{port}{settings.root_path}/{query}"


def say(line: str) -> None:
    """Print a line to stderr for the user. Flushes, because another program may read the line through a pipe."""
    print(line, file=sys.stderr, flush=True)


def warn_of_short_token(settings: "ServeSettings") -> None:
    """Print a warning if the token has fewer than 16 characters."""
    if settings.token is not None and len(settings.token) < 16:
        say("warning: the token is short and could be guessed; use at least 16 characters")
