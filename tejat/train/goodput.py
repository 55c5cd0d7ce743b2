"""The ledger of a run's time: what every second of every process went to, and how much of it came to something.

RUN/goodput-PROCESS.jsonl is only ever appended to, by one process at a time; first, a line about every half second:

    {"at": 1700000000.0, "began": 4711}                                       a process began, of this number
    {"at": …, "until": …, "seconds": {"step": 0.48, …}, "steps": [41, 44]}    what time went to; steps finished in it
    {"at": …, "stands": 40}                                                   the run goes on after step 40

Seconds of a line add up to its length, and each begins where the one before ended. A second in which the device works
on a step is the step's, whatever the host does meanwhile; any other is of what the host does. Kinds are those of
ml-goodput-measurement (AI-Hypercomputer), in lower case, where it has them.

A kill may cut the last line anywhere: it is left out, and what it would have told counts as recovery. Lines go to the
system at once, but not to the platter: a machine that loses its power loses the last seconds of its ledger too.
"""

import json
import os
import queue
import threading
import time
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from tejat.errors import BadInput


class Kind(StrEnum):
    """What time goes to."""

    STEP = "step"  # the only useful one
    INITIALISATION = "device_initialization"  # until devices and the other processes are there
    PREPARATION = "training_prep"  # tokenizer, documents, the state before its first step
    COMPILATION = "program_startup"
    DATA_WAIT = "data_loading_sync"  # the device has nothing to do until the next batch is there
    SAVE = "unproductive_checkpoint_save_time"
    RESTORE = "unproductive_checkpoint_restore_time"
    RECOVERY = "infrastructure_recovery_from_disruption"  # no process ran, or one did that was killed at something
    LOST = "wasted_progress_from_disruption"  # steps that were made again
    REPLAY = "replay"  # of steps that were doubted (`tejat.train.auditing`)
    AUDIT = "audit"
    OTHER = "other"


WINDOW, SHARE = 0.5, 1e-4
"""Seconds of training that a line of the ledger tells of, at least: so many, and so large a share of the process's time
so far. A month makes some ten megabytes."""


class Ledger:
    """Writes one process's ledger. Use it from the thread that trains. It raises nothing where the disk is full: what
    could not be written is written with the next line, or never."""

    def __init__(self, directory: Path, process: int = 0, since: Sequence[tuple[float, Kind]] = ()):
        """`since`: what the process did before, as (when it began, in seconds of `time.time`; what), oldest first."""
        self._clock = time.time() - time.monotonic()  # one process's times never jump
        since = since or [(self.now(), Kind.OTHER)]
        self._path = directory / f"goodput-{process}.jsonl"
        self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._torn = os.fstat(self._file).st_size > 0  # a kill may have cut the last line: begin another
        self._lock = threading.Lock()
        self._marks = deque(since)  # changes of what the host does; the first holds where the ledger stands
        self._began = self._start = self._until = since[0][0]  # the last two: of the next line
        self._seconds: dict[str, float] = defaultdict(float)
        self._steps: list[int] = []
        self._flying: queue.SimpleQueue[tuple[int, float, Any] | None] = queue.SimpleQueue()
        self._in_flight = 0
        self._watcher: threading.Thread | None = None
        self._write({"at": self._start, "began": os.getpid()})
        self._account(self.now())
        self._tell()

    def now(self) -> float:
        """Seconds of `time.time`, by a clock that only goes on."""
        return self._clock + time.monotonic()

    def enter(self, kind: Kind) -> None:
        """From now on the host does this."""
        with self._lock:
            now = self.now()
            self._marks.append((now, kind))
            if not self._in_flight:
                self._account(now)
                self._tell_if_due()

    @contextmanager
    def spent(self, kind: Kind) -> Iterator[None]:
        """Within it the host does this; then, what it did before."""
        before = self._marks[-1][1]
        self.enter(kind)
        try:
            yield
        finally:
            self.enter(before)

    def stands(self, step: int) -> None:
        """The run goes on after this step: what was made beyond it is lost. No step may be in flight."""
        with self._lock:
            self._account(self.now())
            self._tell()
            if self._steps:  # the disk is full: those of them that come again must not count twice
                self._seconds[Kind.LOST] += self._seconds.pop(Kind.STEP, 0.0)
                self._steps = []
            self._write({"at": self._until, "stands": step})

    def stepped(self, step: int, begun: float, sums: Any) -> None:
        """This step was given to the device at `begun` (of `now`); done when `sums`, an array of its, is there."""
        if self._watcher is None:
            self._watcher = threading.Thread(target=self._watch, name="goodput", daemon=True)
            self._watcher.start()
        with self._lock:
            self._in_flight += 1
        self._flying.put((step, begun, sums))

    def close(self) -> None:
        """Writes what there is."""
        if self._watcher is not None:
            self._flying.put(None)
            self._watcher.join(timeout=1.0)  # where a device hangs, so would this
            self._watcher = None
        with self._lock:
            if not self._in_flight:
                self._account(self.now())
            self._tell()
            os.close(self._file)
            self._file = -1

    def _watch(self) -> None:
        while (found := self._flying.get()) is not None:
            step, begun, sums = found
            # A step that failed ends too, and the thread that trains is told why by its own use of it.
            with suppress(Exception):
                sums.block_until_ready()
            done = self.now()
            with self._lock:
                self._in_flight -= 1
                self._account(done, begun)
                self._steps = [*self._steps[:1], step]
                self._tell_if_due()

    def _account(self, until: float, busy: float | None = None) -> None:
        """Counts the time up to `until`; from `busy` on, the device worked on a step."""
        busy = until if busy is None else min(max(busy, self._until), until)
        while len(self._marks) > 1 and self._marks[1][0] <= until:
            self._count(self._marks[0][1], min(self._marks[1][0], busy))
            self._marks.popleft()
        self._count(self._marks[0][1], busy)
        self._count(Kind.STEP, until)

    def _count(self, kind: Kind, until: float) -> None:
        if until > self._until:
            self._seconds[kind] += until - self._until
            self._until = until

    def _tell_if_due(self) -> None:
        if self._until - self._start >= max(WINDOW, SHARE * (self._until - self._began)):
            self._tell()

    def _tell(self) -> None:
        if self._until <= self._start:
            return
        seconds = {kind: round(value, 6) for kind, value in self._seconds.items()}
        line: dict[str, Any] = {"at": self._start, "until": self._until, "seconds": seconds}
        if self._steps:
            line["steps"] = [self._steps[0], self._steps[-1]]
        if self._write(line):
            self._start, self._steps = self._until, []
            self._seconds.clear()

    def _write(self, line: dict[str, Any]) -> bool:
        """Was all of it written?"""
        if self._file < 0:
            return False
        data = (json.dumps(line) + "\n").encode()
        data = b"\n" + data if self._torn else data
        try:
            written = os.write(self._file, data)
        except OSError:
            return False
        self._torn = written < len(data)
        return not self._torn


