"""Serves the built page. If there is an API, the index contains its address; other files are served as built."""

import hashlib
import html
import re
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.staticfiles import NotModifiedResponse, StaticFiles
from starlette.types import Scope

COMPANION_META = '<meta name="patchlight-companion" content="./v1/" />'
# Some systems lack these media types or have wrong ones, and the `nosniff` header stops browsers from guessing.
MEDIA_TYPES = {
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".wasm": "application/wasm",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".jpg": "image/jpeg",
    ".onnx": "application/octet-stream",
    ".bin": "application/octet-stream",
    ".run": "application/vnd.apache.arrow.stream",
    ".woff2": "font/woff2",
}
FOREVER, CHECKED = "private, max-age=31536000, immutable", "no-cache"
_POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy" content="([^"]+)"')


class Page(NamedTuple):
    """A built page. html: the index, with the API's address if there is an API. policy: the page's content security
    policy.
    """

    folder: Path
    html: bytes
    policy: str


def packaged_page() -> Path | None:
    """Return the folder of the page in this package, or None if it was not built (`npm run build:companion`)."""
    folder = Path(str(files("patchlight") / "page"))
    return folder if (folder / "index.html").is_file() else None


def load_page(folder: Path, *, has_api: bool) -> Page:
    """Load a built page.

    has_api: whether to add the API's address to the index; without it, the page runs its embedded model. Raises OSError
    if the folder has no index.html, or ValueError if index.html has no content security policy.
    """
    built = (folder / "index.html").read_text(encoding="utf-8")
    policy = _POLICY.search(built)
    if policy is None:
        raise ValueError(
            f"{folder / 'index.html'} has no content security policy, so it is not a built page: run `npm run build`"
        )
    index = built.replace("</head>", f"{COMPANION_META}</head>", 1) if has_api else built
    # Browsers ignore frame-ancestors outside a header.
    return Page(folder, index.encode(), html.unescape(policy[1]) + "; frame-ancestors 'none'")


class PageFiles(StaticFiles):
    """Serves a page's folder. `/` and `/index.html` return `Page.html`."""

    def __init__(self, page: Page):
        super().__init__(directory=page.folder)
        self._page, self._etag = page, f'"{hashlib.sha256(page.html).hexdigest()}"'

    async def get_response(self, path: str, scope: Scope) -> Response:
        if path in (".", "index.html"):
            return self._index(scope)
        response = await super().get_response(path, scope)
        suffix = Path(path).suffix
        if suffix in MEDIA_TYPES and response.status_code < 400:
            response.headers["Content-Type"] = MEDIA_TYPES[suffix]
        # The names of files in assets/ contain a hash of their content.
        response.headers["Cache-Control"] = FOREVER if path.startswith("assets/") else CHECKED
        return response

    def _index(self, scope: Scope) -> Response:
        headers = {"ETag": self._etag, "Cache-Control": CHECKED}
        if is_fresh(Request(scope).headers, self._etag):
            return NotModifiedResponse(Headers(headers))
        return Response(self._page.html, headers=headers, media_type="text/html")


def is_fresh(headers: Headers, etag: str) -> bool:
    """Return whether the client's cached copy is current."""
    cached = headers.get("if-none-match", "")
    return etag in [tag.strip().removeprefix("W/") for tag in cached.split(",")]
