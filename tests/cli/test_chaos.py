"""`tejat chaos` from outside."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tejat.cli import chaos
from tejat.errors import BadInput

RECIPE = str(Path(__file__).parents[1] / "train" / "smallest.py")


def tejat(*words: str, seconds: float = 60) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "tejat", *words], capture_output=True, text=True, timeout=seconds)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--schedules", "0"], "--schedules, --most and --processes are numbers from 1"),
        (["--hours", "-1"], "--hours is how long to go on"),
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


@pytest.mark.slow
def test_a_recipe_that_four_processes_cannot_share_is_told():
    done = tejat("chaos", RECIPE, "--set", "room.rows=6", seconds=200)
    assert done.returncode == 2
    assert "the unharmed run ends with code 2: tejat: error: a batch of 6 rows" in done.stderr.splitlines()[-1]


@pytest.mark.slow
def test_four_schedules_lose_nothing(tmp_path):
    words = (RECIPE, "--schedules", "4", "--seed", "11", "--steps", "20", "--out", str(tmp_path), "--json")
    done = tejat("chaos", *words, seconds=1800)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["schedules"] == told["survived"] == told["bit_equal"] == 4
    assert told["faults"] >= 4 and told["recovery_s_p50"] > 0 and 0 < told["goodput"] < 1
    assert len((tmp_path / "chaos.jsonl").read_text().splitlines()) == 4
