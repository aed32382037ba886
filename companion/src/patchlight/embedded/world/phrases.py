"""Phrases that refer to objects: the fewest words that identify an object ("the small red cube"), in varied wording."""

from random import Random

from .scenes import COLORS, MATERIALS, SHAPES, SIZES, Scene, SceneObject

ATTRIBUTES = {"size": SIZES, "color": COLORS, "material": MATERIALS, "shape": SHAPES}
WORDING = {
    "large": ("large", "large", "big"),
    "small": ("small", "small", "tiny"),
    "metal": ("metal", "metal", "shiny", "metallic"),
    "rubber": ("rubber", "rubber", "matte"),
    "sphere": ("sphere", "sphere", "sphere", "ball"),
    "cube": ("cube", "cube", "cube", "block"),
    "object": ("object", "object", "thing"),
    "left of": ("left of", "to the left of"),
    "right of": ("right of", "to the right of"),
    "in front of": ("in front of",),
    "behind": ("behind",),
}


def matches(item: SceneObject, attributes: dict[str, str]) -> bool:
    """Return whether the object has all of `attributes`, which maps attribute names to values."""
    return all(getattr(item, name) == value for name, value in attributes.items())


def matching(scene: Scene, attributes: dict[str, str]) -> list[int]:
    """Return the indices of the scene's objects that have all of `attributes`."""
    return [k for k, item in enumerate(scene.objects) if matches(item, attributes)]


def reword(word: str, rng: Random) -> str:
    """Return the word or one of its synonyms, chosen at random."""
    return rng.choice(WORDING.get(word, (word,)))


def phrase_of(attributes: dict[str, str]) -> list[str]:
    """Return a phrase's canonical words: size, colour, material, then the shape or "object"."""
    named = [attributes[name] for name in ("size", "color", "material") if name in attributes]
    return [*named, attributes.get("shape", "object")]


def reworded_phrase(attributes: dict[str, str], rng: Random) -> str:
    """Return the phrase for `attributes` with each word replaced by a random synonym."""
    return " ".join(reword(word, rng) for word in phrase_of(attributes))


def plural(words: list[str]) -> list[str]:
    """Make the last word of a phrase, its noun, plural."""
    return [*words[:-1], words[-1] + "s"]


def refer(
    scene: Scene, target: int, rng: Random, avoid: str = "", among: list[int] | None = None
) -> dict[str, str] | None:
    """Return the fewest attributes that identify `target`, or None if it cannot be identified. The attributes
    distinguish `target` from all other objects, or from those in `among` if given.
    """
    names = [name for name in ATTRIBUTES if name != avoid]
    pool = range(len(scene.objects)) if among is None else among
    item = scene.objects[target]
    for size in (1, 2, 3):
        options = []
        for mask in range(1, 1 << len(names)):
            chosen = [name for bit, name in enumerate(names) if mask >> bit & 1]
            if len(chosen) != size or (size == 1 and chosen[0] in ("size", "material") and rng.random() < 0.6):
                continue
            attributes = {name: getattr(item, name) for name in chosen}
            if [k for k in pool if matches(scene.objects[k], attributes)] == [target]:
                options.append(attributes)
        if options:
            return rng.choice(options)
    return None


def refer_among(scene: Scene, target: int, candidates: list[int], rng: Random, avoid: str) -> dict[str, str] | None:
    """Return up to two attributes that identify `target` among `candidates`, or None if two are not enough. The result
    may be empty if `target` is the only candidate, because the word "object" then identifies it.
    """
    if candidates == [target] and rng.random() < 0.5:
        return {}
    attributes = refer(scene, target, rng, avoid=avoid, among=candidates)
    return attributes if attributes is not None and len(attributes) <= 2 else None
