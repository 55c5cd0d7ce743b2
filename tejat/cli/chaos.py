"""`tejat chaos`: trains under injected faults, and proves that nothing is lost."""

import json
import math
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import tyro

from tejat.cli.options import parse
from tejat.errors import BadInput

MICRO = ("room.rows=8", "log_every=5", "save_every=10", "copy_every=2")
"""How `micro` is trained in trials: by four processes, with a log, copies and checkpoints that short runs have too."""


@dataclass(frozen=True)
class Chaos:
    """Train micro in four processes, once unharmed and then under schedules of faults: processes, machines and the
    supervisor die, hang or slow down; memory, checkpoints and disks fail. Each must come to the same bits; where a
    machine is lost for good and fewer processes go on, at least to the same samples, and losses and parameters within
    1e-3.

    Example: tejat chaos --schedules 3 --seed 7
    """

    recipe: Annotated[tyro.conf.Positional[Path | None], tyro.conf.arg(metavar="RECIPE")] = None
    """Another recipe than that of micro; give it room.rows that the processes share evenly."""
    schedules: int = 10
    """How many, each of one to three faults."""
    seed: int = 0
    """Of the first schedule; the next has the next."""
    hours: float | None = None
    """Go on with other schedules for so long, whatever --schedules says."""
    steps: int = 30
    """Of each run."""
    processes: int = 4
    """That train together."""
    mesh: str | None = None
    """How they share the work, as of `tejat train`; data over all of them if not given."""
    set: Annotated[tuple[str, ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="FIELD=VALUE")] = ()
    """Another value for a field of the recipe, as in copy_every=5; may be given again."""
    kinds: str = ""
    """Only these faults, as in kill,hang; all that are possible if not given."""
    most: int = 3
    """Faults of one schedule, at most."""
    silence: float = 8.0
    """Seconds without a heartbeat after which a process hangs."""
    standby: tyro.conf.FlagCreatePairsOff[bool] = False
    """Have the next processes ready before those that train fail, as of `tejat train`."""
    out: Path | None = None
    """Where the runs lie, chaos.jsonl, a line for each schedule, and chaos.png; a temporary directory if not given.
    Where it holds trials of the same settings already, seeds that were tried are passed over, and told of are all."""
    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print one JSON object and nothing else."""


def main(arguments: list[str]) -> int:
    """Run `tejat chaos`. 1 where something was lost.

    Raises:
      BadInput: for schedules that are impossible, and where the unharmed run fails.
    """
    options = parse(Chaos, arguments, "tejat chaos")
    if options.schedules < 1 or options.most < 1 or options.processes < 1:
        raise BadInput("--schedules, --most and --processes are numbers from 1")
    if options.hours is not None and not options.hours > 0:
        raise BadInput("--hours is how long to go on; give more than none")
    if not options.silence > 0:
        raise BadInput("--silence is after how many seconds a process hangs; give more than none")

    from tejat.train import recipe, tour
    from tejat.train.surviving import chaos, chaos_chart
    from tejat.train.surviving.faults import Kind
    from tejat.train.surviving.outcomes import summary

    names = [name for name in options.kinds.split(",") if name]
    if strange := [name for name in names if name not in {*Kind}]:
        raise BadInput(f"there is no fault {strange[0]!r}; there are {', '.join(Kind)}")
    trials = chaos.Trials(
        recipe=options.recipe or Path(tour.__file__),
        settings=(*MICRO, *options.set),
        mesh=options.mesh or f"data={options.processes}",
        processes=options.processes,
        steps=options.steps,
        kinds=tuple(Kind(name) for name in names) or tuple(Kind),
        most=options.most,
        silence=options.silence,
        standby=options.standby,
    )
    _check_rows(recipe.changed(recipe.read(trials.recipe), list(trials.settings)).room.rows, trials.mesh)
    if not names and not trials.may_shrink:
        trials = replace(trials, kinds=tuple(kind for kind in Kind if kind is not Kind.LOSS))
    until = None if options.hours is None else time.monotonic() + 3600 * options.hours
    seeds = range(options.seed, options.seed + (options.schedules if options.hours is None else sys.maxsize // 2))
    stopped, found = False, []
    with tempfile.TemporaryDirectory(prefix="tejat-chaos-", ignore_cleanup_errors=True) as temporary, _stopping():
        tried = chaos.run(trials, seeds, (options.out or Path(temporary)).resolve(), until=until, told=_tell)
        try:
            with closing(tried):
                for outcomes in tried:
                    found = outcomes
        except KeyboardInterrupt:
            stopped = True
    told = summary(found)
    if options.out is not None:
        told["chart"] = str(options.out / "chaos.png")
        chaos_chart.draw(found, options.out / "chaos.png")
    if options.json:
        print(json.dumps(told))
    else:
        _print(told)
    if stopped:
        raise KeyboardInterrupt
    return 1 if told["lost"] else 0


def _check_rows(rows: int, mesh: str) -> None:
    """Raises BadInput for a batch of so many rows that does not spread evenly over the mesh."""
    from tejat.train import mesh as meshes

    sizes = meshes.parse(mesh)
    among = math.prod(sizes.get(axis, 1) for axis in meshes.ROWS)
    if rows % among:
        told = f"{rows} rows cannot be shared evenly by {among} processes"
        raise BadInput(f"{told}; give --set room.rows={-(-rows // among) * among}, or other --processes")


@contextmanager
def _stopping() -> Iterator[None]:
    """SIGTERM does what Ctrl-C does: the trial that is being made is ended, and what was found so far is told."""

    def stop(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _tell(line: str) -> None:
    print(f"tejat: {line}", file=sys.stderr, flush=True)


def _print(told: dict[str, Any]) -> None:
    print(
        f"{told['schedules']} schedules, {told['faults']} faults: {told['survived']} survived, {told['bit_equal']} the "
        f"same to the bit"
    )
    if (shrunk := told["shrunk"])["schedules"]:
        most = shrunk["tolerance"]
        print(
            f"in {shrunk['schedules']} of them fewer processes went on: {shrunk['within']} within tolerance, losses "
            f"at most {shrunk['loss_off']:.1e} nats off ({most['loss']:g} allowed), parameters "
            f"{shrunk['parameters_off']:.1e} ({most['parameters']:g})"
        )
    for kind, count in told["faults_by_kind"].items():
        seconds = told["recovery_s_by_kind"][kind]
        print(f"  {kind:<11} {count:4}" + (f"   recovered in {seconds:.1f} s (median)" if seconds is not None else ""))
    if told["recovery_s_p50"] is not None:
        print(
            f"recovery: {told['recovery_s_p50']:.1f} s (median), {told['recovery_s_p99']:.1f} s (99%); "
            f"{told['recoveries_from_memory']} of {told['recoveries']} from copies in memory"
        )
    if told["recovery_from_memory_cpu_s_p50"] is not None:
        print(
            f"from memory: {told['recovery_from_memory_s_p50']:.1f} s, in which the processes took "
            f"{told['recovery_from_memory_cpu_s_p50']:.1f} s of processors (medians); load {told['load_p50']:.0f}"
        )
    if told["goodput"] is not None:
        print(
            f"goodput: {told['goodput']:.1%} in these short runs; each fault that stopped the run cost "
            f"{told['lost_s_per_fault']:.1f} s, at one in 600 s that is {told['goodput_at_one_fault_per_600_s']:.1%}"
        )
