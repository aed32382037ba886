"""Who may call, from where, by which name: checked before any route, and headers put on every answer.

There is no CORS here at all: page and API are one origin. Starlette's TrustedHostMiddleware is not used, for it splits
`Host` at the first colon, which no IPv6 address survives, and knows no "any address, but no unknown name".
"""

import hmac
import ipaddress
import socket
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .problems import Refusal, problem_response
from .settings import LOOPBACK_NAMES, ServeSettings, is_loopback

TOKEN_COOKIE = "patchlight-token"
# Read by the tests of vite.config.ts's preview server too: what a static host sends and this must be the same.
ISOLATION_HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
}
OTHER_HEADERS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
NOTHING_POLICY = "default-src 'none'; frame-ancestors 'none'"
_READING_METHODS = ("GET", "HEAD", "OPTIONS")


class Gate:
    """ASGI middleware. `policy` is the content security policy of the page and its files."""

    def __init__(self, app: ASGIApp, settings: ServeSettings, policy: str = NOTHING_POLICY):
        self._app, self._settings, self._policy = app, settings, policy
        self._names = host_names(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            raise RuntimeError(f"a connection of type {scope['type']}: only http is served")

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(ISOLATION_HEADERS | OTHER_HEADERS)
                headers.setdefault("Content-Security-Policy", self._policy)
            await send(message)

        try:
            answer = self._admit(scope)
        except Refusal as refusal:
            answer = problem_response(refusal)
        await (answer or self._app)(scope, receive, send_with_headers)

    def _admit(self, scope: Scope) -> Response | None:
        """None where the request may pass."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._knows(hostname(host)):
            raise Refusal(
                400, "unknown-host", f"this companion is not called {host!r}: start it with --allow-host to add a name"
            )
        if scope["method"] not in _READING_METHODS:
            _check_origin(headers.get("origin"), host)
        if self._settings.token is None:
            return None
        return self._check_token(scope, headers, self._settings.token)

    def _knows(self, name: str) -> bool:
        if name in self._names:
            return True
        # An address is no name that somebody else's DNS could point here.
        return not is_loopback(self._settings.host) and _is_address(name)

    def _check_token(self, scope: Scope, headers: Headers, token: str) -> Response | None:
        offered = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if scope["path"] == "/" and scope["method"] == "GET" and _same(offered, token):
            redirect = RedirectResponse("/", 303, {"Cache-Control": "no-store"})
            is_secure = scope.get("scheme") == "https"
            redirect.set_cookie(TOKEN_COOKIE, token, httponly=True, samesite="strict", secure=is_secure)
            return redirect
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        cookie = cookie_parser(headers.get("cookie", "")).get(TOKEN_COOKIE, "")
        # Both are compared always: which one was given is nobody's business.
        by_bearer, by_cookie = _same(bearer.strip(), token) and scheme.lower() == "bearer", _same(cookie, token)
        if by_bearer or by_cookie:
            return None
        detail = "this companion wants its token: open /?token=... in a browser, or send Authorization: Bearer ..."
        raise Refusal(401, "token-wanted", detail, headers={"WWW-Authenticate": "Bearer", "Cache-Control": "no-store"})


def host_names(settings: ServeSettings) -> frozenset[str]:
    """What the `Host` header may say: loopback's names, what it listens on, and on a network this machine's own name."""
    names = {*LOOPBACK_NAMES, settings.host, *settings.allowed_hosts}
    if not is_loopback(settings.host):
        names |= {socket.gethostname(), socket.getfqdn()}
    return frozenset(name.lower() for name in names)


def hostname(host: str) -> str:
    """`Host` without its port and an IPv6 address' brackets; empty where it is anything else than a name and a port."""
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port  # Raises where it is no number.
    except ValueError:
        return ""
    return parts.hostname or "" if parts.netloc == host and "@" not in host else ""


def _check_origin(origin: str | None, host: str) -> None:
    """A browser names the page that posts; other programs, which no page can drive, send no `Origin`."""
    if origin is None:
        return
    try:
        netloc = urlsplit(origin).netloc
    except ValueError:
        netloc = ""
    if not netloc or netloc.lower() != host.lower():
        raise Refusal(403, "foreign-origin", f"a page of {origin} may not post to {host}")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _same(offered: str, token: str) -> bool:
    """In a time that does not tell how much of it was right."""
    return hmac.compare_digest(offered.encode(), token.encode())
