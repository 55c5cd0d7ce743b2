"""Capabilities by size: the results of several models, each suite relative to one of them, as the paper draws it.

A capability is a suite, the mean of its tasks; where the results have one suite alone, each of its tasks. So that tasks
of different measures can be averaged, each is taken relative to the reference model's; a measure of which less is
better, the other way round. The interval of a mean is of its tasks' standard errors, taken as independent. Seeds of one
model, whose names differ in a number at the end alone, are one model: its numbers are their means.
"""

import io
import json
import math
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean, variance
from typing import Any

from tejat.errors import BadInput
from tejat.evals import setting
from tejat.parts import write_whole

COLOURS = ("#0f6f78", "#c2571a", "#6a4c93", "#7a8b1f", "#b83256", "#3d6fb4", "#8a6d3b")
LINES = ("-", "--", ":")
LUCK = 0.05  # what guessing reaches as often as this says nothing of a model, nor of others beside it
WIDE = 5.0  # times that the highest point is the lowest one: from there on doublings are drawn alike


@dataclass(frozen=True)
class Results:
    """The results.json of a model.

    Attributes:
      tasks: rows by (suite, task).
      parameters: of the model, where the file says so.
      seeds: models whose means these are.
    """

    model: str
    tasks: dict[tuple[str, str], dict[str, Any]]
    parameters: float | None
    seeds: int = 1


@dataclass(frozen=True)
class Point:
    """A capability of one model, relative to the reference, and the standard error."""

    capability: str
    model: str
    value: float
    stderr: float
    tasks: int


