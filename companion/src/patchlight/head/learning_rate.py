"""The learning rate that suits a head of some width."""

PAPER_RATE, PAPER_WIDTH = 2e-5, 4096


def suggested_learning_rate(hidden_size: int) -> float:
    """Return a learning rate for this width, rounded to one digit: the paper's 2e-5 for d = 4096 and more.

    A step of Adam changes every weight by the learning rate, and so a logit by about d ** 1.5 times that. With this
    rule, d = 192 gets 2e-3; 1e-3 and 3e-3 gave the best heads for it.
    """
    return float(f"{PAPER_RATE * max(1, PAPER_WIDTH / hidden_size) ** 1.5:.0e}")
