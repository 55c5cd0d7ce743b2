"""What `tejat train --supervise` says before it begins any process, and where it gives up; none begins here."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tejat import cli
from tejat.errors import BadInput
from tejat.train import identity, recipe
from tejat.train.surviving import copies, events, supervisor
from tejat.train.surviving.supervisor import Ended, Supervisor

RECIPE = Path(__file__).with_name("quickest.py")


@pytest.fixture
def begun(tmp_path, monkeypatch):
    """Runs the command on `tmp_path`/run with generations that end as told; gives back its code and how many began."""

    def begun(*words: str, ends: Ended | None = None) -> tuple[int, int]:
        generations = []

        def generation(self):
            generations.append(ends)
            return ends

        monkeypatch.setattr(Supervisor, "_generation", generation)
        code = cli.main(["train", str(RECIPE), "--supervise", "2", "--out", str(tmp_path / "run"), *words])
        return code, len(generations)

    yield begun
    shutil.rmtree(supervisor.place_of(tmp_path / "run"), ignore_errors=True)


def test_more_failures_than_restarts_end_it_with_a_report(begun, tmp_path, capsys):
    killed = Ended(None, 1, "process 1 was ended by SIGKILL", stepped=True)
    assert begun("--restarts", "4", ends=killed) == (1, 5)
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("tejat: error: 5 failures, the last because process 1 was ended by SIGKILL; see ")
    assert str(tmp_path / "run" / "surviving" / "process-*.log") in last and last.endswith("go on with --resume")
    told = events.read(tmp_path / "run" / "surviving")
    assert [event["event"] for event in told] == ["supervised", *["fault"] * 5, "gave up"]
    assert told[-1]["why"] == "5 failures"


@pytest.mark.parametrize("words", [(), ("--hosts", "1", "--host", "0")])
def test_no_room_for_copies_is_said_before_any_process_begins(words, begun, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(copies.os, "statvfs", lambda place: SimpleNamespace(f_bavail=1, f_frsize=4096))
    assert begun("--set", "copy_every=2", *words) == (2, 0)
    told = capsys.readouterr().err.splitlines()[-1]
    assert told.startswith("tejat: error: /dev/shm has 0 MB free where copies of the state take")
    assert told.endswith("enlarge it (of a container, by --shm-size), or set copy_every=0")
    assert not supervisor.place_of(tmp_path / "run").exists()


def as_begun(directory: Path, *settings: str) -> None:
    """Makes the directory that of a run, of documents and a tokenizer that nobody asks for here."""
    document = SimpleNamespace(tokens=np.asarray([3, 4]), modality=np.asarray([0, 0]))
    chosen = recipe.changed(recipe.read(RECIPE), list(settings))
    directory.mkdir()
    identity.begin(
        directory, identity.identity(chosen, lambda index: document, SimpleNamespace(model=b"m", text_size=400))
    )


@pytest.mark.parametrize("words", [("--resume",), ("--hosts", "2", "--host", "0")])
def test_a_run_of_another_configuration_is_said_before_any_process_begins(words, begun, tmp_path, capsys):
    as_begun(tmp_path / "run")
    assert begun("--set", "schedule.peak=0.5", *words) == (2, 0)
    (told,) = capsys.readouterr().err.splitlines()
    assert told == (
        f"tejat: error: the run in {tmp_path / 'run'} was begun with schedule.peak = 0.01 and the recipe has 0.5; give "
        "the same recipe, or begin another run with --out"
    )
    assert [path.name for path in (tmp_path / "run").iterdir()] == [identity.NAME]


def test_the_same_configuration_goes_on_and_what_cannot_be_read_is_left_to_the_processes(begun, tmp_path):
    as_begun(tmp_path / "run", "schedule.peak=0.5")
    assert begun("--resume", "--set", "schedule.peak=0.5", ends=Ended(supervisor.STOPPED, None, "", True)) == (130, 1)
    chosen, path = recipe.read(RECIPE), tmp_path / "run" / identity.NAME
    with pytest.raises(BadInput, match="was begun with schedule.peak = 0.5 and the recipe has 0.01"):
        identity.check_settings(tmp_path / "run", chosen)
    path.write_text(path.read_text()[:9])
    identity.check_settings(tmp_path / "run", chosen)
    path.unlink()
    identity.check_settings(tmp_path / "run", chosen)
