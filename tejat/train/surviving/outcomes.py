"""What came of schedules of faults: a line for each in PLACE/chaos.jsonl, over many calls, and the summary of all."""

import json
import math
import os
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from tejat.errors import BadInput
from tejat.parts import write_whole
from tejat.train.surviving.faults import Fault, Kind

NAME = "chaos.jsonl"
_TRIALS = "trials.json"


class Recovery(NamedTuple):
    """From a fault to the next step that was finished, or to the run's end where there was none. `cpu`: seconds of
    processors that the processes took from their beginning to that step, all together; `at`: when the fault came, of
    `time.time`. Older lines do not tell them."""

    kind: Kind
    memory: bool  # from copies in memory
    seconds: float
    cpu: float | None = None
    at: float | None = None


LOSS, PARAMETERS = 1e-3, 1e-3
"""Where fewer processes went on: by how much a loss of the log may differ, in nats; and the parameters at the end, all
together, as a share of their length (root of the sum of squares)."""


class Shrunken(NamedTuple):
    """A run that fewer processes ended, beside the unharmed one."""

    samples: bool  # the same, each once
    loss: float  # the largest difference in the log, nats
    parameters: float  # a share, as above

    @property
    def within(self) -> bool:
        """The tolerance; numbers that are none are not."""
        return self.samples and self.loss <= LOSS and self.parameters <= PARAMETERS


_TOLD = ("survived", "bit_equal", "wrong", "verdicts", "goodput", "seconds", "lost", "load", "sources", "at")


@dataclass
class Outcome:
    """Of one schedule: what was planned, what was done, and what came of it."""

    seed: int
    planned: list[Fault]
    done: list[Fault] = field(default_factory=list)
    recoveries: list[Recovery] = field(default_factory=list)
    survived: bool = False
    bit_equal: bool = False
    wrong: str = ""
    verdicts: int = 0  # of audits
    goodput: float = 0.0
    seconds: float = 0.0
    lost: float = 0.0  # seconds of recoveries, of steps that were made again, and of replay
    load: float = 0.0  # processes that wanted a core, in the mean of the minute before the end
    sources: str = ""  # which version of Tejat it was
    at: float = field(default_factory=time.time)
    shrunk: Shrunken | None = None  # where fewer processes went on

    @property
    def kept(self) -> bool:
        """Was nothing lost?"""
        return self.bit_equal if self.shrunk is None else self.shrunk.within

    def to_json(self) -> dict[str, Any]:
        return {
            "seed": self.seed,
            "planned": [fault.to_json() for fault in self.planned],
            "done": [fault.to_json() for fault in self.done],
            "recoveries": [recovery._asdict() for recovery in self.recoveries],
            **{name: getattr(self, name) for name in _TOLD},
            "shrunk": self.shrunk and self.shrunk._asdict(),
        }

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> "Outcome":
        """Raises ValueError, KeyError or TypeError for what `to_json` never gives."""
        planned, done = (
            [Fault(**each | {"kind": Kind(each["kind"])}) for each in told[n]] for n in ("planned", "done")
        )
        recoveries = [Recovery(**each | {"kind": Kind(each["kind"])}) for each in told["recoveries"]]
        shrunk = Shrunken(**told["shrunk"]) if told.get("shrunk") else None  # of older lines, none tells it
        return cls(told["seed"], planned, done, recoveries, **{name: told[name] for name in _TOLD}, shrunk=shrunk)


