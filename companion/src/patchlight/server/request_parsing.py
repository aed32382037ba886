"""Parses and checks the JSON part of a request. Raises Refusal at the first problem."""

from typing import TypeVar

from pydantic import BaseModel, ValidationError

from ..models.question_words import visible_text
from .problems import Refusal, describe_errors
from .schemas import ExplainRequest, GenerateRequest
from .settings import ServeSettings

_Model = TypeVar("_Model", bound=BaseModel)


def parse_generate(text: bytes, settings: ServeSettings) -> GenerateRequest:
    """Parse a question to answer. Raises Refusal."""
    request = _parse(GenerateRequest, text)
    _check_question(request.question, settings)
    if request.max_new_tokens is not None and request.max_new_tokens > settings.new_tokens:
        raise Refusal(
            422,
            "too-many-new-tokens",
            f"maxNewTokens is {request.max_new_tokens}, the limit is {settings.new_tokens}",
            limit=settings.new_tokens,
            found=request.max_new_tokens,
        )
    return request


def parse_explain(text: bytes, settings: ServeSettings) -> ExplainRequest:
    """Parse a request to explain some tokens of an answer. Raises Refusal."""
    request = _parse(ExplainRequest, text)
    _check_question(request.question, settings)
    if (tokens := len(request.answer_ids)) > settings.new_tokens:
        raise Refusal(
            422,
            "answer-too-long",
            f"the answer has {tokens} tokens, the limit is {settings.new_tokens}",
            limit=settings.new_tokens,
            found=tokens,
        )
    return request


def _parse(model: type[_Model], text: bytes) -> _Model:
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        raise Refusal(422, "invalid-request", f"invalid request: {describe_errors(error.errors())}") from None


def _check_question(question: str, settings: ServeSettings) -> None:
    if not visible_text(question).strip():
        raise Refusal(422, "question-empty", "the question is empty")
    if (chars := len(question)) > settings.question_chars:
        raise Refusal(
            422,
            "question-too-long",
            f"the question has {chars} characters, the limit is {settings.question_chars}",
            limit=settings.question_chars,
            found=chars,
        )
