"""`patchlight` and `patchlight page`: serves the page with its embedded model and opens it. Does not need torch."""

import argparse

from .http_server import add_server_arguments, listen, run_server, token, warn_of_short_token

NO_PAGE = "this package contains no built page: to add it, run `npm run build:companion` in a clone of the repository"


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the `page` command. The parsed arguments contain `run`, which runs the command."""
    parser = subparsers.add_parser(
        "page",
        help="open the page with its embedded model (the default command)",
        description="Serve the page with its embedded model, and open it in a browser. No other model is needed.",
    )
    add_server_arguments(parser)
    parser.set_defaults(run=run, extra=None)


def run(arguments: argparse.Namespace) -> None:
    from ..server.page import load_page, packaged_page
    from ..server.page_app import create_page_app
    from ..server.settings import ServeSettings

    settings = ServeSettings(
        host=arguments.host,
        port=arguments.port,
        token=token(arguments),
        allowed_hosts=tuple(arguments.allow_host),
        root_path=arguments.root_path,
    )
    folder = arguments.page or packaged_page()
    if folder is None:
        raise ValueError(NO_PAGE)
    app = create_page_app(settings, load_page(folder, has_api=False))
    with listen(settings) as listener:
        warn_of_short_token(settings)
        run_server(app, settings, listener, opens=arguments.open, log_level=arguments.log_level)