class Record:
    """The outcomes of like trials in one directory."""

    def __init__(self, place: Path, trials: Mapping[str, Any]):
        """`trials`: what all of them have in common, as JSON can say it.

        Raises BadInput for a directory of other trials, and for lines that are none.
        """
        self._path, self.outcomes = place / NAME, []
        held, told = place / _TRIALS, json.dumps(trials, indent=1, sort_keys=True)
        if self._path.is_file() and (not held.is_file() or held.read_text() != told):
            before = json.loads(held.read_text()) if held.is_file() else {}
            other = ", ".join(sorted(name for name in trials if before.get(name) != trials[name]))
            raise BadInput(f"{place} holds trials with other {other}; give the same, or another directory with --out")
        for number, line in enumerate(self._path.read_text().splitlines() if self._path.is_file() else (), 1):
            try:
                self.outcomes.append(Outcome.from_json(json.loads(line)))
            except (ValueError, KeyError, TypeError) as error:
                raise BadInput(f"line {number} of {self._path} tells no outcome ({error}); remove the line") from error
        write_whole(held, told.encode())

    @property
    def seeds(self) -> set[int]:
        """Of the schedules that were tried."""
        return {outcome.seed for outcome in self.outcomes}

    def add(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        with self._path.open("a") as file:
            file.write(json.dumps(outcome.to_json()) + "\n")
            file.flush()
            os.fsync(file.fileno())


def summary(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """As `tejat chaos --json` tells it. Seconds are null where nothing had to recover. All numbers are of all
    schedules; "shrunk" tells once more of those in which a machine was lost for good and fewer processes went on."""
    shrunk = [outcome for outcome in outcomes if outcome.shrunk is not None]
    recoveries = [each for outcome in outcomes for each in outcome.recoveries]
    injected = [fault for outcome in outcomes for fault in outcome.done]
    survived = [outcome for outcome in outcomes if outcome.survived]
    # By those that stopped the run: what only slows it down, or is made good in passing, would flatter the mean.
    lost = sum(outcome.lost for outcome in survived) / max(1, sum(len(outcome.recoveries) for outcome in survived))
    from_memory = [each for each in recoveries if each.memory]
    of_kind = {kind: [each for one in outcomes for each in one.recoveries if each.kind == kind] for kind in Kind}
    return {
        "schedules": len(outcomes),
        "survived": len(survived),
        "bit_equal": sum(outcome.bit_equal for outcome in outcomes),
        "lost": [outcome.seed for outcome in outcomes if not outcome.kept],
        "shrunk": {
            "schedules": len(shrunk),
            "within": sum(outcome.kept for outcome in shrunk),
            "loss_off": max((outcome.shrunk.loss for outcome in shrunk), default=None),
            "parameters_off": max((outcome.shrunk.parameters for outcome in shrunk), default=None),
            "tolerance": {"loss": LOSS, "parameters": PARAMETERS},
            "recovery_s_p50": quantile([each.seconds for one in shrunk for each in one.recoveries], 0.5),
        },
        "faults": len(injected),
        "verdicts": sum(outcome.verdicts for outcome in outcomes),
        "faults_by_kind": {kind: sum(fault.kind == kind for one in outcomes for fault in one.done) for kind in Kind},
        "recoveries": len(recoveries),
        "recoveries_from_memory": len(from_memory),
        "recovery_s_p50": quantile([each.seconds for each in recoveries], 0.5),
        "recovery_s_p99": quantile([each.seconds for each in recoveries], 0.99),
        "recovery_from_memory_s_p50": quantile([each.seconds for each in from_memory], 0.5),
        "recovery_from_memory_cpu_s_p50": quantile([r.cpu for r in from_memory if r.cpu is not None], 0.5),
        "recovery_s_by_kind": {kind: quantile([each.seconds for each in of_kind[kind]], 0.5) for kind in Kind},
        "load_p50": quantile([outcome.load for outcome in outcomes], 0.5),
        "goodput": statistics.mean(outcome.goodput for outcome in survived) if survived else None,
        "lost_s_per_fault": lost,
        "goodput_at_one_fault_per_600_s": 600 / (600 + lost) if survived else None,
        "hours": sum(outcome.seconds for outcome in outcomes) / 3600,
    }


def quantile(values: Sequence[float], share: float) -> float | None:
    """The smallest value that so large a share of them does not exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)] if values else None
