"""Questions about a picture: generic ones, and ones that the model writes itself."""

import re
from pathlib import Path
from random import Random

from PIL import Image

from ..models.answer_pieces import answer_text
from ..models.decoding import Step, decode
from ..models.loading import Loaded
from ..models.question_words import read_question_words
from ..models.sampling import Sampling

GENERIC = (
    "Describe the image.",
    "What is the main object in the picture?",
    "What is in the background?",
    "What is on the left side of the picture?",
    "What is on the right side of the picture?",
    "What is in the centre of the picture?",
    "Which colours stand out, and on what?",
    "What is happening in the picture?",
    "How many people are in the picture?",
    "Where was this picture taken?",
    "What is the largest thing in the picture?",
    "Is there any text in the picture? What does it say?",
)
PROMPT = (
    "Write three short questions about details of this picture that can be answered by looking at it. Write one question "
    "per line and no answers."
)
_PROMPT_TOKENS = 96
_NUMBER = re.compile(r"^\s*(?:[-*•]|\(?\d{1,2}[.):]|Q\d*[.:])\s*", re.IGNORECASE)
_WORDS = range(3, 26)


class Questioner:
    """Makes up to `most` questions about a picture: half of them written by the model if `written`, the rest generic.

    For a model with a small vocabulary, only questions in words that it knows are kept.
    """

    def __init__(self, loaded: Loaded, *, most: int, written: bool, seed: int):
        self._loaded, self._most, self._written, self._seed = loaded, most, written, seed
        self._words = read_question_words(Path(loaded.processor.tokenizer.name_or_path))
        self._generic = [question for question in GENERIC if self._is_known(question)]
        if not self._generic and not written:
            raise ValueError(f"{loaded.name} knows the words of no generic question: pass questions with --data")

    def of_picture(self, image: Image.Image, sha256: str) -> list[str]:
        """Return questions about a picture. The same picture always gets the same ones."""
        generic = list(self._generic)
        Random(f"{self._seed} {sha256}").shuffle(generic)
        written = self._write(image)[: self._most // 2] if self._written else []
        return list(dict.fromkeys([*written, *generic]))[: self._most]

    def of_data(self, asked: tuple[str, ...], sha256: str) -> list[str]:
        """Return a random choice of a data set's questions about a picture, in their order."""
        if len(asked) <= self._most:
            return list(asked)
        places = sorted(Random(f"{self._seed} {sha256}").sample(range(len(asked)), self._most))
        return [asked[place] for place in places]

    def _write(self, image: Image.Image) -> list[str]:
        if not self._is_known(PROMPT):
            return []
        loaded = self._loaded
        reading = loaded.family.read(loaded.model, loaded.processor, image, PROMPT)
        steps = decode(loaded.model, reading, Sampling(max_new_tokens=_PROMPT_TOKENS, alternatives=1))
        ids = [step.token_id for step in steps if isinstance(step, Step) and not step.is_end]
        return [
            question
            for question in parse_questions(answer_text(loaded.processor.tokenizer, ids))
            if self._is_known(question)
        ]

    def _is_known(self, question: str) -> bool:
        return self._words is None or not self._words.ask(question, self._loaded.processor.tokenizer).unknown


def parse_questions(text: str) -> list[str]:
    """Return the lines of a model's answer that are questions, each once: without numbers and bullets, 3 to 25 words, and
    with a question mark at the end.
    """
    lines = [_NUMBER.sub("", line).strip().strip('"“”') for line in text.splitlines()]
    return list(dict.fromkeys(line for line in lines if line.endswith("?") and len(line.split()) in _WORDS))
