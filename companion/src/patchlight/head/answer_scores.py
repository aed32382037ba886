"""How right an answer is, by each data set's own rule: 0 to 1."""

import re
from collections.abc import Callable, Sequence
from typing import Literal

DataKind = Literal["vqav2", "gqa", "pope", "jsonl"]

_ARTICLES = {"a", "an", "the"}
_NUMBERS = {
    word: str(value) for value, word in enumerate("zero one two three four five six seven eight nine ten".split())
} | {"none": "0"}
# The challenge mends contractions that lack one apostrophe. Those that begin with I are left out: words are in lower
# case by then, so that its table never matches them.
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
    """As the VQA challenge compares answers: no punctuation, digits for small numbers, no articles, lower case.

    A mark that touches a space, and every mark where digits are grouped by a comma, goes; others become a space. A
    full stop stays before a digit.
    """
    text = " ".join(answer.split())
    found = text
    for mark in _PUNCTUATION:
        touches = f"{mark} " in text or f" {mark}" in text or _THOUSANDS.search(text) is not None
        found = found.replace(mark, "" if touches else " ")
    words = [_NUMBERS.get(word, word) for word in _STOP.sub("", found).lower().split()]
    return " ".join(_CONTRACTIONS.get(word, word) for word in words if word not in _ARTICLES)


def vqa_accuracy(answer: str, answers: Sequence[str]) -> float:
    """min(n / 3, 1), n of the people's answers (ten, in the data set) being this one after `normalised`."""
    return min(_agree(answer, answers) / 3, 1.0)


def vqa_accuracy_of_nine(answer: str, answers: Sequence[str]) -> float:
    """As the challenge's server reports it: the mean of `vqa_accuracy` over the sets that leave one person out.

    Lower where three or fewer people agree (0.9 for three of ten).
    """
    agree, count = _agree(answer, answers), len(answers)
    return (agree * min((agree - 1) / 3, 1) + (count - agree) * min(agree / 3, 1)) / count if agree else 0.0


def exact_match(answer: str, answers: Sequence[str]) -> float:
    """GQA's: the same but for case, surrounding space and a full stop at the end."""
    return float(_plain(answer) in {_plain(other) for other in answers})


def says_yes(answer: str) -> bool:
    """POPE's reading of a free answer: no, where "no" or "not" is among the words of its first sentence."""
    words = answer.split(".")[0].replace(",", "").lower().split()
    return not {"no", "not"} & set(words)


def yes_or_no(answer: str, answers: Sequence[str]) -> float:
    """POPE's: does a free answer say what the label says?"""
    return float(says_yes(answer) == (answers[0] == "yes"))


def any_match(answer: str, answers: Sequence[str]) -> float:
    """The same as any of the right answers after `normalised`."""
    return float(_agree(answer, answers) > 0)


SCORES: dict[DataKind, Callable[[str, Sequence[str]], float]] = {
    "vqav2": vqa_accuracy,
    "gqa": exact_match,
    "pope": yes_or_no,
    "jsonl": any_match,
}


def _plain(answer: str) -> str:
    return answer.strip().rstrip(".").lower()


def _agree(answer: str, answers: Sequence[str]) -> int:
    """How many are the same after `normalised`, or as they stand: of "A", which is no article in a choice of letters,
    nothing is left by it. No answer agrees with nothing."""
    plain, said = _plain(answer), normalised(answer)
    return sum(
        bool(plain) and (_plain(other) == plain or (bool(said) and normalised(other) == said)) for other in answers
    )
