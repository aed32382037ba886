"""Phrases that refer to objects: "the small red cube", said with as few words as single it out, in varied wording."""

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


def matches(item: SceneObject, wanted: dict[str, str]) -> bool:
    return all(getattr(item, name) == value for name, value in wanted.items())


def matching(scene: Scene, wanted: dict[str, str]) -> list[int]:
    return [k for k, item in enumerate(scene.objects) if matches(item, wanted)]


def say(word: str, rng: Random) -> str:
    return rng.choice(WORDING.get(word, (word,)))


def phrase_of(wanted: dict[str, str]) -> list[str]:
    """Canonical words of a reference: size, colour, material, then shape or "object"."""
    named = [wanted[name] for name in ("size", "color", "material") if name in wanted]
    return [*named, wanted.get("shape", "object")]


def spoken_phrase(wanted: dict[str, str], rng: Random) -> str:
    return " ".join(say(word, rng) for word in phrase_of(wanted))


def plural(words: list[str]) -> list[str]:
    return [*words[:-1], words[-1] + "s"]


def refer(
    scene: Scene, target: int, rng: Random, avoid: str = "", among: list[int] | None = None
) -> dict[str, str] | None:
    """Attributes that single out `target` (among all objects or `among`), as few as may be, or None."""
    names = [name for name in ATTRIBUTES if name != avoid]
    pool = range(len(scene.objects)) if among is None else among
    item = scene.objects[target]
    for size in (1, 2, 3):
        options = []
        for mask in range(1, 1 << len(names)):
            chosen = [name for bit, name in enumerate(names) if mask >> bit & 1]
            if len(chosen) != size or (size == 1 and chosen[0] in ("size", "material") and rng.random() < 0.6):
                continue
            wanted = {name: getattr(item, name) for name in chosen}
            if [k for k in pool if matches(scene.objects[k], wanted)] == [target]:
                options.append(wanted)
        if options:
            return rng.choice(options)
    return None


def refer_among(scene: Scene, target: int, found: list[int], rng: Random, avoid: str) -> dict[str, str] | None:
    """Few attributes (or none: "object") that single out `target` among `found`."""
    if found == [target] and rng.random() < 0.5:
        return {}
    wanted = refer(scene, target, rng, avoid=avoid, among=found)
    return wanted if wanted is not None and len(wanted) <= 2 else None
