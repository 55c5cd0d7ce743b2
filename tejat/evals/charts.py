"""Drawings of the report as inline SVG; the page's style sheet colours them, in light and dark."""

from collections.abc import Sequence
from html import escape
from math import ceil, floor, isfinite, log10

from tejat.evals.harness import Row
from tejat.evals.plots import Curve, is_loss, label, smooth

WIDTH, HEIGHT, MARGIN = 240.0, 26.0, 7.0  # of a bar in its own units; the page scales it


def scale_end(rows: Sequence[Row]) -> float:
    """Where the common axis of some rows ends: at 1 for proportions, else past everything that is marked on it."""
    if all(row.kind == "proportion" for row in rows):
        return 1.0
    marks = [m for row in rows for m in (row.value, row.high, row.baseline, row.blanked and row.blanked.high)]
    return _round_up(max(m for m in marks if m is not None and isfinite(m)))


def interval(row: Row, end: float) -> str:
    """A row as a bar: interval and point; hollow, what blanked media give; dashed, chance; a wedge, the baseline."""

    def x(value: float) -> float:
        return MARGIN + (WIDTH - 2 * MARGIN) * min(max(value, 0.0), end) / end

    def reach(value: float) -> float:
        return x(value if isfinite(value) else end * (value > 0))

    middle = HEIGHT / 2
    drawn = [f'<line class="axis" x1="{x(0):.1f}" x2="{x(end):.1f}" y1="{middle}" y2="{middle}"/>']
    if row.chance:
        drawn.append(
            f'<line class="chance" x1="{x(row.chance):.1f}" x2="{x(row.chance):.1f}" y1="2" y2="{HEIGHT - 2}"/>'
        )
    if row.baseline is not None:
        at = x(row.baseline)
        drawn.append(f'<path class="baseline" d="M{at:.1f} {middle + 3} l3.5 7 h-7 z"/>')
    if row.blanked is not None:
        low, high, at = reach(row.blanked.low), reach(row.blanked.high), x(row.blanked.value)
        drawn.append(f'<line class="blanked" x1="{low:.1f}" x2="{high:.1f}" y1="{middle}" y2="{middle}"/>')
        drawn.append(f'<circle class="blanked" cx="{at:.1f}" cy="{middle}" r="3.5"/>')
    low, high = reach(row.low), reach(row.high)
    drawn.append(
        f'<rect class="interval" x="{low:.1f}" y="{middle - 4}" width="{max(high - low, 1):.1f}" height="8" rx="2"/>'
    )
    drawn.append(f'<circle class="value" cx="{x(row.value):.1f}" cy="{middle}" r="4"/>')
    said = f"{row.name}: {row.value:.3g}, 95% interval {row.low:.3g} to {row.high:.3g}"
    return _svg("bar", WIDTH, HEIGHT, drawn, said)


def axis(end: float) -> str:
    """The numbers over a column of bars."""
    drawn = []
    for part, anchor in ((0.0, "start"), (0.25, "middle"), (0.5, "middle"), (0.75, "middle"), (1.0, "end")):
        at = MARGIN + (WIDTH - 2 * MARGIN) * part
        at += {"start": -3, "middle": 0, "end": 3}[anchor]
        drawn.append(f'<text x="{at:.1f}" y="11" text-anchor="{anchor}">{part * end:.3g}</text>')
    return _svg("bar scale", WIDTH, 14, drawn, "")


def panel(curve: Curve) -> str:
    """One column of a training log: every value pale, the smoothed curve on it, both axes with round numbers."""
    # In units of about a pixel where losses stand two in a row and the others three: their letters come out alike.
    width, height = (480.0, 230.0) if is_loss(curve.name) else (300.0, 160.0)
    left, right, top, bottom = 38.0, 6.0, 8.0, 24.0
    smoothed = smooth(curve.values)
    # The axis is fitted to the smoothed curve and the middle 98% of the values: one spike must not flatten the rest.
    ordered = sorted(curve.values)
    inner = ordered[len(ordered) // 100 : len(ordered) - len(ordered) // 100]
    y_ticks = _ticks(min(*inner, *smoothed), max(*inner, *smoothed))
    low, high = y_ticks[0], y_ticks[-1]
    last = max(curve.steps[-1], 1)
    first = 0 if curve.steps[0] < last / 10 else curve.steps[0] - 1

    def x(step: float) -> float:
        return left + (width - left - right) * (step - first) / (last - first)

    def y(value: float) -> float:
        return top + (height - top - bottom) * (1 - (min(max(value, low), high) - low) / (high - low))

    drawn = []
    for tick in y_ticks:
        drawn.append(f'<line class="grid" x1="{left}" x2="{width - right}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>')
        drawn.append(f'<text x="{left - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{_short(tick)}</text>')
    for tick in _ticks(first, last):
        if first <= tick <= last:
            drawn.append(f'<text x="{x(tick):.1f}" y="{height - 8}" text-anchor="middle">{_short(tick)}</text>')
    for name, values in (("raw", curve.values), ("curve", smoothed)):
        keep = max(1, len(values) // 600)  # more points than pixels only make the file larger
        points = " ".join(f"{x(s):.1f},{y(v):.1f}" for s, v in [*zip(curve.steps, values, strict=True)][::keep])
        drawn.append(f'<polyline class="{name}" points="{points}"/>')
    unit = ", nats per token" if is_loss(curve.name) else ""
    said = f"{label(curve.name)}: from {_short(curve.values[0])} to {_short(smoothed[-1])} in {_short(last)} steps"
    caption = f"<b>{escape(label(curve.name))}</b>{unit} <span>{_short(smoothed[-1])} at the end</span>"
    return f"<figure><figcaption>{caption}</figcaption>{_svg('panel', width, height, drawn, said)}</figure>"


def _svg(name: str, width: float, height: float, drawn: Sequence[str], said: str) -> str:
    label = f'role="img" aria-label="{escape(said)}"' if said else 'aria-hidden="true"'
    return f'<svg class="{name}" viewBox="0 0 {width:g} {height:g}" {label}>{"".join(drawn)}</svg>'


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers that enclose an interval, about six."""
    if high - low <= 1e-6 * abs(high):  # a constant, but for rounding
        low, high = low - max(abs(low) * 0.1, 1e-9), high + max(abs(high) * 0.1, 1e-9)
    step = 10.0 ** floor(log10((high - low) / 4))
    step *= next(m for m in (1, 2, 5, 10) if (high - low) / (m * step) <= 6)
    return [float(f"{n * step:.9g}") for n in range(floor(low / step), ceil(high / step) + 1)]


def _round_up(value: float) -> float:
    step = 10.0 ** floor(log10(value)) if value > 0 else 1.0
    return next(m * step for m in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if value <= m * step * (1 + 1e-9))


def _short(number: float) -> str:
    """Three digits: 1,200,000 as 1.2M, and small rates as 0.0003."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= size:
            return f"{number / size:.3g}{unit}"
    return f"{number:.3g}"
