"""The study of `tejat plan --goodput` as a chart: useful time by how often is saved, and what the rest goes to."""

import io
from pathlib import Path
from typing import Any

from tejat.parts import write_whole

COLOURS = ("#b9c4cc", "#e0a526", "#7fb069", "#0f6f78")
SPENT = {
    "saving": "#7fb069",
    "copying": "#4f7f3a",
    "auditing": "#6a4c93",
    "recovering": "#b83256",
    "work made again": "#e58a6f",
}


def draw(study: dict[str, Any], out: Path) -> None:
    """Writes the chart as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import PercentFormatter

    figure = Figure(figsize=(10, 3.6), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    for policy, colour in zip(study["policies"], COLOURS, strict=True):
        cadences, shares = zip(*policy["curve"], strict=True)
        left.plot([seconds / 60 for seconds in cadences], shares, color=colour, linewidth=2, label=policy["policy"])
    left.axvline(study["young_s"] / 60, color="#444444", linewidth=0.9, linestyle=":")
    left.text(study["young_s"] / 60 * 1.08, 0.91, "Young", fontsize=8, color="#444444")
    left.set_xscale("log")
    left.set_ylim(0.45, 1)
    left.set_xlabel("minutes between checkpoints")
    left.set_title(f"useful time, {study['chips']:,} chips, {study['stops_per_day']:.1f} stops a day", loc="left")
    left.grid(alpha=0.25, linewidth=0.6)
    left.legend(frameon=True, framealpha=1, edgecolor="none", fontsize=8, loc="lower center")  # over the dotted line

    names = [f"{policy['policy']}\n{policy['goodput']:.1%}" for policy in study["policies"]]
    begun = [0.0] * len(names)
    for kind, colour in SPENT.items():
        shares = [policy["lost"][kind] for policy in study["policies"]]
        right.barh(names, shares, left=begun, color=colour, label=kind, height=0.6)
        begun = [one + more for one, more in zip(begun, shares, strict=True)]
    right.invert_yaxis()
    right.tick_params(axis="y", labelsize=8)
    right.set_title("what the rest of the time goes to", loc="left")
    right.legend(frameon=False, fontsize=8, loc="lower right")
    for axes, along in ((left, left.yaxis), (right, right.xaxis)):
        along.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.spines[["top", "right"]].set_visible(False)
    png = io.BytesIO()
    figure.savefig(png, format="png")
    write_whole(out, png.getvalue())
