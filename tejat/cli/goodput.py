"""`tejat goodput`: where the time of a run went, and how much of it came to something."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from tejat.cli.options import parse


@dataclass(frozen=True)
class Goodput:
    """Tell where the time of a run went, and draw it as a chart. The run may be running.

    Example: tejat goodput runs/micro
    """

    run: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
    """The directory of a run."""
    out: Path | None = None
    """Where the chart goes; goodput.png of the run if not given."""
    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print one JSON object and nothing else."""


def main(arguments: list[str]) -> int:
    """Run `tejat goodput`. Raises BadInput for a directory without a ledger."""
    options = parse(Goodput, arguments, "tejat goodput")
    # After the options are read: a wrong one is told at once.
    from tejat.train import goodput, goodput_chart

    account = goodput.read(options.run)
    chart = options.out or options.run / "goodput.png"
    goodput_chart.draw(account, chart)
    if options.json:
        print(json.dumps(account.to_json() | {"chart": str(chart)}))
        return 0
    print(f"useful: {account.goodput:.1%} of {account.elapsed:,.1f} s")
    for kind, seconds in sorted(account.seconds.items(), key=lambda each: -each[1]):
        if seconds:
            print(f"  {goodput_chart.SAID.get(kind, kind):<20} {seconds:>12,.1f} s  {seconds / account.elapsed:>6.1%}")
    if account.generations > 1:
        print(f"begun {account.generations} times; {account.lost_steps:,} steps were made again")
    print(f"the chart is {chart}", file=sys.stderr)
    return 0
