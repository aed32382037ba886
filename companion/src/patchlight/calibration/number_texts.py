"""Reads numbers and truths stored as text, as the page does (`src/contract/number-texts.ts`)."""

import re

_MISSING = {
    "", ".", "nan", "+nan", "-nan", "null", "nil", "none", "na", "n/a", "#n/a", "#na", "<na>", "\\n",
    "1.#qnan", "-1.#qnan", "1.#ind", "-1.#ind",
}  # fmt: skip
_INFINITE = re.compile(r"([+-]?)(inf|infinity|∞|1\.#inf)", re.IGNORECASE)
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?", re.IGNORECASE)
_TRUTHS = {
    **dict.fromkeys(("true", "yes", "right", "correct", "t", "y", "wahr", "vrai", "verdadero"), 1.0),
    **dict.fromkeys(("false", "no", "wrong", "incorrect", "f", "n", "falsch", "faux", "falso"), 0.0),
}


def parse_number(text: str, *, accepts_truths: bool = False) -> float | None:
    """Return the number that the text stands for: NaN if it marks a missing value, None if it is not a number.

    accepts_truths: also read words such as "yes" and "wrong", as 1 and 0.
    """
    plain = text.strip().replace("\u2212", "-", 1)
    if _NUMBER.fullmatch(plain):
        return float(plain)
    if plain.lower() in _MISSING:
        return float("nan")
    if match := _INFINITE.fullmatch(plain):
        return float(f"{match[1]}inf")
    return _TRUTHS.get(plain.lower()) if accepts_truths else None
