"""Three sets of questions about rendered scenes, modelled on VQA, GQA and POPE."""

from random import Random
from typing import Literal, NamedTuple

from ..world.questions import Question, answer_text, ask
from ..world.scenes import Scene

SetName = Literal["vqa-like", "gqa-like", "pope-like"]
SETS: tuple[SetName, ...] = ("vqa-like", "gqa-like", "pope-like")
SET_MEANINGS: dict[SetName, str] = {
    "vqa-like": "attributes and counts, as in VQA",
    "gqa-like": "relations with one and two hops, as in GQA",
    "pope-like": "existence, half of the objects asked about are absent, as in POPE",
}

# Relative frequency of question kinds per set, in the same proportion as in training.
_KINDS: dict[SetName, dict[str, float]] = {
    "vqa-like": {"attribute": 0.30, "count": 0.18},
    "gqa-like": {"relation": 1.0},
    "pope-like": {"existence": 1.0},
}
_TRIES = 150


class SetQuestion(NamedTuple):
    """A question and the set that it belongs to."""

    set: SetName
    question: Question


def set_of(kind: str) -> SetName | None:
    """Return the set that asks questions of this kind; None for descriptions, which no set asks."""
    return next((name for name, kinds in _KINDS.items() if kind in kinds), None)


def ask_sets(scene: Scene, seed: int, *, each: int) -> list[SetQuestion]:
    """Return up to `each` questions per set, with distinct answers. The same scene and `seed` always give the same
    questions.

    In the pope-like set, questions about present and absent objects alternate. Some scenes support fewer questions:
    three in a thousand allow no question about a relation, because their objects cannot be identified in a few words.
    """
    return [SetQuestion(name, question) for name in SETS for question in _ask(scene, name, seed, each)]


def _ask(scene: Scene, name: SetName, seed: int, each: int) -> list[Question]:
    random = Random(f"{name} {seed} {scene.seed}")
    kinds = _KINDS[name]
    by_answer: dict[str, Question] = {}
    for _ in range(_TRIES):
        if len(by_answer) == each:
            break
        [kind] = random.choices(list(kinds), list(kinds.values()))
        question = ask(scene, random, kind)
        if question.kind != kind:  # `ask` falls back to another kind if the scene does not support this one
            continue
        if kind == "existence" and question.variety != ("yes", "no")[len(by_answer) % 2]:
            continue
        by_answer.setdefault(answer_text(question.words), question)
    return list(by_answer.values())
