"""Supervised runs from outside: real processes, killed, stopped and robbed, come to what they would have come to."""

import json
import multiprocessing
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence, Set
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from tejat.train.auditing import auditor
from tejat.train.auditing.flips import VARIABLE
from tejat.train.guards import Phase
from tejat.train.surviving import chaos, copies, events, pulse, standby, supervisor, watching
from tejat.train.surviving.copies import Slots
from tejat.train.surviving.worker import Go

RECIPE = Path(__file__).parents[1] / "smallest.py"
QUICKEST = Path(__file__).with_name("quickest.py")
SETTINGS = ("room.rows=8", "log_every=3", "save_every=12", "copy_every=2", "schedule.steps=12")


class Run:
    """`tejat train --supervise`, in a process of its own."""

    def __init__(
        self,
        directory: Path,
        processes: int,
        *words: str,
        flips: list[dict] | None = None,
        before: Sequence[str] = (),
        recipe: Path = RECIPE,
    ):
        self._before = before
        self._flips = {} if flips is None else {VARIABLE: json.dumps(flips)}
        self.directory, self.place = directory, supervisor.place_of(directory)
        self._words = [str(recipe), "--out", str(directory), "--supervise", str(processes), *words]
        self._words += [] if "--silence" in words else ["--silence", "10"]
        self._words[1:1] = [word for setting in SETTINGS for word in ("--set", setting)]
        self.process = self.begin()

    def begin(self, *words: str) -> subprocess.Popen:
        environment = os.environ | {"JAX_PLATFORMS": "cpu"} | self._flips
        command = [*self._before, sys.executable, "-m", "tejat", "train", *self._words, *words]
        self.process = subprocess.Popen(command, env=environment, stdout=-1, stderr=-1, text=True)
        return self.process

    def reached(self, rank: int, step: int) -> pulse.Beat:
        """The heartbeat of a process when it has made so many steps."""
        deadline = time.monotonic() + 900
        while time.monotonic() < deadline and self.process.poll() is None:
            beat = pulse.read(self.place / f"pulse-{rank}")
            if beat is not None and beat.done >= step:
                return beat
            time.sleep(0.01)
        raise AssertionError(self.process.communicate()[1])

    def ended(self) -> tuple[int, str]:
        output, errors = self.process.communicate(timeout=900)
        return self.process.returncode, output + errors

    def events(self) -> list[dict]:
        return events.read(self.directory / "surviving")


@pytest.fixture(scope="module")
def programs(tmp_path_factory) -> tuple[str, str]:
    """All runs find there what one has compiled."""
    return "--programs", str(tmp_path_factory.mktemp("programs"))


@pytest.fixture(scope="module")
def alone(tmp_path_factory, programs) -> dict:
    """What one supervised process comes to that nothing happens to."""
    run = Run(tmp_path_factory.mktemp("alone") / "run", 1, *programs)
    assert run.ended()[0] == 0
    assert not run.place.exists()  # nothing is left in shared memory
    return chaos.result(run.directory, 12)


def test_a_process_that_is_killed_goes_on_from_memory_to_the_same_bits(alone, programs, tmp_path):
    run = Run(tmp_path / "run", 1, *programs)
    run.reached(0, 0)
    second = subprocess.run(run.process.args, capture_output=True, text=True)
    assert second.returncode == 2 and "is being trained" in second.stderr
    os.kill(run.reached(0, 4).process, signal.SIGKILL)
    code, told = run.ended()
    assert code == 0, told
    assert "process 0 was ended by SIGKILL; starting again" in told
    begun = [event for event in run.events() if event["event"] == "generation"]
    assert [event["memory"] for event in begun] == [False, True] and begun[1]["step"] >= 2
    assert chaos.result(run.directory, 12) == alone


@pytest.mark.slow
def test_without_copies_all_is_made_again_that_is_newer_than_a_checkpoint(alone, programs, tmp_path):
    """The control of the test above: it is the copies that save the work."""
    run = Run(tmp_path / "run", 1, *programs, "--set", "copy_every=0")
    os.kill(run.reached(0, 4).process, signal.SIGKILL)
    code, told = run.ended()
    assert code == 0, told
    begun = [(event["step"], event["memory"]) for event in run.events() if event["event"] == "generation"]
    assert begun == [(0, False), (0, False)]
    assert chaos.result(run.directory, 12) == alone


