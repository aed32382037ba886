"""Questions about a scene and their answers, with each answer word linked to the object that it names.

There are five kinds: attribute; existence (half of the answers are "no", mostly for attributes that occur in the scene
but never on the same object, as in POPE's adversarial split); count; relation (yes/no, either/or, one hop, two hops, as
in GQA); description. Questions vary in wording; answers are short sentences in canonical words.
"""

from random import Random
from typing import NamedTuple

import numpy as np

from .phrases import ATTRIBUTES, WORDING, matching, phrase_of, plural, refer, refer_among, reword, reworded_phrase
from .scenes import Scene

KINDS = ("attribute", "existence", "count", "relation", "description")
KIND_WEIGHTS = (0.30, 0.16, 0.18, 0.36)  # of all kinds except description
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight")
MAX_ANSWER_TOKENS = 80

RELATIONS = ("left of", "right of", "in front of", "behind")
OPPOSITE = {"left of": "right of", "right of": "left of", "in front of": "behind", "behind": "in front of"}
MARGIN = 0.45  # minimum offset, in world units, between two objects whose relation is in question
CLEARANCE = 0.3  # minimum offset of every other object from a hop's reference object


class AnswerWord(NamedTuple):
    """A word of the answer and the index of the object that it names, or -1."""

    text: str
    target: int


class Mention(NamedTuple):
    """A phrase in the question, and the indices of the objects that fit it."""

    text: str
    objects: tuple[int, ...]


class Question(NamedTuple):
    """A question and its reference answer, `answer_text(words)`.

    kind: one of KINDS. variety: a subtype of `kind`. mentions: phrases that refer to objects, in text order. Only
    phrases whose referent is clear by the end of the phrase are included.
    """

    kind: str
    variety: str
    text: str
    words: tuple[AnswerWord, ...]
    mentions: tuple[Mention, ...] = ()


def answer_text(words: tuple[AnswerWord, ...]) -> str:
    """Join the words into a sentence with a capital first letter and no space before punctuation."""
    text = ""
    for word in words:
        text += word.text if not text or word.text in ",.:" else " " + word.text
    return text[0].upper() + text[1:]


def found_words(question: Question) -> list[bool]:
    """Return, per answer word, whether the model must find it in the image.

    True if the word names an object, and neither the word nor a synonym is in the question. The model can copy other
    words from the question.
    """
    canonical = {synonym: word for word, synonyms in WORDING.items() for synonym in synonyms}
    in_question = {canonical.get(word, word) for word in normalize_answer(question.text).split()}
    return [word.target >= 0 and word.text not in in_question for word in question.words]


def normalize_answer(text: str) -> str:
    """Normalise for exact matching: lower case, no punctuation, single spaces between words."""
    return " ".join("".join(c if c.isalnum() else " " for c in text.lower()).split())


def ask(scene: Scene, rng: Random, kind: str | None = None) -> Question:
    """Return a random question about the scene, of `kind` if given.

    Falls back to a count question if the scene does not support the kind, for example if no object can be identified.
    """
    for _ in range(60):
        chosen = kind or rng.choices(KINDS[:4], KIND_WEIGHTS)[0]
        question = _ASK[chosen](scene, rng)
        if question is not None:
            return question
    return _ask_count(scene, rng)


def describe_scene(scene: Scene) -> list[int]:
    """Return object indices from left to right in the image, the order in which a description lists them."""
    across, _ = ground_axes(scene)
    return [int(i) for i in np.argsort(across)]


