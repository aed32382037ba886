"""Helpers for the tests of access control: a small built page, and companions that serve it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from fastapi import FastAPI
from fastapi.routing import APIRoute

from patchlight.server.app import create_app
from patchlight.server.page import Page, load_page
from patchlight.server.settings import ServeSettings
from tests.helpers.serving import serving, tiny_session

TOKEN = "correct-horse-battery-staple"
POLICY = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'"
INDEX = (
    f'<!doctype html><html><head><meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    "<title>Patchlight</title></head><body></body></html>"
)


def built_page(folder: Path) -> Page:
    """Write a page with a few assets, and load it."""
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text(INDEX)
    for name in ("app-1a2b.js", "ort.mjs", "ort.wasm", "model.onnx", "hens.jpg"):
        (folder / "assets" / name).write_text(f"// {name}")
    (folder / "favicon.svg").write_text("<svg/>")
    return load_page(folder, has_api=True)


class Server(NamedTuple):
    """A running app and its address."""

    app: FastAPI
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def cookie(self) -> str:
        """Name of the cookie that carries the token."""
        return f"patchlight-token-{self.port}"


@contextmanager
def secured(page: Page, **options: Any) -> Iterator[Server]:
    """Serve a companion with the page and with the given settings."""
    settings = ServeSettings(**options)
    app = create_app(settings, tiny_session(settings), page=page)
    with serving(app, settings) as port:
        yield Server(app, port)


def every_call(app: FastAPI) -> list[tuple[str, str]]:
    """Return the method and path of each route, each file of the page, and some unknown paths."""
    calls = [
        (method, re.sub(r"\{\w+\}", "x", route.path))
        for route in app.routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    ]
    files = ["/", "/index.html", "/favicon.svg", "/assets/app-1a2b.js", "/v1/openapi.json", "/v1/nothing", "/nothing"]
    calls += [("GET", path) for path in files]
    calls += [(method, "/v1/generate") for method in ("GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH")]
    return calls
