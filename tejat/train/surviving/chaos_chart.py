"""Trials as a chart: what happened when and how long it took to recover, and that by kind of fault."""

import io
import statistics
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tejat.parts import write_whole
from tejat.train.surviving.faults import Kind
from tejat.train.surviving.outcomes import Outcome

MEMORY, DISK = "#0f6f78", "#c2571a"
"""Recovered from copies in memory, and from a checkpoint or the beginning."""


def draw(outcomes: Sequence[Outcome], out: Path) -> None:
    """Writes the chart as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, sharey=False, width_ratios=(3, 2))
    begun = min((outcome.at for outcome in outcomes), default=0.0)
    found = [(each.at or outcome.at, each) for outcome in outcomes for each in outcome.recoveries]
    for memory, colour, told in ((True, MEMORY, "from memory"), (False, DISK, "from a checkpoint, or the beginning")):
        mine = [((at - begun) / 60, each.seconds) for at, each in found if each.memory is memory]
        if mine:
            left.scatter(*zip(*mine, strict=True), s=10, color=colour, alpha=0.7, linewidths=0, label=told)
    lost = [((outcome.at - begun) / 60, 1.0) for outcome in outcomes if not outcome.kept]
    if lost:
        left.scatter(*zip(*lost, strict=True), marker="x", s=30, color="#b83256", label="came to something else")
    left.set_xlabel("minutes since the first schedule began")
    left.set_ylabel("seconds until steps were made again")
    left.set_ylim(bottom=0)
    if found:
        left.set_ylim(top=1.25 * max(each.seconds for _, each in found))  # no point lies among what the legend shows
        left.legend(loc="upper right", frameon=False, fontsize=8)
    whole = [outcome for outcome in outcomes if outcome.shrunk is None]
    title = f"{len(whole)} schedules, {sum(outcome.kept for outcome in whole)} the same to the bit"
    if fewer := [outcome for outcome in outcomes if outcome.shrunk is not None]:
        title += f"; {len(fewer)} shrank, {sum(outcome.kept for outcome in fewer)} within tolerance"
    left.set_title(title, loc="left", fontsize=10)

    times = {kind: [each.seconds for _, each in found if each.kind is kind] for kind in Kind}
    kinds = sorted((kind for kind in times if times[kind]), key=lambda kind: -statistics.median(times[kind]))
    drawn = np.random.default_rng(0)
    for place, kind in enumerate(kinds):
        values = times[kind]
        right.scatter(
            values, place + drawn.uniform(-0.25, 0.25, len(values)), s=8, color=MEMORY, alpha=0.5, linewidths=0
        )
        right.plot([statistics.median(values)] * 2, [place - 0.4, place + 0.4], color="#222222", linewidth=1.5)
    right.set_yticks(range(len(kinds)), [f"{kind} ({len(times[kind])})" for kind in kinds], fontsize=8)
    right.set_xlim(left=0)
    right.set_xlabel("seconds; the line is the median")
    for axes in (left, right):
        axes.grid(alpha=0.25, linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
    png = io.BytesIO()
    figure.savefig(png, format="png", pil_kwargs={"optimize": True})
    write_whole(out, png.getvalue())
