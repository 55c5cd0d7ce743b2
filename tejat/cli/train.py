"""`tejat train`: a model from a recipe. A run that was stopped, by whatever, goes on with --resume."""

import json
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from tejat.cli import freed_memory
from tejat.errors import BadInput


@dataclass(frozen=True)
class Train:
    """Train a model from a recipe. A run that was stopped goes on with --resume, to the same weights, to the bit.

    Example: tejat train recipes/micro.py --set schedule.steps=100 --set seed=1
    """

    recipe: Annotated[Path, tyro.conf.Positional]
    """A Python file that defines RECIPE."""
    resume: tyro.conf.FlagCreatePairsOff[bool] = False
    """Go on from the newest checkpoint of the directory."""
    out: Path | None = None
    """Where the log, the checkpoints and the model go; runs/NAME, by the recipe's name, if not given."""
    set: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """Another value for a field of the recipe, as in schedule.peak=0.002; may be given again."""
    mesh: str | None = None
    """How to spread the model over devices, as in fsdp=8,tensor=2; fsdp over all of them if not given."""
    coordinator: str | None = None
    """Address and port of process 0, where several processes train together on plain hosts; elsewhere it is found."""
    processes: int | None = None
    """How many they are."""
    process: int | None = None
    """Which of them this is, from 0."""
    supervise: int | None = None
    """Begin again after a failure, up to so many times."""
    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print one JSON object and nothing else."""


def main(arguments: list[str]) -> int:
    """Run `tejat train`.

    Raises:
      BadInput: for a recipe, a setting or a directory that cannot be used, and for what is not in this version.
    """
    options = tyro.cli(Train, args=arguments, prog="tejat train")
    if options.supervise is not None:
        raise BadInput("`tejat train --supervise` arrives with fault tolerance; it is not in this version.")

    # After the options are read: a wrong one is told without waiting for JAX.
    from tejat.cli.training_bar import TrainingBar
    from tejat.train import hosts, loop, mesh, recipe

    hosts.join(options.coordinator, options.processes, options.process)
    chosen = recipe.changed(recipe.read(options.recipe), list(options.set))
    freed_memory.keep(chosen.schedule.steps)
    devices = mesh.chosen(options.mesh)
    directory = options.out or Path("runs", chosen.name)
    again = shlex.join(["tejat", "train", *(a for a in arguments if a != "--resume"), "--resume"])
    try:
        with TrainingBar(chosen.schedule.steps) as bar:
            loop.train(chosen, directory, resume=options.resume, mesh=devices, told=bar)
    except loop.Stopped as stop:
        print(f"tejat: {stop}; the model so far is {directory / 'model'}; go on with: {again}", file=sys.stderr)
        return 130
    except loop.Diverged as error:
        print(f"tejat: error: {error}", file=sys.stderr)
        return 1
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
