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
_APOSTROPHES = "'’"
_WINDOW = 8
"""Pieces that are decoded again with each new token: decoding looks no further back than the piece before."""


class AnswerText:
    """The answer so far; `add` its tokens in their order.

    One exception to "joined": where bytes that make no character stand directly behind a character in bytes, a
    sentencepiece tokenizer decodes that character too as replacement signs. What has been said is not taken back.
    """

    def __init__(self, tokenizer: Any):
        self._tokenizer = tokenizer
        decoder = getattr(getattr(tokenizer, "backend_tokenizer", None), "decoder", None)
        # WordPiece's own clean-up closes up full stops and commas, but forgets these two; the page does not.
        self._close_up = isinstance(decoder, decoders.WordPiece)
        self._ids: list[int] = []
        self._ends: list[int] = []  # how many tokens the answer had when each piece was finished
        self._start = 0  # of the tokens that are decoded again; where a piece ended, never inside a character
        self._said = ""  # what those of them that are finished read as
        self._word = -1
        self.answer = ""

    def text_of(self, token_id: int) -> str:
        """What this token would add here; an end token, which is no text, by its name."""
        if token_id == self._tokenizer.eos_token_id:
            return str(self._tokenizer.eos_token)
        text = self._gained([*self._ids, token_id])
        return "" if text.endswith(_UNFINISHED) else text

    def add(self, token_id: int) -> tuple[str, int]:
        """Text and word number of the answer's next token."""
        is_inside = self._finished() < len(self._ids)
        self._ids.append(token_id)
        text = self._gained(self._ids)
        if text.endswith(_UNFINISHED):
            text = ""
        else:
            self._finish()
        if self._word < 0 or not (is_inside or _continues(self.answer, text)):
            self._word += 1
        self.answer += text
        return text, self._word

    def rest(self) -> str:
        """What an answer that ends inside a character holds back: replacement signs; mostly nothing."""
        return self._gained(self._ids) if self._finished() < len(self._ids) else ""

    def _finished(self) -> int:
        return self._ends[-1] if self._ends else 0

    def _gained(self, ids: list[int]) -> str:
        """What `ids` read as beyond what has been said."""
        whole = self._decode(ids[self._start :])
        if whole.startswith(self._said):
            return whole[len(self._said) :]
        return self._decode(ids[self._finished() :])

    def _finish(self) -> None:
        """All tokens so far are said; the window moves on now and then."""
        self._ends.append(len(self._ids))
        whole = self._decode(self._ids[self._start :])
        if not whole.startswith(self._said):
            self._start = self._ends[-2] if len(self._ends) > 1 else 0
        elif len(self._ends) > 2 * _WINDOW:
            self._start = self._ends[-_WINDOW - 1]
            self._ends = self._ends[-_WINDOW:]
        else:
            self._said = whole
            return
        self._said = self._decode(self._ids[self._start :])

    def _decode(self, ids: list[int]) -> str:
        text = self._tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        return text.replace(" :", ":").replace(" ;", ";") if self._close_up else str(text)


def token_texts(tokenizer: Any, ids: Iterable[int]) -> list[str]:
    """A prompt's tokens, each as it reads after those before it."""
    pieces = AnswerText(tokenizer)
    return [pieces.add(token)[0] for token in ids]


def _continues(before: str, text: str) -> bool:
    """Whether a piece goes on with the word before it: letters or digits behind the same, an apostrophe between."""
    stem = before.rstrip(_APOSTROPHES)
    if not stem or not text or not _in_word(stem[-1]) or len(before) - len(stem) > 1:
        return False
    inside = text if stem != before else text.removeprefix(text[0]) if text[0] in _APOSTROPHES else text
    return not inside or _in_word(inside[0])


def _in_word(character: str) -> bool:
    """Wide scripts have no spaces: each of their tokens is a word of its own."""
    return character.isalnum() and unicodedata.east_asian_width(character) not in "WF"
