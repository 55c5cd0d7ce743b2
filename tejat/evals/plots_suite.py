"""From a figure of several plots to the program that draws it, judged by running the program and looking at its curves.

The programs run in a sandbox (`tejat.evals.sandbox`) with matplotlib. A plot counts as far as it shows the same values
in the same way in the same place; the score of a figure is the mean of its plots.
"""

import json
import math
import re
import secrets
from collections.abc import Sequence
from functools import partial
from typing import Any

from tejat.data.presenting import charts
from tejat.data.presenting.panel import Figure, number
from tejat.evals import sandbox, statistics
from tejat.evals.answering import written
from tejat.evals.grading import Grading, Remarks
from tejat.evals.ground import HELD_OUT, Ground, rng
from tejat.evals.report import Section
from tejat.evals.tasks import Item, Outcome, Task
from tejat.parts import Image, Text, Turn

SUITE = "plots"
LIMITS = sandbox.Limits(seconds=20.0, memory=2 << 30, output=256 << 10)
MOST_VALUES = 12

LOOK = """
def _look():
    import json
    import matplotlib.pyplot as plt
    found = []
    for axes in plt.gcf().axes:
        kind, values = "", []
        wedges = [p for p in axes.patches if hasattr(p, "theta1")]
        bars = [p for p in axes.patches if hasattr(p, "get_width") and hasattr(p, "get_height")]
        if wedges:
            total = sum(p.theta2 - p.theta1 for p in wedges)
            kind, values = "pie", [float((p.theta2 - p.theta1) / total) for p in wedges]
        elif bars:
            def many(sides):
                return len({round(float(side), 9) for side in sides}) > 1
            lying = not many(p.get_height() for p in bars) and many(p.get_y() for p in bars)
            kind = "barh" if lying else "bar"
            values = [float(p.get_width() if lying else p.get_height()) for p in bars]
        elif axes.lines:
            kind, values = "line", [float(y) for y in axes.lines[0].get_ydata()]
        elif axes.collections:
            first = axes.collections[0]
            if len(first.get_offsets()) > 1 or not first.get_paths():
                kind, values = "scatter", [float(y) for _, y in first.get_offsets()]
            else:
                kind = "area"
                path = first.get_paths()[0].vertices
                values = [float(y) for y in path[1:len(path) // 2, 1]]
        found.append({"kind": kind, "values": values, "title": axes.get_title()})
    return json.dumps(found)
"""


def tasks(ground: Ground) -> list[Task]:
    """One task."""
    return [Programs(ground).with_(origin=HELD_OUT, batch=16)]


def sections(model: Any) -> list[Section]:
    return []


class Programs(Grading):
    """Code is written for a picture, and run."""

    def __init__(self, ground: Ground):
        super().__init__(
            SUITE, "figure-to-code", partial(items, ground), lambda said, item: 0.0, "plots", max_tokens=1_024
        )

    def items(self) -> Sequence[Item]:
        sandbox.check()  # where nothing can be run, it is said before anything is asked
        return super().items()

    def graded(self, parts: tuple, item: Item) -> Outcome:
        said = written(parts)
        shown, detail = run(said)
        return Outcome(score(shown, item.material), parts, 1.0, detail)

    def remarks(self, items: Sequence[Item], outcomes: Sequence[Outcome]) -> Remarks:
        ran = [outcome.detail["ran"] for outcome in outcomes]
        return {"programs that run": statistics.proportion(ran, [item.cluster for item in items])}


def items(ground: Ground) -> list[Item]:
    """Figures of two or four plots of held-out tables."""
    raws = [raw for raw in ground.heldout("charts") if len(raw.fields["values"]) <= MOST_VALUES]
    made = []
    for n in range(min(ground.most, 120)):
        random = rng(SUITE, n)
        count = (2, 2, 4)[n % 3]
        chosen = [raws[int(i)] for i in random.permutation(len(raws))[:count]]
        panels = tuple(charts.panel_of(raw.fields, random) for raw in chosen)
        rows, columns = {2: ((1, 2), (2, 1))[n % 2], 4: (2, 2)}[count]
        figure = Figure(panels, rows, columns, (200 + 110 * (columns - 1), 180 + 110 * (rows - 1)))
        due = [{"kind": p.kind, "values": [float(number(v)) for v in p.values], "title": p.title} for p in panels]
        made.append(
            Item(
                f"{n:04d}",
                chosen[0].fields["group"],
                (Turn("user", (Image(charts.drawn(figure)), Text(charts.WORDS["code"]["en"][0]))),),
                (f"```python\n{charts.code(figure)}\n```",),
                tags={"plots": str(count)},
                material=due,
            )
        )
    return made


def run(said: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """(what the program of an answer shows, how it ended). Raises sandbox.Unavailable where nothing can be run."""
    fenced = re.search(r"```(?:python)?\n(.*?)(?:```|\Z)", said, re.DOTALL)
    code = fenced[1] if fenced else said
    if not code.strip():
        return [], {"ran": False, "told": "there is no program"}
    token = secrets.token_hex(16)
    program = f"{code}\n{LOOK}\nprint('\\n{token}' + _look())\n"
    ran = sandbox.run(program, LIMITS, packages=True)
    told = ran.errors.strip().splitlines()[-1:] or [ran.ended]
    _, found, shown = ran.output.rpartition(token)
    if not ran.fine or not found:
        return [], {"ran": False, "told": told[0][:200]}
    try:
        return json.loads(shown), {"ran": True}
    except ValueError:
        return [], {"ran": False, "told": "what it shows is not JSON"}


def score(shown: Sequence[dict[str, Any]], due: Sequence[dict[str, Any]]) -> float:
    """The share of plots that are right: the same kind and values; half for the values in another kind of plot."""
    points = 0.0
    for mine, want in zip(shown, due, strict=False):
        values = want["values"]
        if want["kind"] == "pie":
            values = [value / sum(values) for value in values]
        near = len(mine["values"]) == len(values) and all(
            math.isclose(a, b, rel_tol=0.01, abs_tol=1e-6) for a, b in zip(mine["values"], values, strict=True)
        )
        points += near * (1.0 if mine["kind"] == want["kind"] else 0.5)
    return points / max(len(due), len(shown))
