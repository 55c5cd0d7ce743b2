"""A server at saturation: `benchmarks/soak.py` for a minute.

SOAK_SECONDS=7200 pytest -m slow tests/serve/test_soak.py -s      two hours
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
SECONDS = float(os.environ.get("SOAK_SECONDS", "60"))
SOAK = Path(__file__).parents[2] / "benchmarks" / "soak.py"


def test_nothing_is_lost() -> None:
    done = subprocess.run([sys.executable, SOAK, "--seconds", str(SECONDS)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    print(found)
    assert (found["lost"], found["http_5xx"], found["tracebacks"]) == (0, 0, 0)
    assert found["answers"]["200"] and found["answers"]["400"] and found["left"]
    if SECONDS >= 600:  # before an hour is over, caches fill
        assert found["rss_slope_mb_per_h"] < (2 if SECONDS >= 3600 else 20)
