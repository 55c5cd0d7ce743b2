"""Trials of a supervised run: one unharmed, and then one for every schedule of faults, which must come to the same.

Of a run that was harmed are compared, with the unharmed one's, to the bit: the parameters; checksums of the whole
state, the optimizer's too; the losses of every line of the log; how many tokens and documents it saw, and its place in
the data, row by row. So no sample was passed over or seen twice.

Where a machine was lost for good and fewer processes went on, sums are made in another order, unless the recipe's
`shards` fixes it. Samples must be the same all the same, and losses and parameters within a tolerance (`shrunken`).
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tejat.errors import BadInput
from tejat.parts import write_whole
from tejat.train import goodput
from tejat.train import mesh as meshes
from tejat.train.auditing import flips
from tejat.train.auditing.auditor import VERDICTS
from tejat.train.auditing.flips import Flip
from tejat.train.surviving import events, faults, supervisor
from tejat.train.surviving.exclusive import held
from tejat.train.surviving.faults import Fault, Injector, Kind, Over
from tejat.train.surviving.outcomes import Outcome, Record, Recovery, Shrunken
from tejat.train.surviving.programs import sources

LATE = (Kind.SLOW, Kind.DISK)
"""Faults that stop nothing at once, or at all: their recovery counts from when something fails."""
AGAIN = 2.0
"""Seconds after which a supervisor that was killed is started again, as a service manager does."""
LEASHED = (
    "from tejat.train.surviving import leash; leash.die_with_parent(); "
    "import sys; from tejat.cli import main; sys.exit(main())"
)
"""A `tejat` that ends with the trials, however these end."""


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
      standby: the next processes are ready before the ones that train fail.
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
    standby: bool = False

    def to_json(self) -> dict[str, Any]:
        """What trials must have in common to be told of together."""
        told = {name: getattr(self, name) for name in ("mesh", "processes", "steps", "most", "standby")}
        return told | {"recipe": self.recipe.name, "settings": list(self.settings), "kinds": list(map(str, self.kinds))}

    @property
    def may_shrink(self) -> bool:
        """Can fewer processes go on? Audits, where there are flips, want two at least."""
        sizes = meshes.parse(self.mesh).values()
        left = 2 if Kind.FLIP in self.kinds else 1
        return self.processes > left and all(size in (1, self.processes) for size in sizes)


def run(
    trials: Trials,
    seeds: Iterable[int],
    place: Path,
    *,
    until: float | None = None,
    told: Callable[[str], None] = lambda line: None,
) -> Iterator[list[Outcome]]:
    """Tries the schedule of each seed that was not tried in `place` before. Gives the outcomes of all that were, with
    those of earlier calls: at once, and then after every schedule. With `until`, a time of `time.monotonic`, no other
    trial begins after it. Runs that came to something else stay in `place`; the rest is removed. Whoever closes the
    iterator ends the trial that is being made.

    Raises BadInput for a schedule that is impossible, for a `place` of other trials, and where the unharmed run fails.
    """
    if trials.steps < trials.most + 4:
        raise BadInput(f"{trials.most} faults want a run of {trials.most + 4} steps at least; it has {trials.steps}")
    if Kind.LOSS in trials.kinds and not trials.may_shrink:
        told = f"of {trials.processes} processes with the mesh {trials.mesh} fewer cannot go on"
        raise BadInput(f"{told}; leave the fault `loss` out, or give --processes 4 and --mesh data=4")
    place.mkdir(parents=True, exist_ok=True)
    with held(place / "trying", f"other trials are made in {place}; wait for them, or give another --out"):
        record = Record(place, trials.to_json())
        yield record.outcomes
        for seed in seeds:
            if until is not None and time.monotonic() > until:
                break
            if seed in record.seeds:
                continue
            wanted = _unharmed(trials, place, told)
            planned = faults.schedule(seed, trials.steps, trials.processes, trials.most, trials.kinds)
            told(f"schedule {seed}: " + ", ".join(f"{each.kind} of {each.rank} after {each.step}" for each in planned))
            outcome = _tried(trials, seed, planned, place, wanted["result"])
            outcome.load, outcome.sources = os.getloadavg()[0], wanted["version"]
            record.add(outcome)
            told(_said(outcome))
            yield record.outcomes


def _unharmed(trials: Trials, place: Path, told: Callable[[str], None]) -> dict[str, Any]:
    """What a run comes to that nothing happens to, and of which version of the sources it is: once for each version."""
    version = hashlib.sha256(f"{sources()} {trials.recipe.read_text()}".encode()).hexdigest()[:12]
    kept = place / "unharmed.json"
    model = place / "unharmed" / "model"
    if kept.is_file() and model.is_dir() and (found := json.loads(kept.read_text()))["version"] == version:
        return found
    shutil.rmtree(place / "programs", ignore_errors=True)
    told("the unharmed run begins")
    with closing(_Trial(trials, [], place / "unharmed", place / "programs")) as unharmed:
        if (code := unharmed.wait()) != 0:
            raise BadInput(
                f"the unharmed run ends with code {code}: {unharmed.said()}; mend the recipe or its settings"
            )
    told(f"the unharmed run took {unharmed.seconds:.0f} s")
    found = {"version": version, "result": result(unharmed.directory, trials.steps)}
    write_whole(kept, json.dumps(found).encode())
    return found


def _tried(trials: Trials, seed: int, planned: list[Fault], place: Path, wanted: dict[str, Any]) -> Outcome:
    outcome = Outcome(seed, planned)
    with closing(_Trial(trials, planned, place / f"schedule-{seed}", place / "programs")) as trial:
        injector = Injector(
            trial.directory,
            trial.place,
            trial.programs,
            supervisor=lambda: trial.process.pid,
            begin_again=trial.again,
            over=trial.over,
        )
        last: tuple[Fault, float] | None = None  # that came so late that no step was made after it
        for fault in planned:
            try:
                at = injector.inject(fault)
            except Over as over:
                if over.struck is not None:
                    last = fault, over.struck
                break
            outcome.done.append(fault)
            outcome.recoveries += trial.recovery(fault, at)
        code = trial.wait()
    outcome.seconds = trial.seconds
    outcome.survived = code == 0
    shrank = any(event["event"] == "shrunk" for event in events.read(trial.directory / "surviving"))
    if last is not None and (shrank or last[0].kind is not Kind.LOSS):  # else all was done when the machine was lost
        outcome.done.append(last[0])
    if code == 0:
        found = result(trial.directory, trials.steps)
        if judge(outcome, [name for name in wanted if found[name] != wanted[name]], shrank):
            outcome.shrunk = shrunken(found, wanted, trial.directory, place / "unharmed")
        verdicts = trial.directory / VERDICTS
        outcome.verdicts = len(verdicts.read_text().splitlines()) if verdicts.is_file() else 0
        account = goodput.read(trial.directory)
        outcome.goodput = account.goodput
        if last is not None:
            outcome.recoveries += to_the_end(trial.directory, *last)
        again = account.seconds[goodput.Kind.LOST] + account.seconds[goodput.Kind.REPLAY]
        outcome.lost = sum(recovery.seconds for recovery in outcome.recoveries) + again
    else:
        outcome.wrong = f"code {code}: {trial.said()}"
    if outcome.kept:
        shutil.rmtree(trial.directory)
    return outcome


def judge(outcome: Outcome, differ: Sequence[str], shrank: bool) -> bool:
    """Says of a run that ended well what is wrong with it: what of its result is another than the unharmed run's
    (`differ`), and a world that shrank where no machine was lost for good, or did not where one was. Gives back whether
    a tolerance is its measure, and not bits."""
    lost = any(fault.kind is Kind.LOSS for fault in outcome.done)
    wrong = [*differ]
    if shrank and not lost:
        wrong.append("fewer processes went on, though no machine was lost for good")
    if lost and not shrank:
        wrong.append("a machine was lost for good, and no fewer processes went on")
    outcome.bit_equal, outcome.wrong = not wrong, ", ".join(wrong)
    return shrank and lost


class _Trial:
    """One run, under a supervisor of its own."""

    def __init__(self, trials: Trials, planned: Sequence[Fault], directory: Path, programs: Path):
        self._trials, self.directory, self.programs = trials, directory, programs
        struck = [fault.flip for fault in planned if fault.kind is Kind.FLIP]
        self._alone = any(fault.kind is Kind.LOSS for fault in planned)
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
        spares: list[str] = []
        if Kind.FLIP in trials.kinds:  # of each step, every gradient is made twice
            settings += (f"shards={trials.processes}", "audit_every=1")
            # Who errs twice is taken out: without another in its place fewer would go on, to other bits.
            spares = ["--spares", str(2 * trials.most)]
        if self._alone:
            spares = ["--spares", "0"]
        words += [word for setting in settings for word in ("--set", setting)]
        words += ["--silence", str(trials.silence), "--programs", str(self.programs)]
        words += ["--mesh", trials.mesh] if trials.mesh else []
        words += ["--resume"] * resume + ["--standby"] * trials.standby + spares
        with self._output.open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "-c", LEASHED, "train", *words],
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
        """The exit code; a trial that takes too long is ended."""
        try:
            left = max(0.0, self._begun + self._trials.patience - time.monotonic())
            return self.process.wait(timeout=left)
        except subprocess.TimeoutExpired:
            return "none in time"
        finally:
            self.seconds = time.monotonic() - self._begun

    def close(self) -> None:
        """Ends the run where it still runs, and frees its memory."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
            if (lock := self.directory / "surviving" / "working").is_file():
                with lock.open() as working:  # held by processes, which are about to end with their supervisor
                    fcntl.flock(working, fcntl.LOCK_EX)
        shutil.rmtree(self.place, ignore_errors=True)

    def said(self) -> str:
        lines = self._output.read_text(errors="replace").splitlines()
        return lines[-1] if lines else "it said nothing"

    def recovery(self, fault: Fault, at: float) -> list[Recovery]:
        return until_steps(self.directory, fault, at)


