"""Questions about a scene with their answers, each answer word tied to the object that it names.

Five kinds: attribute, existence (half of them "no", most of those with both words present in the scene but never on
one object, as POPE's adversarial split), count, relation (yes/no, either/or, one hop, two hops, as GQA) and
description.
Wording varies; answers are short sentences in canonical words.
"""

from random import Random
from typing import NamedTuple

import numpy as np

from .phrases import ATTRIBUTES, WORDING, matching, phrase_of, plural, refer, refer_among, say, spoken_phrase
from .scenes import Scene

KINDS = ("attribute", "existence", "count", "relation", "description")
KIND_WEIGHTS = (0.30, 0.16, 0.18, 0.36)  # of the kinds but descriptions
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight")
MAX_ANSWER_TOKENS = 80

RELATIONS = ("left of", "right of", "in front of", "behind")
OPPOSITE = {"left of": "right of", "right of": "left of", "in front of": "behind", "behind": "in front of"}
MARGIN = 0.45  # world units by which two objects must differ before a relation is asked about
CLEARANCE = 0.3  # the same for a hop, where no object may be neither left nor right of the reference


class AnswerWord(NamedTuple):
    """A word of the answer and the index of the object that it names; -1 where it names none."""

    text: str
    target: int


class Mention(NamedTuple):
    """A phrase of the question and the objects that fit it."""

    text: str
    objects: tuple[int, ...]


class Question(NamedTuple):
    """`kind` is one of KINDS, `variety` what within it; the answer's text is `answer_text(words)`.

    `mentions` are in the order of the text, and only those that can be understood when read up to their end.
    """

    kind: str
    variety: str
    text: str
    words: tuple[AnswerWord, ...]
    mentions: tuple[Mention, ...] = ()


def answer_text(words: tuple[AnswerWord, ...]) -> str:
    """The words as a sentence: capital first letter, no space before punctuation."""
    text = ""
    for word in words:
        text += word.text if not text or word.text in ",.:" else " " + word.text
    return text[0].upper() + text[1:]


def found_words(question: Question) -> list[bool]:
    """Per answer word: it names an object with a word that the question does not hold (in any wording), so it had to
    be found in the image; the others may have been repeated."""
    canonical = {said: word for word, options in WORDING.items() for said in options}
    asked = {canonical.get(word, word) for word in normalize_answer(question.text).split()}
    return [word.target >= 0 and word.text not in asked for word in question.words]


def normalize_answer(text: str) -> str:
    """For exact match: lower case, punctuation dropped, one space between words."""
    return " ".join("".join(c if c.isalnum() else " " for c in text.lower()).split())


def ask(scene: Scene, rng: Random, kind: str | None = None) -> Question:
    """One question about the scene; a kind that the scene cannot carry (say, no unique object) gives another."""
    for _ in range(60):
        chosen = kind or rng.choices(KINDS[:4], KIND_WEIGHTS)[0]
        question = _ASK[chosen](scene, rng)
        if question is not None:
            return question
    return _ask_count(scene, rng)


def describe_scene(scene: Scene) -> list[int]:
    """Object indices from left to right in the image: the order of a description."""
    across, _ = ground_axes(scene)
    return [int(i) for i in np.argsort(across)]


