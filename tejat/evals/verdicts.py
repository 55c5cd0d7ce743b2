"""Does a control show what it is there to show: that without the medium the number falls to that of the text alone?"""

import math
from typing import Literal, NamedTuple

from tejat.evals.statistics import Estimate

Told = Literal["falls to text alone", "stays above text alone", "does not fall", "unknown"]

MEANING: dict[Told, str] = {
    "falls to text alone": "surely worse than with the medium as it is, and not surely better than the text alone, or "
    "no better than what looks at no item: a model may own up to text alone, and guess at a grey picture",
    "stays above text alone": "surely better than the text alone and than what looks at no item: what is left of the "
    "medium still tells something",
    "does not fall": "not surely worse than with the medium as it is: what the control takes away was not needed",
    "unknown": "too few items, or all in one cluster",
}
"""What each verdict says, for people; "surely" is by the 95% interval, of differences over the same items."""


class Verdict(NamedTuple):
    """Of a control: its number minus that of the text alone, over the same items, and what the two differences say."""

    above: Estimate
    told: Told


def verdict(
    falls: Estimate, above: Estimate, control: Estimate, better: Literal["higher", "lower"], *blind: float | None
) -> Verdict:
    """What is to be said of a control.

    Args:
      falls: the number with the medium as it is, minus the control's.
      above: the control's minus that of the text alone.
      control: the control's number.
      blind: numbers of what looks at no item: guessing, the best answer to all; None where there is no such number.
    """
    if not all(math.isfinite(end) for one in (falls, above) for end in (one.low, one.high)):
        return Verdict(above, "unknown")
    known = [level for level in blind if level is not None]
    tells = all(control.low > level if better == "higher" else control.high < level for level in known)
    if tells and _surely_better(above, better):
        return Verdict(above, "stays above text alone")
    return Verdict(above, "falls to text alone" if _surely_better(falls, better) else "does not fall")


def _surely_better(difference: Estimate, better: Literal["higher", "lower"]) -> bool:
    return difference.low > 0 if better == "higher" else difference.high < 0