def until_steps(directory: Path, fault: Fault, at: float) -> list[Recovery]:
    """How long it took from a fault until a step was made again; empty where nothing has stopped or gone on yet."""
    told = [event for event in events.read(directory / "surviving") if event["at"] >= at]
    begun = None
    for event in told:
        if event["event"] == "generation":
            begun = event
        elif event["event"] == "stepping" and begun is not None:  # else it is of the generation that was struck
            if fault.kind in LATE:
                at = next((each["at"] for each in told if each["event"] == "fault"), at)
            return [Recovery(fault.kind, begun["memory"], event["at"] - at, event["cpu"], at)]
    return []


def to_the_end(directory: Path, fault: Fault, struck: float) -> list[Recovery]:
    """What a fault cost after which no step was made again, of a run that has ended well: the time from it, or from the
    last step where that came later, to the end. Empty where nothing failed."""
    told = [event for event in events.read(directory / "surviving") if event["at"] >= struck]
    begun = [event for event in told if event["event"] == "generation"]
    if not begun:
        return []
    stepped = [stretch.end for stretch in goodput.read(directory).processes[0] if stretch.steps]
    at = max([struck, *stepped])
    return [Recovery(fault.kind, begun[-1]["memory"], told[-1]["at"] - at, None, at)]


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


