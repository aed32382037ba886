"""The words of a model with a small vocabulary: how a question is put into them, and which ones it does not know.

A model folder lists them in `question_words.json`. The page reads questions in the same way
(`src/inference/prompt-tokenizer.ts`), so that page and companion give the model the same tokens; change both together.
"""

import json
import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

FILE = "question_words.json"

_MAX_QUOTED = 40
_MAX_LISTED = 8

# Unicode's Default_Ignorable_Code_Point, apart from the format characters (Cf).
_IGNORABLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8\U000e0000-\U000e0fff]"
)
_LETTERS = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")


class AskedQuestion(NamedTuple):
    """A question in the model's words.

    text: what the model reads. asked_as: the question with synonyms replaced, or None if it has none. unknown: words
    that the model does not know, each once; the model cannot tell them apart.
    """

    text: str
    asked_as: str | None
    unknown: list[str]


class QuestionWords(NamedTuple):
    """synonyms: words in lower case that the model does not know, and its own words that mean the same about its images.

    never_seen: tokens of the vocabulary that training never used.
    """

    synonyms: Mapping[str, str]
    never_seen: frozenset[str]

    def ask(self, question: str, tokenizer: Any) -> AskedQuestion:
        """Put a question into the model's words: visible text, synonyms replaced, each word in a known case."""
        visible = visible_text(question)
        asked = _LETTERS.sub(lambda match: self._model_word(match[0]), visible)
        pieces, unknown = [], []
        for piece in _pieces(asked):
            known = piece if piece.isspace() else self._known(piece, tokenizer)
            pieces.append(piece if known is None else known)
            if known is None:
                unknown.append(piece)
        return AskedQuestion("".join(pieces), None if asked == visible else asked, list(dict.fromkeys(unknown)))

    def _model_word(self, word: str) -> str:
        synonym = self.synonyms.get(word.lower().replace("’", "'"))
        if synonym is None:
            return word
        return synonym if word[0] == word[0].lower() else synonym[0].upper() + synonym[1:]

    def _known(self, word: str, tokenizer: Any) -> str | None:
        for variant in (word, word.lower(), word[0].upper() + word[1:].lower()):
            ids = tokenizer(variant, add_special_tokens=False)["input_ids"]
            names = set(tokenizer.convert_ids_to_tokens(ids))
            if tokenizer.unk_token not in names and not names & self.never_seen:
                return variant
        return None


def read_question_words(folder: Path) -> QuestionWords | None:
    """Read a model folder's `question_words.json`; None if it has none."""
    path = folder / FILE
    if not path.is_file():
        return None
    data = json.loads(path.read_text())
    return QuestionWords(data["synonyms"], frozenset(data["neverSeen"]))


def visible_text(text: str) -> str:
    """Return the text as a reader sees it: composed characters (NFC), a plain space for each kind of space, and nothing
    for characters that show nothing.
    """
    composed = unicodedata.normalize("NFC", text)
    spaced = (" " if _is_space(char) else char for char in composed)
    return "".join(char for char in spaced if not is_invisible(char))


def is_invisible(char: str) -> bool:
    """Whether a character is a control, a format character or another character that shows nothing."""
    return unicodedata.category(char) in ("Cc", "Cf") or _IGNORABLE.match(char) is not None


def quoted_list(texts: list[str]) -> str:
    """Return texts in quotation marks, for a message: long ones shortened, invisible characters named, and the rest
    counted beyond eight.
    """
    listed = [_quoted(text) for text in texts[:_MAX_LISTED]]
    rest = len(texts) - len(listed)
    return ", ".join(listed) + (f" and {rest} more" if rest else "")


def _quoted(text: str) -> str:
    shown = text if len(text) <= _MAX_QUOTED else text[: _MAX_QUOTED - 1] + "…"
    return f"“{''.join(f'[U+{ord(char):04X}]' if is_invisible(char) else char for char in shown)}”"


def _pieces(text: str) -> list[str]:
    """Split into spaces, single punctuation marks and words, like the tokenizer's pre-tokenizer."""
    pieces: list[str] = []
    for char in text:
        kind = " " if char == " " else "." if _is_punctuation(char) else "a"
        if pieces and kind == "a" and pieces[-1] != " " and not _is_punctuation(pieces[-1][-1]):
            pieces[-1] += char
        else:
            pieces.append(char)
    return pieces


def _is_space(char: str) -> bool:
    return char in "\t\n\v\f\r\x85" or unicodedata.category(char).startswith("Z")


def _is_punctuation(char: str) -> bool:
    return char in "$+<=>^`|~" or unicodedata.category(char).startswith("P")
