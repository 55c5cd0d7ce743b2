"""A server at saturation: `benchmarks/soak.py` for a minute.

SOAK_SECONDS=7200 pytest -m slow tests/serve/test_soak.py -s      two hours
"""

import collections
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soak

SECONDS = float(os.environ.get("SOAK_SECONDS", "60"))
SOAK = Path(__file__).parents[2] / "benchmarks" / "soak.py"


def test_a_soak_that_was_interrupted_goes_on(tmp_path) -> None:
    """Of every run what it told last counts, however it ended."""
    record = tmp_path / "soak.jsonl"
    first = soak.Before(record)
    for seconds, count in ((60, 5), (120, 9)):
        first.keep(seconds, collections.Counter({"200": count, "left": 1}))
    second = soak.Before(record)
    assert (second.runs, second.seconds, second.found) == (1, 120, {"200": 9, "left": 1})
    second.keep(30.04, collections.Counter({"200": 2, "lost": 1}))
    third = soak.Before(record)
    assert (third.runs, third.seconds, third.found) == (2, 150, {"200": 11, "left": 1, "lost": 1})
    assert soak.Before(tmp_path / "none").runs == soak.Before(None).runs == 0


def test_a_slope_comes_with_what_it_may_be_by_chance() -> None:
    """Memory that wanders: the interval holds what is true about as often as it says."""
    held = []
    for seed in range(200):
        walk = np.cumsum(np.random.default_rng(seed).standard_normal(400))
        seen = [(10.0 * n, {"rss_mb": 500 + n / 10 + float(step)}) for n, step in enumerate(walk)]
        told, half = soak.slope(seen, "rss_mb")
        held.append(abs(told - 36) < half)
    assert 0.88 < np.mean(held) <= 0.99
    steady = [(10.0 * n, {"rss_mb": 500 + n / 10}) for n in range(400)]
    assert soak.slope(steady, "rss_mb") == (pytest.approx(36), pytest.approx(0, abs=0.01))
    assert soak.slope(seen[:20], "rss_mb") is None


@pytest.mark.slow
def test_nothing_is_lost() -> None:
    done = subprocess.run([sys.executable, SOAK, "--seconds", str(SECONDS)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    print(found)
    assert (found["lost"], found["http_5xx"], found["tracebacks"]) == (0, 0, 0)
    assert found["answers"]["200"] and found["answers"]["400"] and found["left"]
    if SECONDS >= 600:  # before an hour is over, caches fill
        assert found["rss_slope_mb_per_h"] < (2 if SECONDS >= 3600 else 20)
