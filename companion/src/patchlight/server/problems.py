"""Turns refusals, raised anywhere in a handler, into RFC 9457 problem documents."""

from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from .access_log import note
from .schemas import PROBLEM_JSON, Problem

# Types of problems whose details quote no more of a request than its host and origin.
_PUBLIC_DETAILS = ("unknown-host", "foreign-origin")


class Refusal(Exception):
    """A request that is refused.

    kind: the last part of the problem's type URN. limit, found: the maximum and the actual number, if something is too
    large.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        *,
        limit: int | None = None,
        found: int | None = None,
        headers: dict[str, str] | None = None,
    ):
        super().__init__(detail)
        self.status, self.kind, self.detail = status, kind, detail
        self.limit, self.found, self.headers = limit, found, headers or {}

    @property
    def title(self) -> str:
        return HTTPStatus(self.status).phrase


class ProblemResponse(Response):
    """The problem document for a refusal. The access log gets the type and the numbers."""

    media_type = PROBLEM_JSON

    def __init__(self, refusal: Refusal):
        problem = Problem(
            type=f"urn:patchlight:problem:{refusal.kind}",
            title=refusal.title,
            status=refusal.status,
            detail=refusal.detail,
            limit=refusal.limit,
            found=refusal.found,
        )
        body = problem.model_dump_json(by_alias=True, exclude_none=True)
        super().__init__(body, refusal.status, refusal.headers)
        self._refusal = refusal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        note(scope, **_facts(self._refusal))
        await super().__call__(scope, receive, send)


def _facts(refusal: Refusal) -> dict[str, str]:
    """Return what the access log may have: details of other refusals may quote the question."""
    facts = {"reason": refusal.kind}
    if refusal.kind in _PUBLIC_DETAILS:
        return facts | {"hint": refusal.detail}
    if refusal.found is not None:
        return facts | {"hint": f"{refusal.found}, the limit is {refusal.limit}"}
    return facts


def add_problem_handlers(app: FastAPI) -> None:
    """Answer every error with a problem document, including the framework's own and unexpected exceptions."""

    @app.exception_handler(Refusal)
    async def refused(_: Request, error: Refusal) -> Response:
        return ProblemResponse(error)

    @app.exception_handler(HTTPException)
    async def http_error(_: Request, error: HTTPException) -> Response:
        kind = HTTPStatus(error.status_code).phrase.lower().replace(" ", "-")
        return ProblemResponse(Refusal(error.status_code, kind, str(error.detail), headers=dict(error.headers or {})))

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        return ProblemResponse(Refusal(422, "invalid-request", f"invalid request: {describe_errors(error.errors())}"))

    @app.exception_handler(ClientDisconnect)
    async def disconnected(_: Request, __: ClientDisconnect) -> Response:
        return Response(status_code=400)

    @app.exception_handler(Exception)
    async def unexpected(_: Request, __: Exception) -> Response:
        # The server's log has the traceback; clients get no internal details.
        return ProblemResponse(Refusal(500, "internal-error", "the companion failed: see its log for the reason"))


def describe_errors(errors: object) -> str:
    """Format Pydantic's validation errors as one line with the location and message of each error."""
    assert isinstance(errors, (list, tuple))
    return "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in errors[:5])
