"""What the API's description says beyond the routes' own types: problem documents, the multipart body, the stream."""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from .schemas import ARROW_STREAM, PROBLEM_JSON, ExplainRequest, GenerateRequest, Problem

_REFERENCE = "#/components/schemas/{model}"

_BINARY = {"type": "string", "format": "binary"}


def picture_body(model: str) -> dict[str, Any]:
    """A body of two parts: the model's JSON, and the picture."""
    return {
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "required": ["request", "image"],
                        "properties": {
                            "request": {"$ref": _REFERENCE.format(model=model)},
                            "image": {**_BINARY, "description": "PNG, JPEG or WebP, as a part with a filename."},
                        },
                    },
                    "encoding": {"request": {"contentType": "application/json"}},
                }
            },
        }
    }


def run_response() -> dict[int | str, dict[str, Any]]:
    """200 of `generate`."""
    return _arrow_response("A run, format version 2 (docs/protocol.md).")


def explanation_response() -> dict[int | str, dict[str, Any]]:
    """200 of `explain`."""
    return _arrow_response("An explanation, format version 1 (docs/protocol.md).")


def unembedding_response() -> dict[int | str, dict[str, Any]]:
    """200 of `unembedding`."""
    return _arrow_response("Rows of the vocabulary layer, format version 1 (docs/protocol.md).")


def _arrow_response(description: str) -> dict[int | str, dict[str, Any]]:
    return {200: {"description": description, "content": {ARROW_STREAM: {"schema": _BINARY}}}}


def file_response() -> dict[int | str, dict[str, Any]]:
    """200 of a download."""
    return {200: {"description": "The file.", "content": {"application/octet-stream": {"schema": _BINARY}}}}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Refusals of a route; 400 (an unknown host) and 401 (no token) are every route's."""
    schema = {"$ref": _REFERENCE.format(model="Problem")}
    return {
        status: {"description": HTTPStatus(status).phrase, "content": {PROBLEM_JSON: {"schema": schema}}}
        for status in sorted({400, 401, *statuses})
    }


def describe(app: FastAPI) -> dict[str, Any]:
    """The whole description; companion/openapi.json is this, and a test compares them."""
    if app.openapi_schema is None:
        found = get_openapi(
            title=app.title,
            version=app.version,
            description="Streams a vision-language model's answers with its last hidden states, and explains them.",
            routes=app.routes,
        )
        _, bodies = models_json_schema(
            [(GenerateRequest, "validation"), (ExplainRequest, "validation"), (Problem, "validation")],
            ref_template=_REFERENCE,
        )
        found["components"]["schemas"] |= bodies["$defs"]
        found["components"]["securitySchemes"] = {
            "bearer": {
                "type": "http",
                "scheme": "bearer",
                "description": "Where the companion was started with a token.",
            },
            "cookie": {
                "type": "apiKey",
                "in": "cookie",
                "name": "patchlight-token",
                "description": "Set by GET /?token=...",
            },
        }
        found["security"] = [{}, {"bearer": []}, {"cookie": []}]
        app.openapi_schema = found
    return app.openapi_schema
