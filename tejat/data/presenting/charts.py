"""Tables to charts, questions with exact answers, and the code that draws them.

An item of the kind "chart" has the fields "title", "x" and "y" (what its axes are called), "labels" and "values", and
"shape": "categories" (bars, a pie), "series" (a line over ordered labels) or "points" (a scatter; its labels are
numbers). Values have three significant digits when they are stored, so that what is asked for is what is drawn.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import UInt8

from tejat.data.presenting import plots
from tejat.data.presenting.panel import Figure, Panel, cut, number, plain, wrapped
from tejat.data.presenting.wording import asking, language, one, wordings
from tejat.data.shards import Item
from tejat.parts import Document, Image, Part, Text, Turn

PIXELS = ((432, 288), (432, 288), (432, 288), (384, 288), (336, 336), (288, 432), (256, 192))
"""Sizes of a chart, width and height; the first is what is measured and shown in the tour. Of 256 x 192 in 24 soft
tokens, thirty letters to each, `mini` reads 24% of values, of 432 x 288 28%: these are to the pixel what 54 soft
tokens hold, with letters of 15."""

LETTER = 6.2  # pixels of a letter's width, on average

CODED, BY_MATPLOTLIB = 0.015, 0.005
"""Shares of charts whose code is asked for, and of the others that matplotlib draws too, ten times as slowly."""

REDRAWN = 0.8
"""Of tables with categories and of series, the share that is shown with other numbers: what a chart of a known table
says, one would else answer without a look."""

WORDS = wordings("charts")


_SHAPES = {"categories": ("bar", "barh", "pie"), "series": ("line", "line", "bar", "area"), "points": ("scatter",)}
_COLOURS = ("tab:blue", "tab:orange", "tab:green", "tab:red", "tab:purple", "tab:brown", "teal", "navy", "crimson")
_QUESTIONS = ("value", "value", "value", "value", "most", "least", "count", "more", "table", "title")


def chart(items: Sequence[Item], k: int, random: np.random.Generator) -> Document:
    """A chart and questions about it, or a figure of several and its code."""
    if random.random() < CODED:
        return _code(items, k, random)
    spoken, fields, size = language(random), items[k].fields, one(PIXELS, random)
    panel = panel_of(redrawn(fields, random) if random.random() < REDRAWN else fields, random)
    if random.random() < BY_MATPLOTLIB:
        picture = Image(drawn(Figure((panel,), pixels=size), max(1.0, min(size) / 192)))
    else:
        picture = Image(plots.drawn(panel, size, one(plots.FONTS, random), plots.some_style(random)))
    turns: list[Turn] = []
    for about in random.permutation(_QUESTIONS)[: int(random.integers(2, 6))]:
        asked, answer = question(str(about), panel, spoken, random)
        if any(answer == part.text for turn in turns for part in turn.parts if isinstance(part, Text)):
            continue  # of points, little but the title can be asked
        shown: tuple[Part, ...] = () if turns else (picture,)
        turns += [Turn("user", (*shown, Text(asked))), Turn("model", (Text(answer),))]
    return Document.from_turns(turns, "chart")


def redrawn(fields: Mapping[str, Any], random: np.random.Generator) -> dict[str, Any]:
    """Some labels of a table, in any order where it has none, with numbers that are nobody's; points as they are."""
    labels = fields["labels"]
    if fields["shape"] == "points":
        return dict(fields)
    count = int(random.integers(min(3, len(labels)), min(9, len(labels)) + 1))
    first = int(random.integers(0, len(labels) - count + 1))
    places = range(first, first + count) if fields["shape"] == "series" else random.permutation(len(labels))[:count]
    return fields | {"labels": [labels[n] for n in places], "values": _numbers(count, random)}


def _numbers(count: int, random: np.random.Generator) -> list[float]:
    """Of some size, a few times as large as each other or nearly the same, all above zero or not, whole or not: as
    tables have them. None is so small beside the largest that nobody could read it."""
    kind = random.random()
    if kind < 0.2:  # near each other, and far from zero
        parts = 1 + random.uniform(0.05, 0.5) * random.random(count)
    else:
        parts = 0.06 + 0.94 * random.random(count) ** random.uniform(0.6, 2.5)
    if kind > 0.93:
        parts *= random.choice([-1, 1], count)
    values = 10 ** random.uniform(-2, 5.5) * parts
    if random.random() < 0.4 and np.abs(values).min() >= 1:
        values = np.rint(values)
    return [float(f"{value:.3g}") for value in values]


