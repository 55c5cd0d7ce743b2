"""The scan knows the right answers by NumPy, finds the devices here good, and a spoilt one bad."""

import json
import os
import subprocess
import sys

import pytest

from tejat.train.auditing import scan


def test_what_is_known_is_what_numpy_makes():
    small = {name: values for name, values in scan.KNOWN.items() if str(scan.LARGE) not in name}
    made = {f"product of {kind} {scan.SMALL}": scan.product_known(kind, scan.SMALL, 2) for kind in scan.MOST}
    made |= {f"sums {scan.SMALL}": scan.sums_known(scan.SMALL, 2), "memory": scan.memory_known(2)}
    assert made == {name: values[2] for name, values in small.items()}


@pytest.mark.slow
def test_what_is_known_of_large_matrices_too():
    assert scan.known() == scan.KNOWN


def doctor(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tejat", "doctor", *words],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=2", **environment},
    )


@pytest.mark.parametrize("check", [None, "product of bfloat16", "sums", "memory"])
def test_a_good_device_is_found_good_and_a_bad_one_bad(check, monkeypatch):
    if check:
        monkeypatch.setenv(scan.VARIABLE, json.dumps({"device": 0, "check": check}))
    first, *others = scan.scan(0.01)
    assert dict(first.failed) == ({check: 1} if check else {}) and first.ok == (check is None)
    assert first.checks == 7 and all(other.ok for other in others)


def test_a_device_that_differs_from_its_like_is_named():
    spoilt = json.dumps({"device": 1, "check": "arithmetic of floats"})
    done = doctor("--scan", "--seconds", "0.1", "--json", TEJAT_SCAN_FLIP=spoilt)
    report = json.loads(done.stdout)
    assert done.returncode == 1 and not report["ok"]
    assert [one["ok"] for one in report["scan"]] == [True, False]
    assert "computes wrongly: arithmetic of floats" in report["problems"][0]


def test_no_time_is_told():
    done = doctor("--scan", "--seconds", "0")
    assert done.returncode == 2 and "--seconds 0 is no time" in done.stderr