@pytest.mark.slow
def test_what_no_restart_can_mend_ends_the_run(tmp_path):
    (tmp_path / "fails.py").write_text(
        f"import runpy\nfrom dataclasses import replace\nRECIPE = runpy.run_path({str(RECIPE)!r})['RECIPE']\n"
        "RECIPE = replace(RECIPE, documents=lambda framing, recipe: 1 / 0)\n"
    )
    words = ["train", str(tmp_path / "fails.py"), "--out", str(tmp_path / "run"), "--supervise", "1"]
    done = subprocess.run([sys.executable, "-m", "tejat", *words], capture_output=True, text=True, timeout=200)
    assert done.returncode == 1 and done.stdout == ""
    last = done.stderr.splitlines()[-1]
    assert "3 generations in a row ended before their first step" in last and "ZeroDivisionError" in last
    assert "see" in last and "--resume" in last


@pytest.fixture(scope="module")
def together(tmp_path_factory, programs) -> dict:
    """What four processes come to that nothing happens to."""
    run = Run(tmp_path_factory.mktemp("together") / "run", 4, *programs)
    assert run.ended()[0] == 0
    return chaos.result(run.directory, 12)


@pytest.mark.slow
def test_four_processes_survive_the_first_being_killed_and_another_hanging(together, programs, tmp_path):
    run = Run(tmp_path / "run", 4, *programs)
    os.kill(run.reached(0, 3).process, signal.SIGKILL)
    time.sleep(1)
    os.kill(run.reached(2, 7).process, signal.SIGSTOP)
    code, told = run.ended()
    assert code == 0 and "process 0 was ended by SIGKILL" in told and "process 2 hangs" in told
    assert chaos.result(run.directory, 12) == together


@pytest.mark.slow
def test_a_supervisor_that_is_killed_takes_its_processes_along_and_another_goes_on(together, programs, tmp_path):
    run = Run(tmp_path / "run", 4, *programs)
    workers = [run.reached(rank, 3).process for rank in range(4)]
    os.kill(workers[1], signal.SIGSTOP)  # one that could not notice
    run.process.kill()
    run.process.communicate()
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{number}").exists() for number in workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(Path(f"/proc/{number}").exists() for number in workers)
    run.begin("--resume")
    code, told = run.ended()
    assert code == 0, told
    assert [event["memory"] for event in run.events() if event["event"] == "generation"] == [False, True]
    assert chaos.result(run.directory, 12) == together


@pytest.mark.slow
def test_a_damaged_checkpoint_is_set_aside_and_the_one_before_serves(together, programs, tmp_path):
    run = Run(tmp_path / "run", 4, *programs, "--set", "save_every=3")
    run.reached(0, 8)
    run.process.kill()
    run.process.communicate()
    shutil.rmtree(run.place)
    kept = [path for path in (run.directory / "checkpoints").iterdir() if path.name.isdigit()]
    newest = max(kept, key=lambda path: int(path.name))
    for path in (path for path in newest.rglob("*") if path.is_file() and "ocdbt.process" in str(path)):
        path.write_bytes(bytes(byte ^ 1 for byte in path.read_bytes()))
    run.begin("--resume")
    code, told = run.ended()
    assert code == 0 and f"the damaged checkpoint of step {newest.name} is set aside" in told
    (aside,) = (run.directory / "surviving" / "damaged").iterdir()
    assert aside.name.startswith(f"{newest.name}-")
    assert chaos.result(run.directory, 12) == together


