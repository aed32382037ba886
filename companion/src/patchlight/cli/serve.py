"""`patchlight serve`: loads a model and serves page and API. Heavy imports wait until the command runs."""

import argparse
import shlex
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from .http_server import add_server_arguments, listen, run_server, say, token, warn_of_short_token

if TYPE_CHECKING:
    from ..models.loading import Loaded, LoadOptions
    from ..server.calibration_files import ServedCalibration
    from ..server.page import Page
    from ..server.schemas import HeadFacts
    from ..server.settings import ServeSettings


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
    add_server_arguments(parser, opens=False)
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
    parser.set_defaults(run=run, extra="serve")


def run(arguments: argparse.Namespace) -> None:
    from ..models.loading import LoadOptions
    from ..server.page import load_page, packaged_page
    from ..server.settings import GIB, MIB, ServeSettings

    settings = ServeSettings(
        host=arguments.host,
        port=arguments.port,
        token=token(arguments),
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
    page = None if page_folder is None else load_page(page_folder, has_api=True)
    # Before the minutes that loading may take: a port that is taken should be known now.
    with listen(settings) as listener, tempfile.TemporaryDirectory(prefix="patchlight-head-") as scratch:
        _serve(arguments, settings, options, page, listener, Path(scratch))


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
    warn_of_short_token(settings)
    app = create_app(
        settings,
        session,
        head_files=None if head is None else head.files,
        calibration=None if calibration is None else (calibration.path, calibration.sha256),
        page=page,
    )
    opens = arguments.open and page is not None
    run_server(app, settings, listener, opens=opens, before_shutdown=app.state.stop_runs)


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


def train_command(model: str) -> str:
    """What makes a head for this model, for whoever reads that it has none."""
    return (
        f"patchlight collect --model {shlex.quote(model)} --data jsonl --questions questions.jsonl --out samples && "
        "patchlight train --samples samples --out head"
    )
