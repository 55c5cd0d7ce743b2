"""One process of a supervised run, from its order to its exit code.

It is forked from a process that has imported all this already, so that it begins its work at once. It ends when that
process does, and that one when the supervisor does: nobody trains on unwatched.
"""

import contextlib
import fcntl
import os
import signal
import sys
import time
import traceback
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

import jax

from tejat.errors import BadInput
from tejat.train import hosts, loop, mesh, recipe
from tejat.train.auditing import flips
from tejat.train.auditing.auditor import Corrupted
from tejat.train.checkpoint import Damaged, Unsaved
from tejat.train.guards import Guard
from tejat.train.surviving import leash
from tejat.train.surviving.afar import Abroad, Sender
from tejat.train.surviving.copying import Copies
from tejat.train.surviving.programs import Programs
from tejat.train.surviving.pulse import Pulse

DONE, FAILED, UNUSABLE, STOPPED, DAMAGED, LYING, BROKEN, UNSAVED, GONE = 0, 1, 2, 3, 4, 5, 6, 7, 8
"""Exit codes: trained; diverged; the input cannot be used; stopped with a checkpoint; the newest checkpoint is damaged;
an audit found a lie; anything else, such as a connection to a process that has died; this process's part of a
checkpoint could not be written. GONE is that of none: it stands for one whose host is gone."""


@dataclass(frozen=True)
class Order:
    """What a process is to do, and where.

    Attributes:
      recipe: its file.
      settings: changes to it, as on the command line.
      directory: of the run.
      place: in shared memory, of this run's copies.
      programs: where compiled steps are kept.
      pulse: the file of its heartbeat.
      mesh: as on the command line.
      coordinator: address and port, of this generation alone.
      domains: the failure domain of every process.
      rank: which process this is.
      beside: (k, n): the k-th of n of them on this machine.
      resume: goes on with the run in the directory.
      known: this run's supervisor has seen already that the recipe is the run's.
      shares: copies to go on from.
      until: a time of `time.monotonic` at which to stop.
      abroad: who takes copies for domains of other hosts.
    """

    recipe: Path
    settings: tuple[str, ...]
    directory: Path
    place: Path
    programs: Path
    pulse: Path
    mesh: str | None
    coordinator: str
    domains: tuple[int, ...]
    rank: int
    beside: tuple[int, int]
    resume: bool
    known: bool
    shares: tuple[Path | Abroad, ...]
    until: float | None
    abroad: Mapping[int, Sender] = field(default_factory=dict)


@dataclass(frozen=True)
class Go:
    """What a process that waits is told when its turn has come."""

    domains: tuple[int, ...]
    shares: tuple[Path, ...]


class Standby(Guard):
    """Waits, with everything loaded, until the processes that train have failed."""

    waits = True

    def __init__(self, turn: Connection, order: Order, copies: Copies):
        self._turn, self._order, self._copies = turn, order, copies

    def wait(self) -> None:
        go: Go = self._turn.recv()
        self._copies.aim(go.domains, go.shares)
        _speak_to(_log(self._order))


class Told(Guard):
    """What the supervisor has told this process, and what it hears from the system."""

    def __init__(self, known: bool):
        self.known = known


def work(order: Order, turn: Connection | None = None) -> None:
    """Trains, and ends the process with one of the codes above. What it has to say goes to the log of its rank.

    With `turn` it gets ready, and waits there for a `Go`.
    """
    begun = time.time()
    leash.die_with_parent()
    _hold(order.directory / "surviving" / "working")
    _speak_to(_log(order) if turn is None else order.directory / "surviving" / f"standby-{order.rank}.log")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the supervisor, who says when to stop
    code = BROKEN
    try:
        code = _trained(order, begun, turn)
    except BaseException:
        with contextlib.suppress(OSError):
            traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        # Not through exit handlers: those of JAX wait for processes that may be dead.
        os._exit(code)


def _trained(order: Order, begun: float, turn: Connection | None) -> int:
    """Trains, and says how it ended."""
    try:
        _train(order, begun, turn)
        return DONE
    except BadInput as error:
        _say(f"error: {error}")
        return DAMAGED if isinstance(error, Damaged) else UNUSABLE
    except loop.Diverged as error:
        _say(f"error: {error}")
        return FAILED
    except Corrupted as error:
        _say(f"error: {error}")
        return LYING
    except Unsaved as error:
        _say(f"error: {error}")
        return UNSAVED
    except loop.Stopped as stop:
        _say(f"{stop}")
        jax.distributed.shutdown()
        return STOPPED


def _say(what: str) -> None:
    with contextlib.suppress(OSError):  # a disk may be full
        print(f"tejat: {what}", flush=True)


def _train(order: Order, begun: float, turn: Connection | None) -> None:
    # A program that JAX found in its own cache cannot be kept once more: functions of it are missing when it runs.
    jax.config.update("jax_enable_compilation_cache", False)
    pulse = Pulse(order.pulse)
    try:
        hosts.join(order.coordinator, len(order.domains), order.rank, order.beside)
        chosen = recipe.changed(recipe.read(order.recipe), list(order.settings))
        flips.aim(order.domains)
        copies = Copies(order.place, order.domains, order.rank, chosen.copy_every, order.shares, order.abroad)
        parts = (chosen.config, chosen.schedule, chosen.room, chosen.bfloat16, chosen.picture_weight)
        what = f"{parts} {chosen.how} {chosen.accumulate} {order.mesh} {order.rank} of {len(order.domains)}"
        what += f" {chosen.shards} {flips.VARIABLE in os.environ}"
        guards = (Told(order.known), pulse, copies, Programs(order.programs / f"rank-{order.rank}", what))
        loop.train(
            chosen,
            order.directory,
            resume=order.resume,
            mesh=mesh.chosen(order.mesh),
            until=order.until,
            begun=begun,
            guards=guards if turn is None else (*guards, Standby(turn, order, copies)),
        )
        with contextlib.suppress(OSError):
            print(f"copies: {asdict(copies.cost)}", flush=True)
        jax.distributed.shutdown()  # waits for the others: whoever leaves before, ends them
    finally:
        pulse.close()


def _log(order: Order) -> Path:
    return order.directory / "surviving" / f"process-{order.rank}.log"


def _hold(lock: Path) -> None:
    """As long as this process lives, nobody begins another generation."""
    fcntl.flock(os.open(lock, os.O_RDWR | os.O_CREAT, 0o644), fcntl.LOCK_SH)


def _speak_to(log: Path) -> None:
    """Standard output and errors, those of libraries too, go to a file."""
    log.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.close(file)
