"""What the figures of `methods_report` say, in sentences: made from them, so that the two cannot drift apart."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from .method_scores import Estimate

NAMES = {
    "fastrm": "FastRM",
    "chefer": "exact Chefer",
    "chefer-incremental": "incremental Chefer",
    "gradcam": "attention GradCAM",
    "feature-gradcam": "feature GradCAM",
    "dex-ar": "DEX-AR",
    "tam": "TAM",
    "rollout": "attention rollout",
    "attention": "raw attention",
    "random": "random maps",
}
_GROUPS = {
    "found": "Words that the question does not hold",
    "repeated": "Words repeated from the question",
}
_MEASURES = {"pointing": "the pointing game", "iou": "IoU", "mass": "mass on the object"}


class Figures(Protocol):
    """Of one method on one group of tokens."""

    @property
    def pointing(self) -> Estimate: ...
    @property
    def iou(self) -> Estimate: ...
    @property
    def mass(self) -> Estimate: ...
    @property
    def spearman(self) -> Estimate: ...
    @property
    def top(self) -> Estimate: ...
    @property
    def f1(self) -> Estimate: ...


class Slice(NamedTuple):
    """The pointing game of each method on some of a group's tokens."""

    label: str
    tokens: int
    pointing: Mapping[str, Estimate]


# Of fewer tokens than this, nothing is said in words.
_FEWEST = 50


def verdict(groups: Mapping[str, Mapping[str, Figures]], slices: Mapping[str, Sequence[Slice]]) -> list[str]:
    """One sentence a finding. Two methods are told apart where the 95 % interval of their paired difference leaves out 0.

    groups: `found` and `repeated`; slices: of each of them.
    """
    sentences = []
    for group, methods in groups.items():
        if any(math.isnan(of.pointing.value) for of in methods.values()):
            sentences.append(f"{_GROUPS[group]}: no token was scored.")
            continue
        sentences += [_winner(group, methods, measure) for measure in _MEASURES]
        sentences += [_failures(group, methods), *_weak_spots(group, methods, slices[group])]
        sentences += [_distance(group, methods), _incremental(group, methods)]
    return [*sentences, *_both(groups)]


def _both(groups: Mapping[str, Mapping[str, Figures]]) -> list[str]:
    """How each group's winner does in the other one."""
    best = {group: max(methods, key=lambda name: methods[name].pointing.value) for group, methods in groups.items()}
    if len(set(best.values())) < 2 or any(math.isnan(groups[g][best[g]].pointing.value) for g in groups):
        return []
    found, repeated = best["found"], best["repeated"]
    return [
        f"No method points best at both: {NAMES[found]}, best for words that the question does not hold, finds "
        f"{groups['repeated'][found].pointing.value:.2f} of those repeated from it; {NAMES[repeated]}, best for those, "
        f"{groups['found'][repeated].pointing.value:.2f} of the others."
    ]


def _weak_spots(group: str, methods: Mapping[str, Figures], slices: Sequence[Slice]) -> list[str]:
    """Where FastRM, its teacher and the best method find least and most."""
    large = [one for one in slices if one.tokens >= _FEWEST]
    if len(large) < 2:
        return []
    best = max(methods, key=lambda name: methods[name].pointing.value)
    parts = []
    for name in dict.fromkeys((best, "chefer", "fastrm")):
        order = sorted(large, key=lambda one, name=name: one.pointing[name].value)
        low, high = order[0], order[-1]
        parts.append(
            f"{NAMES[name]} {low.pointing[name].value:.2f} ({low.label}) to {high.pointing[name].value:.2f} ({high.label})"
        )
    return [f"{_GROUPS[group]}, the pointing game from the worst kind of token to the best: {'; '.join(parts)}."]


def _winner(group: str, methods: Mapping[str, Figures], measure: str) -> str:
    scores: dict[str, Estimate] = {name: getattr(of, measure) for name, of in methods.items()}
    order = sorted(scores, key=lambda name: -scores[name].value)
    best, second = order[0], order[1]
    level = [name for name in order[1:] if scores[best].minus(scores[name]).low <= 0]
    ours = scores["fastrm"]
    if level:
        told = f"not told apart from it: {_list(level)}"
    else:
        told = f"then {NAMES[second]} ({scores[second].value:.2f})"
    rest = "" if "fastrm" in (best, second, *level) else f"; FastRM {ours.value:.2f}"
    return (
        f"{_GROUPS[group]}, {_MEASURES[measure]}: {NAMES[best]} is best ({_interval(scores[best])}); {told}{rest}; "
        f"random maps {scores['random'].value:.2f}."
    )


def _failures(group: str, methods: Mapping[str, Figures]) -> str:
    """Methods that point no better than random maps, or worse."""
    chance = methods["random"].pointing
    apart = {name: of.pointing.minus(chance) for name, of in methods.items() if name != "random"}
    worse = [name for name, by in apart.items() if by.high < 0]
    level = [name for name, by in apart.items() if by.low <= 0 <= by.high]
    parts = [f"{_list(level)} point no better than random maps"] if level else []
    parts += [f"{_list(worse)} point worse than random maps"] if worse else []
    said = "; ".join(parts) if parts else "every method points better than random maps"
    misses = 1 - max(of.pointing.value for of in methods.values())
    return f"{_GROUPS[group]}: {said}. Even the best map's maximum misses the object in {misses:.0%} of the tokens."


def _distance(group: str, methods: Mapping[str, Figures]) -> str:
    ours, teacher = methods["fastrm"], methods["chefer"]
    by = ours.pointing.minus(teacher.pointing)
    if by.low > 0:
        compared = "it points better than its teacher"
    elif by.high < 0:
        compared = "it points worse than its teacher"
    else:
        compared = "it points as well as its teacher, as far as can be told"
    return (
        f"{_GROUPS[group]}, FastRM against its teacher: Spearman {_interval(ours.spearman)}, IoU of the top 10 % "
        f"{_interval(ours.top)}, F1 {_interval(ours.f1)}; {compared} ({ours.pointing.value:.2f} against "
        f"{teacher.pointing.value:.2f}, difference {by.value:+.2f}, {by.low:+.2f} to {by.high:+.2f})."
    )


def _incremental(group: str, methods: Mapping[str, Figures]) -> str:
    other, exact = methods["chefer-incremental"], methods["chefer"]
    by = other.pointing.minus(exact.pointing)
    same = (
        "finds objects as the exact one does, as far as can be told"
        if by.low <= 0 <= by.high
        else "differs in finding objects"
    )
    return (
        f"{_GROUPS[group]}: incremental Chefer ranks patches nearly as the exact one (Spearman {_interval(other.spearman)}) and "
        f"{same} ({by.value:+.3f}, {by.low:+.3f} to {by.high:+.3f} in the pointing game)."
    )


def _interval(estimate: Estimate) -> str:
    return f"{estimate.value:.2f}, {estimate.low:.2f} to {estimate.high:.2f}"


def _list(names: list[str]) -> str:
    words = [NAMES[name] for name in names]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
