"""How the next token of an answer is chosen. Needs no torch, so that requests can be checked without it."""

from dataclasses import dataclass

# Below it, logits divided by it overflow, and drawing from what is not a number can abort a GPU's whole context.
LEAST_TEMPERATURE = 0.01


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How the next token is chosen."""

    max_new_tokens: int = 256
    """The end token counts, as it does for `generate`."""
    temperature: float = 0.0
    """0 takes the most likely token."""
    top_p: float = 1.0
    """Share of the probability that is drawn from; 1 draws from all."""
    seed: int = 0
    """Of the random stream; greedy answers do not depend on it."""
    alternatives: int = 5
    """Most likely tokens that each step names, the chosen one among them if it is."""

    def __post_init__(self) -> None:
        if self.max_new_tokens < 1:
            raise ValueError(f"max_new_tokens {self.max_new_tokens}: want at least 1")
        if self.temperature != 0 and not LEAST_TEMPERATURE <= self.temperature < float("inf"):
            raise ValueError(f"temperature {self.temperature}: want 0, or {LEAST_TEMPERATURE} or more")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p {self.top_p}: want above 0, at most 1")
        if self.temperature == 0 and self.top_p < 1:
            raise ValueError(f"top_p {self.top_p} with temperature 0: greedy answers draw from nothing")
        if self.alternatives < 1:
            raise ValueError(f"alternatives {self.alternatives}: want at least 1")
