"""Trials of a supervised run: one unharmed, and then one for every schedule of faults, which must come to the same.

Of a run that was harmed are compared, with the unharmed one's, to the bit: the parameters; checksums of the whole
state, the optimizer's too; the losses of every line of the log; how many tokens and documents it saw, and its place in
the data, row by row. So no sample was passed over or seen twice.
"""

import hashlib
import json
import math
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tejat.errors import BadInput
from tejat.train import goodput
from tejat.train.auditing import flips
from tejat.train.auditing.auditor import VERDICTS
from tejat.train.auditing.flips import Flip
from tejat.train.surviving import events, faults, supervisor
from tejat.train.surviving.faults import Fault, Injector, Kind, Over

LATE = (Kind.SLOW, Kind.DISK)
"""Faults that stop nothing at once, or at all: their recovery counts from when something fails."""
AGAIN = 2.0
"""Seconds after which a supervisor that was killed is started again, as a service manager does."""


@dataclass(frozen=True)
class Trials:
    """What is trained in every trial.

    Attributes:
      recipe, settings, mesh: as of `tejat train`.
      processes: how many train.
      steps: of a run.
      kinds: faults that may come.
      most: faults of one schedule, at most.
      silence: seconds without a heartbeat after which a process hangs.
      patience: seconds after which a trial has failed.
    """

    recipe: Path
    settings: tuple[str, ...]
    mesh: str | None
    processes: int
    steps: int
    kinds: tuple[Kind, ...] = tuple(Kind)
    most: int = 3
    silence: float = 8.0
    patience: float = 1200.0


_TOLD = ("survived", "bit_equal", "wrong", "verdicts", "goodput", "seconds", "lost")


@dataclass
class Outcome:
    """Of one schedule: what was planned, what was done, and what came of it."""

    seed: int
    planned: list[Fault]
    done: list[Fault] = field(default_factory=list)
    recoveries: list[tuple[Kind, bool, float]] = field(default_factory=list)  # kind, from memory?, seconds
    survived: bool = False
    bit_equal: bool = False
    wrong: str = ""
    verdicts: int = 0  # of audits
    goodput: float = 0.0
    seconds: float = 0.0
    lost: float = 0.0  # seconds until steps were made again after faults, and those of steps that were made again

    def to_json(self) -> dict[str, Any]:
        return {
            "seed": self.seed,
            "planned": [fault.to_json() for fault in self.planned],
            "done": [fault.to_json() for fault in self.done],
            "recoveries": [{"kind": k, "memory": m, "seconds": s} for k, m, s in self.recoveries],
            **{name: getattr(self, name) for name in _TOLD},
        }


def run(
    trials: Trials,
    seeds: Sequence[int],
    place: Path,
    *,
    until: float | None = None,
    told: Callable[[str], None] = lambda line: None,
) -> tuple[list[Outcome], dict[str, Any]]:
    """The outcome of each seed's schedule, and the summary of all; `place` is where the runs lie. With `until`, a time
    of `time.monotonic`, no other trial begins after it. What failed stays in `place`; the rest is removed.

    Raises BadInput for a schedule that is impossible, and where the unharmed run fails.
    """
    if trials.steps < trials.most + 4:
        raise BadInput(f"{trials.most} faults want a run of {trials.most + 4} steps at least; it has {trials.steps}")
    unharmed = _Trial(trials, [], place / "unharmed", place / "programs")
    told("the unharmed run begins")
    if (code := unharmed.wait()) != 0:
        raise BadInput(f"the unharmed run ends with code {code}: {unharmed.said()}; mend the recipe or its settings")
    wanted = result(unharmed.directory, trials.steps)
    told(f"the unharmed run took {unharmed.seconds:.0f} s")
    outcomes: list[Outcome] = []
    for seed in seeds:
        if until is not None and time.monotonic() > until:
            break
        planned = faults.schedule(seed, trials.steps, trials.processes, trials.most, trials.kinds)
        told(f"schedule {seed}: " + ", ".join(f"{each.kind} of {each.rank} after {each.step}" for each in planned))
        outcome = _tried(trials, seed, planned, place, wanted)
        outcomes.append(outcome)
        told(_said(outcome))
    return outcomes, summary(outcomes)


