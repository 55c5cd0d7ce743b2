"""Faults that machines have, drawn by a seed and done to a supervised run from outside, as chance does them.

Nothing in the run knows of them: processes are signalled, files and shared memory are damaged or removed. Only bits of
arrays are flipped from within (`tejat.train.auditing.flips`).
"""

import contextlib
import os
import random
import resource
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from tejat.train.auditing.flips import Flip
from tejat.train.guards import Phase
from tejat.train.surviving import copies, pulse, standby
from tejat.train.surviving.events import read


class Kind(StrEnum):
    """What happens."""

    KILL = "kill"  # a process dies
    HANG = "hang"  # a process stops, and does not die
    SLOW = "slow"  # a process runs less than half of the time, for a while
    HOST = "host"  # a process dies, and with it its machine's memory and what its disk holds of compiled programs
    MEMORY = "memory"  # a bit of a copy in memory flips, and a process dies
    CHECKPOINT = "checkpoint"  # a bit of the newest checkpoint flips, and all memory is lost
    REMOVED = "removed"  # the newest checkpoint is gone, or a file of it, and all memory is lost
    DISK = "disk"  # a process can write no more to files
    SAVE = "save"  # a process dies while a checkpoint is written
    RESTORE = "restore"  # a process dies, and another while the run is being restored
    SUPERVISOR = "supervisor"  # the supervisor dies
    NOTICE = "notice"  # the machine is about to be taken away: SIGTERM
    FLIP = "flip"  # a bit of the weights, of a moment or of a gradient flips on one device
    LOSS = "loss"  # a machine is lost for good, and no spare is left: fewer processes go on


@dataclass(frozen=True)
class Fault:
    """A fault and when it comes: after so many steps. `chance` seeds what is left to it, such as which bit."""

    kind: Kind
    step: int
    rank: int
    chance: int

    @property
    def flip(self) -> Flip:
        """Which bit flips, where that is the fault."""
        drawn = random.Random(self.chance)
        site = drawn.choice(("weights", "moments", "gradients"))
        numbers = {"leaf": drawn.randrange(1000), "index": drawn.randrange(100_000), "bit": drawn.randrange(32)}
        return Flip(site, self.step + 1, device=self.rank, **numbers)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def schedule(
    seed: int, steps: int, processes: int, most: int = 3, kinds: tuple[Kind, ...] = tuple(Kind)
) -> list[Fault]:
    """One to `most` faults of a run of so many steps, in the order in which they come; the same for the same seed.

    A loss comes alone: without spares, any other fault would be one too.
    """
    drawn = random.Random(f"chaos {seed}")
    count = drawn.randint(1, most)
    at = sorted(drawn.sample(range(2, steps - 1), count))
    found = [Fault(drawn.choice(kinds), step, drawn.randrange(processes), drawn.getrandbits(32)) for step in at]
    return [fault for fault in found if fault.kind is Kind.LOSS][:1] or found


class Over(Exception):
    """The run ended before the fault could come; or, where `struck` tells when it came, before another step was made:
    at its last save, for one."""

    def __init__(self, struck: float | None = None):
        super().__init__()
        self.struck = struck


