"""`tejat eval`: measures a model; one table, a report to read, and every answer on disk."""

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from tejat.errors import BadInput

if TYPE_CHECKING:
    from tejat.evals.harness import Row


@dataclass(frozen=True)
class Eval:
    """Measure a model. A run that was stopped goes on where it was.

    Example: tejat eval micro --limit 20
    """

    model: Annotated[str, tyro.conf.Positional]
    """A model that comes with Tejat, or the directory of one."""
    suite: str = "sample"
    """The tasks to measure."""
    tasks: tuple[str, ...] = ()
    """Only these tasks of the suite."""
    out: Path | None = None
    """Where report.html, results.json and samples/ go; runs/eval/MODEL if not given."""
    limit: int | None = None
    """Ask only the first so many items of each task."""
    log: Path | None = None
    """A training log, whose losses go into the report and loss.png."""
    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print one JSON object and nothing else."""


def main(arguments: list[str]) -> int:
    """Run `tejat eval`.

    Raises:
      BadInput: for a model, a suite or a limit that cannot be.
    """
    options = tyro.cli(Eval, args=arguments, prog="tejat eval")
    if options.limit is not None and options.limit < 1:
        raise BadInput(f"--limit is {options.limit}; give at least 1")

    # After the options are read: a wrong one is told without waiting for JAX.
    from tejat import api, bundle
    from tejat.evals import harness, plots, report, setting, suites
    from tejat.evals.gallery import gallery
    from tejat.parts import write_whole

    if options.log is not None:
        plots.losses(options.log)  # one that cannot be read is told now, not after the work
    tasks, directory = suites.tasks(options.suite, options.tasks), bundle.find(options.model)
    start = time.monotonic()
    model, mark = api.load(directory), harness.fingerprint(directory)
    out = options.out or Path("runs", "eval", directory.resolve().name)
    results = harness.run(model, tasks, out, fingerprint=mark, limit=options.limit)
    rows = [result.row for result in results]
    facts = {
        "model": options.model,
        "suite": options.suite,
        "command": setting.command(),
        "hardware": setting.hardware(),
        "seed": "0",
        "weights": mark,
    }
    found = {**facts, "tasks": [row.to_json() for row in rows]}
    write_whole(out / "results.json", (json.dumps(found, indent=1) + "\n").encode())
    page = report.Report(
        title=f"{model.name}, measured on {options.suite}",
        facts=[*facts.items(), ("this run took", f"{time.monotonic() - start:.0f} s")],
        rows=rows,
        log=options.log,
        galleries=[gallery(result) for result in results if any(outcome.parts for outcome in result.outcomes.values())],
        sections=() if options.tasks else suites.sections(options.suite, model),
    )
    report.write(page, out / "report.html")
    if options.log is not None:
        plots.loss_plot(options.log, out / "loss.png")
    if options.json:
        print(json.dumps(found))
    else:
        _show(rows)
        print(f"{out / 'report.html'} shows more")
    return 0


def _show(rows: Sequence["Row"]) -> None:
    """One table in a terminal, plain lines elsewhere."""
    from tejat.evals import harness

    head = ("task", "metric", "value", "95% interval", "n", "chance", "blanked", "baseline", "passes")
    lines = [
        (
            row.name,
            row.metric,
            f"{row.value:.3f}",
            harness.interval(row),
            f"{row.n:,}",
            f"{row.chance:.3f}" if row.chance else "",
            f"{row.blanked.value:.3f}" if row.blanked else "",
            f"{row.baseline:.3f}" if row.baseline is not None else "",
            {None: "", True: "yes", False: "no"}[row.passes],
        )
        for row in rows
    ]
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table

        table = Table(box=None, pad_edge=False)
        for name in head:
            table.add_column(name, justify="left" if name in ("task", "metric") else "right")
        for line in lines:
            table.add_row(*line)
        Console().print(table)
    else:
        for line in lines:
            told = (f"{name} {cell}" for name, cell in zip(head[2:], line[2:], strict=True) if cell)
            print(f"{line[0]}: {line[1]}, {', '.join(told)}")
