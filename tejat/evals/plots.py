"""Plots as PNG: the curves of a training log, a panel for each modality; results with their intervals."""

import io
import json
import math
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tejat.errors import BadInput
from tejat.parts import write_whole

if TYPE_CHECKING:
    from tejat.evals.harness import Row


class Curve(NamedTuple):
    """One column of a training log: its name, the steps where it is a finite number, and its values there."""

    name: str
    steps: list[float]
    values: list[float]


def curves(log: Path) -> list[Curve]:
    """Every numeric column of a log of JSON lines that have a "step"; losses first. A last line cut short is left out.

    Raises:
      BadInput: where the file cannot be read.
    """
    try:
        lines = log.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"the training log {log} cannot be read ({error}); give a file of JSON lines") from error
    columns: dict[str, Curve] = {}
    for line in lines:
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if not isinstance(row, dict) or not _is_number(row.get("step")):
            continue
        for name, value in row.items():
            if name != "step" and _is_number(value):
                curve = columns.setdefault(name, Curve(name, [], []))
                curve.steps.append(row["step"])
                curve.values.append(value)
    return sorted(columns.values(), key=lambda curve: not is_loss(curve.name))


def losses(log: Path) -> list[Curve]:
    """The losses of a log. Raises BadInput where it cannot be read or has none."""
    found = [curve for curve in curves(log) if is_loss(curve.name)]
    if not found:
        raise BadInput(f"the training log {log} has no losses; its lines need a step and keys such as text_loss")
    return found


def is_loss(name: str) -> bool:
    """Is this column the loss of a modality, in nats a token?"""
    return name.endswith("_loss")


def smooth(values: Sequence[float]) -> list[float]:
    """Means over a fifteenth of the curve, centred, so that they do not lag; fewer values where the curve begins."""
    reach = len(values) // 30
    sums = [0.0, *accumulate(values)]
    made = []
    for at in range(len(values)):
        low, high = at - min(at, reach), min(at + min(at, reach), len(values) - 1) + 1
        made.append((sums[high] - sums[low]) / (high - low))
    return made


def loss_plot(log: Path, out: Path) -> None:
    """Writes a PNG of the losses: one panel for each modality, every step pale and the smoothed curve on it.

    Raises:
      BadInput: as `losses` does.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    found = losses(log)
    figure = Figure(figsize=(4.2 * len(found), 3.2), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    for axes, curve in zip(figure.subplots(1, len(found), squeeze=False)[0], found, strict=True):
        axes.plot(curve.steps, curve.values, color="#0f6f78", alpha=0.25, linewidth=0.8)
        axes.plot(curve.steps, smooth(curve.values), color="#0f6f78", linewidth=1.6)
        axes.set_title(label(curve.name), loc="left", fontsize=11)
        axes.set_xlabel("step")
        axes.set_ylabel("nats per token")
        axes.grid(alpha=0.25, linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
    png = io.BytesIO()
    figure.savefig(png, format="png")
    write_whole(out, png.getvalue())


def results_plot(rows: "Sequence[Row]", out: Path) -> None:
    """Writes a PNG: a line for each task that is a share or a mean of 0 to 1, its interval, chance and controls."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = [row for row in rows if row.kind != "ratio" and math.isfinite(row.low)][::-1]
    figure = Figure(figsize=(7.5, 1.1 + 0.26 * max(len(shown), 1)), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for at, row in enumerate(shown):
        axes.plot([row.low, row.high], [at, at], color="#0f6f78", linewidth=4, alpha=0.35, solid_capstyle="butt")
    marks: dict[str, tuple[str, str, list[tuple[float, int]]]] = {
        "the model": ("o", "#0f6f78", [(row.value, at) for at, row in enumerate(shown)]),
        "chance": ("|", "#888888", [(row.chance, at) for at, row in enumerate(shown) if row.chance]),
        "baseline": ("^", "#c2571a", [(row.baseline, at) for at, row in enumerate(shown) if row.baseline is not None]),
        "blanked": ("x", "#6a4c93", [(row.blanked.value, at) for at, row in enumerate(shown) if row.blanked]),
        "shuffled": ("+", "#b83256", [(row.shuffled.value, at) for at, row in enumerate(shown) if row.shuffled]),
        "text only": ("1", "#7a8b1f", [(row.text_only.value, at) for at, row in enumerate(shown) if row.text_only]),
    }
    for name, (mark, colour, points) in marks.items():
        if points:
            axes.scatter(*zip(*points, strict=True), marker=mark, color=colour, s=26, label=name, zorder=3)
    axes.set_yticks(range(len(shown)), [f"{row.suite} {row.name}" for row in shown], fontsize=7)
    axes.set_xlim(0, 1)
    axes.set_ylim(-0.7, max(len(shown), 1) - 0.3)
    axes.grid(axis="x", alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right", "left"]].set_visible(False)
    if shown:
        figure.legend(loc="outside upper left", ncols=6, frameon=False, fontsize=8)
    png = io.BytesIO()
    figure.savefig(png, format="png")
    write_whole(out, png.getvalue())


def label(name: str) -> str:
    """A column's name for people: "text_loss" is "text loss"."""
    return name.replace("_", " ")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
