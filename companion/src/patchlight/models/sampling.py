"""Options that control how the next token is chosen. Does not import torch, so requests can be checked without it."""

from dataclasses import dataclass

# Lower temperatures make logits overflow, and sampling from NaN can abort the GPU context.
MIN_TEMPERATURE = 0.01


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How the next token is chosen."""

    max_new_tokens: int = 256
    """Maximum number of answer tokens; the end token counts, as in `generate`."""
    temperature: float = 0.0
    """0 picks the most likely token."""
    top_p: float = 1.0
    """Share of the probability mass to sample from; 1 samples from all tokens."""
    seed: int = 0
    """Seed for sampling; greedy answers do not depend on it."""
    alternatives: int = 5
    """Number of most likely tokens to report per step, whether or not the chosen token is among them."""

    def __post_init__(self) -> None:
        if self.max_new_tokens < 1:
            raise ValueError(f"max_new_tokens must be at least 1, got {self.max_new_tokens}")
        if self.temperature != 0 and not MIN_TEMPERATURE <= self.temperature < float("inf"):
            raise ValueError(f"temperature must be 0 or at least {MIN_TEMPERATURE}, got {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be above 0 and at most 1, got {self.top_p}")
        if self.temperature == 0 and self.top_p < 1:
            raise ValueError(f"top_p must be 1 at temperature 0 (greedy decoding does not sample), got {self.top_p}")
        if self.alternatives < 1:
            raise ValueError(f"alternatives must be at least 1, got {self.alternatives}")
