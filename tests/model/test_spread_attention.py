"""Attention spread over eight devices is that of one, forward and backward."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def differences() -> dict[str, list[float]]:
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=8"
    environment = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    script = Path(__file__).with_name("spread.py")
    done = subprocess.run([sys.executable, str(script)], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_results_and_gradients_are_those_of_one_device(differences):
    right = {name: found for name, found in differences.items() if not name.startswith("CONTROL")}
    assert len(right) == 10
    assert max(max(found) for found in right.values()) < 2e-5, right


def test_a_reach_shorter_than_the_window_is_noticed(differences):
    assert min(differences["CONTROL: too short a reach"]) > 1e-3
