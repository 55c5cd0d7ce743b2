"""Processes that have got ready while others train, to take their place at once when these have failed.

They are a generation already: they have found each other, and loaded the compiled step. What they do not know is from
where the run goes on; that they are told when it is their turn. Each domain's own processor and memory serve both, so
that what is lost with a machine is lost of both.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tejat.train.guards import Phase
from tejat.train.surviving import pulse
from tejat.train.surviving.worker import Go

NAME = "standby-{}"
"""Their heartbeats, beside those of the processes that train."""


@dataclass
class Standby:
    """Of one generation to come: its processes and their heartbeats, where each waits for its turn, and its mesh."""

    processes: list[Any]
    pulses: list[Path]
    turns: list[Any]
    mesh: str | None

    def take_over(self, go: Go, mesh: str | None, pulses: Sequence[Path]) -> bool:
        """Tells them that it is their turn; from now on they beat in `pulses`. False where they cannot: not all of them
        are alive and ready, or others are wanted."""
        beats = [pulse.read(path) for path in self.pulses]
        waiting = all(beat is not None and beat.phase is Phase.WAITING for beat in beats)
        alive = all(process.exitcode is None for process in self.processes)
        if not (waiting and alive) or mesh != self.mesh or len(pulses) != len(self.pulses):
            return False
        try:
            for path, now, turn in zip(self.pulses, pulses, self.turns, strict=True):
                path.rename(now)
                turn.send(go)
        except OSError:  # one has just ended
            return False
        return True

    def end(self) -> None:
        end(self.processes)


def end(processes: Sequence[Any]) -> None:
    """By SIGKILL, those of them that were started."""
    started = [process for process in processes if process.pid is not None]
    for process in started:
        process.kill()
    for process in started:
        process.join()