def ground_axes(scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """Per object its place across (rightwards) and away from the camera, [n] each, in world units."""
    centers = np.array([item.center for item in scene.objects])
    away = scene.camera.forward[:2] / np.linalg.norm(scene.camera.forward[:2])
    return centers @ scene.camera.right[:2], centers @ away


def _named(words: list[str], target: int) -> list[AnswerWord]:
    return [AnswerWord(word, target) for word in words]


def _plain(*words: str) -> list[AnswerWord]:
    return [AnswerWord(word, -1) for word in words]


def _attribute_ending(name: str, value: str, target: int) -> list[AnswerWord]:
    if name == "material":
        return [*_plain("is", "made", "of"), AnswerWord(value, target), *_plain(".")]
    if name == "shape":
        return [*_plain("is", "a"), AnswerWord(value, target), *_plain(".")]
    return [*_plain("is"), AnswerWord(value, target), *_plain(".")]


def _attribute_wording(name: str, reference: str, rng: Random) -> str:
    options = {
        "color": (f"What color is the {reference}?", f"What is the color of the {reference}?"),
        "shape": (f"What shape is the {reference}?", f"What is the shape of the {reference}?"),
        "material": (f"What is the {reference} made of?", f"What material is the {reference}?"),
        "size": (f"How big is the {reference}?", f"What size is the {reference}?"),
    }[name]
    return rng.choice(options)


def _pick_attribute(rng: Random) -> str:
    return rng.choices(("color", "shape", "material", "size"), (0.45, 0.25, 0.15, 0.15))[0]


def _ask_attribute(scene: Scene, rng: Random) -> Question | None:
    target = rng.randrange(len(scene.objects))
    name = _pick_attribute(rng)
    wanted = refer(scene, target, rng, avoid=name)
    if wanted is None:
        return None
    value = getattr(scene.objects[target], name)
    words = [*_plain("the"), *_named(phrase_of(wanted), target), *_attribute_ending(name, value, target)]
    spoken = spoken_phrase(wanted, rng)
    text = _attribute_wording(name, spoken, rng)
    return Question("attribute", name, text, tuple(words), (Mention(spoken, (target,)),))


def _ask_existence(scene: Scene, rng: Random) -> Question | None:
    names = [("color", "shape"), ("color", "shape"), ("shape",), ("color",), ("size", "color"), ("material", "shape")]
    chosen = rng.choice(names)
    if rng.random() < 0.5:
        item = rng.choice(scene.objects)
        wanted = {name: getattr(item, name) for name in chosen}
    else:
        wanted = _absent(scene, rng, names)
        if wanted is None:
            return None
    found = matching(scene, wanted)
    spoken = spoken_phrase(wanted, rng)
    text = rng.choice((f"Is there a {spoken}?", f"Is there a {spoken} in the image?", f"Do you see a {spoken}?"))
    phrase = phrase_of(wanted)
    mentions = (Mention(spoken, tuple(found)),)
    if not found:
        words = _plain("no", ",", "there", "is", "no", *phrase, ".")
        return Question("existence", "no", text, tuple(words), mentions)
    target = found[0] if len(found) == 1 else -1
    words = [*_plain("yes", ",", "there", "is", "a"), *_named(phrase, target), *_plain(".")]
    return Question("existence", "yes", text, tuple(words), mentions)


def _absent(scene: Scene, rng: Random, names: list[tuple[str, ...]]) -> dict[str, str] | None:
    """Attributes that no object has together; mostly ones that are all present, on different objects."""
    for _ in range(30):
        chosen = rng.choice(names)
        adversarial = rng.random() < 0.65
        pool = {
            name: sorted({getattr(item, name) for item in scene.objects}) if adversarial else list(ATTRIBUTES[name])
            for name in chosen
        }
        wanted = {name: rng.choice(values) for name, values in pool.items()}
        if not matching(scene, wanted):
            return wanted
    return None


def _ask_count(scene: Scene, rng: Random) -> Question:
    chosen = rng.choice([("shape",), ("shape",), ("color",), ("material",), ("size",), ("color", "shape"), ()])
    item = rng.choice(scene.objects)
    wanted = {name: getattr(item, name) if rng.random() < 0.8 else rng.choice(ATTRIBUTES[name]) for name in chosen}
    found = matching(scene, wanted)
    count = len(found)
    spoken = " ".join(plural([say(word, rng) for word in phrase_of(wanted)]))
    text = rng.choice((f"How many {spoken} are there?", f"How many {spoken} do you see?", f"Count the {spoken}."))
    phrase = phrase_of(wanted) if count == 1 else plural(phrase_of(wanted))
    words = _plain("there", "is" if count == 1 else "are", NUMBERS[count], *phrase, ".")
    return Question("count", chosen[0] if chosen else "all", text, tuple(words), (Mention(spoken, tuple(found)),))


def _related(scene: Scene, reference: int, relation: str) -> tuple[list[int], bool]:
    """Objects that stand in `relation` to `reference`, and whether all objects are clear of it."""
    across, away = ground_axes(scene)
    axis, sign = {"left of": (across, -1), "right of": (across, 1), "in front of": (away, -1), "behind": (away, 1)}[
        relation
    ]
    offset = sign * (axis - axis[reference])
    others = [k for k in range(len(scene.objects)) if k != reference]
    return [k for k in others if offset[k] > 0], all(abs(offset[k]) > CLEARANCE for k in others)


def _ask_relation(scene: Scene, rng: Random) -> Question | None:
    roll = rng.random()
    if roll < 0.4:
        return _ask_side(scene, rng, variety="yes-no" if roll < 0.22 else "choose")
    return _ask_hops(scene, rng, hops=1 if roll < 0.78 else 2)


def _ask_side(scene: Scene, rng: Random, *, variety: str) -> Question | None:
    """Does a relation hold, or which of it and its opposite does?

    The answer says first what is the case, then whether that is what was asked: a verdict that comes first would
    have to be right before anything was compared, and no other word of the answer would teach the comparison.
    """
    one, other = rng.sample(range(len(scene.objects)), 2)
    relation = rng.choice(RELATIONS)
    across, away = ground_axes(scene)
    axis = across if relation in ("left of", "right of") else away
    if abs(axis[one] - axis[other]) < MARGIN:
        return None
    first, second = refer(scene, one, rng), refer(scene, other, rng)
    if first is None or second is None:
        return None
    holds = (axis[one] < axis[other]) == (relation in ("left of", "in front of"))
    spoken, spoken_other = spoken_phrase(first, rng), spoken_phrase(second, rng)
    said = relation if holds else OPPOSITE[relation]
    words = [*_plain("the"), *_named(phrase_of(first), one), *_plain("is", *said.split(), "the")]
    words += _named(phrase_of(second), other)
    if variety == "choose":
        text = f"Is the {spoken} {relation.removesuffix(' of')} or {OPPOSITE[relation]} the {spoken_other}?"
        words += _plain(".")
    else:
        text = f"Is the {spoken} {say(relation, rng)} the {spoken_other}?"
        words += _plain(":", "yes" if holds else "no", ".")
    mentions = (Mention(spoken, (one,)), Mention(spoken_other, (other,)))
    return Question("relation", variety, text, tuple(words), mentions)


def _ask_hops(scene: Scene, rng: Random, *, hops: int) -> Question | None:
    """What is the attribute of the one X in a relation to (the one Y in a relation to) the Z?"""
    anchor = rng.randrange(len(scene.objects))
    wanted = refer(scene, anchor, rng)
    if wanted is None:
        return None
    words = _named(phrase_of(wanted), anchor)
    spoken = spoken_phrase(wanted, rng)
    mentions = (Mention(spoken, (anchor,)),)
    name = _pick_attribute(rng)
    current = anchor
    for hop in range(hops):
        relation = rng.choice(RELATIONS)
        found, clear = _related(scene, current, relation)
        if not found or not clear:
            return None
        target = rng.choice(found)
        if target == anchor:
            return None
        last = hop == hops - 1
        step = refer_among(scene, target, found, rng, avoid=name if last else "")
        if step is None:
            return None
        words = [*_named(phrase_of(step), target), *_plain(*relation.split(), "the"), *words]
        spoken = f"{spoken_phrase(step, rng)} {say(relation, rng)} the {spoken}"
        current = target
    value = getattr(scene.objects[current], name)
    words = [*_plain("the"), *words, *_attribute_ending(name, value, current)]
    variety = "one-hop" if hops == 1 else "two-hop"
    return Question("relation", variety, _attribute_wording(name, spoken, rng), tuple(words), mentions)


def _ask_description(scene: Scene, rng: Random) -> Question:
    order = describe_scene(scene)
    words = _plain("there", "are", NUMBERS[len(order)], "objects", ":")
    for place, k in enumerate(order):
        item = scene.objects[k]
        words += [*_plain("a"), *_named([item.size, item.color, item.material, item.shape], k)]
        words += _plain("." if place == len(order) - 1 else ",")
    text = rng.choice(("Describe the image.", "Describe the scene.", "What do you see?"))
    return Question("description", "description", text, tuple(words))


_ASK = {
    "attribute": _ask_attribute,
    "existence": _ask_existence,
    "count": _ask_count,
    "relation": _ask_relation,
    "description": _ask_description,
}
