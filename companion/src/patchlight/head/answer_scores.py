"""Scores answers from 0 to 1 by the rule of each dataset."""

import re
from collections.abc import Callable, Sequence
from typing import Literal

DataKind = Literal["vqav2", "gqa", "pope", "jsonl"]

_ARTICLES = {"a", "an", "the"}
_NUMBERS = {
    word: str(value) for value, word in enumerate("zero one two three four five six seven eight nine ten".split())
} | {"none": "0"}
# The VQA challenge restores one missing apostrophe per contraction. Its entries that begin with a capital I are left
# out here: words are converted to lower case before the lookup, so these entries would never match.
_CONTRACTIONS = {
    word[:place] + word[place + 1 :]: word
    for word in (
        "ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't haven't he'd "
        "he'd've he's how'd how'll how's isn't it'd it'd've it'll ma'am mightn't mightn't've might've mustn't must've "
        "needn't not've o'clock oughtn't 'ow's'at shan't she'd've should've shouldn't shouldn't've somebody'd've "
        "somebody'll somebody's someone'd someone'd've someone'll someone's something'd something'd've something'll "
        "that's there'd there'd've there're there's they'd they'd've they'll they're they've 'twas wasn't we'd've we've "
        "weren't what'll what're what's what've when's where'd where's where've who'd who'd've who'll who's who've "
        "why'll why're why's won't would've wouldn't wouldn't've y'all y'all'll y'all'd've you'd you'd've you'll you're "
        "you've"
    ).split()
    for place, letter in enumerate(word)
    if letter == "'"
}
_PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'
_STOP = re.compile(r"\.(?!\d)")
_THOUSANDS = re.compile(r"\d,\d")


def normalised(answer: str) -> str:
    """Normalise an answer as the VQA challenge does: lower case, no punctuation or articles, digits for small numbers.

    If a punctuation mark occurs next to a space anywhere in the answer, all its occurrences are removed. All marks are
    removed if the answer has a comma between digits (1,000). Other marks become spaces. A full stop before a digit is
    kept.
    """
    text = " ".join(answer.split())
    cleaned = text
    for mark in _PUNCTUATION:
        is_removed = f"{mark} " in text or f" {mark}" in text or _THOUSANDS.search(text) is not None
        cleaned = cleaned.replace(mark, "" if is_removed else " ")
    words = [_NUMBERS.get(word, word) for word in _STOP.sub("", cleaned).lower().split()]
    return " ".join(_CONTRACTIONS.get(word, word) for word in words if word not in _ARTICLES)


def vqa_accuracy(answer: str, answers: Sequence[str]) -> float:
    """Return min(n / 3, 1), where n is the number of reference answers that agree with `answer`. VQAv2 has ten
    reference answers per question.
    """
    return min(_agree(answer, answers) / 3, 1.0)


def vqa_accuracy_of_nine(answer: str, answers: Sequence[str]) -> float:
    """Return the mean of `vqa_accuracy` over all subsets that leave out one person's answer, as the VQA challenge
    server reports it.

    It is lower than `vqa_accuracy` if one to three people agree (0.9 for three of ten).
    """
    agree, count = _agree(answer, answers), len(answers)
    return (agree * min((agree - 1) / 3, 1) + (count - agree) * min(agree / 3, 1)) / count if agree else 0.0


def exact_match(answer: str, answers: Sequence[str]) -> float:
    """GQA's rule: 1 if the answers are equal, ignoring case, surrounding spaces and a final full stop; else 0."""
    return float(_plain(answer) in {_plain(other) for other in answers})


def says_yes(answer: str) -> bool:
    """Interpret a free-form answer as POPE does: as "no" if its first sentence contains the word "no" or "not", else as
    "yes".
    """
    words = answer.split(".")[0].replace(",", "").lower().split()
    return not {"no", "not"} & set(words)


def says_neither(answer: str) -> bool:
    """Whether the first sentence of an answer contains none of the words "yes", "no" and "not". `says_yes` then returns
    True, which says little.
    """
    return not {"yes", "no", "not"} & set(re.findall(r"\w+", answer.split(".")[0].lower()))


def yes_or_no(answer: str, answers: Sequence[str]) -> float:
    """POPE's rule: 1 if `says_yes` agrees with the label, else 0."""
    return float(says_yes(answer) == (answers[0] == "yes"))


def any_match(answer: str, answers: Sequence[str]) -> float:
    """Return 1 if the answer equals any of the correct answers after normalisation, else 0."""
    return float(_agree(answer, answers) > 0)


SCORES: dict[DataKind, Callable[[str, Sequence[str]], float]] = {
    "vqav2": vqa_accuracy,
    "gqa": exact_match,
    "pope": yes_or_no,
    "jsonl": any_match,
}


def _plain(answer: str) -> str:
    return " ".join(answer.split()).rstrip(". ").lower()


def _agree(answer: str, answers: Sequence[str]) -> int:
    """Count the reference answers that equal `answer`, either normalised or as written.

    Both comparisons are needed: normalisation drops "A" as an article although it may be the letter of a
    multiple-choice option. An empty answer equals no reference answer.
    """
    plain, normal = _plain(answer), normalised(answer)
    return sum(
        bool(plain) and (_plain(other) == plain or (bool(normal) and normalised(other) == normal)) for other in answers
    )
