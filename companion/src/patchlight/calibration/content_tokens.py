"""Finds the content tokens of an answer; some poolings use only these.

The rule and the word list are the same as in src/math/statistics/content-tokens.ts and
src/math/statistics/function-words.ts.
"""

from collections.abc import Sequence

FUNCTION_WORDS = frozenset(
    """
    a an the this that these those
    i you he she it we they me him her us them my your his its our their mine yours hers ours theirs
    myself yourself himself herself itself ourselves themselves
    who whom whose which what when where why how there here
    and or but nor so yet if then than as because while although though since unless until whether
    of to in on at by for with from into onto about
    am is are was were be been being do does did doing done have has had having
    will would shall should can could may might must
    also just very too such some any each every both all other another own same
    it's that's there's here's he's she's what's who's i'm you're we're they're i've you've we've they've
    i'll you'll he'll she'll we'll they'll
    """.split()
)
"""English words that carry grammar rather than content. The list omits words that questions ask about: yes, no and not,
numbers, and words of place other than in, on and at."""


def content_tokens(texts: Sequence[str], words: Sequence[int]) -> list[bool]:
    """Return whether each token is a content token.

    A content token has a letter or a digit, and its word (in lower case, without surrounding punctuation) is not a
    function word. words: the word number of each token.
    """
    joined: dict[int, str] = {}
    for text, word in zip(texts, words, strict=True):
        joined[word] = joined.get(word, "") + text
    function_words = {word for word, text in joined.items() if _plain(text) in FUNCTION_WORDS}
    return [word not in function_words and any(map(str.isalnum, text)) for text, word in zip(texts, words, strict=True)]


def _plain(text: str) -> str:
    letters = [index for index, character in enumerate(text) if character.isalnum()]
    return text[letters[0] : letters[-1] + 1].lower().replace("’", "'") if letters else ""
