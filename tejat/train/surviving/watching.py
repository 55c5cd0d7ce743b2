"""From heartbeats to a verdict: is a process dead, does one hang, is one slower than the others?

A process that hangs holds up all others, since each step is made by all. Which one it is shows in who has stopped
beating, or who was given fewer steps than the rest.
"""

import math
import statistics
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from tejat.train.guards import Phase
from tejat.train.surviving.pulse import TICK, Beat

SLOW, ENDURED = 20.0, 60.0
"""A step hangs after so many times the usual step's time, and so many seconds more."""

QUIET = 8.0
"""So many times as long a silence means nothing while no steps are made."""

PATIENCE: Mapping[Phase, float] = {
    Phase.BEGINNING: 900.0,
    Phase.RESTORING: 1800.0,
    Phase.COMPILING: 3600.0,
    Phase.SAVING: 300.0,
    Phase.ENDING: 900.0,
    Phase.WAITING: math.inf,
}
"""Seconds that a process may be at other things than steps."""

STEPS = 64
"""Steps whose times tell how long one takes."""


class Hung(NamedTuple):
    """`rank` is None where all have stopped alike."""

    rank: int | None
    why: str


class Straggler(NamedTuple):
    """A process that did not run for `share` of the time, where the others' median is `usual`."""

    rank: int
    share: float
    usual: float


@dataclass
class Watch:
    """Looks at all beats of a generation, again and again.

    `silence`: seconds without a beat before a process hangs that makes steps. At anything else it has longer: loading a
    program or writing a model may keep its heart from beating, on a busy machine for long.
    """

    silence: float = 15.0
    step_times: deque[float] = field(default_factory=lambda: deque(maxlen=STEPS))
    _seen: dict[int, Beat] = field(default_factory=dict)
    _window: dict[int, Beat] = field(default_factory=dict)

    @property
    def step_time(self) -> float | None:
        """Median seconds of a step, as far as it is known."""
        return statistics.median(self.step_times) if self.step_times else None

    @property
    def limit(self) -> float:
        """Seconds after which a step hangs; generous while no step's time is known."""
        usual = self.step_time
        return PATIENCE[Phase.COMPILING] if usual is None else SLOW * usual + ENDURED

    def look(self, beats: Mapping[int, Beat], now: float) -> Hung | None:
        """`beats` are those of processes that live and have begun to beat, at the time `now`."""
        for rank, beat in beats.items():
            before = self._seen.get(rank)
            if before is not None and beat.done > before.done >= 1 and rank == min(beats):
                self.step_times.append((beat.done_at - before.done_at) / (beat.done - before.done))
            self._seen[rank] = beat
        for rank, beat in beats.items():
            if now - beat.beat > self.silence * (1 if beat.phase is Phase.STEPPING else QUIET):
                return Hung(rank, f"its heart has not beaten for {now - beat.beat:.1f} s")
            if beat.phase is not Phase.STEPPING and now - beat.since > PATIENCE[beat.phase]:
                return Hung(rank, f"it has been {beat.phase} for {now - beat.since:.0f} s")
        return self._no_step(beats, now)

    def _no_step(self, beats: Mapping[int, Beat], now: float) -> Hung | None:
        stepping = {rank: beat for rank, beat in beats.items() if beat.phase is Phase.STEPPING}
        if not stepping or len(stepping) < len(beats):
            return None
        waited = now - max(max(beat.done_at, beat.since) for beat in stepping.values())
        if waited <= self.limit:
            return None
        least, most = (pick(beat.given for beat in stepping.values()) for pick in (min, max))
        behind = [rank for rank, beat in stepping.items() if beat.given == least]
        rank = behind[0] if least < most and len(behind) == 1 else None
        usual = f"where one takes {self.step_time:.2f} s" if self.step_times else "since the first began"
        return Hung(rank, f"no step was finished for {waited:.1f} s, {usual}")

    def straggler(self, beats: Mapping[int, Beat], least: float = 0.3) -> Straggler | None:
        """Of the time since the last call, who did not run for a good part of it, where the others did?"""
        shares: dict[int, float] = {}
        for rank, beat in beats.items():
            before = self._window.get(rank)
            if before is not None and before.process == beat.process and beat.beat - before.beat > 20 * TICK:
                shares[rank] = (beat.held - before.held) / (beat.beat - before.beat)
        self._window = dict(beats)
        if len(shares) < 2:
            return None
        rank = max(shares, key=lambda each: shares[each])
        usual = _median_without(shares, rank)
        return Straggler(rank, shares[rank], usual) if shares[rank] > max(least, 2 * usual) else None


def _median_without(shares: Mapping[int, float], rank: int) -> float:
    others: Sequence[float] = [share for each, share in shares.items() if each != rank]
    return statistics.median(others)
