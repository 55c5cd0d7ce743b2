"""Charts by Pillow: marks are as large as their values, and any table can be drawn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tejat.data.presenting import plots
from tejat.data.presenting.panel import Panel, cut, number, wrapped

VALUES = (12.0, 30.0, 7.5, 21.0)


def panel(kind: str, values=VALUES, labels=None, **more) -> Panel:
    labels = labels or tuple(f"place {n}" for n in range(len(values)))
    return Panel("Some data", "place", "height", tuple(labels), tuple(values), kind, "crimson", **more)


@pytest.mark.parametrize(("kind", "axis"), [("bar", 0), ("barh", 1)])
def test_bars_are_as_long_as_their_values(kind, axis):
    pixels = plots.drawn(panel(kind), (288, 216)).astype(int)
    red = np.abs(pixels - (220, 20, 60)).max(-1) < 3
    across = red.sum(axis)  # how much of each line across the bars is red
    begins = np.flatnonzero(np.diff((across > 0).astype(int)) == 1) + 1
    lengths = np.array([across[begin + 3] for begin in begins])
    assert len(lengths) == len(VALUES)
    assert lengths / lengths.max() == pytest.approx(np.array(VALUES) / max(VALUES), abs=0.03)


def test_a_point_of_a_line_is_where_the_axis_says():
    pixels = plots.drawn(panel("line", (0.0, 10.0, 5.0)), (288, 216)).astype(int)
    red = np.argwhere(np.abs(pixels - (220, 20, 60)).max(-1) < 3)
    low, high = red[:, 0].max(), red[:, 0].min()
    last = red[red[:, 1] == red[:, 1].max()][:, 0].mean()
    assert (low - last) / (low - high) == pytest.approx(0.5, abs=0.05)


@given(
    kind=st.sampled_from(["bar", "barh", "line", "area", "scatter", "pie"]),
    values=st.lists(st.floats(-1e9, 1e9).filter(lambda v: v == 0 or abs(v) > 1e-3), min_size=3, max_size=20),
    label=st.text(max_size=30),
    size=st.sampled_from([(256, 192), (240, 240)]),
    numbers=st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_any_table_can_be_drawn(kind, values, label, size, numbers):
    if kind == "pie":
        values = [abs(v) + 1.0 for v in values]
    labels = (
        [float(n) for n in range(len(values))] if kind == "scatter" else [f"{label}{n}" for n in range(len(values))]
    )
    pixels = plots.drawn(panel(kind, values, labels, numbers=numbers, grid=True), size)
    assert pixels.shape == (size[1], size[0], 3)


@given(low=st.floats(-1e6, 1e6), part=st.floats(0.01, 100), most=st.integers(2, 8))
def test_ticks_are_round_and_few(low, part, most):
    ticks = plots.round_ticks(low, low + part * (abs(low) + 1e-2), most)
    assert 2 <= len(ticks) <= most + 2
    steps = np.diff(ticks)
    assert (steps > 0).all() and np.allclose(steps, steps[0], rtol=1e-6)


def test_words_and_numbers():
    assert [number(v) for v in (0, 1234.0, 0.00123, 30.5, -2.0)] == ["0", "1234", "0.00123", "30.5", "-2"]
    assert cut("abcdef", 4) == "abc…" and cut("abcd", 4) == "abcd" and cut("abc", 0) == "a…"
    assert wrapped("one two three four", 7) == "one two\nthree…"
