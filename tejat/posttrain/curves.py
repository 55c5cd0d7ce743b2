"""A log of tuning as curves: a panel for each column that changes, but for times."""

import io
import math
from pathlib import Path

from tejat.evals.plots import curves, label, smooth
from tejat.parts import write_whole

FIRST = ("text_loss", "picture_loss", "pair_loss", "accuracy", "reward", "divergence", "entropy")
"""What is looked at first."""

ACROSS = 4
_ASIDE = {"seconds", "tokens", "rate", "sampled_tokens_per_s", "answer_tokens", "pairs"}


def plot(log: Path, out: Path) -> None:
    """Writes a PNG, every line of the log pale and a mean over neighbours on it.

    Raises BadInput where the log cannot be read.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    aside = [*_ASIDE, *(curve.name for curve in curves(log) if curve.name.endswith(("_s", "_count")))]
    told = [curve for curve in curves(log) if curve.name not in aside and len(set(curve.values)) > 1]
    found = sorted(told, key=lambda curve: FIRST.index(curve.name) if curve.name in FIRST else len(FIRST))
    across = min(ACROSS, max(len(found), 1))
    down = max(1, math.ceil(len(found) / across))
    figure = Figure(figsize=(3.4 * across, 2.5 * down), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(down, across, squeeze=False).ravel()
    for axes, curve in zip(panels, found, strict=False):
        axes.plot(curve.steps, curve.values, color="#0f6f78", alpha=0.3, linewidth=0.8)
        axes.plot(curve.steps, smooth(curve.values), color="#0f6f78", linewidth=1.5)
        axes.set_title(label(curve.name), loc="left", fontsize=9)
        axes.tick_params(labelsize=7)
        axes.grid(alpha=0.25, linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in panels[len(found) :]:
        axes.set_axis_off()
    png = io.BytesIO()
    figure.savefig(png, format="png")
    write_whole(out, png.getvalue())
