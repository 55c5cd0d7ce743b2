"""Every second of a run is counted once, whatever cuts its ledger and however often steps are made again."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tejat.errors import BadInput
from tejat.train import goodput, goodput_chart
from tejat.train.goodput import Kind, Ledger


class Done:
    """Stands for an array that a device makes: there when the event is set."""

    def __init__(self):
        self.event = threading.Event()

    def block_until_ready(self):
        self.event.wait()


def lines(directory: Path) -> list[dict]:
    return [json.loads(line) for line in (directory / "goodput-0.jsonl").read_text().splitlines() if line]


def written(directory: Path, told: list[dict]) -> None:
    text = "".join(json.dumps(line) + "\n" for line in told)
    (directory / "goodput-0.jsonl").write_text(text)


def line(at: float, until: float, steps: tuple[int, int] | None = None, **seconds: float) -> dict:
    return {"at": at, "until": until, "seconds": seconds} | ({"steps": list(steps)} if steps else {})


def test_the_device_working_is_a_step_and_waiting_for_data_is_what_the_host_does(tmp_path):
    before = time.time() - 3
    ledger = Ledger(tmp_path, since=[(before, Kind.INITIALISATION), (before + 1, Kind.PREPARATION)])
    first, second = Done(), Done()
    begun = ledger.now()
    ledger.stepped(1, begun, first)
    ledger.enter(Kind.DATA_WAIT)  # hidden behind the step
    time.sleep(0.2)
    first.event.set()
    time.sleep(0.3)  # not hidden
    ledger.stepped(2, ledger.now(), second)
    ledger.enter(Kind.SAVE)  # while a step is in flight: not told before the step is done
    second.event.set()
    time.sleep(0.1)
    ledger.close()
    found = goodput.read(tmp_path)
    assert found.elapsed == pytest.approx(sum(found.seconds.values()), abs=1e-4)
    assert found.elapsed == pytest.approx(3.6, abs=0.25)
    assert found.seconds[Kind.INITIALISATION] == pytest.approx(1, abs=1e-3)
    assert found.seconds[Kind.PREPARATION] == pytest.approx(2, abs=0.1)
    assert found.seconds[Kind.STEP] == pytest.approx(0.2, abs=0.08)
    assert found.seconds[Kind.DATA_WAIT] == pytest.approx(0.3, abs=0.08)
    assert found.seconds[Kind.SAVE] == pytest.approx(0.1, abs=0.08)


def test_steps_made_again_are_lost_and_time_between_processes_is_recovery(tmp_path):
    written(
        tmp_path,
        [
            {"at": 0.0, "began": 1},
            line(0.0, 10.0, program_startup=10.0),
            {"at": 10.0, "stands": 0},
            line(10.0, 20.0, (1, 10), step=10.0),
            line(20.0, 24.0, (11, 14), step=3.0, data_loading_sync=1.0),
            {"at": 30.0, "began": 2},  # killed, and begun again six seconds later
            line(30.0, 31.0, unproductive_checkpoint_restore_time=1.0),
            {"at": 31.0, "stands": 8},
            line(31.0, 33.0, (9, 10), step=2.0),
            {"at": 33.0, "stands": 9},  # doubted, within one process
            line(33.0, 40.0, (10, 16), step=7.0),
        ],
    )
    found = goodput.read(tmp_path)
    assert found.seconds[Kind.LOST] == pytest.approx(2 + 3 + 1)
    assert found.seconds[Kind.RECOVERY] == pytest.approx(6)
    assert found.seconds[Kind.STEP] == pytest.approx(16)
    assert (found.generations, found.lost_steps) == (2, 2 + 4 + 1)
    assert found.goodput == pytest.approx(16 / 40)


@st.composite
def ledgers(draw) -> list[dict]:
    """Generations of a run that is killed anywhere and goes on from any step that it had reached."""
    told, at, reached = [], 1.7e9, 0
    for _ in range(draw(st.integers(1, 4))):
        told.append({"at": at, "began": 1})
        reached = draw(st.integers(0, reached))
        told.append({"at": at, "stands": reached})
        for _ in range(draw(st.integers(0, 5))):
            kinds = draw(st.dictionaries(st.sampled_from(list(Kind)), st.floats(0.01, 9.0), min_size=1, max_size=3))
            steps = None
            if Kind.STEP in kinds:
                steps = (reached + 1, reached + draw(st.integers(1, 20)))
                reached = steps[1]
            until = at + sum(kinds.values())
            told.append(line(at, until, steps, **{str(kind): value for kind, value in kinds.items()}))
            at = until
        at += draw(st.floats(0, 50))
    return told


@given(ledgers(), st.data())
@settings(max_examples=80, deadline=None)
def test_seconds_add_up_however_the_file_is_cut(tmp_path_factory, told, data):
    directory = tmp_path_factory.mktemp("ledger")
    written(directory, told)
    path = directory / "goodput-0.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole)))])
    try:
        found = goodput.read(directory)
    except BadInput:
        return  # not one line of time is left
    assert sum(found.seconds.values()) == pytest.approx(found.elapsed, abs=1e-3)
    assert 0 <= found.goodput <= 1
    stretches = found.processes[0]
    assert all(a.end == b.start for a, b in zip(stretches, stretches[1:], strict=False))
    # What counts are steps once each, in their order.
    steps = [stretch.steps for stretch in stretches if stretch.steps]
    assert all(a[1] + 1 == b[0] for a, b in zip(steps, steps[1:], strict=False))


def test_a_line_cut_by_a_kill_does_not_spoil_the_next_process(tmp_path):
    Ledger(tmp_path).close()
    path = tmp_path / "goodput-0.jsonl"
    path.write_bytes(path.read_bytes()[:-7])
    again = Ledger(tmp_path)
    time.sleep(0.01)
    again.close()
    assert sum("began" in json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")) == 2


def test_a_full_disk_stops_nothing_and_its_time_is_told_later(tmp_path, monkeypatch):
    ledger, room = Ledger(tmp_path), 5

    def write(file, data, real=os.write):
        nonlocal room
        taken, room = min(room, len(data)), room - min(room, len(data))
        if not taken:
            raise OSError(28, "No space left on device")
        return real(file, data[:taken])

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", write)
        ledger.stands(3)
        ledger.enter(Kind.SAVE)
        time.sleep(0.05)
        ledger.stands(4)
    time.sleep(0.01)
    ledger.close()
    found = goodput.read(tmp_path)
    assert found.seconds[Kind.SAVE] >= 0.05
    assert sum(found.seconds.values()) == pytest.approx(found.elapsed, abs=1e-4)


WRITER = """
import sys
from pathlib import Path
from tejat.train import goodput
goodput.WINDOW = 0.0

