"""The built page as it is served. Next to the API its index says where that is; all else is files as they were built."""

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
# By the machine's own table these are unknown or wrong on some systems, and no type is guessed by the browser.
MEDIA_TYPES = {
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".wasm": "application/wasm",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".onnx": "application/octet-stream",
    ".bin": "application/octet-stream",
    ".run": "application/vnd.apache.arrow.stream",
    ".woff2": "font/woff2",
}
FOREVER, CHECKED = "private, max-age=31536000, immutable", "no-cache"
_POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy" content="([^"]+)"')


class Page(NamedTuple):
    """html: the page's HTML, with the API's place in it if there is one; policy: its content security policy, as a header may say it."""

    folder: Path
    html: bytes
    policy: str


def packaged_page() -> Path | None:
    """The page inside this package, where it was built in (`npm run build:companion`)."""
    folder = Path(str(files("patchlight") / "page"))
    return folder if (folder / "index.html").is_file() else None


def load_page(folder: Path, *, has_api: bool) -> Page:
    """has_api: marked as served beside the API; an unmarked page runs its embedded model. Raises OSError where there is no page, ValueError where it has no policy of its own."""
    built = (folder / "index.html").read_text(encoding="utf-8")
    policy = _POLICY.search(built)
    if policy is None:
        raise ValueError(f"{folder / 'index.html'} is no built page: it has no content security policy")
    index = built.replace("</head>", f"{COMPANION_META}</head>", 1) if has_api else built
    # frame-ancestors is only obeyed in a header.
    return Page(folder, index.encode(), html.unescape(policy[1]) + "; frame-ancestors 'none'")


class PageFiles(StaticFiles):
    """The page's folder; `/` and `/index.html` are the index with its mark."""

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
        # Built files under assets/ carry their hash in their name.
        response.headers["Cache-Control"] = FOREVER if path.startswith("assets/") else CHECKED
        return response

    def _index(self, scope: Scope) -> Response:
        headers = {"ETag": self._etag, "Cache-Control": CHECKED}
        if is_fresh(Request(scope).headers, self._etag):
            return NotModifiedResponse(Headers(headers))
        return Response(self._page.html, headers=headers, media_type="text/html")


def is_fresh(headers: Headers, etag: str) -> bool:
    """Whether what the caller keeps is what it would get."""
    kept = headers.get("if-none-match", "")
    return etag in [tag.strip().removeprefix("W/") for tag in kept.split(",")]
