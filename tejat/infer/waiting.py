"""How long a request will wait for a row, from how long the last answers held theirs.

Answers differ in length a hundredfold: one that is older than most have become is not about to end, it is one of the
long ones. What a row still takes is therefore the mean of what those of the last answers took further that became
older than it is now. Ages are counted in turns of the loop that writes them all, a token each: how long a turn takes
is known from the last second, and changes with the load, while answers stay as long as they are.
"""

import heapq
import math
from collections import deque
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

PACE = 1.0
"""Seconds over which the time of a turn is a mean."""

LAST = 64
"""Answers that are remembered, at least; twice the rows where those are more."""


class Waiting:
    """Of one batch of `slots` rows. Its caller sees to it that one thread at a time is here."""

    def __init__(self, slots: int):
        self._slots = slots
        self._held: deque[float] = deque(maxlen=max(LAST, 2 * slots))
        self._pace = 0.0  # seconds of a turn

    def turned(self, seconds: float) -> None:
        """A turn has taken so long."""
        share = 1.0 if self._pace == 0.0 else -math.expm1(-seconds / PACE)
        self._pace += share * (seconds - self._pace)

    def ended(self, turns: float) -> None:
        """An answer has held its row for so many turns."""
        self._held.append(turns)

    def expected(self, behind: int, ages: Sequence[float]) -> float:
        """Seconds until `behind` rows have come free, where some have been held for `ages` turns.

        Zero where none is to come free. Before the first answer has ended, all take twice as long as the oldest has.
        """
        if behind < 1:
            return 0.0
        if self._held:
            held = np.sort(np.asarray(self._held))
            mean, left = float(held.mean()), _left(held, np.asarray(ages, float)).tolist()
        else:
            mean = max(ages, default=0.0)
            left = [mean] * len(ages)
        left += [mean] * (self._slots - len(left))  # rows that those who wait are about to take
        heapq.heapify(left)
        for _ in range(behind - 1):  # each row that comes free is taken by one who waits longer
            heapq.heapreplace(left, left[0] + mean)
        return left[0] * self._pace


def _left(held: Float[np.ndarray, " n"], ages: Float[np.ndarray, " m"]) -> Float[np.ndarray, " m"]:
    """What answers of these ages still take; `held`, in order. One older than any was is in the middle of its time."""
    older = np.searchsorted(held, ages, side="right")
    count = len(held) - older
    sums = np.append(np.cumsum(held[::-1])[::-1], 0.0)[older]
    return np.where(count > 0, sums / np.maximum(count, 1) - ages, ages)
