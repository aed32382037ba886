"""Tests how reports judge their goals."""

import pytest

from patchlight.report import is_met


def test_a_goal_is_judged_by_the_worse_end_of_the_interval() -> None:
    assert is_met(">= 0.57", 0.58)
    assert is_met(">= 0.57", 0.58, [0.57, 0.59])
    assert not is_met(">= 0.57", 0.58, [0.56, 0.6])
    assert is_met("<= 0.6", 0.58, [0.56, 0.6])
    assert not is_met("<= 0.6", 0.58, [0.56, 0.61])
    assert is_met("<= 1e-4", 2e-6)


@pytest.mark.parametrize("goal", ["≥ 0.5", "0.5", ">= half", ">= 65 %", ""])
def test_another_form_of_goal_is_refused(goal: str) -> None:
    with pytest.raises(ValueError, match="is not such as"):
        is_met(goal, 1.0)
