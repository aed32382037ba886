"""Which tokens of an answer carry content: what the poolings of their values go by. The same rule and list as in
src/math/statistics/content-tokens.ts and src/math/statistics/function-words.ts."""

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
"""English words that hold a sentence together and say nothing of a picture. Not among them, because questions ask for
them: yes, no and not, numbers, and words of place other than the bare in, on and at."""


def content_tokens(texts: Sequence[str], words: Sequence[int]) -> list[bool]:
    """A token carries content where it has a letter or a digit and its word, in lower case and without the punctuation
    at its ends, is no function word. `words` number the words that the tokens belong to."""
    whole: dict[int, str] = {}
    for text, word in zip(texts, words, strict=True):
        whole[word] = whole.get(word, "") + text
    function = {word for word, text in whole.items() if _plain(text) in FUNCTION_WORDS}
    return [word not in function and any(map(str.isalnum, text)) for text, word in zip(texts, words, strict=True)]


def _plain(text: str) -> str:
    inside = [place for place, character in enumerate(text) if character.isalnum()]
    return text[inside[0] : inside[-1] + 1].lower().replace("’", "'") if inside else ""
