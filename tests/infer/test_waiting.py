"""Who is let in begins soon, however many ask: a queue before rows, simulated, with answers of many lengths."""

import heapq
import random
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tejat.infer.waiting import Waiting

SLOTS, WAIT = 8, 1.0


def known(slots: int) -> Waiting:
    """A turn takes a second."""
    waits = Waiting(slots)
    waits.turned(1.0)
    return waits


LENGTHS = {
    "all alike": lambda chance: 2.6,
    "even": lambda chance: chance.uniform(0.2, 5.0),
    "exponential": lambda chance: chance.expovariate(1 / 2.6),
    "short, and a few long": lambda chance: 0.4 if chance.random() < 0.8 else 12.0,
    "shorter than the wait": lambda chance: chance.uniform(0.24, 0.36),
    "long": lambda chance: chance.uniform(10.0, 30.0),
}


def simulated(draw, load: float, count: int = 6000) -> tuple[list[float], float]:
    """(seconds that those who were let in have waited, share of the rows' time that was used), at so much load."""
    chance, waits = random.Random(1), known(SLOTS)
    mean = sum(draw(chance) for _ in range(2000)) / 2000
    now, used = 0.0, 0.0
    rows: list[tuple[float, float]] = []  # (when it comes free, since when it is held)
    queue: deque[tuple[float, float]] = deque()
    waited: list[float] = []
    for _ in range(count):
        now += chance.expovariate(load * SLOTS / mean)
        while rows and rows[0][0] <= now:
            end, begun = heapq.heappop(rows)
            waits.ended(end - begun)
            if queue:
                came, takes = queue.popleft()
                waited.append(end - came)
                heapq.heappush(rows, (end + takes, end))
        behind = max(0, len(queue) + 1 - (SLOTS - len(rows)))
        if behind > 64 or waits.expected(behind, [now - begun for _, begun in rows]) > WAIT:
            continue
        takes = draw(chance)
        used += takes
        if len(rows) < SLOTS:
            waited.append(0.0)
            heapq.heappush(rows, (now + takes, now))
        else:
            queue.append((now, takes))
    return waited[64:], used / now / SLOTS  # once it is known how long answers are


@pytest.mark.parametrize("lengths", LENGTHS)
def test_ten_times_too_much_is_waited_for_as_before(lengths: str) -> None:
    """One in a hundred waits longer than twice what was promised, and no row is idle."""
    waited, used = simulated(LENGTHS[lengths], 10)
    waited.sort()
    assert waited[int(0.99 * len(waited))] < 2 * WAIT
    assert sum(waited) / len(waited) < 1.1 * WAIT
    assert used > 0.9
    _, used = simulated(LENGTHS[lengths], 0.5)
    assert used > 0.45  # where there is room, hardly anybody is refused


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=200), st.lists(st.floats(0, 200), max_size=SLOTS))
def test_further_back_waits_longer(held: list[float], ages: list[float]) -> None:
    waits = known(SLOTS)
    for seconds in held:
        waits.ended(seconds)
    found = [waits.expected(behind, ages) for behind in range(40)]
    assert found[0] == 0 and all(one >= 0 for one in found)
    assert all(later >= sooner - 1e-9 for sooner, later in zip(found, found[1:], strict=False))


def test_what_is_left() -> None:
    waits = known(2)
    for seconds in (1.0, 1.0, 1.0, 9.0):
        waits.ended(seconds)
    assert waits.expected(1, [0.5, 0.9]) == pytest.approx(3.0 - 0.9)  # of four, one took 9
    assert waits.expected(1, [1.5, 2.0]) == pytest.approx(7.0)  # those are long ones
    assert waits.expected(1, [20.0, 24.0]) == pytest.approx(20.0)  # older than any was
    assert waits.expected(2, [20.0, 2.0]) == pytest.approx(7.0 + 3.0)  # after the one who takes the first row
    assert waits.expected(3, [1.5, 2.0]) == pytest.approx(3.0 + 7.0)
    # Before anything is known.
    assert known(2).expected(1, []) == 0
    assert known(2).expected(3, [0.5, 4.0]) == pytest.approx(8.0)


def test_a_machine_that_slows_down_is_noticed_within_seconds() -> None:
    waits = Waiting(1)
    waits.ended(100)
    for _ in range(1000):
        waits.turned(0.01)
    assert waits.expected(1, [0]) == pytest.approx(1.0)
    for _ in range(30):
        waits.turned(0.1)
    assert waits.expected(1, [0]) == pytest.approx(10.0, rel=0.06)
