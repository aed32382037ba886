"""Summarises the figures of `methods_report` in generated sentences, which therefore always agree with the figures."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from ..bootstrap import Estimate

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
    "found": "Words not in the question",
    "repeated": "Words repeated from the question",
}
_MEASURES = {"pointing": "pointing game", "iou": "IoU", "mass": "mass on the object"}


class Figures(Protocol):
    """The figures of one method on one group of tokens."""

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
    """The pointing game of each method on a subset of a group's tokens."""

    label: str
    tokens: int
    pointing: Mapping[str, Estimate]


# Subsets with fewer tokens are not mentioned.
_MIN_TOKENS = 50


def verdict(groups: Mapping[str, Mapping[str, Figures]], slices: Mapping[str, Sequence[Slice]]) -> list[str]:
    """Return one sentence per finding.

    groups: figures by method for `found` and `repeated` words; slices: subsets of each group. Two methods differ
    significantly if the 95 % interval of their paired difference excludes 0.
    """
    sentences = []
    for group, methods in groups.items():
        if any(math.isnan(of.pointing.value) for of in methods.values()):
            sentences.append(f"{_GROUPS[group]}: no tokens were scored.")
            continue
        sentences += [_winner(group, methods, measure) for measure in _MEASURES]
        sentences += [_failures(group, methods), *_weak_spots(group, methods, slices[group])]
        sentences += [_distance(group, methods), _incremental(group, methods)]
    return [*sentences, *_both(groups)]


def _both(groups: Mapping[str, Mapping[str, Figures]]) -> list[str]:
    """State how the best method for each group scores on the other group."""
    best = {group: max(methods, key=lambda name: methods[name].pointing.value) for group, methods in groups.items()}
    if len(set(best.values())) < 2 or any(math.isnan(groups[g][best[g]].pointing.value) for g in groups):
        return []
    found, repeated = best["found"], best["repeated"]
    return [
        f"No method is best for both groups in the pointing game: {NAMES[found]}, the best for words not in the "
        f"question, scores {_interval(groups['repeated'][found].pointing)} on words repeated from it; "
        f"{NAMES[repeated]}, the best for repeated words, scores "
        f"{_interval(groups['found'][repeated].pointing)} on the others."
    ]


def _weak_spots(group: str, methods: Mapping[str, Figures], slices: Sequence[Slice]) -> list[str]:
    """Name the subsets on which FastRM, its teacher and the best method score lowest and highest."""
    large = [one for one in slices if one.tokens >= _MIN_TOKENS]
    if len(large) < 2:
        return []
    best = max(methods, key=lambda name: methods[name].pointing.value)
    parts = []
    for name in dict.fromkeys((best, "chefer", "fastrm")):
        order = sorted(large, key=lambda one, name=name: one.pointing[name].value)
        low, high = order[0], order[-1]
        parts.append(
            f"{NAMES[name]} from {_interval(low.pointing[name])} for {low.label} to {_interval(high.pointing[name])} for "
            f"{high.label}"
        )
    return [f"{_GROUPS[group]}, pointing game on the worst and the best kind of token: {'; '.join(parts)}."]


def _winner(group: str, methods: Mapping[str, Figures], measure: str) -> str:
    scores: dict[str, Estimate] = {name: getattr(of, measure) for name, of in methods.items()}
    order = sorted(scores, key=lambda name: -scores[name].value)
    best, second = order[0], order[1]
    level = [name for name in order[1:] if scores[best].minus(scores[name]).low <= 0]
    ours = scores["fastrm"]
    if level:
        next_best = f"not significantly different: {_list(level)}"
    else:
        next_best = f"followed by {NAMES[second]}, {_interval(scores[second])}"
    rest = "" if "fastrm" in (best, second, *level) else f"; FastRM {_interval(ours)}"
    return (
        f"{_GROUPS[group]}, {_MEASURES[measure]}: {NAMES[best]} is best, {_interval(scores[best])}; {next_best}{rest}; "
        f"random maps {_interval(scores['random'])}."
    )


def _failures(group: str, methods: Mapping[str, Figures]) -> str:
    """Name the methods that are worse than random maps, or not significantly better."""
    chance = methods["random"].pointing
    differences = {name: of.pointing.minus(chance) for name, of in methods.items() if name != "random"}
    worse = [name for name, by in differences.items() if by.high < 0]
    level = [name for name, by in differences.items() if by.low <= 0 <= by.high]
    parts = [f"not significantly better than random maps: {_list(level)}"] if level else []
    parts += [f"worse than random maps: {_list(worse)}"] if worse else []
    findings = "; ".join(parts) if parts else "every method is better than random maps"
    best = max((of.pointing for of in methods.values()), key=lambda pointing: pointing.value)
    misses, fewest, most = (100 * (1 - share) for share in (best.value, best.high, best.low))
    return (
        f"{_GROUPS[group]}, {_MEASURES['pointing']}: {findings}. Even the best method misses the object for "
        f"{misses:.0f} % ({fewest:.0f} to {most:.0f} %) of the tokens."
    )


def _distance(group: str, methods: Mapping[str, Figures]) -> str:
    ours, teacher = methods["fastrm"], methods["chefer"]
    by = ours.pointing.minus(teacher.pointing)
    if by.low > 0:
        compared = "better than"
    elif by.high < 0:
        compared = "worse than"
    else:
        compared = "not significantly different from"
    return (
        f"{_GROUPS[group]}, FastRM compared with its teacher: Spearman {_interval(ours.spearman)}, IoU of the top 10 % "
        f"{_interval(ours.top)}, F1 {_interval(ours.f1)}. In the pointing game it is {compared} its teacher "
        f"({_interval(ours.pointing)} and {_interval(teacher.pointing)}; difference {by.value:+.2f}, {by.low:+.2f} to "
        f"{by.high:+.2f})."
    )


def _incremental(group: str, methods: Mapping[str, Figures]) -> str:
    other, exact = methods["chefer-incremental"], methods["chefer"]
    by = other.pointing.minus(exact.pointing)
    compared = "does not differ significantly" if by.low <= 0 <= by.high else "differs significantly"
    return (
        f"{_GROUPS[group]}: incremental Chefer ranks patches almost like exact Chefer, with a Spearman correlation of "
        f"{_interval(other.spearman)}; its pointing game {compared} ({by.value:+.3f}, {by.low:+.3f} to "
        f"{by.high:+.3f})."
    )


def _interval(estimate: Estimate) -> str:
    return f"{estimate.value:.2f} ({estimate.low:.2f} to {estimate.high:.2f})"


def _list(names: list[str]) -> str:
    words = [NAMES[name] for name in names]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
