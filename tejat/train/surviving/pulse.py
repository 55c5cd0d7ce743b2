"""A process's heartbeat: what it is at and how far it has come, in a small file of shared memory.

The supervisor reads it at any time, from a process that hangs too. All times are those of `time.monotonic`, which the
processes of one machine have in common.
"""

import mmap
import os
import struct
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any, NamedTuple

from tejat.train.guards import Guard, Phase

TICK = 0.1
"""Seconds between two beats."""

_FORM = struct.Struct("qdqdqqddd")
_PHASES = tuple(Phase)


class Beat(NamedTuple):
    """What is known of a process.

    Attributes:
      process: its number in the system.
      beat: when its heart last beat.
      phase: what it is at.
      since: since when.
      given: the last step that was given to the device.
      done: the last step that the device has finished.
      done_at: when that was.
      held: seconds for which its heart should have beaten and did not: others had the processor, or it was stopped.
      cpu: seconds of processors that it took since it began.
    """

    process: int
    beat: float
    phase: Phase
    since: float
    given: int
    done: int
    done_at: float
    held: float
    cpu: float = 0.0


def read(path: Path) -> Beat | None:
    """The newest beat; None before the first."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    if len(data) < _FORM.size:
        return None
    process, beat, phase, *rest = _FORM.unpack_from(data)
    return Beat(process, beat, _PHASES[phase], *rest) if process else None


class Pulse(Guard):
    """Beats from a thread of its own, which also looks whether the device has finished the steps that it was given."""

    def __init__(self, path: Path):
        now = time.monotonic()
        self._now = Beat(os.getpid(), now, Phase.BEGINNING, now, 0, 0, now, 0.0)
        self._flying: deque[tuple[int, Any]] = deque()
        self._lock = threading.Lock()
        with path.open("w+b") as file:
            file.truncate(_FORM.size)
            self._map = mmap.mmap(file.fileno(), _FORM.size)
        self._write()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="pulse", daemon=True)
        self._thread.start()

    def enter(self, phase: Phase) -> None:
        with self._lock:
            self._now = self._now._replace(phase=phase, since=time.monotonic())
            self._write()

    def after(self, step: int, state: Any, sums: dict[str, Any], now: Any) -> None:
        with self._lock:
            self._flying.append((step, sums["tokens"]))
            self._now = self._now._replace(given=step)

    def close(self) -> None:
        self._end.set()
        self._thread.join()

    def _beat(self) -> None:
        due = time.monotonic()
        while not self._end.is_set():
            now = time.monotonic()
            late = max(0.0, now - due - TICK)
            with self._lock:
                self._now = self._now._replace(beat=now, held=self._now.held + late, cpu=time.process_time())
                while self._flying and self._flying[0][1].is_ready():
                    self._now = self._now._replace(done=self._flying.popleft()[0], done_at=now)
                self._write()
            due = now + TICK
            self._end.wait(TICK)

    def _write(self) -> None:
        process, beat, phase, *rest = self._now
        self._map[: _FORM.size] = _FORM.pack(process, beat, _PHASES.index(phase), *rest)
