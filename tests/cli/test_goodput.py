"""`tejat goodput` tells where the time of a run went, and draws it."""

import json

import pytest

from tejat.cli import goodput as command
from tejat.errors import BadInput


@pytest.fixture
def run(tmp_path):
    told = [
        {"at": 100.0, "began": 1},
        {"at": 100.0, "until": 110.0, "seconds": {"program_startup": 2.0, "step": 8.0}, "steps": [1, 8]},
        {"at": 112.0, "began": 2},
        {"at": 112.0, "stands": 6},
        {"at": 112.0, "until": 120.0, "seconds": {"step": 8.0}, "steps": [7, 14]},
    ]
    (tmp_path / "goodput-0.jsonl").write_text("".join(json.dumps(line) + "\n" for line in told))
    return tmp_path


def test_the_contract_of_json(run, capsys):
    assert command.main([str(run), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["goodput"] == pytest.approx(14 / 20)
    assert sum(found["seconds"].values()) == pytest.approx(found["elapsed_s"]) == 20
    assert found["seconds"]["wasted_progress_from_disruption"] == pytest.approx(2)
    assert found["seconds"]["infrastructure_recovery_from_disruption"] == pytest.approx(2)
    assert (run / "goodput.png").read_bytes()[:4] == b"\x89PNG"


def test_for_people(run, capsys, tmp_path):
    assert command.main([str(run), "--out", str(tmp_path / "elsewhere.png")]) == 0
    told = capsys.readouterr().out
    assert told.startswith("useful: 70.0% of 20.0 s\n  step ")
    assert "begun 2 times; 2 steps were made again" in told
    assert (tmp_path / "elsewhere.png").is_file()


def test_a_directory_without_a_ledger_is_told(tmp_path):
    with pytest.raises(BadInput, match="no run with a ledger"):
        command.main([str(tmp_path)])
