"""Completes the OpenAPI description with what route types cannot express: problems, multipart bodies, Arrow streams."""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from .schemas import ARROW_STREAM, PROBLEM_JSON, ExplainRequest, GenerateRequest, Problem

_REFERENCE = "#/components/schemas/{model}"

_BINARY = {"type": "string", "format": "binary"}


def multipart_body(model: str) -> dict[str, Any]:
    """Describe a multipart body with JSON of the schema `model` in one part, and an image in each of the others."""
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
                            "image": {
                                "type": "array",
                                "items": _BINARY,
                                "minItems": 1,
                                "description": "PNG, JPEG or WebP files in order, one part each, with a filename.",
                            },
                        },
                    },
                    "encoding": {"request": {"contentType": "application/json"}},
                }
            },
        }
    }


def run_response() -> dict[int | str, dict[str, Any]]:
    """Describe the 200 response of `generate`."""
    return _arrow_response("A run, format version 2 (docs/protocol.md).")


def explanation_response() -> dict[int | str, dict[str, Any]]:
    """Describe the 200 response of `explain`."""
    return _arrow_response("An explanation, format version 1 (docs/protocol.md).")


def unembedding_response() -> dict[int | str, dict[str, Any]]:
    """Describe the 200 response of `unembedding`."""
    return _arrow_response("Rows of the vocabulary layer, format version 1 (docs/protocol.md).")


def _arrow_response(description: str) -> dict[int | str, dict[str, Any]]:
    return {200: {"description": description, "content": {ARROW_STREAM: {"schema": _BINARY}}}}


def file_response() -> dict[int | str, dict[str, Any]]:
    """Describe the 200 response of a file download."""
    return {200: {"description": "The file.", "content": {"application/octet-stream": {"schema": _BINARY}}}}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe a route's error responses. Every route has 400 (unknown host) and 401 (no token)."""
    schema = {"$ref": _REFERENCE.format(model="Problem")}
    return {
        status: {"description": HTTPStatus(status).phrase, "content": {PROBLEM_JSON: {"schema": schema}}}
        for status in sorted({400, 401, *statuses})
    }


def describe(app: FastAPI) -> dict[str, Any]:
    """Return the complete OpenAPI description. companion/openapi.json is a copy of it, checked by a test."""
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title,
            version=app.version,
            description="Streams a vision-language model's answers with its last hidden states, and explains them.",
            routes=app.routes,
        )
        _, bodies = models_json_schema(
            [(GenerateRequest, "validation"), (ExplainRequest, "validation"), (Problem, "validation")],
            ref_template=_REFERENCE,
        )
        schema["components"]["schemas"] |= bodies["$defs"]
        schema["components"]["securitySchemes"] = {
            "bearer": {
                "type": "http",
                "scheme": "bearer",
                "description": "Required if the companion was started with a token.",
            },
            "cookie": {
                "type": "apiKey",
                "in": "cookie",
                "name": "patchlight-token-8642",
                "description": "The same token as a cookie, set by GET /?token=... The name ends in the address's port, "
                "and begins with __Host- or __Secure- if the address is https.",
            },
        }
        schema["security"] = [{}, {"bearer": []}, {"cookie": []}]
        app.openapi_schema = schema
    return app.openapi_schema
