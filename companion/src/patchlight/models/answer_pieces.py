"""The text of each answer token, for any tokenizer: concatenated, the pieces are exactly the answer as the tokenizer
decodes it.

The text of a token depends on its neighbours: a sentencepiece token loses its leading space at the start, a WordPiece
token may attach to the one before it, and a character of several bytes may span several tokens. So each token's piece
is the text that decoding gains when the token is appended. A token that leaves a character incomplete adds nothing;
the token that completes it adds the whole character.
"""

import unicodedata
from collections.abc import Iterable
from typing import Any

from tokenizers import decoders

_INCOMPLETE = "\N{REPLACEMENT CHARACTER}"
_APOSTROPHES = "'’"
_WINDOW = 8
"""Number of earlier pieces decoded again with each new token; decoding depends only on the previous piece."""


class AnswerText:
    """The text of an answer so far; call `add` with each token in order.

    Concatenated, the pieces are exactly the decoded answer, with one exception. When invalid byte tokens directly
    follow a character that is itself encoded as byte tokens, a sentencepiece tokenizer decodes that character as
    replacement characters too, but text that `add` has already returned does not change.
    """

    def __init__(self, tokenizer: Any):
        self._tokenizer = tokenizer
        decoder = getattr(getattr(tokenizer, "backend_tokenizer", None), "decoder", None)
        # WordPiece's clean-up removes the space before full stops and commas, but not before colons and semicolons. The
        # page removes it there too.
        self._strips_before_colons = isinstance(decoder, decoders.WordPiece)
        self._ids: list[int] = []
        self._ends: list[int] = []  # number of tokens in the answer at the end of each piece
        self._start = 0  # first token to decode again: a piece boundary, never inside a character
        self._emitted = ""  # text of the complete pieces from `_start` on
        self._word = -1
        self.answer = ""

    def text_of(self, token_id: int) -> str:
        """Return the text that this token would add if it came next; for the end token, return its name."""
        if token_id == self._tokenizer.eos_token_id:
            return str(self._tokenizer.eos_token)
        text = self._new_text([*self._ids, token_id])
        return "" if text.endswith(_INCOMPLETE) else text

    def add(self, token_id: int) -> tuple[str, int]:
        """Append the answer's next token and return its text and the number of its word."""
        is_inside = self._complete_count() < len(self._ids)
        self._ids.append(token_id)
        text = self._new_text(self._ids)
        if text.endswith(_INCOMPLETE):
            text = ""
        else:
            self._complete()
        if self._word < 0 or not (is_inside or _continues(self.answer, text)):
            self._word += 1
        self.answer += text
        return text, self._word

    def rest(self) -> str:
        """Return any text withheld because it ends in an incomplete character, decoded to replacement characters."""
        return self._new_text(self._ids) if self._complete_count() < len(self._ids) else ""

    def _complete_count(self) -> int:
        return self._ends[-1] if self._ends else 0

    def _new_text(self, ids: list[int]) -> str:
        """The text of `ids` beyond what has already been emitted."""
        text = self._decode(ids[self._start :])
        if text.startswith(self._emitted):
            return text[len(self._emitted) :]
        return self._decode(ids[self._complete_count() :])

    def _complete(self) -> None:
        """Mark all tokens so far as emitted, and move the window once it has grown long."""
        self._ends.append(len(self._ids))
        text = self._decode(self._ids[self._start :])
        if not text.startswith(self._emitted):
            self._start = self._ends[-2] if len(self._ends) > 1 else 0
        elif len(self._ends) > 2 * _WINDOW:
            self._start = self._ends[-_WINDOW - 1]
            self._ends = self._ends[-_WINDOW:]
        else:
            self._emitted = text
            return
        self._emitted = self._decode(self._ids[self._start :])

    def _decode(self, ids: list[int]) -> str:
        text = self._tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        return text.replace(" :", ":").replace(" ;", ";") if self._strips_before_colons else str(text)


def answer_text(tokenizer: Any, ids: Iterable[int]) -> str:
    """Return an answer as the page shows it, without surrounding spaces: the texts of its tokens, joined.

    Answers are scored by this text. `tokenizer.decode` with its default options can differ from it in spaces, and drops
    special tokens.
    """
    pieces = AnswerText(tokenizer)
    for token in ids:
        pieces.add(token)
    return (pieces.answer + pieces.rest()).strip()


def token_texts(tokenizer: Any, ids: Iterable[int]) -> list[str]:
    """Return the text of each prompt token as it appears after the tokens before it."""
    pieces = AnswerText(tokenizer)
    return [pieces.add(token)[0] for token in ids]


def _continues(before: str, text: str) -> bool:
    """Whether a piece continues the previous word: the boundary lies between two letters or digits, with at
    most an apostrophe between them.
    """
    stem = before.rstrip(_APOSTROPHES)
    if not stem or not text or not _in_word(stem[-1]) or len(before) - len(stem) > 1:
        return False
    inside = text if stem != before else text.removeprefix(text[0]) if text[0] in _APOSTROPHES else text
    return not inside or _in_word(inside[0])


def _in_word(character: str) -> bool:
    """Whether a character can be part of a word of several tokens.

    Wide scripts, such as Chinese, are written without spaces, so each of their tokens is a separate word.
    """
    return character.isalnum() and unicodedata.east_asian_width(character) not in "WF"
