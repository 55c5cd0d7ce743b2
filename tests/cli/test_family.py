"""`tejat family` from outside."""

import json
import os
import pty
import subprocess
import sys

import pytest

NAMES = ["ultra", "pro", "nano2", "nano1", "mini", "micro"]
CONTRACT = {"name", "parameters", "kv_bytes_32k", "flops_per_token", "bytes_bf16", "bytes_int4"}


def tejat(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "tejat", *words], capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def members() -> dict[str, dict]:
    done = tejat("family", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    listed = json.loads(done.stdout)
    assert [member["name"] for member in listed] == NAMES
    return {member["name"]: member for member in listed}


def test_json_keeps_the_contract(members):
    for member in members.values():
        assert member.keys() >= CONTRACT
        assert all(member[key] > 0 for key in CONTRACT - {"name"})
        assert 1.99 < member["bytes_bf16"] / member["parameters"] <= 2
        assert 0.49 < member["bytes_int4"] / member["parameters"] < 0.51
        assert member["whole_parameters"] == member["parameters"] + sum(member["other_parameters"].values())


def test_golden_values_of_nano1(members):
    """By hand: 5 full layers of 32,768 positions and 21 sliding ones of 1,024, each 2 x 128 numbers of 2 bytes."""
    nano1 = members["nano1"]
    assert nano1["parameters"] == 1_809_015_322
    assert nano1["kv_bytes_32k"] == (5 * 32_768 + 21 * 1_024) * 2 * 128 * 2
    assert nano1["flops_per_token"] == pytest.approx(13_436_653_440)


def test_plain_aligned_lines_when_not_a_terminal():
    done = tejat("family")
    assert (done.returncode, done.stderr) == (0, "") and "\x1b" not in done.stdout
    tables = [block.splitlines() for block in done.stdout.split("\n\n")]
    for header, *rows in tables:
        assert header.startswith("size") and [row.split()[0] for row in rows] == NAMES
        assert len({len(line) for line in (header, *rows)}) == 1 and len(header) <= 80
    assert "1.81B" in done.stdout and "42.2M" in done.stdout


def test_tables_in_a_terminal_of_80_columns():
    here, there = pty.openpty()
    environment = {**os.environ, "COLUMNS": "80", "TERM": "xterm"}
    subprocess.run([sys.executable, "-m", "tejat", "family"], stdout=there, env=environment, timeout=120, check=True)
    os.close(there)
    shown = b""
    try:
        while block := os.read(here, 4096):
            shown += block
    except OSError:  # how Linux says that the other end of a terminal has gone
        pass
    os.close(here)
    lines = shown.decode().splitlines()
    assert "\x1b" in shown.decode() and "…" not in shown.decode()
    assert len(lines) == 2 * (1 + len(NAMES))  # nothing wrapped


def test_help_has_an_example():
    done = tejat("family", "--help")
    assert done.returncode == 0 and "tejat family --json" in done.stdout


def test_no_device_is_touched():
    program = (
        "from tejat.cli import main\n"
        "main(['family', '--json'])\n"
        "from jax._src import xla_bridge\n"
        "assert not xla_bridge.backends_are_initialized()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