def ground_axes(scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """Return the objects' positions on the ground along the camera's right and forward directions, as two arrays [n] in
    world units.
    """
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
    attributes = refer(scene, target, rng, avoid=name)
    if attributes is None:
        return None
    value = getattr(scene.objects[target], name)
    words = [*_plain("the"), *_named(phrase_of(attributes), target), *_attribute_ending(name, value, target)]
    wording = reworded_phrase(attributes, rng)
    text = _attribute_wording(name, wording, rng)
    return Question("attribute", name, text, tuple(words), (Mention(wording, (target,)),))


def _ask_existence(scene: Scene, rng: Random) -> Question | None:
    names = [("color", "shape"), ("color", "shape"), ("shape",), ("color",), ("size", "color"), ("material", "shape")]
    chosen = rng.choice(names)
    if rng.random() < 0.5:
        item = rng.choice(scene.objects)
        attributes = {name: getattr(item, name) for name in chosen}
    else:
        attributes = _absent(scene, rng, names)
        if attributes is None:
            return None
    matches = matching(scene, attributes)
    wording = reworded_phrase(attributes, rng)
    text = rng.choice((f"Is there a {wording}?", f"Is there a {wording} in the image?", f"Do you see a {wording}?"))
    phrase = phrase_of(attributes)
    mentions = (Mention(wording, tuple(matches)),)
    if not matches:
        words = _plain("no", ",", "there", "is", "no", *phrase, ".")
        return Question("existence", "no", text, tuple(words), mentions)
    target = matches[0] if len(matches) == 1 else -1
    words = [*_plain("yes", ",", "there", "is", "a"), *_named(phrase, target), *_plain(".")]
    return Question("existence", "yes", text, tuple(words), mentions)


def _absent(scene: Scene, rng: Random, names: list[tuple[str, ...]]) -> dict[str, str] | None:
    """Return a combination of attributes that no object has, or None if none is found. Usually, each attribute occurs
    in the scene, but on different objects.
    """
    for _ in range(30):
        chosen = rng.choice(names)
        adversarial = rng.random() < 0.65
        pool = {
            name: sorted({getattr(item, name) for item in scene.objects}) if adversarial else list(ATTRIBUTES[name])
            for name in chosen
        }
        attributes = {name: rng.choice(values) for name, values in pool.items()}
        if not matching(scene, attributes):
            return attributes
    return None


def _ask_count(scene: Scene, rng: Random) -> Question:
    chosen = rng.choice([("shape",), ("shape",), ("color",), ("material",), ("size",), ("color", "shape"), ()])
    item = rng.choice(scene.objects)
    attributes = {name: getattr(item, name) if rng.random() < 0.8 else rng.choice(ATTRIBUTES[name]) for name in chosen}
    matches = matching(scene, attributes)
    count = len(matches)
    wording = " ".join(plural([reword(word, rng) for word in phrase_of(attributes)]))
    text = rng.choice((f"How many {wording} are there?", f"How many {wording} do you see?", f"Count the {wording}."))
    phrase = phrase_of(attributes) if count == 1 else plural(phrase_of(attributes))
    words = _plain("there", "is" if count == 1 else "are", NUMBERS[count], *phrase, ".")
    return Question("count", chosen[0] if chosen else "all", text, tuple(words), (Mention(wording, tuple(matches)),))


def _related(scene: Scene, reference: int, relation: str) -> tuple[list[int], bool]:
    """Return the objects in `relation` to `reference`, and whether all other objects are more than CLEARANCE away from
    `reference` on the relation's axis.
    """
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
    """Ask whether a relation holds ("yes-no"), or whether the relation or its opposite holds ("choose").

    The answer states the actual relation before the verdict. If "yes" or "no" came first, the model would have to
    decide before comparing anything, and no other answer word would teach it the comparison.
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
    wording, other_wording = reworded_phrase(first, rng), reworded_phrase(second, rng)
    actual = relation if holds else OPPOSITE[relation]
    words = [*_plain("the"), *_named(phrase_of(first), one), *_plain("is", *actual.split(), "the")]
    words += _named(phrase_of(second), other)
    if variety == "choose":
        text = f"Is the {wording} {relation.removesuffix(' of')} or {OPPOSITE[relation]} the {other_wording}?"
        words += _plain(".")
    else:
        text = f"Is the {wording} {reword(relation, rng)} the {other_wording}?"
        words += _plain(":", "yes" if holds else "no", ".")
    mentions = (Mention(wording, (one,)), Mention(other_wording, (other,)))
    return Question("relation", variety, text, tuple(words), mentions)


def _ask_hops(scene: Scene, rng: Random, *, hops: int) -> Question | None:
    """Ask for an attribute of "the X left of the Z" or, with two hops, of "the X left of the Y behind the Z"."""
    anchor = rng.randrange(len(scene.objects))
    attributes = refer(scene, anchor, rng)
    if attributes is None:
        return None
    words = _named(phrase_of(attributes), anchor)
    wording = reworded_phrase(attributes, rng)
    mentions = (Mention(wording, (anchor,)),)
    name = _pick_attribute(rng)
    current = anchor
    for hop in range(hops):
        relation = rng.choice(RELATIONS)
        matches, clear = _related(scene, current, relation)
        if not matches or not clear:
            return None
        target = rng.choice(matches)
        if target == anchor:
            return None
        last = hop == hops - 1
        step = refer_among(scene, target, matches, rng, avoid=name if last else "")
        if step is None:
            return None
        words = [*_named(phrase_of(step), target), *_plain(*relation.split(), "the"), *words]
        wording = f"{reworded_phrase(step, rng)} {reword(relation, rng)} the {wording}"
        current = target
    value = getattr(scene.objects[current], name)
    words = [*_plain("the"), *words, *_attribute_ending(name, value, current)]
    variety = "one-hop" if hops == 1 else "two-hop"
    return Question("relation", variety, _attribute_wording(name, wording, rng), tuple(words), mentions)


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