def _tried(trials: Trials, seed: int, planned: list[Fault], place: Path, wanted: dict[str, Any]) -> Outcome:
    outcome = Outcome(seed, planned)
    trial = _Trial(trials, planned, place / f"schedule-{seed}", place / "programs")
    injector = Injector(
        trial.directory,
        trial.place,
        trial.programs,
        supervisor=lambda: trial.process.pid,
        begin_again=trial.again,
        over=trial.over,
    )
    try:
        for fault in planned:
            at = injector.inject(fault)
            outcome.done.append(fault)
            outcome.recoveries += trial.recovery(fault, at)
    except Over:
        pass
    code = trial.wait()
    outcome.seconds = trial.seconds
    outcome.survived = code == 0
    if code == 0:
        found = result(trial.directory, trials.steps)
        differ = [name for name in wanted if found[name] != wanted[name]]
        outcome.bit_equal, outcome.wrong = not differ, ", ".join(differ)
        verdicts = trial.directory / VERDICTS
        outcome.verdicts = len(verdicts.read_text().splitlines()) if verdicts.is_file() else 0
        account = goodput.read(trial.directory)
        outcome.goodput = account.goodput
        outcome.lost = sum(seconds for *_, seconds in outcome.recoveries) + account.seconds.get(goodput.Kind.LOST, 0.0)
    else:
        outcome.wrong = f"code {code}: {trial.said()}"
    if outcome.bit_equal:
        shutil.rmtree(trial.directory)
    return outcome


class _Trial:
    """One run, under a supervisor of its own."""

    def __init__(self, trials: Trials, planned: Sequence[Fault], directory: Path, programs: Path):
        self._trials, self.directory, self.programs = trials, directory, programs
        struck = [fault.flip for fault in planned if fault.kind is Kind.FLIP]
        if Kind.FLIP in trials.kinds:
            # A flip that never comes makes the program the same in all trials.
            told = json.dumps([asdict(flip) for flip in struck or [Flip("weights", sys.maxsize, 0)]])
            self._environment = os.environ | {flips.VARIABLE: told}
        else:
            self._environment = {**os.environ}
        shutil.rmtree(directory, ignore_errors=True)
        self.place = supervisor.place_of(directory)
        shutil.rmtree(self.place, ignore_errors=True)
        directory.parent.mkdir(parents=True, exist_ok=True)
        self._output = directory.parent / f"{directory.name}.log"
        self._output.unlink(missing_ok=True)
        self._begun, self.seconds = time.monotonic(), 0.0
        self.process = self._start(resume=False)

    def _start(self, resume: bool) -> subprocess.Popen:
        trials = self._trials
        words = [str(trials.recipe), "--supervise", str(trials.processes), "--out", str(self.directory)]
        settings = (*trials.settings, f"schedule.steps={trials.steps}")
        if Kind.FLIP in trials.kinds:  # of each step, every gradient is made twice
            settings += (f"shards={trials.processes}", "audit_every=1")
        words += [word for setting in settings for word in ("--set", setting)]
        words += ["--silence", str(trials.silence), "--programs", str(self.programs)]
        words += ["--mesh", trials.mesh] if trials.mesh else []
        words += ["--resume"] if resume else []
        with self._output.open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "tejat", "train", *words],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self._environment,
                start_new_session=True,  # Ctrl-C is for the trials: they end their runs themselves
            )

    def again(self) -> None:
        """The supervisor has been told to end, or was killed: another one follows."""
        if self.process.wait(timeout=self._trials.patience) == 0:
            return
        time.sleep(AGAIN)
        self.process = self._start(resume=True)

    def over(self) -> bool:
        return self.process.poll() is not None or time.monotonic() - self._begun > self._trials.patience

    def wait(self) -> int | str:
        """The exit code; a trial that takes too long, or is interrupted, is ended."""
        try:
            left = max(0.0, self._begun + self._trials.patience - time.monotonic())
            code: int | str = self.process.wait(timeout=left)
        except subprocess.TimeoutExpired:
            code = "none in time"
        finally:
            if self.process.poll() is None:
                os.kill(self.process.pid, signal.SIGKILL)
                self.process.wait()
            self.seconds = time.monotonic() - self._begun
            shutil.rmtree(self.place, ignore_errors=True)
        return code

    def said(self) -> str:
        lines = self._output.read_text(errors="replace").splitlines()
        return lines[-1] if lines else "it said nothing"

    def recovery(self, fault: Fault, at: float) -> list[tuple[Kind, bool, float]]:
        """How long it took until a step was made again; empty where nothing had stopped."""
        told = [event for event in events.read(self.directory / "surviving") if event["at"] >= at]
        back = next((event for event in told if event["event"] == "stepping"), None)
        if back is None:
            return []
        if fault.kind in LATE:
            at = next(event["at"] for event in told if event["event"] == "fault")
        memory = [event["memory"] for event in told if event["event"] == "generation" and event["at"] <= back["at"]]
        return [(fault.kind, memory[-1], back["at"] - at)]


