"""The JSON part of a request as what it asks, or the refusal that its first fault earns."""

from typing import TypeVar

from pydantic import BaseModel, ValidationError

from .problems import Refusal, faults_in_words
from .schemas import ExplainRequest, GenerateRequest
from .settings import ServeSettings

_Model = TypeVar("_Model", bound=BaseModel)


def parse_generate(text: bytes, settings: ServeSettings) -> GenerateRequest:
    """A question to be answered."""
    asked = _parse(GenerateRequest, text)
    _check_question(asked.question, settings)
    if asked.max_new_tokens is not None and asked.max_new_tokens > settings.new_tokens:
        raise Refusal(
            422,
            "too-many-new-tokens",
            f"maxNewTokens is {asked.max_new_tokens}, {settings.new_tokens} is the most",
            limit=settings.new_tokens,
            found=asked.max_new_tokens,
        )
    return asked


def parse_explain(text: bytes, settings: ServeSettings) -> ExplainRequest:
    """Tokens of an answer to be explained."""
    asked = _parse(ExplainRequest, text)
    _check_question(asked.question, settings)
    if (tokens := len(asked.answer_ids)) > settings.new_tokens:
        raise Refusal(
            422,
            "answer-too-long",
            f"the answer has {tokens} tokens, {settings.new_tokens} is the most",
            limit=settings.new_tokens,
            found=tokens,
        )
    return asked


def _parse(model: type[_Model], text: bytes) -> _Model:
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        raise Refusal(422, "invalid-request", f"request: {faults_in_words(error.errors())}") from None


def _check_question(question: str, settings: ServeSettings) -> None:
    if not question.strip():
        raise Refusal(422, "question-empty", "the question is empty")
    if (chars := len(question)) > settings.question_chars:
        raise Refusal(
            422,
            "question-too-long",
            f"the question has {chars} characters, {settings.question_chars} is the most",
            limit=settings.question_chars,
            found=chars,
        )
