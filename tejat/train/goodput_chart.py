"""The ledger of a run as a Gantt chart: a row for each process, a colour for each kind of time."""

import io
from pathlib import Path

import numpy as np
from jaxtyping import Float

from tejat.parts import write_whole
from tejat.train.goodput import Account, Kind, Stretch

COLOURS = {
    Kind.STEP: "#0f6f78",
    Kind.INITIALISATION: "#b9c4cc",
    Kind.PREPARATION: "#8fa1ae",
    Kind.COMPILATION: "#6a4c93",
    Kind.DATA_WAIT: "#e0a526",
    Kind.SAVE: "#7fb069",
    Kind.RESTORE: "#4f7f3a",
    Kind.RECOVERY: "#b83256",
    Kind.LOST: "#e58a6f",
    Kind.REPLAY: "#c2571a",
    Kind.AUDIT: "#d4b7e8",
    Kind.OTHER: "#dddddd",
}

SAID = {
    Kind.STEP: "step",
    Kind.INITIALISATION: "initialisation",
    Kind.PREPARATION: "preparation",
    Kind.COMPILATION: "compilation",
    Kind.DATA_WAIT: "data wait",
    Kind.SAVE: "checkpoint saved",
    Kind.RESTORE: "checkpoint restored",
    Kind.RECOVERY: "recovery",
    Kind.LOST: "lost work",
    Kind.REPLAY: "replay",
    Kind.AUDIT: "audit",
    Kind.OTHER: "other",
}
"""Kinds for people."""

COLUMNS, HEIGHT = 1_200, 60
"""Slices of time that the chart can tell apart, and how finely it tells the shares that kinds have of one."""


def draw(account: Account, out: Path) -> None:
    """Writes the chart as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.colors import to_rgb
    from matplotlib.figure import Figure

    processes = account.processes
    first = min(stretches[0].start for stretches in processes.values())
    last = max(stretches[-1].end for stretches in processes.values())
    unit, name = next((unit, name) for unit, name in _UNITS if last - first >= 3 * unit or unit == 1)
    palette = np.asarray([to_rgb(colour) for colour in (*COLOURS.values(), "white")])
    seen = np.zeros(len(COLOURS), bool)
    figure = Figure(figsize=(10, 1.5 + 0.45 * len(processes)), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for row, stretches in enumerate(processes.values()):
        shares = _shares(stretches, first, last)
        # Of each slice of time, the first kind of COLOURS whose share is not yet used up on the way down.
        levels = (np.arange(HEIGHT) + 0.5) / HEIGHT
        kinds = (levels[:, None, None] > np.cumsum(shares, axis=1)).sum(axis=2)
        extent = (0, (last - first) / unit, row + 0.4, row - 0.4)
        axes.imshow(palette[kinds], extent=extent, aspect="auto", interpolation="nearest")
        seen |= shares.sum(axis=0) > 0
    axes.set_yticks(range(len(processes)), [f"process {number}" for number in processes])
    axes.set_ylim(len(processes) - 0.5, -0.5)
    axes.set_xlim(0, (last - first) / unit)
    axes.set_xlabel(name)
    axes.set_title(f"useful: {account.goodput:.1%} of the time", loc="left", fontsize=11)
    axes.spines[["top", "right", "left"]].set_visible(False)
    for kind in (kind for kind, known in zip(COLOURS, seen, strict=True) if known):
        axes.scatter([], [], marker="s", color=COLOURS[kind], label=SAID[kind])
    figure.legend(loc="outside lower left", ncols=6, frameon=False, fontsize=8)
    png = io.BytesIO()
    figure.savefig(png, format="png")
    write_whole(out, png.getvalue())


_UNITS = ((86_400, "days"), (3_600, "hours"), (60, "minutes"), (1, "seconds"))


def _shares(stretches: list[Stretch], first: float, last: float) -> Float[np.ndarray, "slices kinds"]:
    """The share that each kind of COLOURS has of each slice of the time from `first` to `last`."""
    edges = np.linspace(first, last, COLUMNS + 1)
    # Seconds of each kind from the beginning on are known where a stretch ends, and grow evenly within it.
    ends = np.asarray([stretches[0].start, *(stretch.end for stretch in stretches)])
    shares = np.zeros((COLUMNS, len(COLOURS)))
    for column, kind in enumerate(COLOURS):
        spent = np.cumsum([0.0, *(stretch.seconds.get(kind, 0.0) for stretch in stretches)])
        shares[:, column] = np.diff(np.interp(edges, ends, spent)) / max((last - first) / COLUMNS, 1e-9)
    return shares