def result(directory: Path, steps: int) -> dict[str, Any]:
    """All of a finished run that must not depend on what happened to it."""
    model = hashlib.sha256((directory / "model" / "model.safetensors").read_bytes()).hexdigest()
    lines = [json.loads(line) for line in (directory / "log.jsonl").read_text().splitlines()]
    clocks = ("seconds", "tokens_per_s")
    (facts,) = (directory / "checkpoints" / str(steps)).rglob("facts/metadata")
    kept = json.loads(facts.read_text())
    standing = kept["facts"]
    return {
        "parameters": model,
        "state": kept["sums"],
        "log": [{name: value for name, value in line.items() if name not in clocks} for line in lines],
        "samples": {name: standing[name] for name in ("step", "tokens", "documents", "position")},
    }


def summary(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """As `tejat chaos --json` tells it. Seconds are null where nothing had to recover."""
    recoveries = [each for outcome in outcomes for each in outcome.recoveries]
    injected = [fault for outcome in outcomes for fault in outcome.done]
    survived = [outcome for outcome in outcomes if outcome.survived]
    lost = sum(outcome.lost for outcome in survived) / max(1, sum(len(outcome.done) for outcome in survived))
    return {
        "schedules": len(outcomes),
        "survived": len(survived),
        "bit_equal": sum(outcome.bit_equal for outcome in outcomes),
        "faults": len(injected),
        "verdicts": sum(outcome.verdicts for outcome in outcomes),
        "faults_by_kind": {kind: sum(fault.kind == kind for fault in injected) for kind in Kind},
        "recovery_s_p50": _quantile([s for _, _, s in recoveries], 0.5),
        "recovery_s_p99": _quantile([s for _, _, s in recoveries], 0.99),
        "recovery_from_memory_s_p50": _quantile([s for _, memory, s in recoveries if memory], 0.5),
        "recovery_s_by_kind": {k: _quantile([s for kind, _, s in recoveries if kind == k], 0.5) for k in Kind},
        "goodput": statistics.mean(outcome.goodput for outcome in survived) if survived else None,
        "lost_s_per_fault": lost,
        "goodput_at_one_fault_per_600_s": 600 / (600 + lost),
    }


def _quantile(values: Sequence[float], share: float) -> float | None:
    """The smallest value that so large a share of them does not exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)] if values else None


def _said(outcome: Outcome) -> str:
    what = "same to the bit" if outcome.bit_equal else f"LOST: {outcome.wrong}"
    times = ", ".join(f"{kind} {seconds:.1f} s" for kind, _, seconds in outcome.recoveries)
    late = len(outcome.planned) - len(outcome.done)
    more = f"; {late} came after the end" if late else ""
    return f"schedule {outcome.seed}: {what}; recovered from {times or 'nothing'}{more}; {outcome.seconds:.0f} s"