class Done:
    def block_until_ready(self):
        pass

ledger, step = goodput.Ledger(Path(sys.argv[1])), 0
print("begun", flush=True)
while True:
    step += 1
    ledger.stepped(step, ledger.now(), Done())
"""


def test_killed_at_any_moment_the_ledger_is_read(tmp_path):
    for _ in range(2):
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE)
        assert process.stdout.readline()
        time.sleep(0.1)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    found = goodput.read(tmp_path)
    assert found.generations == 2 and found.lost_steps > 0
    assert sum(found.seconds.values()) == pytest.approx(found.elapsed, abs=1e-2)


def test_a_line_costs_microseconds(tmp_path):
    ledger, steps, done = Ledger(tmp_path), 2_000, Done()
    done.event.set()
    begun = time.process_time()
    for step in range(steps):
        with ledger.spent(Kind.DATA_WAIT):
            pass
        ledger.stepped(step + 1, ledger.now(), done)
    ledger.close()
    assert (time.process_time() - begun) / steps < 300e-6  # 30 on an idle machine


def test_the_chart_is_drawn_and_a_directory_without_a_ledger_told(tmp_path):
    written(tmp_path, [{"at": 0.0, "began": 1}, line(0.0, 2.0, (1, 2), step=2.0), {"at": 3.0, "began": 2}])
    (tmp_path / "goodput-1.jsonl").write_text((tmp_path / "goodput-0.jsonl").read_text())
    goodput_chart.draw(goodput.read(tmp_path), tmp_path / "goodput.png")
    assert (tmp_path / "goodput.png").read_bytes()[:4] == b"\x89PNG"
    with pytest.raises(BadInput, match="no run with a ledger"):
        goodput.read(tmp_path / "elsewhere")
