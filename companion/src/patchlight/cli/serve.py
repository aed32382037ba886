"""`patchlight serve`: loads a model and serves page and API. Heavy imports wait until the command runs."""

import argparse
import logging
import os
import shlex
import signal
import socket
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from fastapi import FastAPI

    from ..models.loading import Loaded, LoadOptions
    from ..server.calibration_files import ServedCalibration
    from ..server.page import Page
    from ..server.schemas import HeadFacts
    from ..server.settings import ServeSettings

TOKEN_VARIABLE = "PATCHLIGHT_TOKEN"


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Put `serve` among the commands; `run(arguments)` does it."""
    parser = subparsers.add_parser("serve", help="answer questions about pictures, for the page and anything else")
    parser.add_argument("--model", required=True, help="hub id, or a folder in Hugging Face's layout")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps")
    parser.add_argument("--dtype", default="auto", help="auto, float32, bfloat16, float16")
    parser.add_argument("--device-map", help="spread over several GPUs: auto, balanced, sequential")
    parser.add_argument("--revision", help="branch, tag or commit on the hub")
    parser.add_argument(
        "--head", type=Path, help="folder of a trained FastRM head; the model's own fastrm/ if left out"
    )
    parser.add_argument(
        "--calibration",
        type=Path,
        help="how far to trust this model's answers (docs/calibration.md); calibration.arrow beside the head if left out",
    )
    parser.add_argument("--knows", help="what the model can answer, in a sentence or two, for the page")
    where = parser.add_argument_group("where")
    where.add_argument("--host", default="127.0.0.1", help="anything but this machine alone needs --token")
    where.add_argument("--port", type=int, default=8642, help="0 takes a free one")
    where.add_argument("--token", help=f"what every caller must show; also from {TOKEN_VARIABLE}")
    where.add_argument(
        "--allow-host", action="append", default=[], help="a further name of this server; may be repeated"
    )
    where.add_argument("--page", type=Path, help="folder of the built page, instead of the one in this package")
    limits = parser.add_argument_group("limits")
    limits.add_argument("--max-new-tokens", type=int, default=512, help="longest answer")
    limits.add_argument("--max-prompt-tokens", type=int, default=2048, help="longest prompt, in text tokens")
    limits.add_argument("--max-image-mib", type=float, default=20, help="largest image file")
    limits.add_argument("--max-image-megapixels", type=float, default=50, help="largest image")
    limits.add_argument(
        "--explain-memory",
        type=float,
        metavar="GIB",
        help="what one explanation may take; half of what is free beside the model if left out",
    )
    limits.add_argument("--queue", type=int, default=16, help="questions that may wait for the model")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    from ..models.loading import LoadOptions
    from ..server.page import load_page, packaged_page
    from ..server.settings import GIB, MIB, ServeSettings

    settings = ServeSettings(
        host=arguments.host,
        port=arguments.port,
        token=arguments.token or os.environ.get(TOKEN_VARIABLE) or None,
        allowed_hosts=tuple(arguments.allow_host),
        queue_length=arguments.queue,
        image_bytes=int(arguments.max_image_mib * MIB),
        image_pixels=int(arguments.max_image_megapixels * 1e6),
        prompt_tokens=arguments.max_prompt_tokens,
        new_tokens=arguments.max_new_tokens,
        explain_bytes=None if arguments.explain_memory is None else int(arguments.explain_memory * GIB),
    )
    options = LoadOptions(
        model=arguments.model,
        device=arguments.device,
        dtype=arguments.dtype,
        revision=arguments.revision,
        device_map=arguments.device_map,
    )
    page_folder = arguments.page or packaged_page()
    page = None if page_folder is None else load_page(page_folder)
    # Before the minutes that loading may take: a port that is taken should be known now.
    with _listen(settings) as listener, tempfile.TemporaryDirectory(prefix="patchlight-head-") as scratch:
        _serve(arguments, settings, options, page, listener, Path(scratch))


def _listen(settings: "ServeSettings") -> socket.socket:
    """Bound, not yet listening."""
    family, kind, protocol, _, address = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        # What the server has given up on the system lets go of too, unsent bytes and all.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(settings.stall_s * 1000))
    try:
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise OSError(f"cannot listen on {settings.host} port {settings.port}: {error.strerror}") from None
    return listener


def _serve(
    arguments: argparse.Namespace,
    settings: "ServeSettings",
    options: "LoadOptions",
    page: "Page | None",
    listener: socket.socket,
    scratch: Path,
) -> None:
    from ..models.loading import load
    from ..server.app import create_app
    from ..server.head_files import default_head_folder, serve_head
    from ..server.session import ModelSession

    say(f"loading {options.model}")
    loaded = load(options)
    head_folder = arguments.head or default_head_folder(options.model)
    head = None if head_folder is None else serve_head(head_folder, scratch, hidden_size=loaded.hidden_size)
    calibration = _calibration(arguments, loaded, head_folder, None if head is None else head.facts)
    session = ModelSession(
        loaded,
        settings,
        head=None if head is None else head.facts,
        knows=arguments.knows or "The companion was not told what this model knows.",
        train_command=train_command(options.model),
        calibration=None if calibration is None else calibration.facts,
    )
    facts = session.facts
    say(f"{facts.name} ({facts.family}, {facts.dtype} on {facts.device}), hidden size {facts.hidden_size}")
    if head is None:
        say(f"no head, so no FastRM maps: train one with\n  {facts.train_command}")
    else:
        say(f"head {head.facts.name} {head.facts.revision}, taught by {head.facts.teacher}")
        if head.trained_on != facts.name:
            say(f"it was trained on {head.trained_on}: its maps of another model's states mean nothing")
    if calibration is not None:
        say(f"calibration {calibration.path}, {calibration.facts.n} answers")
    if page is None:
        say("no page is built into this package: the API stands alone")
    if settings.token is not None and len(settings.token) < 16:
        say("the token is short: somebody on the network may guess it")
    app = create_app(
        settings,
        session,
        head_files=None if head is None else head.files,
        calibration=None if calibration is None else (calibration.path, calibration.sha256),
        page=page,
    )
    _run_server(app, settings, listener)


def _calibration(
    arguments: argparse.Namespace, loaded: "Loaded", head_folder: Path | None, head: "HeadFacts | None"
) -> "ServedCalibration | None":
    """The one that is named must fit; one that merely lies beside the head is left out where it does not."""
    from ..server.calibration_files import default_calibration, serve_calibration

    named: Path | None = arguments.calibration
    path = named or (default_calibration(head_folder) if head_folder else None)
    if path is None:
        return None
    try:
        return serve_calibration(path, model=loaded.name, revision=loaded.revision, head=head)
    except ValueError as error:
        if named is not None:
            raise
        say(f"no calibration: {error}")
        return None


def _run_server(app: "FastAPI", settings: "ServeSettings", listener: socket.socket) -> None:
    import uvicorn

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            say(f"Patchlight is at {address(settings, listener.getsockname()[1])}")

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            app.state.stop_runs()
            await super().shutdown(sockets)

    # It warns of each malformed body, which only its sender can do something about.
    logging.getLogger("python_multipart").setLevel(logging.ERROR)
    # An access log would hold the token of GET /?token=...
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, ws="none", timeout_graceful_shutdown=3
    )
    # The server hands a signal on once it has ended: so that what was opened on the way here is closed then too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    Server(config).run(sockets=[listener])


def address(settings: "ServeSettings", port: int) -> str:
    """Where to open the page, with its token if there is one."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.host, settings.host)
    host = f"[{host}]" if ":" in host and not host.startswith("[") else host
    token = "" if settings.token is None else f"?token={quote(settings.token, safe='')}"
    return f"http://{host}:{port}/{token}"


def train_command(model: str) -> str:
    """What makes a head for this model, for whoever reads that it has none."""
    return (
        f"patchlight collect --model {shlex.quote(model)} --data jsonl --questions questions.jsonl --out samples && "
        "patchlight train --samples samples --out head"
    )


def say(line: str) -> None:
    """To whoever started the server; at once, for it may be read through a pipe."""
    print(line, file=sys.stderr, flush=True)
