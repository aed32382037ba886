"""Three sets of questions about rendered scenes, alike in kind to VQA, GQA and POPE."""

from random import Random
from typing import Literal, NamedTuple

from ..world.questions import Question, answer_text, ask
from ..world.scenes import Scene

SetName = Literal["vqa-like", "gqa-like", "pope-like"]
SETS: tuple[SetName, ...] = ("vqa-like", "gqa-like", "pope-like")
SET_MEANINGS: dict[SetName, str] = {
    "vqa-like": "attributes and counts, as in VQA",
    "gqa-like": "relations over one and two hops, as in GQA",
    "pope-like": "existence, half of it of what is not there, as in POPE",
}

# Kinds of a set's questions and how often each is asked; in the training's own proportion.
_KINDS: dict[SetName, dict[str, float]] = {
    "vqa-like": {"attribute": 0.30, "count": 0.18},
    "gqa-like": {"relation": 1.0},
    "pope-like": {"existence": 1.0},
}
_TRIES = 150


class SetQuestion(NamedTuple):
    """A question of one of the sets."""

    set: SetName
    question: Question


def ask_sets(scene: Scene, seed: int, *, each: int) -> list[SetQuestion]:
    """`each` questions of each set, no two of a set with the same answer; a function of the scene and `seed`.

    Of the pope-like ones every other is about something that is there. A scene that has not as many gives fewer: three
    in a thousand have no relation that can be asked about, for want of objects that few words single out.
    """
    return [SetQuestion(name, question) for name in SETS for question in _ask(scene, name, seed, each)]


def _ask(scene: Scene, name: SetName, seed: int, each: int) -> list[Question]:
    random = Random(f"{name} {seed} {scene.seed}")
    kinds = _KINDS[name]
    found: dict[str, Question] = {}
    for _ in range(_TRIES):
        if len(found) == each:
            break
        [kind] = random.choices(list(kinds), list(kinds.values()))
        question = ask(scene, random, kind)
        if question.kind != kind:  # what `ask` gives where a scene cannot carry the kind
            continue
        if kind == "existence" and question.variety != ("yes", "no")[len(found) % 2]:
            continue
        found.setdefault(answer_text(question.words), question)
    return list(found.values())
