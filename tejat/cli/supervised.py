"""`tejat train --supervise N`."""

import json
import math
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tejat.errors import BadInput

if TYPE_CHECKING:
    from tejat.cli.train import Train


def run(options: "Train", begun: float, again: str) -> int:
    """Trains under a supervisor. `begun`, of `time.monotonic`: since when --minutes count; `again` is the command that
    goes on.

    Raises BadInput for what cannot be supervised, and as `tejat train` does.
    """
    if options.supervise < 1:
        raise BadInput("--supervise is the number of processes; give at least 1")
    if options.restarts < 0 or (options.spares or 0) < 0 or not options.silence > 0:
        raise BadInput("--restarts and --spares are numbers from 0, and --silence is more than 0 seconds")
    if any(value is not None for value in (options.coordinator, options.processes, options.process)):
        raise BadInput("--supervise says itself which processes there are; leave --coordinator and its like out")
    if options.from_chain is not None or options.export_chain is not None:
        raise BadInput("a chain is of one process; leave --supervise out, or the chain")
    if options.check is not None and not options.check > 0:
        raise BadInput("--check is how many seconds to scan; give more than none")
    if options.hosts is None and (options.host, options.address, options.memory) != (None, None, None):
        raise BadInput("--host, --address and --memory are of a run on several hosts; give --hosts, or leave them out")
    number = None if options.hosts is None else _number(options)

    from tejat.cli.training_bar import TrainingBar, tell_idle
    from tejat.model import multimodal
    from tejat.model.params import walk
    from tejat.train import identity, mesh, recipe
    from tejat.train.surviving import fleet, health, supervisor

    chosen = recipe.changed(recipe.read(options.recipe), list(options.set))
    mesh.parse(options.mesh)
    if chosen.deterministic:
        raise BadInput("a deterministic run is of one process that nobody starts again; leave --supervise out")
    if chosen.copy_every < 0:
        raise BadInput(f"copy_every={chosen.copy_every} is no number of steps; 0 keeps no copies in memory")
    directory = options.out or Path("runs", chosen.name)
    if options.resume or number is not None:  # of several hosts, any may come when the run has begun
        identity.check_settings(directory, chosen)
    tell_idle(chosen, options.supervise)
    # Parameters and at most two moments, of four bytes each.
    state = 12 * sum(math.prod(param.shape) for _, param in walk(multimodal.params(chosen.config)))
    task = supervisor.Supervised(
        recipe=options.recipe.resolve(),
        settings=options.set,
        directory=directory.resolve(),
        processes=options.supervise,
        state_bytes=state,
        copy_every=chosen.copy_every,
        rows=chosen.room.rows,
        mesh=options.mesh,
        resume=options.resume,
        until=None if options.minutes is None else begun + 60 * options.minutes,
        restarts=options.restarts,
        spares=options.spares,
        silence=options.silence,
        standby=options.standby,
        programs=options.programs and options.programs.resolve(),
    )
    if options.check is not None and (ailment := health.ailment(options.check)):
        if number is not None:
            fleet.exclude(task.directory, number, ailment)
        print(f"tejat: error: this host does not take part: {ailment}", file=sys.stderr)
        return 1
    try:
        with TrainingBar(chosen.schedule.steps) as bar:
            if number is None:
                code = supervisor.supervise(task, told=_tell, logged=bar)
            else:
                memory = (options.memory or supervisor.SHARED).resolve()
                post = fleet.Post(number, options.hosts, options.address or fleet.here(), options.wait, memory)
                code = fleet.supervise(task, post, told=_tell, logged=bar)
    except supervisor.GaveUp as error:
        print(f"tejat: error: {error}", file=sys.stderr)
        return 1
    if code == supervisor.STOPPED:
        print(f"tejat: stopped; go on with: {again}", file=sys.stderr)
        return 0 if options.minutes is not None else 130
    last = json.loads((directory / "log.jsonl").read_text().splitlines()[-1])
    if options.json:
        names = ("tokens", "seconds", "text_loss", "picture_loss")
        told = {"name": chosen.name, "steps": last["step"], **{name: last[name] for name in names}}
        print(json.dumps(told | {"directory": str(directory)}))
    else:
        print(f"{chosen.name}: {last['step']:,} steps, {last['tokens']:,} tokens; the model is {directory / 'model'}")
    return 0


def _number(options: "Train") -> int:
    """Which host this is. Raises BadInput where nobody tells it, and for what several hosts cannot do."""
    if options.hosts < 1 or not options.wait >= 0:
        raise BadInput("--hosts is the number of hosts, from 1, and --wait is no less than 0 seconds")
    if options.standby or options.spares is not None:
        raise BadInput("on several hosts nobody stands by, and hosts beyond --hosts are spares; leave both out")
    told = (
        options.host if options.host is not None else next((os.environ[n] for n in _NUMBERS if n in os.environ), None)
    )
    if told is None or int(told) < 0:
        raise BadInput("which host is this? Give --host, from 0; SLURM and jobs of Kubernetes tell it themselves")
    return int(told)


_NUMBERS = ("SLURM_NODEID", "JOB_COMPLETION_INDEX", "OMPI_COMM_WORLD_RANK")


def _tell(what: str) -> None:
    print(f"tejat: {what}", file=sys.stderr, flush=True)
