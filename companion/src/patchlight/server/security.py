"""Checks host name, origin and token before any route runs, and adds security headers to every response.

There is no CORS support, because the page and the API share one origin. Starlette's TrustedHostMiddleware is not
suitable: it splits `Host` at the first colon, which breaks IPv6 addresses, and it cannot accept every IP address while
restricting names.
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
# A test checks that the preview server in vite.config.ts sends the same headers.
ISOLATION_HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
}
OTHER_HEADERS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
DENY_ALL_POLICY = "default-src 'none'; frame-ancestors 'none'"
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


class Gate:
    """ASGI middleware that admits or refuses requests. policy: content security policy for all responses."""

    def __init__(self, app: ASGIApp, settings: ServeSettings, policy: str = DENY_ALL_POLICY):
        self._app, self._settings, self._policy = app, settings, policy
        self._names = host_names(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            raise RuntimeError(f"unsupported connection type {scope['type']!r}: only http is served")

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(ISOLATION_HEADERS | OTHER_HEADERS)
                headers.setdefault("Content-Security-Policy", self._policy)
            await send(message)

        try:
            response = self._check(scope)
        except Refusal as refusal:
            response = problem_response(refusal)
        await (response or self._app)(scope, receive, send_with_headers)

    def _check(self, scope: Scope) -> Response | None:
        """Return None if the request may pass, or a redirect that sets the cookie. Raises Refusal."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._is_own_name(hostname(host)):
            detail = f"unknown host {host!r}: restart the companion with --allow-host to accept this name"
            raise Refusal(400, "unknown-host", detail)
        if scope["method"] not in _SAFE_METHODS:
            _check_origin(headers.get("origin"), host)
        if self._settings.token is None:
            return None
        return self._check_token(scope, headers, self._settings.token)

    def _is_own_name(self, name: str) -> bool:
        if name in self._names:
            return True
        # Anyone's DNS can make a name resolve to this machine. An IP address involves no DNS, so it is safe to accept.
        return not is_loopback(self._settings.host) and _is_address(name)

    def _check_token(self, scope: Scope, headers: Headers, token: str) -> Response | None:
        query = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if scope["path"] == "/" and scope["method"] == "GET" and _is_equal(query, token):
            redirect = RedirectResponse("/", 303, {"Cache-Control": "no-store"})
            is_secure = scope.get("scheme") == "https"
            redirect.set_cookie(TOKEN_COOKIE, token, httponly=True, samesite="strict", secure=is_secure)
            return redirect
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        cookie = cookie_parser(headers.get("cookie", "")).get(TOKEN_COOKIE, "")
        # Always compare both, so that the timing does not depend on which one was sent.
        bearer_matches = _is_equal(bearer.strip(), token) and scheme.lower() == "bearer"
        cookie_matches = _is_equal(cookie, token)
        if bearer_matches or cookie_matches:
            return None
        detail = "this companion requires a token: open /?token=... in a browser, or send Authorization: Bearer ..."
        raise Refusal(401, "token-wanted", detail, headers={"WWW-Authenticate": "Bearer", "Cache-Control": "no-store"})


def host_names(settings: ServeSettings) -> frozenset[str]:
    """Return the names accepted in `Host`: loopback names, configured names and, on a network, the machine's names."""
    names = {*LOOPBACK_NAMES, settings.host, *settings.allowed_hosts}
    if not is_loopback(settings.host):
        names |= {socket.gethostname(), socket.getfqdn()}
    return frozenset(name.lower() for name in names)


def hostname(host: str) -> str:
    """Return `Host` without its port and IPv6 brackets; "" if it is not a valid host with an optional port."""
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port  # Raises ValueError if the port is not a number.
    except ValueError:
        return ""
    return parts.hostname or "" if parts.netloc == host and "@" not in host else ""


def _check_origin(origin: str | None, host: str) -> None:
    """Refuse requests from pages of other origins.

    A request without `Origin` is not from a page: browsers always send the header with unsafe methods.
    """
    if origin is None:
        return
    try:
        netloc = urlsplit(origin).netloc
    except ValueError:
        netloc = ""
    if not netloc or netloc.lower() != host.lower():
        raise Refusal(403, "foreign-origin", f"requests from pages of {origin} to {host} are not allowed")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_equal(value: str, token: str) -> bool:
    """Compare in constant time, so that timing does not reveal how much of the token was right."""
    return hmac.compare_digest(value.encode(), token.encode())
