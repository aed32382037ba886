"""`patchlight serve`: loads a model and serves the page and the API. Heavy packages are imported when it runs."""

import argparse
import shlex
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from .data_arguments import add_force_head, add_model_arguments, model_options
from .http_server import add_server_arguments, listen, run_server, say, token, warn_of_short_token

if TYPE_CHECKING:
    from ..models.loading import Loaded, LoadOptions
    from ..server.calibration_files import ServedCalibration
    from ..server.page import Page
    from ..server.schemas import HeadFacts
    from ..server.settings import ServeSettings


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the `serve` command. The parsed arguments contain `run`, which runs the command."""
    parser = subparsers.add_parser(
        "serve",
        help="load a model and serve it to the page and other clients",
        description="Load a vision-language model, serve the page and an HTTP API that answers questions about images, "
        "and open the page in a browser.",
    )
    add_model_arguments(parser)
    heads = parser.add_mutually_exclusive_group()
    heads.add_argument(
        "--head",
        type=Path,
        help="folder of a trained FastRM head (default: the one that `patchlight fit` made for this model, else fastrm/ in "
        "the model's folder)",
    )
    heads.add_argument("--no-head", action="store_true", help="serve the model without a head")
    add_force_head(parser)
    parser.add_argument(
        "--calibration",
        type=Path,
        help="calibration file of this model and head, from `patchlight evaluate` (default: calibration.arrow next to "
        "the head's folder)",
    )
    parser.add_argument("--knows", help="one or two sentences for the page about what the model can answer")
    add_server_arguments(parser)
    limits = parser.add_argument_group("limits")
    limits.add_argument(
        "--max-new-tokens", type=int, default=512, help="maximum answer length in tokens (default: %(default)s)"
    )
    limits.add_argument(
        "--max-prompt-tokens",
        type=int,
        default=2048,
        help="maximum prompt length in text tokens (default: %(default)s)",
    )
    limits.add_argument(
        "--max-image-mib",
        type=float,
        default=64,
        help="maximum size of a question's images in MiB (default: %(default)s)",
    )
    limits.add_argument(
        "--max-image-megapixels",
        type=float,
        default=50,
        help="maximum size of a question's images in megapixels (default: %(default)s)",
    )
    limits.add_argument(
        "--max-images", type=int, default=8, help="maximum number of images in a question (default: %(default)s)"
    )
    limits.add_argument(
        "--explain-memory",
        type=float,
        metavar="GIB",
        help="memory that one explanation may use, in GiB (default: half of what is free after loading the model)",
    )
    limits.add_argument(
        "--queue", type=int, default=16, help="maximum number of waiting questions (default: %(default)s)"
    )
    parser.set_defaults(run=run, extra="serve")


def run(arguments: argparse.Namespace) -> None:
    from ..server.page import load_page, packaged_page
    from ..server.settings import GIB, MIB, ServeSettings

    settings = ServeSettings(
        host=arguments.host,
        port=arguments.port,
        token=token(arguments),
        allowed_hosts=tuple(arguments.allow_host),
        root_path=arguments.root_path,
        queue_length=arguments.queue,
        image_bytes=int(arguments.max_image_mib * MIB),
        image_pixels=int(arguments.max_image_megapixels * 1e6),
        images=arguments.max_images,
        prompt_tokens=arguments.max_prompt_tokens,
        new_tokens=arguments.max_new_tokens,
        explain_bytes=None if arguments.explain_memory is None else int(arguments.explain_memory * GIB),
    )
    options = model_options(arguments)
    page_folder = arguments.page or packaged_page()
    page = None if page_folder is None else load_page(page_folder, has_api=True)
    # Bind first, so that a port in use is reported before the model loads, which may take minutes.
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
    from ..head.fastrm import training_failure
    from ..models.loading import load
    from ..server.app import create_app
    from ..server.head_files import serve_head
    from ..server.session import ModelSession

    say(f"loading {options.model}")
    loaded = load(options)
    head_folder = _head_folder(arguments, loaded)
    head = None if head_folder is None else serve_head(head_folder, scratch, loaded, force=arguments.force_head)
    calibration = _calibration(arguments, loaded, head_folder, None if head is None else head.facts)
    session = ModelSession(
        loaded,
        settings,
        head=None if head is None else head.facts,
        knows=arguments.knows or "",
        train_command=train_command(options),
        calibration=None if calibration is None else calibration.facts,
    )
    facts = session.facts
    say(f"{facts.name} ({facts.family}, {facts.dtype} on {facts.device}), hidden size {facts.hidden_size}")
    if head is None:
        say("no head, so the page shows TAM maps instead of FastRM's")
        if not any(refused.method == "chefer" for refused in facts.refused_methods):
            say(f"to make one from a folder `photos` with your own pictures, run\n  {facts.train_command}")
    else:
        say(f"head {head.facts.name} {head.facts.revision}, teacher: {head.facts.teacher}")
        if head_folder is not None and (failure := training_failure(head_folder)) is not None:
            say(f"warning: the training of this head failed, so its maps are of no use. {failure}")
        if head.facts.match == "other":
            say(f"warning: {head.training}, so its maps are meaningless; the page says so next to every map")
        elif head.facts.match == "unverified":
            say(f"warning: {head.training}; the page says so next to every map")
        if head.without_text is not None:
            say(f"warning: the head is served without its text output. {head.without_text}")
    if calibration is not None:
        say(f"calibration {calibration.path}, {calibration.facts.n} answers")
    if page is None:
        say("this package contains no built page: serving the API only")
    warn_of_short_token(settings)
    app = create_app(
        settings,
        session,
        head_files=None if head is None else head.files,
        calibration=None if calibration is None else (calibration.path, calibration.sha256),
        page=page,
    )
    opens = arguments.open and page is not None
    run_server(
        app,
        settings,
        listener,
        opens=opens,
        log_level=arguments.log_level,
        before_shutdown=app.state.stop_runs,
    )


def _head_folder(arguments: argparse.Namespace, loaded: "Loaded") -> Path | None:
    """Return the folder of the head to serve: the one given, the one in the cache, or the one in the model's folder."""
    from ..head.cache import find_head, heads_folder
    from ..server.head_files import default_head_folder

    if arguments.no_head or arguments.head is not None:
        return arguments.head
    cached = find_head(loaded, heads_folder())
    for problem in cached.damaged:
        say(f"warning: a head in the cache cannot be used. {problem}")
    if cached.folder is not None:
        say(f"using the head that was fitted to this model, {cached.folder}; to serve without it, pass --no-head")
        return cached.folder
    return default_head_folder(arguments.model)


def _calibration(
    arguments: argparse.Namespace, loaded: "Loaded", head_folder: Path | None, head: "HeadFacts | None"
) -> "ServedCalibration | None":
    """Load the calibration file given by `--calibration` or found next to the head.

    Raises ValueError if the given file cannot be used. If a file found next to the head cannot be used, only prints a
    message.
    """
    from ..server.calibration_files import default_calibration, serve_calibration

    given: Path | None = arguments.calibration
    path = given or (default_calibration(head_folder) if head_folder else None)
    if path is None:
        return None
    try:
        return serve_calibration(path, model=loaded.name, revision=loaded.revision, head=head)
    except ValueError as error:
        if given is not None:
            raise
        say(f"no calibration: {error}")
        return None


def train_command(options: "LoadOptions") -> str:
    """Return the command that makes a head for this model from a folder `photos` with the user's own pictures."""
    model = {"--model": options.model, "--revision": options.revision, "--device-map": options.device_map}
    loading = model | {"--dtype": None if options.dtype == "auto" else options.dtype}
    given = " ".join(f"{name} {shlex.quote(value)}" for name, value in loading.items() if value is not None)
    return f"patchlight fit {given} --images photos"