def panel_of(fields: Mapping[str, Any], random: np.random.Generator) -> Panel:
    """A way to show a table."""
    kinds, values = _SHAPES[fields["shape"]], fields["values"]
    if min(values) < 0.06 * sum(values) or len(values) > 6:  # slices that cannot be told apart
        kinds = tuple(kind for kind in kinds if kind != "pie")
    kind = one(kinds, random)
    # Values of a pie, and half of those of bars, are written down: nobody can read an angle to 5%.
    numbers = kind == "pie" or (kind in ("bar", "barh") and len(values) <= 7 and random.random() < 0.5)
    labels = tuple(fields["labels"])
    return Panel(
        fields["title"],
        fields["x"],
        fields["y"],
        labels,
        tuple(values),
        kind,
        one(_COLOURS, random),
        bool(random.random() < 0.4),
        numbers,
    )


def question(about: str, panel: Panel, spoken: str, random: np.random.Generator) -> tuple[str, str]:
    """(question, answer) about a chart. A question that the chart does not answer becomes one about its title."""
    values, labels = panel.values, [plain(label) for label in panel.labels]
    sole = sorted(values)
    if panel.kind == "scatter" and about in ("value", "more", "table", "most", "least"):
        about = "count" if len(values) <= 12 else "title"
    if (about == "most" and sole[-1] == sole[-2]) or (about == "least" and sole[0] == sole[1]):
        about = "title"
    chosen, other = (int(n) for n in random.choice(len(values), 2, replace=False))
    if about == "more" and values[chosen] == values[other]:
        about = "value"
    asked = asking(WORDS[about], spoken, random, label=labels[chosen], other=labels[other])
    answers = {
        "value": lambda: number(values[chosen]),
        "most": lambda: labels[int(np.argmax(values))],
        "least": lambda: labels[int(np.argmin(values))],
        "count": lambda: str(len(values)),
        "more": lambda: labels[chosen if values[chosen] > values[other] else other],
        "table": lambda: table(panel),
        "title": lambda: panel.title,
    }
    return asked, answers[about]()


def table(panel: Panel) -> str:
    """The data as Markdown."""
    rows = [f"| {plain(label)} | {number(value)} |" for label, value in zip(panel.labels, panel.values, strict=True)]
    return "\n".join([f"| {panel.x} | {panel.y} |", "|---|---|", *rows])


