"""The supervisor: starts the processes of a run, watches them, ends them all where one fails, and starts them again.

A *generation* is a set of processes that found each other at one port. None of them can outlive another, since each
step is made by all: whatever happens to one ends the generation, by SIGKILL. The next goes on from the newest step of
which every share survives, in memory or on disk. The supervisor itself computes nothing. It may be killed too: its
processes end with it, the copies in memory stay, and another one goes on with `--resume`.

RUN/surviving/events.jsonl   what happened (`events`)
              process-R.log  what process R said
              damaged/       checkpoints that were set aside
"""

import contextlib
import fcntl
import hashlib
import json
import multiprocessing
import os
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing import connection
from pathlib import Path
from typing import Any

from tejat.errors import BadInput
from tejat.train import identity, mesh
from tejat.train.auditing.auditor import VERDICTS
from tejat.train.guards import Phase
from tejat.train.surviving import copies, pulse, standby
from tejat.train.surviving.events import Events
from tejat.train.surviving.exclusive import held
from tejat.train.surviving.following import Follower
from tejat.train.surviving.standby import Standby
from tejat.train.surviving.watching import Hung, Watch
from tejat.train.surviving.worker import DAMAGED, DONE, FAILED, GONE, LYING, STOPPED, UNSAVED, UNUSABLE, Go, Order, work

SHARED = Path("/dev/shm")
LOOK = 0.05
"""Seconds between two looks at the processes."""
LAST_WORDS = 0.5
"""Seconds after the first exit of a generation in which others may tell more of its cause."""
IN_VAIN = 3
"""Generations in a row that end before their first step: more would end alike."""
STRAGGLERS = 30.0
"""Seconds over which it is measured who runs less than the others."""


@dataclass(frozen=True)
class Supervised:
    """What is to be trained, and how it is watched over.

    Attributes:
      recipe, settings, directory, mesh, resume, until: as of `tejat train`.
      processes: how many.
      state_bytes: of the state, all its arrays together; for the room that copies take.
      copy_every: steps between copies; none where 0.
      rows: of a batch; a smaller world must divide them.
      restarts: after so many, the supervisor gives up.
      spares: machines that may take the place of one that failed; None where a process is started again where it was.
      grace: seconds that processes have to save when they are told to stop.
      silence: seconds without a heartbeat after which a process hangs.
      standby: other processes are ready to take over.
      programs: where compiled steps are kept; None: with the copies.
    """

    recipe: Path
    settings: tuple[str, ...]
    directory: Path
    processes: int
    state_bytes: int
    copy_every: int
    rows: int
    mesh: str | None = None
    resume: bool = False
    until: float | None = None
    restarts: int = 100
    spares: int | None = None
    grace: float = 60.0
    silence: float = 15.0
    standby: bool = False
    programs: Path | None = None


@dataclass
class Ended:
    """How a generation ended: a code of `worker`, or None where processes died; who failed first, and why."""

    code: int | None
    rank: int | None
    why: str
    stepped: bool
    at: float = field(default_factory=time.monotonic)


class GaveUp(RuntimeError):
    """The budget of restarts is spent, or starting again is in vain."""


def place_of(directory: Path, memory: Path = SHARED) -> Path:
    """Where the copies of a run lie, in this host's `memory`: the same for every supervisor of its directory."""
    name = f"tejat-{os.getuid()}-{hashlib.sha256(str(directory.resolve()).encode()).hexdigest()[:16]}"
    return (memory if memory.is_dir() else directory / "surviving") / name