@pytest.mark.slow
def test_a_full_disk_of_one_process_is_known_at_once_and_the_run_goes_on_from_memory(together, programs, tmp_path):
    run = Run(tmp_path / "run", 4, *programs, "--set", "save_every=4")
    resource.prlimit(run.reached(2, 2).process, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
    code, told = run.ended()
    assert code == 0, told
    assert "process 2 cannot write its part of a checkpoint: see its disk, and its log; starting again" in told
    begun = [event for event in run.events() if event["event"] == "generation"]
    assert [event["memory"] for event in begun] == [False, True] and begun[1]["step"] >= 4
    first = next(event for event in run.events() if event["event"] == "stepping")
    assert begun[1]["at"] - first["at"] < 60  # nobody waited for it in vain
    assert chaos.result(run.directory, 12) == together


@pytest.mark.slow
def test_a_file_system_that_is_full_holds_the_run_up_until_there_is_room(programs, tmp_path):
    """ENOSPC for all processes at once: the run lies on a file system of its own, which is filled and emptied."""
    (disk := tmp_path / "disk").mkdir()
    mounted = 'mount -t tmpfs -o size=32m tmpfs "$0" && { "$@"; code=$?; cp -r "$0/run" "$0-kept"; exit $code; }'
    own = ["unshare", "-rm", "sh", "-c", mounted, str(disk)]
    if subprocess.run([*own[:3], "-c", f"mount -t tmpfs tmpfs {disk}"], capture_output=True).returncode:
        pytest.skip("this system mounts nothing for its users")
    unharmed = Run(tmp_path / "unharmed", 2, *programs, recipe=QUICKEST)
    assert unharmed.ended()[0] == 0
    run = Run(disk / "run", 2, *programs, "--set", "save_every=4", before=own, recipe=QUICKEST)
    run.place = run.place.with_name(run.place.name.replace(f"-{os.getuid()}-", "-0-"))  # who it is in there
    before = {run.reached(rank, 2).process for rank in range(2)}
    filling = Path(f"/proc/{run.process.pid}/root", *disk.parts[1:], "filling")
    with filling.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left on device"):
        while True:
            file.write(bytes(4096))
    begun(run.place / "pulse-0", Phase.STEPPING, before)  # they have failed, and are begun again
    filling.unlink()
    code, told = run.ended()
    assert code == 0, told
    assert "starting again" in told
    kept = tmp_path / "disk-kept"
    assert [event["memory"] for event in events.read(kept / "surviving") if event["event"] == "generation"][1]
    assert chaos.result(kept, 12) == chaos.result(unharmed.directory, 12)


@pytest.mark.slow
def test_sigterm_saves_and_leaves_and_the_run_goes_on(together, programs, tmp_path):
    run = Run(tmp_path / "run", 4, *programs)
    worker = run.reached(0, 3).process
    forking = int(Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()[1])
    for process in (forking, run.process.pid):  # as where it is sent to all processes of a job
        os.kill(process, signal.SIGTERM)
    code, told = run.ended()
    assert code == 130 and "go on with: tejat train" in told
    assert not run.place.exists()
    saved = [int(path.name) for path in (run.directory / "checkpoints").iterdir() if path.name.isdigit()]
    assert saved and 3 <= max(saved) < 12
    run.begin("--resume")
    assert run.ended()[0] == 0
    assert chaos.result(run.directory, 12) == together


@pytest.mark.slow
def test_without_spares_fewer_processes_go_on_nearly_to_the_same(together, programs, tmp_path):
    run = Run(tmp_path / "run", 4, *programs, "--spares", "0")
    os.kill(run.reached(3, 5).process, signal.SIGKILL)
    code, told = run.ended()
    assert code == 0 and "no spare is left: 2 processes go on" in told
    found = chaos.result(run.directory, 12)
    assert found["samples"] == together["samples"]
    for here, there in zip(found["log"], together["log"], strict=True):
        assert here["text_loss"] == pytest.approx(there["text_loss"], abs=1e-3)


@pytest.mark.slow
def test_a_spare_takes_the_place_of_a_machine(together, programs, tmp_path):
    run = Run(tmp_path / "run", 4, *programs, "--spares", "1")
    os.kill(run.reached(1, 5).process, signal.SIGKILL)
    code, told = run.ended()
    assert code == 0 and "machine 1 is replaced by a spare; 0 left" in told
    assert [event["domains"] for event in run.events() if event["event"] == "generation"][-1] == [0, 4, 2, 3]
    assert chaos.result(run.directory, 12) == together


@pytest.mark.slow
def test_a_machine_that_lies_again_and_again_is_taken_out_and_the_run_goes_on_from_clean_state(programs, tmp_path):
    words = (*programs, "--set", "shards=4", "--set", "audit_every=2", "--spares", "1")
    unharmed = Run(tmp_path / "unharmed", 4, *words, flips=[], recipe=QUICKEST)
    assert unharmed.ended()[0] == 0
    bad = {"site": "gradients", "step": 5, "bit": 18, "leaf": 1, "index": 1, "lasting": True, "machine": 2}
    run = Run(tmp_path / "run", 4, *words, flips=[bad], recipe=QUICKEST)
    code, told = run.ended()
    assert code == 0, told
    assert "process 2) computes wrongly, first at step" in told and "machine 2 is replaced by a spare; 0 left" in told
    begun = [(event["memory"], event["domains"]) for event in run.events() if event["event"] == "generation"]
    assert begun == [(False, [0, 1, 2, 3]), (True, [0, 1, 4, 3])]
    verdicts = [json.loads(line) for line in (run.directory / auditor.VERDICTS).read_text().splitlines()]
    assert [(one["verdict"], one["process"], one["at"]) for one in verdicts] == [("persistent", 2, 5)]
    assert chaos.result(run.directory, 12) == chaos.result(unharmed.directory, 12)


@pytest.mark.slow
def test_processes_that_stand_by_take_over_twice_and_are_gone_at_the_end(together, programs, tmp_path):
    run = Run(tmp_path / "run", 4, *programs, "--standby", "--silence", "300")
    trained = []
    for step in (3, 7):
        before = {run.reached(rank, step).process for rank in range(4)}
        stopped = pulse.read(run.place / "pulse-1").process
        os.kill(stopped, signal.SIGSTOP)  # so that the others have time to get ready
        ready = [begun(run.place / standby.NAME.format(rank), Phase.WAITING) for rank in range(4)]
        os.kill(stopped, signal.SIGKILL)
        taken = [begun(run.place / f"pulse-{rank}", Phase.STEPPING, before) for rank in range(4)]
        assert taken == ready
        trained += ready
    code, told = run.ended()
    assert code == 0, told
    assert not any(Path(f"/proc/{number}").exists() for number in trained) and not run.place.exists()
    assert chaos.result(run.directory, 12) == together


def begun(path: Path, phase: Phase, not_yet: Set[int] = frozenset()) -> int:
    """The process that beats there, once it is at this."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        beat = pulse.read(path)
        if beat is not None and beat.phase is phase and beat.process not in not_yet:
            return beat.process
        time.sleep(0.01)
    raise AssertionError(f"nobody is {phase} at {path}")


BEATING = """
import sys, time
from pathlib import Path
from tejat.train.surviving import pulse
pulse.Pulse(Path(sys.argv[1])).enter(pulse.Phase.STEPPING)
time.sleep(100)
"""


def test_a_process_that_is_kept_from_running_is_told_of(tmp_path, monkeypatch):
    """Real hearts beat; one of them is stopped for most of the time."""
    monkeypatch.setattr(supervisor, "STRAGGLERS", 1.0)
    monkeypatch.setattr(watching, "TICK", 0.02)  # a second is long enough
    told: list[str] = []
    task = supervisor.Supervised(RECIPE, (), tmp_path / "run", 2, state_bytes=1, copy_every=2, rows=8)
    watched = supervisor.Supervisor(task, told.append, print, tmp_path / "place")
    pulses = [tmp_path / "place" / f"pulse-{rank}" for rank in range(2)]
    beating = [subprocess.Popen([sys.executable, "-c", BEATING, str(path)]) for path in pulses]

    def of_rank_1() -> list[dict]:
        return [each for each in events.read(tmp_path / "run" / "surviving") if each["event"] == "straggler"]

    def slowed() -> None:
        deadline = time.monotonic() + 60
        while not of_rank_1() and time.monotonic() < deadline:
            for number, seconds in ((signal.SIGSTOP, 0.5), (signal.SIGCONT, 0.1)):
                beating[1].send_signal(number)
                time.sleep(seconds)
        for each in beating:
            each.kill()

    try:
        for path in pulses:
            begun(path, Phase.STEPPING)
        slowing = threading.Thread(target=slowed)
        slowing.start()
        ended = watched._watched([Child(each) for each in beating], pulses, 0, 0.0)
        slowing.join()
    finally:
        for each in beating:
            each.kill()
            each.wait()
    assert "was ended by SIGKILL" in ended.why
    (slow,) = of_rank_1()
    assert slow["rank"] == 1 and slow["share"] > 0.3 and slow["share"] > 2 * slow["usual"]
    assert told == [f"process 1 did not run for {slow['share']:.0%} of the time, the others {slow['usual']:.0%}"]


class Child:
    """A process of `subprocess` as the supervisor looks at those of `multiprocessing`."""

    def __init__(self, process: subprocess.Popen):
        self._process, self.sentinel = process, os.pidfd_open(process.pid)

    @property
    def exitcode(self) -> int | None:
        return self._process.poll()


def test_those_that_are_not_ready_do_not_take_over(tmp_path):
    """The one that died may be of the very machine that failed; the other has not loaded the step yet."""
    beating = pulse.Pulse(tmp_path / "standby-0")
    alive, dead = SimpleNamespace(exitcode=None), SimpleNamespace(exitcode=-9)
    go, receiver, sender = Go((0,), ()), *multiprocessing.Pipe(duplex=False)
    try:
        for process, phase in ((alive, Phase.COMPILING), (dead, Phase.WAITING)):
            beating.enter(phase)
            ready = standby.Standby([process], [tmp_path / "standby-0"], [sender], None)
            assert not ready.take_over(go, None, [tmp_path / "pulse-0"])
        ready = standby.Standby([alive], [tmp_path / "standby-0"], [sender], None)
        assert not ready.take_over(go, "data=1", [tmp_path / "pulse-0"])  # of another mesh
        assert not ready.take_over(go, None, [tmp_path / "pulse-0", tmp_path / "pulse-1"])  # too few
        assert ready.take_over(go, None, [tmp_path / "pulse-0"]) and receiver.recv() == go
        assert pulse.read(tmp_path / "pulse-0").phase is Phase.WAITING
    finally:
        beating.close()


def test_events_survive_a_cut_line(tmp_path):
    told = events.Events(tmp_path)
    told.tell("generation", step=3)
    with (tmp_path / events.NAME).open("a") as file:
        file.write('{"at": 1, "eve')
    events.Events(tmp_path).tell("done")
    assert [event["event"] for event in events.read(tmp_path)] == ["generation", "done"]
    assert json.loads((tmp_path / events.NAME).read_text().splitlines()[0])["step"] == 3


def test_copies_that_another_run_left_are_not_gone_on_from(tmp_path):
    """A directory was removed, and holds another run now."""
    task = supervisor.Supervised(RECIPE, (), tmp_path / "run", 1, state_bytes=1, copy_every=2, rows=1)
    watching = supervisor.Supervisor(task, print, print, supervisor.place_of(task.directory))
    place = supervisor.place_of(task.directory)
    try:
        (task.directory / "run.json").write_text("{}")
        slots = Slots(place / "domain-0", 0, copies.laid_out([("a", (0,), (2,), "float32")]))
        slots.finish(4, 1, {}, copies.sums(slots.begin()))
        (place / "run").write_text(watching._run())
        watching._forget_others()
        assert [share.step for share in watching._chosen()] == [4]
        (task.directory / "run.json").write_text('{"seed": 1}')
        watching._forget_others()
        assert watching._chosen() == []
    finally:
        shutil.rmtree(place)


def test_machines_that_are_lost_give_way_to_spares_and_then_fewer_go_on(tmp_path):
    told: list[str] = []
    task = supervisor.Supervised(RECIPE, (), tmp_path / "run", 4, state_bytes=1, copy_every=2, rows=8)
    watching = supervisor.Supervisor(
        replace(task, spares=1, mesh="data=4"), told.append, print, supervisor.place_of(task.directory)
    )
    try:
        watching._replace(1, watching._spares)
        assert watching._domains == [0, 4, 2, 3] and watching._spares == 0 and watching._mesh == "data=4"
        verdicts = [{"verdict": "persistent", "process": 3}, {"verdict": "transient", "process": 0}]
        (task.directory / auditor.VERDICTS).write_text("".join(json.dumps(each) + "\n" for each in verdicts))
        watching._replace(watching._liar(), watching._spares)
        assert watching._domains == [0, 4] and watching._mesh == "data=2"
        assert told[-1] == "machine 3 is lost and no spare is left: 2 processes go on"
        with (task.directory / auditor.VERDICTS).open("a") as file:  # which device it was, nobody knows
            file.write(json.dumps({"verdict": "persistent", "process": None}) + "\n")
        assert watching._liar() is None
        watching._mesh = "data=1,tensor=2,fsdp=1"
        watching._replace(0, 0)
        assert watching._domains == [4]
        with pytest.raises(supervisor.GaveUp, match="machine 4 is lost, no spare is left, and fewer than 1 processes"):
            watching._replace(0, 0)
    finally:
        shutil.rmtree(supervisor.place_of(task.directory))