def drawn(figure: Figure, scale: float = 1.0) -> UInt8[np.ndarray, "H W 3"]:
    """The figure's pixels, letters and lines so many times as large as they are at 100 pixels an inch. What it shows is
    what its `code` draws."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas

    wide, high = (round(side / scale) for side in figure.pixels)
    with rc_context(_FONTS):
        canvas = FigureCanvasAgg(Canvas(figsize=(wide / 100, high / 100), dpi=100 * scale))
        grid = canvas.figure.subplots(figure.rows, figure.columns, squeeze=False)
        for axes, panel in itertools.zip_longest(grid.flat, figure.panels):
            if panel is None:
                axes.set_axis_off()
            else:
                _plot(axes, panel, (wide // figure.columns, high // figure.rows))
        canvas.figure.tight_layout(pad=0.5)
        canvas.draw()
        return np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3])


def code(figure: Figure) -> str:
    """A program that draws the figure with matplotlib."""
    lines = ["import matplotlib.pyplot as plt", ""]
    several = len(figure.panels) > 1
    lines.append(
        f"fig, axes = plt.subplots({figure.rows}, {figure.columns})" if several else "fig, ax = plt.subplots()"
    )
    for place, panel in enumerate(figure.panels):
        row, column = divmod(place, figure.columns)
        one_way = min(figure.rows, figure.columns) == 1
        axes = (f"axes[{place}]" if one_way else f"axes[{row}, {column}]") if several else "ax"
        lines += ["", *_plot_lines(axes, panel)]
    return "\n".join([*lines, "", "plt.tight_layout()", "plt.show()"])


_FONTS: dict[Any, Any] = {
    "font.size": 7.5,
    "axes.titlesize": 7.5,
    "axes.linewidth": 0.6,
    "lines.linewidth": 1.4,
    "axes.labelpad": 2,
}


def _plot(axes: Any, panel: Panel, room: tuple[int, int]) -> None:
    labels = [cut(plain(label), 14 if room[1] > 150 else 9) for label in panel.labels]
    values, ticks = panel.values, range(len(panel.values))
    match panel.kind:
        case "bar":
            marks = axes.bar(ticks, values, color=panel.colour)
        case "barh":
            marks = axes.barh(ticks, values, color=panel.colour)
        case "pie":
            axes.pie(values, labels=[f"{label}\n{number(v)}" for label, v in zip(labels, values, strict=True)])
        case "line":
            axes.plot(ticks, values, color=panel.colour, marker="o", markersize=3)
        case "area":
            axes.fill_between(ticks, values, color=panel.colour, alpha=0.6)
        case "scatter":
            axes.scatter(panel.labels, values, s=9, color=panel.colour)
    if panel.numbers and panel.kind in ("bar", "barh") and len(values) < room[0] / 30:
        axes.bar_label(marks, [number(value) for value in values], padding=1)
        axes.margins(**({"x": 0.18} if panel.kind == "barh" else {"y": 0.14}))
    if panel.kind == "barh":
        axes.set_yticks(ticks, labels)
        axes.invert_yaxis()
    elif panel.kind in ("bar", "line", "area"):
        letters = 0.8 * room[0] / LETTER / len(labels)
        turned = max(map(len, labels)) > letters
        shown = range(0, len(labels), max(1, math.ceil(len(labels) * 10 / room[0])) if turned else 1)
        axes.set_xticks([ticks[n] for n in shown], [labels[n] for n in shown])
        if turned:
            axes.tick_params(axis="x", rotation=90 if len(labels) > 6 else 40)
    if panel.kind != "pie":
        across, up = (panel.y, panel.x) if panel.kind == "barh" else (panel.x, panel.y)
        axes.set_xlabel(cut(across, int(0.7 * room[0] / LETTER)))
        axes.set_ylabel(cut(up, int(0.6 * room[1] / LETTER)))
        axes.tick_params(length=2, pad=1.5)
        axes.spines[["top", "right"]].set_visible(False)
        if panel.grid:
            axes.grid(alpha=0.4, linewidth=0.5)
            axes.set_axisbelow(True)
    axes.set_title(wrapped(panel.title, int(0.9 * room[0] / LETTER)))


def _plot_lines(axes: str, panel: Panel) -> list[str]:
    labels, values = repr(list(panel.labels)), f"[{', '.join(map(number, panel.values))}]"
    match panel.kind:
        case "bar" | "barh":
            lines = [f"{axes}.{panel.kind}({labels}, {values}, color={panel.colour!r})"]
        case "pie":
            lines = [f"{axes}.pie({values}, labels={labels})"]
        case "line":
            lines = [f"{axes}.plot({labels}, {values}, color={panel.colour!r}, marker='o')"]
        case "area":
            lines = [f"{axes}.fill_between({labels}, {values}, color={panel.colour!r}, alpha=0.6)"]
        case _:
            lines = [f"{axes}.scatter({labels}, {values}, color={panel.colour!r})"]
    if panel.kind == "barh":
        lines.append(f"{axes}.invert_yaxis()")
    if panel.kind != "pie":
        across, up = (panel.y, panel.x) if panel.kind == "barh" else (panel.x, panel.y)
        lines += [f"{axes}.set_xlabel({across!r})", f"{axes}.set_ylabel({up!r})"]
        if panel.grid:
            lines.append(f"{axes}.grid(True)")
    return [*lines, f"{axes}.set_title({panel.title!r})"]


def _code(items: Sequence[Item], k: int, random: np.random.Generator) -> Document:
    """A figure of one to four plots, and its program; or one with its plots in another order."""
    count = int(random.choice([1, 2, 2, 2, 4]))
    chosen = [k, *(int(n) for n in random.integers(len(items), size=count - 1))]
    panels = tuple(panel_of(items[n].fields, random) for n in chosen)
    short = tuple(p for p in panels if len(p.values) <= 12)[:count] or panels[:1]
    rows, columns = {1: (1, 1), 2: one(((1, 2), (2, 1)), random), 3: (2, 2), 4: (2, 2)}[len(short)]
    figure = Figure(short, rows, columns, (200 + 110 * (columns - 1), 180 + 110 * (rows - 1)))
    asked = asking(WORDS["code"], language(random), random)
    answer = f"```python\n{code(figure)}\n```"
    turns = (Turn("user", (Image(drawn(figure)), Text(asked))), Turn("model", (Text(answer),)))
    return Document.from_turns(turns, "chart code")
