"""Checks the token, sets the cookie that carries it, and explains in the browser how to get in without it."""

import base64
import hashlib
import hmac
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import RedirectResponse, Response
from starlette.types import Scope

from .access_log import note
from .addresses import DEFAULT_PORTS, Address
from .problems import Refusal
from .settings import ServeSettings

COOKIE = "patchlight-token"
# Browsers accept a cookie with such a prefix only from HTTPS and, for the first, only for the path `/`.
COOKIE_PREFIXES = ("__Host-", "__Secure-", "")
_STYLE = (
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:36rem;margin:15vh auto;padding:0 1rem}"
    "code{overflow-wrap:anywhere}"
)
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_PAGE_POLICY = f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; frame-ancestors 'none'; base-uri 'none'"
_PAGE = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    '<meta name="color-scheme" content="light dark"><title>Patchlight: token needed</title>'
    "<style>{style}</style></head><body><h1>This companion needs its token</h1><p>{problem}</p>"
    "<p>Open the address that <code>patchlight</code> printed when it started. It ends in "
    "<code>?token=…</code>. If the companion was restarted, its token may have changed: use the new address, or ask "
    "whoever runs it for one.</p></body></html>"
)


class TokenAccess:
    """Admits requests that carry the token."""

    def __init__(self, settings: ServeSettings, token: str):
        self._root_path, self._token = settings.root_path, token

    def check(self, scope: Scope, headers: Headers, host: Address) -> Response | None:
        """Return None if the request may pass, a redirect that sets the cookie, or a page that asks for the token.

        Raises Refusal for a request that is not a browser opening a page.
        """
        query = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        opens_page = scope["path"] in ("/", "/index.html") and scope["method"] in ("GET", "HEAD")
        if opens_page and self._is_token(query):
            return self._set_cookie(scope, host)
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        cookies = cookie_parser(headers.get("cookie", ""))
        sent = [cookies.get(prefix + _cookie_name(scope, host), "") for prefix in COOKIE_PREFIXES]
        # Always compare all, so that the timing does not depend on which one was sent.
        bearer_matches = self._is_token(bearer.strip()) and scheme.lower() == "bearer"
        cookie_matches = [self._is_token(cookie) for cookie in sent]
        if bearer_matches or any(cookie_matches):
            return None
        extra = {"WWW-Authenticate": "Bearer", "Cache-Control": "no-store"}
        if not scope["path"].startswith("/v1/") and "text/html" in headers.get("accept", ""):
            note(scope, reason="token-wanted")
            return _page(_problem(opens_page and query, bearer, sent), extra)
        detail = "this companion requires a token: open /?token=... in a browser, or send Authorization: Bearer ..."
        raise Refusal(401, "token-wanted", f"{_problem(opens_page and query, bearer, sent)} {detail}", headers=extra)

    def _set_cookie(self, scope: Scope, host: Address) -> Response:
        """Redirect to the page without the token, which would otherwise stay in the browser's history."""
        # Relative, because a proxy may have removed a path prefix that is not known here.
        redirect = RedirectResponse(f"{self._root_path}/" if self._root_path else "./", 303)
        redirect.headers["Cache-Control"] = "no-store"
        is_secure = _is_secure(scope)
        prefix = "" if not is_secure else "__Secure-" if self._root_path else "__Host-"
        # Without a path, the cookie belongs to the folder of the address, which includes a prefix that is not known.
        path = self._root_path or ("/" if is_secure else None)
        # Lax, not Strict: a Strict cookie is not sent after a click on a link on another site.
        redirect.set_cookie(
            prefix + _cookie_name(scope, host), self._token, path=path, httponly=True, samesite="lax", secure=is_secure
        )
        # Earlier versions set a cookie that companions on other ports overwrote.
        redirect.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict", secure=is_secure)
        return redirect

    def _is_token(self, value: str) -> bool:
        """Compare in constant time, so that timing does not reveal how much of the token was right."""
        return hmac.compare_digest(value.encode(), self._token.encode())


def _cookie_name(scope: Scope, host: Address) -> str:
    """Return the cookie's name with the port in the browser's address: cookies are shared by all ports of a host."""
    port = host.port or DEFAULT_PORTS["https" if _is_secure(scope) else "http"]
    return f"{COOKIE}-{port}"


def _is_secure(scope: Scope) -> bool:
    return scope.get("scheme") == "https"


def _problem(query: str | bool, bearer: str, cookies: list[str]) -> str:
    if query:
        return "The token in this address is not the one that this companion was started with."
    if bearer:
        return "The token in the Authorization header is not the one that this companion was started with."
    if any(cookies):
        return "The token that this browser keeps is no longer valid: the companion was started with another one."
    return "The request has no token."


def _page(problem: str, headers: dict[str, str]) -> Response:
    content = _PAGE.format(style=_STYLE, problem=problem)
    headers = headers | {"Content-Security-Policy": _PAGE_POLICY}
    return Response(content, 401, headers, "text/html")
