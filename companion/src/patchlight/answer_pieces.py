"""Tokens as they read in an answer, for any tokenizer: the pieces joined are the answer as the tokenizer decodes it.

A token has no text of its own: a sentencepiece token loses its space at the start, a WordPiece one closes up, and a
character of several bytes may be split over several tokens. So each piece is what decoding gains by its token, and a
token that leaves a character unfinished reads as nothing: the one that finishes it has the whole character.
"""

import unicodedata
from collections.abc import Iterable
from typing import Any

from tokenizers import decoders

_UNFINISHED = "\N{REPLACEMENT CHARACTER}"
_WINDOW = 8
"""Tokens that are decoded again with each new one. Decoding depends on neighbours only: one token before, or the
bytes of one character (at most 4 tokens)."""


class AnswerText:
    """The answer so far; `add` its tokens in their order."""

    def __init__(self, tokenizer: Any):
        self._tokenizer = tokenizer
        decoder = getattr(getattr(tokenizer, "backend_tokenizer", None), "decoder", None)
        # WordPiece's own clean-up closes up full stops and commas, but forgets these two; the page does not.
        self._close_up = isinstance(decoder, decoders.WordPiece)
        self._ids: list[int] = []
        self._start = 0  # of the tokens that are decoded again
        self._said = ""  # what those of them that are finished read as
        self._word = -1
        self.answer = ""

    def text_of(self, token_id: int) -> str:
        """What this token would add here; an end token, which is no text, by its name."""
        if token_id == self._tokenizer.eos_token_id:
            return str(self._tokenizer.eos_token)
        return self._gained(self._decode([*self._ids[self._start :], token_id]))

    def add(self, token_id: int) -> tuple[str, int]:
        """Text and word number of the answer's next token."""
        pending = len(self._ids) > 0 and self._decode(self._ids[self._start :]) != self._said
        self._ids.append(token_id)
        text = self._gained(self._decode(self._ids[self._start :]))
        if self._word < 0 or not (pending or _continues(self.answer, text)):
            self._word += 1
        self.answer += text
        if text:
            self._said += text
            self._forget()
        return text, self._word

    def rest(self) -> str:
        """What an answer that ends inside a character still holds back: one replacement sign or more, mostly nothing."""
        return self._decode(self._ids[self._start :])[len(self._said) :]

    def _gained(self, whole: str) -> str:
        """The part of the window's text that is new and finished."""
        if whole.endswith(_UNFINISHED):
            return ""
        if whole.startswith(self._said):
            return whole[len(self._said) :]
        raise AssertionError(f"{self._said!r} became {whole!r}")

    def _forget(self) -> None:
        """Moves the window on, to where decoding from there gives the same continuation."""
        if len(self._ids) - self._start > 2 * _WINDOW:
            self._start = len(self._ids) - _WINDOW
            self._said = self._decode(self._ids[self._start :])

    def _decode(self, ids: list[int]) -> str:
        text = self._tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        return text.replace(" :", ":").replace(" ;", ";") if self._close_up else str(text)


def token_texts(tokenizer: Any, ids: Iterable[int]) -> list[str]:
    """A prompt's tokens, each as it reads after those before it."""
    pieces = AnswerText(tokenizer)
    return [pieces.add(token)[0] for token in ids]


def _continues(before: str, text: str) -> bool:
    """Whether a piece goes on with the word before it: letters or digits behind the same, or an apostrophe's ending."""
    if not before or not text or not _in_word(before[-1]):
        return False
    return _in_word(text[0]) or (len(text) > 1 and text[0] in "'’" and text[1].isalpha())


def _in_word(character: str) -> bool:
    """Wide scripts have no spaces: each of their tokens is a word of its own."""
    return character.isalnum() and unicodedata.east_asian_width(character) not in "WF"
