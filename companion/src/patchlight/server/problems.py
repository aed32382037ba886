"""Refusals as RFC 9457 problem documents: raised anywhere in a handler, written here."""

import logging
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from .schemas import PROBLEM_JSON, Problem

log = logging.getLogger("patchlight.server")


class Refusal(Exception):
    """A request that is not served. `kind` names the problem in its type; `limit` and `found` are its numbers."""

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


def problem_response(refusal: Refusal) -> Response:
    """The refusal as its document."""
    problem = Problem(
        type=f"urn:patchlight:problem:{refusal.kind}",
        title=HTTPStatus(refusal.status).phrase,
        status=refusal.status,
        detail=refusal.detail,
        limit=refusal.limit,
        found=refusal.found,
    )
    body = problem.model_dump_json(by_alias=True, exclude_none=True)
    return Response(body, refusal.status, refusal.headers, PROBLEM_JSON)


def add_problem_handlers(app: FastAPI) -> None:
    """Every error leaves as a problem, those of the framework and those that nobody foresaw too."""

    @app.exception_handler(Refusal)
    async def refused(_: Request, error: Refusal) -> Response:
        return problem_response(error)

    @app.exception_handler(HTTPException)
    async def http_error(_: Request, error: HTTPException) -> Response:
        kind = HTTPStatus(error.status_code).phrase.lower().replace(" ", "-")
        return problem_response(Refusal(error.status_code, kind, str(error.detail), headers=dict(error.headers or {})))

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        return problem_response(Refusal(422, "invalid-request", faults_in_words(error.errors())))

    @app.exception_handler(ClientDisconnect)
    async def gone(_: Request, __: ClientDisconnect) -> Response:
        return Response(status_code=400)

    @app.exception_handler(Exception)
    async def unforeseen(_: Request, __: Exception) -> Response:
        # The server's own log has the traceback; the caller learns nothing of the inside.
        return problem_response(Refusal(500, "internal-error", "the companion failed; its log says why"))


def faults_in_words(errors: object) -> str:
    """pydantic's list as one line: where, and what."""
    assert isinstance(errors, (list, tuple))
    return "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in errors[:5])
