"""Whether a control falls to the level of the text alone, on differences whose intervals are known."""

import math

import pytest

from tejat.evals.statistics import Estimate
from tejat.evals.verdicts import MEANING, verdict


def between(low: float, high: float) -> Estimate:
    return Estimate((low + high) / 2, 0.1, low, high, 50, 50)


@pytest.mark.parametrize(
    ("falls", "above", "told"),
    [
        ((0.3, 0.5), (-0.1, 0.1), "falls to text alone"),
        ((0.3, 0.5), (-0.4, -0.2), "falls to text alone"),  # a grey picture may mislead
        ((0.3, 0.5), (0.1, 0.2), "stays above text alone"),
        ((-0.1, 0.1), (0.1, 0.2), "stays above text alone"),
        ((-0.1, 0.1), (-0.1, 0.1), "does not fall"),
        ((-math.inf, math.inf), (0.1, 0.2), "unknown"),
    ],
)
def test_a_verdict_is_of_both_differences_and_turns_with_the_direction(falls, above, told) -> None:
    given = [between(*falls), between(*above), between(0.2, 0.4)]
    assert verdict(*given, "higher", None).told == told
    turned = [between(-one.high, -one.low) for one in given]
    assert verdict(*turned, "lower").told == told and told in MEANING


@pytest.mark.parametrize(("blind", "told"), [(0.1, "stays above text alone"), (0.3, "falls to text alone")])
def test_a_guess_at_a_grey_picture_tells_nothing(blind: float, told: str) -> None:
    """Where the model owns up to the text alone, and is right of none, guessing looks like seeing."""
    given = between(0.3, 0.5), between(0.1, 0.2), between(0.2, 0.4)
    assert verdict(*given, "higher", None, blind).told == told
    assert verdict(*(between(-one.high, -one.low) for one in given), "lower", -blind).told == told
