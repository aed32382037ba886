"""Logs one line per request: method, path, status, time, bytes, time in the queue, and why a request was refused.

The line has neither the query, which may contain the token, nor anything from the body, which has the question.
"""

import logging
import time
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .log_limit import SIMILAR

log = logging.getLogger("patchlight.access")
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_FACTS = "patchlight.access"
MAX_PATH_CHARS = 200


class AccessLog:
    """ASGI middleware around a complete app, so that it also sees the responses to unexpected errors."""

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status, size, is_complete = time.perf_counter(), 0, 0, False
        facts: dict[str, Any] = {}
        scope.setdefault("state", {})[_FACTS] = facts

        async def counting_send(message: Message) -> None:
            nonlocal status, size, is_complete
            await send(message)
            if message["type"] == "http.response.start":
                status = message["status"]
            else:
                size += 0 if scope["method"] == "HEAD" else len(message.get("body", b""))
                is_complete = not message.get("more_body", False)

        try:
            await self._app(scope, receive, counting_send)
        finally:
            _write(scope, status, size, (time.perf_counter() - started) * 1000, facts, is_complete=is_complete)


def note(scope: Scope, **facts: Any) -> None:
    """Add facts to a request's line.

    queue_s: time in the queue, in seconds. reason: the type of a refusal. hint: what was found, without private data.
    """
    scope.get("state", {}).get(_FACTS, {}).update(facts)


def _write(scope: Scope, status: int, size: int, ms: float, facts: dict[str, Any], *, is_complete: bool) -> None:
    path = scope.get("raw_path", scope["path"].encode()).decode("latin-1")
    line = f"{scope['method'][:20]} {path[:MAX_PATH_CHARS]} {status or '-'} {ms:.0f} ms {size} B"
    if "queue_s" in facts:
        line += f", {facts['queue_s'] * 1000:.0f} ms in the queue"
    reason = facts.get("reason", "" if is_complete else "disconnected")
    if reason:
        line += f", {reason}"
    if "hint" in facts:
        line += f" ({facts['hint']})"
    level = logging.ERROR if status >= 500 and status != 503 else logging.WARNING if status >= 400 else logging.INFO
    method = scope["method"] if scope["method"] in _METHODS else "other"
    similar = (method, getattr(scope.get("route"), "path", "page"), status, reason)
    log.log(level, "%s", line, extra={SIMILAR: similar})