class Injector:
    """Does faults to one run.

    Args:
      directory: of the run.
      place: of its copies in memory.
      programs: where its compiled steps are.
      supervisor: the number of its supervisor's process.
      begin_again: starts another supervisor, after the first has ended.
      over: has the run ended?
    """

    def __init__(
        self,
        directory: Path,
        place: Path,
        programs: Path,
        supervisor: Callable[[], int],
        begin_again: Callable[[], None],
        over: Callable[[], bool],
    ):
        self._directory, self._place, self._programs = directory, place, programs
        self._supervisor, self._begin_again, self._over = supervisor, begin_again, over

    def inject(self, fault: Fault) -> float:
        """Waits for the fault's step, then does it, and waits until the run makes steps again. Gives back when it was
        done, in seconds of `time.time`.

        Raises Over where the run has ended before.
        """
        # The supervisor may see a step later than it is seen here: its "stepping" must not be taken for the next one.
        self._until(lambda: self._reached(fault.step) and self._told())
        drawn = random.Random(fault.chance)
        before = len(self._stepping())
        at = time.time()
        match fault.kind:
            case Kind.KILL | Kind.LOSS:
                self._signal(fault.rank, signal.SIGKILL)
            case Kind.HANG:
                self._signal(fault.rank, signal.SIGSTOP)
            case Kind.SLOW:
                self._slow(fault.rank, drawn)
                return at
            case Kind.FLIP:  # the process itself was told of it when it began
                self._until(lambda: self._reached(fault.step + 2), struck=at)
                return at
            case Kind.HOST:
                domain = self._domains()[fault.rank]
                self._signal(fault.rank, signal.SIGKILL)
                shutil.rmtree(self._place / f"domain-{domain}", ignore_errors=True)
                shutil.rmtree(self._programs / f"rank-{fault.rank}", ignore_errors=True)
                if (ready := pulse.read(self._place / standby.NAME.format(fault.rank))) is not None:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(ready.process, signal.SIGKILL)
            case Kind.MEMORY:
                self._signal(fault.rank, signal.SIGSTOP)  # so that it does not write meanwhile
                flip(drawn, [share.path for share in copies.survivors(self._place)])
                self._signal(fault.rank, signal.SIGKILL)
            case Kind.CHECKPOINT | Kind.REMOVED:
                self._until(lambda: bool(self._checkpoints()))
                at = time.time()
                self._signal(fault.rank, signal.SIGKILL)
                newest = max(self._checkpoints(), key=lambda path: int(path.name))
                files = sorted(path for path in newest.rglob("*") if path.is_file() and path.stat().st_size)
                if fault.kind is Kind.CHECKPOINT:
                    flip(drawn, files)
                elif drawn.random() < 0.5:
                    shutil.rmtree(newest)
                else:
                    drawn.choice(files).unlink()
                for domain in self._place.glob("domain-*"):
                    shutil.rmtree(domain, ignore_errors=True)
            case Kind.DISK:
                resource.prlimit(self._process(fault.rank), resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
            case Kind.SAVE:
                self._until(self._saving, 0.002)
                at = time.time()
                self._signal(fault.rank, signal.SIGKILL)
            case Kind.RESTORE:
                old = {beat.process for beat in self._beats().values()}
                self._signal(fault.rank, signal.SIGKILL)
                other = drawn.choice(sorted(self._beats()))
                self._until(lambda: self._restores(other, old), 0.002, struck=at)
                self._signal(other, signal.SIGKILL, struck=at)
            case Kind.SUPERVISOR:
                self._end_supervisor(signal.SIGKILL)
            case Kind.NOTICE:
                self._end_supervisor(signal.SIGTERM)
        self._until(lambda: len(self._stepping()) > before, struck=at)
        return at

    def _end_supervisor(self, number: signal.Signals) -> None:
        before = self._supervisor()
        os.kill(before, number)
        self._begin_again()
        if self._supervisor() == before:  # it had come to the run's end
            raise Over

    def _slow(self, rank: int, drawn: random.Random) -> None:
        process = self._process(rank)
        end = time.monotonic() + drawn.uniform(1, 4)
        try:
            while time.monotonic() < end:
                os.kill(process, signal.SIGSTOP)
                time.sleep(0.3)
                os.kill(process, signal.SIGCONT)
                time.sleep(0.2)
        except ProcessLookupError:  # the run's end came before
            pass

    # ---- What is known of the run --------------------------------------------------------------------------------

    def _until(self, true: Callable[[], bool], pause: float = 0.02, struck: float | None = None) -> None:
        while not true():
            if self._over():
                raise Over(struck)
            time.sleep(pause)

    def _beats(self) -> dict[int, pulse.Beat]:
        found = {int(path.name.rpartition("-")[2]): pulse.read(path) for path in self._place.glob("pulse-*")}
        return {rank: beat for rank, beat in found.items() if beat is not None}

    def _process(self, rank: int) -> int:
        return self._beats()[rank].process

    def _signal(self, rank: int, number: signal.Signals, struck: float | None = None) -> None:
        try:
            os.kill(self._process(rank), number)
        except (KeyError, ProcessLookupError) as error:
            if self._over():
                raise Over(struck) from error
            raise

    def _reached(self, step: int) -> bool:
        beats = self._beats().values()
        return bool(beats) and all(beat.phase is Phase.STEPPING and beat.done >= step for beat in beats)

    def _told(self) -> bool:
        """Has the supervisor told of the first step of the generation that trains?"""
        begun = [event["event"] for event in self._events() if event["event"] in ("generation", "stepping")]
        return begun[-1:] == ["stepping"]

    def _restores(self, rank: int, old: set[int]) -> bool:
        beat = self._beats().get(rank)
        return beat is not None and beat.process not in old and beat.phase is not Phase.BEGINNING

    def _saving(self) -> bool:
        place = self._directory / "checkpoints"
        return place.is_dir() and any(not path.name.isdigit() for path in place.iterdir() if path.is_dir())

    def _checkpoints(self) -> list[Path]:
        place = self._directory / "checkpoints"
        return [path for path in place.iterdir() if path.name.isdigit()] if place.is_dir() else []

    def _domains(self) -> list[int]:
        """The machine of each process."""
        return [event for event in self._events() if event["event"] == "generation"][-1]["domains"]

    def _stepping(self) -> list[dict[str, Any]]:
        return [event for event in self._events() if event["event"] == "stepping"]

    def _events(self) -> list[dict[str, Any]]:
        return read(self._directory / "surviving")


def flip(drawn: random.Random, paths: list[Path]) -> None:
    """Flips one bit of all that files hold, each bit as likely as any other."""
    if not paths:
        return
    paths = sorted(paths)
    (path,) = drawn.choices(paths, [path.stat().st_size for path in paths])
    with path.open("r+b") as file:
        at = drawn.randrange(path.stat().st_size)
        file.seek(at)
        (byte,) = file.read(1)
        file.seek(at)
        file.write(bytes([byte ^ 1 << drawn.randrange(8)]))