def read(path: Path) -> Results:
    """A results.json, or the folder that has one. Raises BadInput for what is not there or is something else."""
    file = path / "results.json" if path.is_dir() else path
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        tasks = {(row["suite"], row["name"]): row for row in found["tasks"]}
        for row in tasks.values():
            if {type(row["value"]), type(row["stderr"])} - {int, float, type(None)} or "better" not in row:
                raise ValueError(f"its task {row['name']} has no number")
        return Results(setting.called(Path(str(found["model"]))), tasks, found.get("parameters"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{file} is no results.json of `tejat eval` ({error}); give one, or its folder") from error


def told_apart(results: Sequence[Results], paths: Sequence[Path]) -> list[Results]:
    """The same, called as their folders are where models have one name: in four bits and in sixteen, say."""
    names = [one.model for one in results]
    folders = [path.name if path.is_dir() else path.parent.name for path in paths]
    return [
        replace(one, model=folder) if names.count(one.model) > 1 else one
        for one, folder in zip(results, folders, strict=True)
    ]


def of_seeds(results: Sequence[Results]) -> list[Results]:
    """The same, with one for all seeds of a model ("4m-0" and "4m-1"), of the tasks that each of them has a number of:
    its mean, with the standard errors of items and of seeds, which come on top of each other."""
    names = [one.model for one in results]
    stems = [re.sub(r"-\d+$", "", name) for name in names]
    several = {stem for stem in stems if stems.count(stem) > 1}
    if len({*names}) < len(names) or several & {*names}:
        return [*results]  # one model twice, or "4m" beside "4m-0": what is meant cannot be told
    found: dict[str, list[Results]] = defaultdict(list)
    for one, stem in zip(results, stems, strict=True):
        found[stem if stem in several else one.model].append(one)
    return [_mean(name, mine) if len(mine) > 1 else mine[0] for name, mine in found.items()]


def _mean(name: str, seeds: Sequence[Results]) -> Results:
    tasks = {}
    for key, row in seeds[0].tasks.items():
        rows = [one.tasks[key] for one in seeds if key in one.tasks and one.tasks[key]["value"] is not None]
        if len(rows) < len(seeds):
            continue
        # All are asked the same items, whose chance no number of seeds makes less.
        items = mean(row["stderr"] or 0.0 for row in rows)
        values = [row["value"] for row in rows]
        stderr = math.hypot(items, math.sqrt(variance(values) / len(rows)))
        luck = max(row.get("luck") or 0.0 for row in rows)
        tasks[key] = row | {"value": mean(values), "stderr": stderr, "luck": luck}
    return Results(name, tasks, seeds[0].parameters, len(seeds))


def relative(results: Sequence[Results], reference: str) -> list[Point]:
    """Every capability of every model, over the tasks that all models have a number of and the reference one that is
    not nought, nor anybody's where less is better, and that guessing would hardly reach (`LUCK`). Raises BadInput for
    an unknown reference, and where no such task is left."""
    names = [one.model for one in results]
    if reference not in names or len({*names}) < len(names):
        told = ", ".join(names)
        raise BadInput(f"the reference {reference!r} is not one of the results once ({told}); name one of them")
    base = results[names.index(reference)]
    shared = [key for key in base.tasks if all(key in one.tasks for one in results)]
    shared = [key for key in shared if all(one.tasks[key]["value"] is not None for one in results)]
    shared = [key for key in shared if base.tasks[key]["value"] and (base.tasks[key].get("luck") or 0.0) < LUCK]
    # How many times fewer errors nought is, nobody can say.
    shared = [key for key in shared if _higher(base, key) or all(one.tasks[key]["value"] for one in results)]
    if not shared:
        raise BadInput(
            "the results share no task that can be set in relation (the reference's number is nought or what guessing "
            "reaches, or an error rate is nought); measure all models on the same suite"
        )
    several = len({suite for suite, _ in shared}) > 1
    capabilities: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for suite, task in shared:
        capabilities[suite if several else task].append((suite, task))
    return [_point(one, base, name, keys) for name, keys in capabilities.items() for one in results]


def _higher(one: Results, key: tuple[str, str]) -> bool:
    return one.tasks[key]["better"] != "lower"


def _point(one: Results, base: Results, capability: str, keys: Sequence[tuple[str, str]]) -> Point:
    shares, errors = [], []
    for key in keys:
        mine, theirs = one.tasks[key], base.tasks[key]
        value, due = mine["value"], theirs["value"]
        share = value / due if _higher(base, key) else due / value
        noise = [(row["stderr"] or 0.0) / abs(row["value"]) if row["value"] else 0.0 for row in (mine, theirs)]
        shares.append(share)
        errors.append(0.0 if one is base else share * math.hypot(*noise))
    return Point(capability, one.model, sum(shares) / len(keys), math.hypot(*errors) / len(keys), len(keys))


def _below(one: Results) -> str:
    size = f"\n{one.parameters / 1e6:,.3g}M" if one.parameters else ""
    return one.model + size + (f"\n{one.seeds} seeds" if one.seeds > 1 else "")


def plot(points: Sequence[Point], order: Sequence[Results], reference: str, out: Path) -> None:
    """Writes a PNG: a line for each capability, models from left to right in this order, bars of one standard error."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter

    names = list(dict.fromkeys(point.capability for point in points))
    figure = Figure(figsize=(3.2 + 1.3 * len(order), max(4.2, 0.6 + 0.18 * len(names))), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.axhline(1.0, color="#999999", linewidth=0.8, linestyle="--")
    for number, name in enumerate(names):
        mine = {point.model: point for point in points if point.capability == name}
        chosen = [mine[one.model] for one in order]
        aside = 0.3 / len(names) * (number - (len(names) - 1) / 2)
        axes.errorbar(
            [place + aside for place in range(len(order))],
            [point.value for point in chosen],
            yerr=[point.stderr for point in chosen],
            marker="o",
            markersize=4,
            linewidth=1.3,
            capsize=2,
            color=COLOURS[number % len(COLOURS)],
            linestyle=LINES[number // len(COLOURS) % len(LINES)],
            label=name if chosen[0].tasks == 1 else f"{name} ({chosen[0].tasks})",
        )
    axes.set_xticks(range(len(order)), [_below(one) for one in order])
    axes.set_ylabel(f"relative to {reference}")
    values = [point.value for point in points]
    if min(values) > 0 and max(values) / min(values) > WIDE:
        axes.set_yscale("log", base=2)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    else:
        axes.set_ylim(0, 1.06 * max(1.0, *(point.value + point.stderr for point in points)))
    axes.grid(axis="y", alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside right upper", frameon=False, fontsize=8)
    png = io.BytesIO()
    figure.savefig(png, format="png")
    write_whole(out, png.getvalue())
