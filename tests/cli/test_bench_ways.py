"""`tejat bench train --ways`: which steps are measured, each in a process of its own."""

import json
import subprocess
import sys

import pytest

from tejat.cli import bench_train, bench_ways


@pytest.fixture
def begun(monkeypatch) -> list[list[str]]:
    """The words of every process that would have been begun; each tells the same step."""
    found: list[list[str]] = []

    def run(command, **how):
        found.append(command)
        step = {"tokens_per_s": 1e4, "mfu": 0.4, "step_s": 0.5, "memory_gib": 1.0, "losses": [2.0]}
        return subprocess.CompletedProcess(command, 0, json.dumps(step), "")

    monkeypatch.setattr(bench_ways.subprocess, "run", run)
    return found


def test_rows_of_one_document_and_packed_ones_are_measured_fast_and_deterministic(begun, capsys):
    assert bench_train.main(["nano1", "--rows", "4", "--document", "99", "--ways", "--json"]) == 0
    found = [way["way"] for way in json.loads(capsys.readouterr().out)["ways"]]
    plain = [sys.executable, "-m", "tejat", "bench", "train", "nano1", "--rows", "4"]
    assert [command[: len(plain)] for command in begun] == [plain] * 5
    for name, command in zip(found, begun, strict=True):
        assert ("--document" in command, "--deterministic" in command, "--float8" in command) == (
            name.startswith("packed"),
            name.endswith("deterministic"),
            name.endswith("8-bit floats"),
        )
    assert {"one document a row", "one document a row, deterministic", "packed, deterministic"} < {*found}


def test_images_and_sounds_come_in_documents_alone(begun, capsys):
    assert bench_train.main(["mini", "--media", "--document", "99", "--ways"]) == 0
    assert all("--document" in command for command in begun) and len(begun) == 3
    assert "| packed, deterministic | 10,000 | 40.0% | 500.0 | 1.0 | 2.0000 |" in capsys.readouterr().out