def shrunken(found: dict[str, Any], wanted: dict[str, Any], directory: Path, unharmed: Path) -> Shrunken:
    """How far a run that fewer processes ended is from the unharmed one."""
    from safetensors.numpy import load_file

    lines = list(zip(found["log"], wanted["log"], strict=False))
    same = len(found["log"]) == len(wanted["log"]) and found["samples"] == wanted["samples"]
    same &= all(here[name] == there[name] for here, there in lines for name in there if name.endswith("_count"))
    losses = [(here[name], there[name]) for here, there in lines for name in there if name.endswith("_loss")]
    off = float(np.max([0.0, *(abs(here - there) for here, there in losses if there is not None)]))  # NaN stays
    ours, theirs = (load_file(path / "model" / "model.safetensors") for path in (directory, unharmed))
    apart = sum(float(np.square(ours[name].astype(float) - theirs[name]).sum()) for name in theirs)
    size = sum(float(np.square(theirs[name].astype(float)).sum()) for name in theirs)
    return Shrunken(same, off, (apart / size) ** 0.5)


def _said(outcome: Outcome) -> str:
    what = "same to the bit" if outcome.bit_equal else f"LOST: {outcome.wrong}"
    if outcome.shrunk is not None:
        what = "within" if outcome.kept else "LOST: not within"
        off, apart = outcome.shrunk.loss, outcome.shrunk.parameters
        what = f"fewer went on, {what} tolerance: losses {off:.1e} nats off, parameters {apart:.1e}"
    times = ", ".join(f"{each.kind} {each.seconds:.1f} s" for each in outcome.recoveries)
    late = len(outcome.planned) - len(outcome.done)
    more = f"; {late} came after the end" if late else ""
    return f"schedule {outcome.seed}: {what}; recovered from {times or 'nothing'}{more}; {outcome.seconds:.0f} s"