# ---- Reading it ------------------------------------------------------------------------------------------------------


@dataclass
class Stretch:
    """A stretch of one process's time, the seconds of each kind in it, and the steps that were finished in it."""

    start: float
    end: float
    seconds: dict[str, float]
    steps: tuple[int, int] | None = None

    def lose(self, after: int) -> int:
        """Steps beyond `after` will be made again: their time becomes lost. How many they are."""
        if self.steps is None or self.steps[1] <= after:
            return 0
        first, last = self.steps
        lost = last - max(first - 1, after)
        time = self.seconds.pop(Kind.STEP, 0.0)
        kept = time * (1 - lost / (last - first + 1))
        self.seconds[Kind.LOST] = self.seconds.get(Kind.LOST, 0.0) + time - kept
        if kept:
            self.seconds[Kind.STEP] = kept
        self.steps = (first, after) if after >= first else None
        return lost


@dataclass
class Account:
    """Where a run's time went. `elapsed` and `seconds` are those of process 0: all take every step together."""

    processes: dict[int, list[Stretch]]
    generations: int = 0  # of process 0: how often one began
    lost_steps: int = 0
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def elapsed(self) -> float:
        first = self.processes[0]
        return first[-1].end - first[0].start

    @property
    def goodput(self) -> float:
        """The share of the elapsed time in which steps were made that counted, once."""
        # Times of day are written to the microsecond, and what is summed is finer.
        return min(1.0, self.seconds[Kind.STEP] / self.elapsed) if self.elapsed else 0.0

    def to_json(self) -> dict[str, Any]:
        known = {"goodput": self.goodput, "elapsed_s": self.elapsed, "seconds": self.seconds}
        return known | {"generations": self.generations, "lost_steps": self.lost_steps}


def read(directory: Path) -> Account:
    """The account of a run, which may be running. Raises BadInput for a directory without a ledger."""
    paths = {int(name): path for path in directory.glob("goodput-*.jsonl") if (name := path.stem[8:]).isdigit()}
    if 0 not in paths:
        told = "it was trained before there were ledgers, or not begun" if directory.is_dir() else "there is none"
        raise BadInput(f"{directory} is no run with a ledger ({told}); give the directory of a run, as in runs/micro")
    read_all = {process: _stretches(path) for process, path in sorted(paths.items())}
    stretches, generations, lost = read_all[0]
    if not stretches:
        raise BadInput(f"the ledger {paths[0]} tells of no time; train for a second, or give another run")
    account = Account({process: found[0] for process, found in read_all.items() if found[0]}, generations, lost)
    account.seconds = {str(kind): 0.0 for kind in Kind}
    for stretch in stretches:
        for kind, seconds in stretch.seconds.items():
            account.seconds[kind] = account.seconds.get(kind, 0.0) + seconds
    return account


def _stretches(path: Path) -> tuple[list[Stretch], int, int]:
    """(the time of a ledger without gaps, how often a process began, steps that were made again)."""
    found: list[Stretch] = []
    counted: list[Stretch] = []  # those with steps, in their order
    generations = lost = 0
    gap = Kind.OTHER  # what time that no line tells of went to
    for line in _lines(path):
        at, steps = line["at"], line.get("steps")
        if "began" in line:
            generations += 1
            gap = Kind.RECOVERY
        if "stands" in line or steps:
            # Where the line that says so was never written, steps that come again say it.
            stands = line["stands"] if steps is None else steps[0] - 1
            while counted and counted[-1].steps[1] > stands:
                lost += counted[-1].lose(stands)
                if counted[-1].steps is None:
                    counted.pop()
        if (until := line.get("until", at)) > at:
            if found and at > found[-1].end:
                found.append(Stretch(found[-1].end, at, {gap: at - found[-1].end}))
            elif found and at < found[-1].end:  # clocks of two machines, or one that was put back
                if until <= found[-1].end:
                    continue
                share = (until - found[-1].end) / (until - at)
                line["seconds"] = {kind: seconds * share for kind, seconds in line["seconds"].items()}
                at = found[-1].end
            gap = Kind.OTHER
            found.append(Stretch(at, until, dict(line["seconds"]), tuple(steps) if steps else None))
            if steps:
                counted.append(found[-1])
    return found, generations, lost


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    for text in path.read_bytes().split(b"\n"):
        with suppress(ValueError):  # cut by a kill, or by a full disk
            line = json.loads(text)
            if isinstance(line, dict) and isinstance(line.get("at"), float):
                yield line
