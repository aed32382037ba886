"""Checks host name, origin and token before any route runs, and adds security headers to every response.

There is no CORS support, because the page and the API share one origin. Starlette's TrustedHostMiddleware is not
suitable: it splits `Host` at the first colon, which breaks IPv6 addresses, and it cannot accept every IP address while
restricting names.
"""

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .host_names import HostNames
from .problems import ProblemResponse, Refusal
from .settings import ServeSettings
from .token_access import TokenAccess

# A test checks that the preview server in vite.config.ts sends the same headers.
ISOLATION_HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
}
OTHER_HEADERS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
DENY_ALL_POLICY = "default-src 'none'; frame-ancestors 'none'"


class Gate:
    """ASGI middleware that admits or refuses requests. policy: content security policy for all responses."""

    def __init__(self, app: ASGIApp, settings: ServeSettings, policy: str = DENY_ALL_POLICY):
        self._app, self._root_path, self._policy = app, settings.root_path, policy
        self._names = HostNames(settings)
        self._access = None if settings.token is None else TokenAccess(settings, settings.token)

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

        scope = self._without_prefix(scope)
        try:
            response = self._check(scope)
        except Refusal as refusal:
            response = ProblemResponse(refusal)
        if scope["method"] == "HEAD" and scope["path"].startswith("/v1/"):
            # The routes know only GET. The server sends no body in response to HEAD.
            scope = {**scope, "method": "GET"}
        await (response or self._app)(scope, receive, send_with_headers)

    def _without_prefix(self, scope: Scope) -> Scope:
        """Remove the path prefix of a proxy that passes it on. Requests without it are from one that removes it."""
        path, root = scope["path"], self._root_path
        if not root or not path.startswith(f"{root}/"):
            return scope
        return {**scope, "path": path[len(root) :]}

    def _check(self, scope: Scope) -> Response | None:
        """Return None if the request may pass, or the response to send instead. Raises Refusal."""
        headers, method = Headers(scope=scope), scope["method"]
        if "content-length" in headers and "transfer-encoding" in headers:
            # A proxy that believes the other one would take part of the body for the next request.
            detail = "the request has both Content-Length and Transfer-Encoding: send one of them"
            raise Refusal(400, "invalid-http", detail, headers={"Connection": "close"})
        host = self._names.check_host(headers.get("host", ""), headers.get("x-forwarded-host", ""))
        is_navigation = method in ("GET", "HEAD") and headers.get("sec-fetch-dest") == "document"
        self._names.check_origin(
            headers.get("origin"), host, headers.get("sec-fetch-site"), is_navigation=is_navigation
        )
        if self._root_path and scope["path"] == self._root_path:
            # The page's relative addresses need the final slash.
            query = scope["query_string"].decode("latin-1")
            return RedirectResponse(f"{self._root_path}/{'?' + query if query else ''}", 307)
        return None if self._access is None else self._access.check(scope, headers, host)
