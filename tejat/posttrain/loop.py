"""The loop of every kind of tuning. Whatever stops a run, it goes on from its newest checkpoint to the same weights.

DIRECTORY/run.json       what the run may not change       DIRECTORY/log.jsonl    a line every `log_every` steps
         /checkpoints/   the newest few                            /model/        what it made, at the end
         /report.json    what was measured, at the end             /curves.png    the log as curves

A step has two halves. `prepare` gets what a step needs: a batch, or answers that the model writes and their rewards. It
sees the state as it is, and raises Collapsed where that is not worth keeping; so a checkpoint is written after it, and
only good states are kept. `advance` makes the next state. After the last step, `look` sees what it has made.
"""

import json
import math
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import jax

from tejat.errors import BadInput
from tejat.parts import write_whole
from tejat.posttrain import curves
from tejat.posttrain.recipe import Tuning
from tejat.train import chain, identity
from tejat.train.checkpoint import Checkpoints
from tejat.train.loop import Diverged, Line, Stopped, ctrl_c, cut, heed, numbers
from tejat.train.step import TrainState


class Collapsed(RuntimeError):
    """The policy is no longer worth training; its text says why. The last good state is kept, and its model written."""


class Work(Protocol):
    """What a kind of tuning does."""

    identity: dict[str, Any]
    recipe: Tuning

    def initial(self) -> TrainState:
        """The state before the first step."""

    def start(self, position: dict[str, Any] | None) -> None:
        """Makes ready to go on from a position that `position` gave; None: from the beginning."""

    def prepare(self, state: TrainState, step: int) -> Any:
        """What step number `step`, from 0, needs. Raises Collapsed for a state that is not worth keeping."""

    def advance(self, state: TrainState, prepared: Any) -> tuple[TrainState, dict[str, Any]]:
        """(next state, numbers for the log). The old state's memory is reused."""

    def look(self, state: TrainState, step: int) -> None:
        """Raises Collapsed where the state after the last step is not worth keeping."""

    def position(self) -> dict[str, Any]:
        """Where the data stand after the last `advance`, as JSON."""

    def line(self, pending: list[dict[str, float]]) -> Line:
        """A line of the log, of the numbers of the steps since the last one."""

    def finish(self, state: TrainState, directory: Path) -> dict[str, Any]:
        """Writes what the run made into `directory`/model, and what can be told of it."""

    def close(self) -> None:
        """Ends what `start` began."""


@dataclass
class Standing:
    """Where a run stands, beside its arrays. `pending` are the numbers of the steps since the last line of the log."""

    step: int = 0
    seconds: float = 0.0
    position: dict[str, Any] | None = None
    pending: list[dict[str, Any]] = field(default_factory=list)


def run(
    work: Work,
    directory: Path,
    *,
    resume: bool = False,
    until: float | None = None,
    from_chain: Path | None = None,
    to_chain: Path | None = None,
    told: Callable[[Line], None] = lambda line: None,
) -> dict[str, Any]:
    """What was measured of what the run made, which is in `directory`/model. `told` hears every new line of the log,
    and before them the step that the run is at, alone.

    `until`, a time of `time.monotonic`, ends it as Ctrl-C does; `from_chain` and `to_chain` are as those of
    `tejat.train.loop.train`.

    Raises:
      BadInput: for a directory that holds a run where `resume` is False, or none where it is True; for another recipe
        than the run was begun with; for a checkpoint or a chain that cannot be used.
      Diverged, Collapsed: where numbers are none, or `work` says so; the last good state's model is written.
      Stopped: on Ctrl-C, or where the time is over.
    """
    if to_chain and any(to_chain.glob("piece-*")):
        raise BadInput(f"{to_chain} holds pieces of a chain; give an empty directory")
    link = chain.read(from_chain) if from_chain else None
    _begin(work, directory, resume)
    if link is not None and from_chain is not None:
        identity.compare(from_chain, link[1]["identity"], work.identity)
    if not resume:
        identity.begin(directory, work.identity)
    try:
        state, now, due = _steps(work, directory, link, until, told)
    except (Collapsed, Diverged) as error:
        raise type(error)(f"{error}; {_kept(work, directory)}") from error
    found = work.finish(state, directory) | {"step": now.step, "seconds": now.seconds}
    _report(directory, found)
    log = directory / "log.jsonl"
    if to_chain is not None:
        facts = {"identity": work.identity, "standing": asdict(now), "log": log.read_text()}
        chain.write(to_chain, chain.pack(state), facts)
    if now.step < work.recipe.schedule.steps:
        raise Stopped(now.step, due)
    curves.plot(log, directory / "curves.png")
    return found