def supervise(
    task: Supervised,
    told: Callable[[str], None] = lambda what: None,
    logged: Callable[[dict[str, Any]], None] = lambda line: None,
) -> int:
    """Trains until the end. The code is that of the last generation: DONE or STOPPED.

    `told` is called with what happens to the run, `logged` with each new line of its log.

    Raises:
      BadInput: for what no restart can mend: a recipe, a directory, too little memory for copies.
      GaveUp: where the budget of restarts is spent.
    """
    held = task.directory / identity.NAME
    if task.resume and not held.is_file():
        raise BadInput(f"{task.directory} holds no run to resume; leave --resume out to begin one")
    place = place_of(task.directory)
    if task.copy_every and SHARED.is_dir() and not place.is_dir():
        copies.check_room(SHARED, task.state_bytes)
    supervisor = Supervisor(task, told, logged, place)
    with supervisor.alone(), supervisor.heeding():
        if not task.resume and held.is_file():
            raise BadInput(f"{task.directory} holds a run; go on with --resume, or choose another directory with --out")
        return supervisor.run()


class Supervisor:
    def __init__(
        self, task: Supervised, told: Callable[[str], None], logged: Callable[[dict[str, Any]], None], place: Path
    ):
        self._task, self._told, self._logged = task, told, logged
        self._log = Follower(task.directory / "log.jsonl")
        self._own = task.directory / "surviving"
        self._own.mkdir(parents=True, exist_ok=True)
        self._place = place
        self._place.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._programs = task.programs or self._place / "programs"
        self._events = Events(self._own)
        self._domains = list(range(task.processes))
        self._spares, self._mesh = task.spares, task.mesh
        self._shrunk = False
        self._stop = threading.Event()
        self._resume, self._known = task.resume, False
        self._restarts = self._vain = 0
        self._idle_since = time.monotonic()
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([f"{__package__}.forked"])
        self._next: Standby | None = None

    # ---- Generations ---------------------------------------------------------------------------------------------

    def run(self) -> int:
        self._events.tell("supervised", processes=self._task.processes, pid=os.getpid())
        try:
            return self._all()
        finally:
            self._dismiss()

    def _all(self) -> int:
        """One generation after the other."""
        while True:
            ended = self._generation()
            if ended.code in (DONE, STOPPED):
                self._dismiss()
                self._events.tell("done" if ended.code == DONE else "stopped")
                if not self._chosen():  # a checkpoint holds it all
                    self._clear()
                return ended.code
            if ended.code == FAILED:
                self._events.tell("gave up", why=ended.why)
                raise GaveUp(ended.why)
            if ended.code == UNUSABLE:
                raise BadInput(ended.why)
            self._told(f"{ended.why}; starting again")
            self._events.tell("fault", rank=ended.rank, why=ended.why)
            self._idle_since = ended.at
            self._vain = 0 if ended.stepped else self._vain + 1
            self._restarts += 1
            if self._vain == IN_VAIN - 1:  # it may be the compiled steps that are at fault
                shutil.rmtree(self._programs, ignore_errors=True)
            if ended.code == DAMAGED:
                self._set_aside()
            elif ended.code == LYING:
                if (liar := self._liar()) is not None:  # started again where it was, it would err again
                    self._replace(liar, self._spares or 0)
            elif ended.rank is not None and self._spares is not None:
                self._replace(ended.rank, self._spares)
            for spent, what in (
                (self._restarts > self._task.restarts, f"{self._restarts} failures"),
                (self._vain >= IN_VAIN, f"{self._vain} generations in a row ended before their first step"),
            ):
                if spent:
                    self._events.tell("gave up", why=what)
                    logs = self._own / "process-*.log"
                    raise GaveUp(f"{what}, the last because {ended.why}; see {logs}, mend it, and go on with --resume")

    def _generation(self) -> Ended:
        """One set of processes, from start to end."""
        resume = (self._task.directory / identity.NAME).is_file()
        self._forget_others()
        shares = self._chosen() if resume else []
        step = shares[0].step if shares else max(self._checkpoints(), default=0)
        self._events.tell("generation", step=step, memory=bool(shares), domains=self._domains)
        count = len(self._domains)
        for path in self._place.glob("pulse-*"):
            path.unlink()
        pulses = [self._place / f"pulse-{rank}" for rank in range(count)]
        processes, taken = self._taken_over(shares, pulses), 0.0
        if processes:
            taken = sum(beat.cpu for beat in self._beats(pulses).values())
        else:
            processes = self._begun(pulses, resume, shares)
        try:
            return self._watched(processes, pulses, step, taken)
        finally:
            standby.end(processes)

    def _begun(self, pulses: list[Path], resume: bool, shares: list[copies.Share], turns: Sequence[Any] = ()) -> list:
        """New processes, that beat in `pulses`; where each has a place in `turns`, it waits there for its turn."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            coordinator = f"127.0.0.1:{free.getsockname()[1]}"
        task = self._task
        order = Order(
            recipe=task.recipe,
            settings=task.settings,
            directory=task.directory,
            place=self._place,
            programs=self._programs,
            pulse=pulses[0],
            mesh=self._mesh,
            coordinator=coordinator,
            domains=tuple(self._domains),
            rank=0,
            beside=(0, len(pulses)),
            resume=resume,
            known=self._known,
            shares=tuple(share.path for share in shares),
            until=task.until,
        )
        orders = [replace(order, rank=rank, beside=(rank, len(pulses)), pulse=path) for rank, path in enumerate(pulses)]
        words = [(each, *turns[rank : rank + 1]) for rank, each in enumerate(orders)]
        processes = [self._context.Process(target=work, args=each) for each in words]
        try:
            for process in processes:
                process.start()
        except BaseException:
            standby.end(processes)
            raise
        return processes

    def _prepare(self) -> None:
        """Begins processes that get ready to take over."""
        self._dismiss()
        pulses = [self._place / standby.NAME.format(rank) for rank in range(len(self._domains))]
        pipes = [self._context.Pipe(duplex=False) for _ in pulses]
        processes = self._begun(pulses, True, [], [receiver for receiver, _ in pipes])
        self._next = Standby(processes, pulses, [sender for _, sender in pipes], self._mesh)

    def _taken_over(self, shares: list[copies.Share], pulses: list[Path]) -> list[Any]:
        """The processes that stood by, which now go on from `shares`; none where they are not ready."""
        ready, go = self._next, Go(tuple(self._domains), tuple(share.path for share in shares))
        if ready is None or not ready.take_over(go, self._mesh, pulses):
            self._dismiss()
            return []
        self._next = None
        return ready.processes

    def _dismiss(self) -> None:
        if self._next is not None:
            self._next.end()
            self._next = None

    def _watched(self, processes: list[Any], pulses: list[Path], step: int, taken: float) -> Ended:
        """Looks at the processes until they have ended, or one fails. `taken`: seconds of processors that they took
        before it was their turn."""
        watch, stepped, stop_by, measured = Watch(self._task.silence), False, None, time.monotonic()
        while True:
            connection.wait([p.sentinel for p in processes if p.exitcode is None], LOOK)
            for line in self._log.new():
                self._logged(line)
            beats = self._beats(pulses)
            failed = [p for p in processes if p.exitcode not in (None, DONE)]
            if failed:
                return self._cause(processes, stepped)
            if all(p.exitcode == DONE for p in processes):
                return Ended(DONE, None, "done", True)
            if not stepped and any(beat.done > step for beat in beats.values()):
                stepped, self._known = True, True
                recovery = time.monotonic() - self._idle_since
                cpu = sum(beat.cpu for beat in beats.values()) - taken
                self._events.tell("stepping", step=step + 1, recovery=recovery, cpu=cpu)
                self._stepping()
            now = time.monotonic()
            alive = {rank: beat for rank, beat in beats.items() if processes[rank].exitcode is None}
            if hung := watch.look(alive, now):
                return self._hung(hung, stepped)
            if now - measured > STRAGGLERS:
                measured = now
                if self._shrunk:
                    self._tidy()
                if slow := watch.straggler(alive):
                    self._events.tell("straggler", **slow._asdict())
                    self._told(
                        f"process {slow.rank} did not run for {slow.share:.0%} of the time, the others {slow.usual:.0%}"
                    )
            if self._stop.is_set() and stop_by is None:
                stepping = [beat for beat in beats.values() if beat.phase not in (Phase.BEGINNING, Phase.RESTORING)]
                if len(stepping) < len(processes):
                    return Ended(STOPPED, None, "stopped before its first step", False)
                self._told("stopping: the step is finished and saved")
                stop_by = now + self._task.grace
                for process in processes:
                    process.terminate()
            if stop_by is not None and now > stop_by:
                return Ended(STOPPED, None, f"not stopped within {self._task.grace:.0f} s", stepped)

    def _beats(self, pulses: list[Path]) -> dict[int, pulse.Beat]:
        """Of each process that has begun to beat."""
        return {rank: found for rank, path in enumerate(pulses) if (found := pulse.read(path)) is not None}

    def _stepping(self) -> None:
        """The first step of a generation is made."""
        (self._place / "run").write_text(self._run())
        if self._task.standby:
            self._prepare()

    def _cause(self, processes: list[Any], stepped: bool) -> Ended:
        """Why a generation ended, where a process of it has: the first exit may be but the consequence of another's."""
        at, deadline = time.monotonic(), time.monotonic() + LAST_WORDS
        stopping = self._stop.is_set()
        while any(p.exitcode is None for p in processes) and (stopping or time.monotonic() < deadline):
            if stopping and time.monotonic() > at + self._task.grace:
                break
            if _killed(processes):  # that is cause enough
                break
            connection.wait([p.sentinel for p in processes if p.exitcode is None], LOOK)
        codes = {rank: p.exitcode for rank, p in enumerate(processes) if p.exitcode not in (None, DONE)}
        if outside := _killed(processes):
            name = signal.Signals(-codes[outside[0]]).name
            return Ended(None, outside[0], f"process {outside[0]} was ended by {name}", stepped, at)
        for code in (GONE, UNUSABLE, DAMAGED, UNSAVED, LYING, FAILED, STOPPED):
            if ranks := [r for r, found in codes.items() if found == code]:
                said = self._said(ranks[0])
                if code == UNSAVED:  # why, it may have had no room to write
                    said = f"process {ranks[0]} cannot write its part of a checkpoint: see its disk, and its log"
                if code == GONE:
                    said = f"the host of process {ranks[0]} is gone"
                return Ended(code, ranks[0], said, stepped, at)
        rank = min(codes)
        return Ended(None, rank, f"process {rank} failed: {self._said(rank)}", stepped, at)

    def _hung(self, hung: Hung, stepped: bool) -> Ended:
        who = "all processes hang" if hung.rank is None else f"process {hung.rank} hangs"
        return Ended(None, hung.rank, f"{who}: {hung.why}", stepped)

    def _said(self, rank: int) -> str:
        """The last line of a process's log that tells an error, without who tells it."""
        path = self._own / f"process-{rank}.log"
        lines = (
            [line for line in path.read_text(errors="replace").splitlines() if line.strip()] if path.exists() else []
        )
        told = [line for line in lines if line.startswith("tejat: ")]
        return (told or lines or ["it said nothing"])[-1].removeprefix("tejat: ").removeprefix("error: ")[:400]

    # ---- What is gone on from --------------------------------------------------------------------------------------

    def _run(self) -> str:
        """A digest of what the run is; runs of the same come to the same."""
        path = self._task.directory / identity.NAME
        return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""

    def _forget_others(self) -> None:
        """Removes copies that another run left, which was in the directory before this one."""
        whose = self._place / "run"
        if not whose.is_file() or whose.read_text() != self._run():
            for domain in self._place.glob("domain-*"):
                shutil.rmtree(domain, ignore_errors=True)

    def _chosen(self) -> list[copies.Share]:
        """Copies in memory to go on from; none where the newest checkpoint is as new."""
        found = copies.newest(self._survivors())
        return found if found and found[0].step > max(self._checkpoints(), default=0) else []

    def _survivors(self) -> list[copies.Share]:
        return copies.survivors(self._place)

    def _clear(self) -> None:
        """Frees the memory."""
        shutil.rmtree(self._place, ignore_errors=True)

    def _checkpoints(self) -> list[int]:
        place = self._task.directory / "checkpoints"
        return [int(path.name) for path in place.iterdir() if path.name.isdigit()] if place.is_dir() else []

    def _set_aside(self) -> None:
        """Takes the newest checkpoint, which is damaged, out of the way of the one before."""
        newest = max(self._checkpoints())
        aside = self._own / "damaged" / f"{newest}-{time.time_ns()}"
        aside.parent.mkdir(exist_ok=True)
        (self._task.directory / "checkpoints" / str(newest)).rename(aside)
        self._events.tell("set aside", step=newest, place=str(aside))
        self._told(f"the damaged checkpoint of step {newest} is set aside as {aside}")

    def _tidy(self) -> None:
        """Removes copies of a world that is no more, once there are newer ones."""
        count = len(self._domains)
        found = copies.survivors(self._place)
        if (whole := copies.newest(found)) and whole[0].of == count:
            for share in found:
                if share.of != count:
                    share.path.unlink(missing_ok=True)
            self._shrunk = False

    # ---- Machines ------------------------------------------------------------------------------------------------

    def _replace(self, rank: int, spares: int) -> None:
        """The machine of a process is given up for a spare; without one, fewer processes go on."""
        lost = self._domains[rank]
        if spares > 0:
            self._spares = spares - 1
            self._domains[rank] = max(self._domains) + 1
            self._told(f"machine {lost} is replaced by a spare; {self._spares} left")
            return
        count, self._mesh = self._fewer(f"machine {lost} is lost, no spare is left", len(self._domains) - 1)
        self._domains = [domain for domain in self._domains if domain != lost][:count]
        self._shrunk = True
        self._events.tell("shrunk", processes=count)
        self._told(f"machine {lost} is lost and no spare is left: {count} processes go on")

    def _fewer(self, why: str, most: int, unit: int = 1) -> tuple[int, str | None]:
        """How many processes can go on, at most so many and whole units of them, and their mesh. Raises GaveUp."""
        before = len(self._domains)
        count = next((n for n in range(most - most % unit, 0, -unit) if self._task.rows % n == 0), 0)
        axes = mesh.parse(self._mesh)
        if not count or any(size not in (1, before) for size in axes.values()):
            why = f"{why}, and fewer than {before} processes cannot go on"
            self._events.tell("gave up", why=why)
            raise GaveUp(f"{why} with this mesh and these rows; add --spares, and go on with --resume")
        return count, ",".join(f"{axis}={count if size == before else 1}" for axis, size in axes.items()) or None

    def _liar(self) -> int | None:
        """The process whose device the last audit has found to err again and again; None where it names none."""
        lines = (self._task.directory / VERDICTS).read_text().splitlines()
        return [found["process"] for found in map(json.loads, lines) if found["verdict"] == "persistent"][-1]

    # ---- Its own life ----------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """No other supervisor, and none of its processes, is at this run."""
        trained = f"{self._task.directory} is being trained; wait for it, or stop it first"
        with held(self._own / "supervisor", trained), (self._own / "working").open("w") as theirs:
            deadline = time.monotonic() + 30
            while True:
                try:
                    fcntl.flock(theirs, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError as error:  # processes of a supervisor that was killed are about to end
                    if time.monotonic() > deadline:
                        raise BadInput(f"processes still train in {self._task.directory}; end them first") from error
                    time.sleep(LOOK)
            fcntl.flock(theirs, fcntl.LOCK_UN)
            yield

    @contextlib.contextmanager
    def heeding(self) -> Iterator[None]:
        """SIGTERM and the first Ctrl-C are passed on."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {}

        def note(number: int, frame: Any) -> None:
            self._stop.set()
            signal.signal(signal.SIGINT, before[signal.SIGINT])

        for number in (signal.SIGTERM, signal.SIGINT):
            before[number] = signal.signal(number, note)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _killed(processes: list[Any]) -> list[int]:
    """Those that were ended from outside."""
    codes = [process.exitcode for process in processes]
    return [rank for rank, code in enumerate(codes) if code is not None and code < 0 and code != -signal.SIGABRT]
