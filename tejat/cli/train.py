"""`tejat train`: a model from a recipe. A run that was stopped, by whatever, goes on with --resume."""

import json
import shlex
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from tejat.cli import freed_memory
from tejat.cli.options import only_with, parse
from tejat.errors import BadInput

SUPERVISED = ("restarts", "spares", "silence", "standby", "programs", "check", "hosts", "host", "address", "memory")
"""Options of supervised runs alone."""


@dataclass(frozen=True)
class Train:
    """Train a model from a recipe. A run that was stopped goes on with --resume, to the same weights, to the bit.

    Example: tejat train recipes/micro.py --set schedule.steps=100 --set seed=1
    """

    recipe: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RECIPE")]
    """A Python file that defines RECIPE."""
    resume: tyro.conf.FlagCreatePairsOff[bool] = False
    """Go on from the newest checkpoint of the directory."""
    out: Path | None = None
    """Where the log, the checkpoints and the model go; runs/NAME, by the recipe's name, if not given."""
    set: Annotated[tuple[str, ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="FIELD=VALUE")] = ()
    """Another value for a field of the recipe, as in schedule.peak=0.002; may be given again."""
    mesh: str | None = None
    """How to spread the model over devices, as in fsdp=8,tensor=2; fsdp over all of them if not given."""
    coordinator: str | None = None
    """Address and port of process 0, where several processes train together on plain hosts; elsewhere it is found."""
    processes: int | None = None
    """How many they are."""
    process: int | None = None
    """Which of them this is, from 0."""
    minutes: float | None = None
    """Stop after so many, with a checkpoint and the model so far; go on with --resume."""
    export_chain: Path | None = None
    """Where to write the end of the run in few bytes and in pieces, to go on with on another machine."""
    from_chain: Path | None = None
    """Begin where the chain in this directory ends."""
    supervise: int | None = None
    """Train in so many processes on this machine, and start them again whatever happens to them."""
    restarts: int = 100
    """Of a supervised run: give up after so many failures."""
    spares: int | None = None
    """Of a supervised run: machines that may take the place of one that failed; then fewer go on. Without it, a process
    is started again where it was."""
    silence: float = 15.0
    """Of a supervised run: seconds without a heartbeat after which a process hangs."""
    standby: tyro.conf.FlagCreatePairsOff[bool] = False
    """Of a supervised run: while it trains, as many other processes get ready to take over at once: recovery takes a
    fraction of its time, and the run twice the memory of the host that programs and libraries take."""
    programs: Path | None = None
    """Of a supervised run: a directory for compiled steps, to be found again by later runs."""
    check: float | None = None
    """Of a supervised run: scan this host for so many seconds first, as `tejat doctor --scan` does; one that computes
    wrongly does not take part."""
    hosts: int | None = None
    """Of a run that is supervised on several hosts, by this same command on each: how many are wanted; more are spares.
    A run that the directory holds is gone on with."""
    host: int | None = None
    """Which of them this is, from 0; the scheduler tells it, where there is one."""
    address: str | None = None
    """Under which others reach this host."""
    wait: float = 60.0
    """Seconds in which another host must have taken the place of a lost one, before fewer go on."""
    memory: Path | None = None
    """Where in this host's memory copies lie; /dev/shm if not given."""
    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print one JSON object and nothing else."""


def main(arguments: list[str]) -> int:
    """Run `tejat train`.

    Raises:
      BadInput: for a recipe, a setting or a directory that cannot be used, and for what is not in this version.
    """
    begun, clock = time.monotonic(), time.time()
    options = parse(Train, arguments, "tejat train")
    if options.minutes is not None and not options.minutes > 0:
        raise BadInput("--minutes is how long to train; give more than none")
    if options.from_chain is not None and options.resume:
        raise BadInput("--resume goes on in the same directory and --from-chain in a new one; give one of them")
    if options.supervise is not None:
        from tejat.cli import supervised

        return supervised.run(options, begun, _again(arguments))

    only_with("--supervise", options, *SUPERVISED, "wait")

    # After the options are read: a wrong one is told without waiting for JAX.
    from tejat.cli.training_bar import TrainingBar, tell_idle
    from tejat.train import exact, hosts, loop, mesh, recipe
    from tejat.train.auditing.auditor import Corrupted

    hosts.join(options.coordinator, options.processes, options.process)
    chosen = recipe.changed(recipe.read(options.recipe), list(options.set))
    freed_memory.keep(chosen.schedule.steps)
    if not options.process:
        tell_idle(chosen, options.processes or 1)
    directory = options.out or Path("runs", chosen.name)
    if chosen.deterministic:
        exact.demand(directory)
    devices = mesh.chosen(options.mesh)
    until = None if options.minutes is None else begun + 60 * options.minutes
    stopped = None
    try:
        with TrainingBar(chosen.schedule.steps) as bar:
            loop.train(
                chosen,
                directory,
                resume=options.resume,
                mesh=devices,
                until=until,
                from_chain=options.from_chain,
                to_chain=options.export_chain,
                begun=clock,
                told=bar,
            )
    except loop.Stopped as stop:
        stopped = stop
        told = f"tejat: {stop}; the model so far is {directory / 'model'}; go on with: {_again(arguments)}"
        print(told, file=sys.stderr)
    except (loop.Diverged, Corrupted) as error:
        print(f"tejat: error: {error}", file=sys.stderr)
        return 1
    if options.export_chain is not None:
        _tell_joint(options.export_chain, json.loads((directory / "joint.json").read_text()))
    if stopped is not None:
        return 0 if stopped.due else 130
    last = json.loads((directory / "log.jsonl").read_text().splitlines()[-1])
    result = {
        "name": chosen.name,
        "steps": last["step"],
        **{name: last[name] for name in ("tokens", "seconds", "text_loss", "picture_loss")},
        "directory": str(directory),
    }
    if options.json:
        print(json.dumps(result))
    else:
        print(f"{chosen.name}: {last['step']:,} steps, {last['tokens']:,} tokens, {last['seconds']:.0f} s")
        print(f"the model is {directory / 'model'}; its curves are {directory / 'loss.png'}")
    return 0


def _again(arguments: list[str]) -> str:
    """The command that goes on."""
    kept, words = [], iter(arguments)
    for word in words:
        if word == "--from-chain":
            next(words, None)
        elif word != "--resume" and not word.startswith("--from-chain="):
            kept.append(word)
    return shlex.join(["tejat", "train", *kept, "--resume"])


def _tell_joint(place: Path, joint: dict[str, Any]) -> None:
    """What going on from the chain costs, on standard error."""
    told = []
    for kind in ("text", "picture"):
        for when in ("first", "last"):
            exact, coded = joint[f"{kind}_{when}_exact"], joint[f"{kind}_{when}_coded"]
            if exact is not None:
                told.append(f"{kind} loss of the {when} step after it {exact:.4f} → {coded:.4f}")
    print(f"tejat: {joint['pieces']} pieces of a chain in {place}; {'; '.join(told)}", file=sys.stderr)