def _steps(
    work: Work, directory: Path, link: Any, until: float | None, told: Callable[[Line], None]
) -> tuple[TrainState, Standing, bool]:
    """(state, standing, is the time over?) after the last step that there was time for."""
    recipe, steps, log = work.recipe, work.recipe.schedule.steps, directory / "log.jsonl"
    state, now, due = work.initial(), Standing(), False
    with ctrl_c() as interrupted, closing(Checkpoints(directory / "checkpoints", recipe.keep)) as checkpoints:
        if checkpoints.latest is not None:
            state, kept = checkpoints.restore(jax.tree.map(_abstract, state))
            now = Standing(**kept)
        elif link is not None:
            state, now = jax.device_put(chain.unpack(link[0], state)), Standing(**link[1]["standing"])
            log.write_text(link[1]["log"])
            checkpoints.save(state, asdict(now))  # the last good state, until there is a later one
        cut(log, now.step)
        heed(interrupted)
        began, begun = now.step, time.perf_counter() - now.seconds
        told({"step": now.step})

        def settle() -> None:
            now.pending, now.seconds = numbers(now.pending, now.step), time.perf_counter() - begun

        with closing(work):
            work.start(now.position)
            while now.step < steps:
                prepared = work.prepare(state, now.step)
                due = until is not None and time.monotonic() >= until
                stop = due or interrupted.is_set()
                if stop or (now.step > began and now.step % recipe.save_every == 0):
                    settle()
                    checkpoints.save(state, asdict(now))
                if stop:
                    break
                state, sums = work.advance(state, prepared)
                now.step, now.position = now.step + 1, work.position()
                now.pending.append(sums)
                if now.step % recipe.log_every == 0 or now.step == steps:
                    settle()
                    line = {"step": now.step, **work.line(now.pending), "seconds": now.seconds}
                    now.pending = []
                    with log.open("a") as file:
                        file.write(json.dumps(line) + "\n")
                    told(line)
            if now.step == steps:
                work.look(state, steps)
                checkpoints.save(state, asdict(now))
    return state, now, due


def _begin(work: Work, directory: Path, resume: bool) -> None:
    held = (directory / identity.NAME).is_file()
    if resume:
        if not held:
            raise BadInput(f"{directory} holds no run to resume; leave --resume out to begin one")
        identity.check(directory, work.identity)
    elif held:
        raise BadInput(f"{directory} holds a run; go on with --resume, or choose another directory with --out")
    else:
        directory.mkdir(parents=True, exist_ok=True)


def _kept(work: Work, directory: Path) -> str:
    """Writes the model of the last good state, and says which that is."""
    state, step = work.initial(), 0
    with closing(Checkpoints(directory / "checkpoints", work.recipe.keep)) as checkpoints:
        if checkpoints.latest is not None:
            state, facts = checkpoints.restore(jax.tree.map(_abstract, state))
            step = facts["step"]
    _report(directory, work.finish(state, directory) | {"step": step})
    return f"the last good state, of step {step}, is in {directory / 'model'}"


def _abstract(array: jax.Array) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(array.shape, array.dtype, sharding=array.sharding)


def _report(directory: Path, found: dict[str, Any]) -> None:
    write_whole(directory / "report.json", (json.dumps(finite(found), indent=1) + "\n").encode())


def finite(value: Any) -> Any:
    """What JSON holds: null for numbers that are not finite, as the ends of an interval of one answer."""
    if isinstance(value, dict):
        return {key: finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
