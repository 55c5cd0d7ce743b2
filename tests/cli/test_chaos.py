"""`tejat chaos` from outside."""

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tejat.cli import chaos
from tejat.errors import BadInput
from tejat.train.surviving import pulse, supervisor

RECIPE = str(Path(__file__).parents[1] / "train" / "smallest.py")
QUICKEST = str(Path(__file__).parents[1] / "train" / "surviving" / "quickest.py")


def tejat(*words: str, seconds: float = 60) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "tejat", *words], capture_output=True, text=True, timeout=seconds)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--schedules", "0"], "--schedules, --most and --processes are numbers from 1"),
        (["--hours", "-1"], "--hours is how long to go on"),
        (["--hours", "nan"], "--hours is how long to go on"),
        (["--silence", "0"], "--silence is after how many seconds a process hangs"),
        (["--silence", "nan"], "--silence is after how many seconds a process hangs"),
        (["--processes", "3"], "8 rows cannot be shared evenly by 3 processes; give --set room.rows=9"),
        ([RECIPE, "--set", "room.rows=6"], "6 rows cannot be shared evenly by 4 processes; give --set room.rows=8"),
        (["--kinds", "kill,flood"], "there is no fault 'flood'; there are kill, hang"),
        (["--steps", "5"], "3 faults want a run of 7 steps at least; it has 5"),
    ],
)
def test_what_is_impossible_is_told_in_a_sentence(words, told):
    with pytest.raises(BadInput, match=re.escape(told)):
        chaos.main(words)


def test_it_is_told_without_a_traceback():
    done = tejat("chaos", "--kinds", "flood")
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("tejat: error: there is no fault 'flood'") and done.stderr.count("\n") == 1


def until(true: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not true():
        time.sleep(0.05)
    return true()


@pytest.mark.parametrize(
    "number",
    [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow), pytest.param(9, marks=pytest.mark.slow)],
)
def test_what_trains_ends_with_it(number, tmp_path):
    command = [sys.executable, "-m", "tejat", "chaos", RECIPE, "--processes", "2", "--out", str(tmp_path)]
    trying = subprocess.Popen(command, stdout=-1, stderr=-1, text=True)
    place = supervisor.place_of(tmp_path / "unharmed")
    assert until(lambda: all(pulse.read(place / f"pulse-{rank}") for rank in range(2)), 120)
    working = [pulse.read(place / f"pulse-{rank}").process for rank in range(2)]
    assert all(Path(f"/proc/{process}").exists() for process in working)
    trying.send_signal(number)
    output, errors = trying.communicate(timeout=60)
    assert until(lambda: not any(Path(f"/proc/{process}").exists() for process in working), 20)
    if number != 9:
        assert trying.returncode == 130 and errors.splitlines()[-1] == "tejat: stopped"
        assert output.startswith("0 schedules, 0 faults") and not place.exists()  # nothing is left in memory
    else:
        shutil.rmtree(place)


def test_a_schedule_of_three_faults_loses_nothing(tmp_path):
    """The first of two processes is killed; then the other's copy in memory is damaged; then a checkpoint is."""
    words = (QUICKEST, "--processes", "2", "--schedules", "1", "--seed", "1089")
    words += ("--steps", "24", "--set", "save_every=4")
    words += ("--kinds", "kill,memory,checkpoint", "--out", str(tmp_path), "--json")
    done = tejat("chaos", *words, seconds=600)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["schedules"] == told["bit_equal"] == 1
    injected = {kind: count for kind, count in told["faults_by_kind"].items() if count}
    assert injected == {"kill": 1, "memory": 1, "checkpoint": 1}


@pytest.mark.slow
def test_a_disk_that_is_full_at_the_last_save_stalls_nobody(tmp_path):
    words = (QUICKEST, "--processes", "2", "--schedules", "1", "--seed", "3", "--most", "1", "--kinds", "disk")
    words += ("--steps", "24", "--set", "save_every=100", "--silence", "30", "--json")
    done = tejat("chaos", *words, seconds=1500)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["bit_equal"] == told["faults_by_kind"]["disk"] == told["recoveries_from_memory"] == 1
    assert told["recovery_s_p99"] < 300  # the watch of those who wait in vain for a save ends them after 900


@pytest.mark.slow
def test_a_recipe_that_cannot_be_trained_is_told():
    done = tejat("chaos", RECIPE, "--set", "accumulate=3", seconds=200)
    assert done.returncode == 2
    assert "the unharmed run ends with code 2: tejat: error: a batch of 8 rows" in done.stderr.splitlines()[-1]


@pytest.mark.slow
def test_four_schedules_lose_nothing(tmp_path):
    words = (RECIPE, "--schedules", "4", "--seed", "11", "--steps", "20", "--out", str(tmp_path), "--json")
    words += ("--kinds", "kill,hang,slow,host,memory,checkpoint,removed,disk,save,restore,supervisor,notice,flip")
    done = tejat("chaos", *words, seconds=1800)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["schedules"] == told["survived"] == told["bit_equal"] == 4
    assert told["faults"] >= 4 and told["recovery_s_p50"] > 0 and 0 < told["goodput"] < 1
    assert len((tmp_path / "chaos.jsonl").read_text().splitlines()) == 4
    # Another call goes on from there.
    more = tejat("chaos", *words[:2], "5", *words[3:], seconds=1800)
    assert more.stderr.count("tejat: schedule 15: same to the bit") == 1 and "unharmed" not in more.stderr
    assert json.loads(more.stdout)["bit_equal"] == 5
