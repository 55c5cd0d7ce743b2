"""A run on several hosts, each some processes with memory of its own, that die whole: agent, processes, memory."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tejat.train.surviving import chaos, events, fleet, health, supervisor

RECIPE = Path(__file__).parents[1] / "smallest.py"
SETTINGS = ("room.rows=8", "log_every=3", "save_every=12", "copy_every=2", "schedule.steps=18")
WORDS = [str(RECIPE), *(word for setting in SETTINGS for word in ("--set", setting)), "--mesh", "data=4"]
MEMORY = Path("/dev/shm")


class Hosts:
    """So many hosts, of which two are wanted, each with two processes."""

    def __init__(self, directory: Path, programs: Path, count: int, *words: str):
        self.directory = directory
        self._words = [*WORDS, "--out", str(directory), "--programs", str(programs), "--silence", "10", *words]
        self._words += ["--supervise", "2", "--hosts", "2", "--address", "127.0.0.1"]
        self.memory = [MEMORY / f"tejat-test-{os.getpid()}-{number}" for number in range(count)]
        self.agents = [self._begun(number) for number in range(count)]

    def _begun(self, number: int) -> subprocess.Popen:
        self.memory[number].mkdir(exist_ok=True)
        command = [sys.executable, "-m", "tejat", "train", *self._words, "--host", str(number)]
        command += ["--memory", str(self.memory[number])]
        environment = os.environ | {"JAX_PLATFORMS": "cpu"}
        return subprocess.Popen(command, env=environment, stdout=-1, stderr=-1, text=True)

    def until(self, copied: int) -> dict:
        """Waits for a copy of so late a step in every domain of the present generation; gives its event back."""
        deadline = time.monotonic() + 600
        while time.monotonic() < deadline:
            begun = [event for event in self.events() if event["event"] == "generation"]
            if begun and any(event["event"] == "stepping" and event["at"] > begun[-1]["at"] for event in self.events()):
                kept = [path for memory in self.memory for path in memory.glob("*/domain-*/step-*")]
                if sum(int(path.name.split(".")[0][5:]) >= copied for path in kept) >= 8:
                    return begun[-1]
            if all(agent.poll() is not None for agent in self.agents):
                break
            time.sleep(0.02)
        raise AssertionError([agent.communicate() for agent in self.agents])

    def lose(self, number: int) -> None:
        """Power is cut: nothing is left of the host."""
        self.agents[number].kill()
        self.agents[number].communicate()
        time.sleep(0.2)
        shutil.rmtree(self.memory[number])

    def ended(self, but: tuple[int, ...] = ()) -> str:
        """What all said that are left, in the order of their numbers."""
        told = ""
        for number, agent in enumerate(self.agents):
            if number not in but:
                output, errors = agent.communicate(timeout=600)
                assert agent.returncode == 0, errors
                told += output + errors
        return told

    def events(self) -> list[dict]:
        return events.read(self.directory / "surviving")

    def leader(self) -> int:
        """The number of the host whose agent began to lead last."""
        number = [event["pid"] for event in self.events() if event["event"] == "supervised"][-1]
        return [agent.pid for agent in self.agents].index(number)

    def close(self) -> None:
        for agent in self.agents:
            if agent.poll() is None:
                agent.kill()
                agent.communicate()
        for memory in self.memory:
            shutil.rmtree(memory, ignore_errors=True)


@pytest.fixture(scope="module")
def programs(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("programs")


@pytest.fixture(scope="module")
def together(tmp_path_factory, programs) -> dict:
    """What four processes of one machine come to that nothing happens to."""
    directory = tmp_path_factory.mktemp("together") / "run"
    words = [*WORDS, "--out", str(directory), "--programs", str(programs), "--supervise", "4"]
    environment = os.environ | {"JAX_PLATFORMS": "cpu"}
    subprocess.run([sys.executable, "-m", "tejat", "train", *words], env=environment, check=True, capture_output=True)
    return chaos.result(directory, 18)


@pytest.fixture
def hosts(programs, tmp_path, request):
    found = Hosts(tmp_path / "run", programs, *request.param)
    yield found
    found.close()


@pytest.mark.slow
@pytest.mark.parametrize("hosts", [(3,)], indirect=True)
def test_hosts_die_whole_and_the_run_comes_to_the_same_bits(together, hosts):
    """First one that does not lead, for which the spare comes; then the leader, for which the first comes again."""
    first = hosts.until(copied=4)
    leader = hosts.leader()
    lost = next(number for number in set(first["domains"]) if number != leader)
    hosts.lose(lost)
    second = hosts.until(copied=8)
    (spare,) = {0, 1, 2} - set(first["domains"])
    assert second["memory"] and second["step"] >= 4  # from what the other host held of the lost one's
    assert second["domains"] == [spare if number == lost else number for number in first["domains"]]
    hosts.agents[lost] = hosts._begun(lost)
    hosts.lose(leader)
    hosts.ended(but=(leader,))
    third = [event for event in hosts.events() if event["event"] == "generation"][-1]
    assert hosts.leader() != leader and third["memory"] and third["step"] >= 8
    assert {*third["domains"]} == {0, 1, 2} - {leader}  # a spare may have led
    assert chaos.result(hosts.directory, 18) == together
    assert all(not list(memory.iterdir()) for memory in hosts.memory if memory.exists())


@pytest.mark.slow
@pytest.mark.parametrize("hosts", [(2, "--wait", "2")], indirect=True)
def test_without_a_spare_fewer_go_on_from_memory(together, hosts):
    hosts.until(copied=4)
    leader = hosts.leader()
    hosts.lose(1 - leader)
    told = hosts.ended(but=(1 - leader,))
    assert "1 of 2 hosts are lost and no spare came: 2 processes go on" in told
    last = [event for event in hosts.events() if event["event"] == "generation"][-1]
    assert last["domains"] == [leader] * 2 and last["memory"] and last["step"] >= 4
    found = chaos.result(hosts.directory, 18)
    assert found["samples"] == together["samples"]  # none was passed over or seen twice
    losses = [(one["text_loss"], other["text_loss"]) for one, other in zip(found["log"], together["log"], strict=True)]
    assert all(one == pytest.approx(other, abs=0.02) for one, other in losses)


@pytest.mark.slow
@pytest.mark.parametrize("hosts", [(2,)], indirect=True)
def test_a_notice_to_one_host_stops_all_with_a_checkpoint(hosts):
    hosts.until(copied=4)
    hosts.agents[1 - hosts.leader()].send_signal(signal.SIGTERM)
    for agent in hosts.agents:
        output, errors = agent.communicate(timeout=300)
        assert agent.returncode == 130, errors
    assert "stopped; go on with" in errors
    assert [event["event"] for event in hosts.events()][-1] == "stopped"
    assert any(path.name.isdigit() for path in (hosts.directory / "checkpoints").iterdir())


def test_a_host_that_computes_wrongly_takes_no_part(tmp_path, monkeypatch, capsys):
    from tejat.cli import train

    words = [*WORDS, "--supervise", "1", "--hosts", "1", "--host", "3", "--out", str(tmp_path / "run"), "--check", "1"]
    monkeypatch.setattr(health, "ailment", lambda seconds: "cpu:0 computes wrongly: sums (2 of 9 checks)")
    assert train.main(words) == 1
    assert "does not take part: cpu:0 computes wrongly" in capsys.readouterr().err
    assert fleet.excluded(tmp_path / "run") == {3: "cpu:0 computes wrongly: sums (2 of 9 checks)"}
    monkeypatch.setattr(health, "ailment", lambda seconds: None)
    with pytest.raises(Exception, match=r"host 3 is excluded: cpu:0 .* remove its line"):
        train.main(words)


def test_what_a_scan_says_is_taken_at_its_word(tmp_path, monkeypatch):
    """A `python` that answers as the doctor would, since no device here computes wrongly."""
    said = {"ok": False, "problems": ["cpu:1 computes wrongly: memory."]}
    for answer, ailment in (
        (json.dumps(said), "cpu:1 computes wrongly: memory."),
        (json.dumps({"ok": True, "problems": []}), None),
        ("killed", "a scan of it ends with code 0: it said nothing"),
    ):
        python = tmp_path / "python"
        python.write_text(f"#!/bin/sh\necho '{answer}'\n")
        python.chmod(0o755)
        monkeypatch.setattr(health.sys, "executable", str(python))
        assert health.ailment(1) == ailment


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--hosts", "2"], "which host is this"),
        (["--hosts", "0", "--host", "0"], "number of hosts"),
        (["--hosts", "2", "--host", "0", "--standby"], "nobody stands by"),
        (["--host", "0"], "give --hosts"),
        (["--check", "0"], "how many seconds"),
    ],
)
def test_what_cannot_be(words, why, tmp_path, monkeypatch):
    from tejat.cli import train

    for name in ("SLURM_NODEID", "JOB_COMPLETION_INDEX", "OMPI_COMM_WORLD_RANK"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(Exception, match=why):
        train.main([*WORDS, "--supervise", "1", "--out", str(tmp_path / "run"), *words])


@given(st.lists(st.integers(0, 9), unique=True, max_size=5), st.sets(st.integers(0, 9)), st.integers(1, 5))
def test_hosts_keep_their_places_and_spares_take_those_of_the_lost(before, alive, wanted):
    before = before[:wanted]
    chosen = fleet.places(before, alive, wanted)
    assert len(chosen) == min(wanted, len(alive)) == len({*chosen}) and {*chosen} <= alive
    assert {*before} & alive <= {*chosen}
    if len(alive) >= wanted:
        assert all(chosen[place] == number for place, number in enumerate(before) if number in alive)


def test_place_is_of_the_memory_that_is_given(tmp_path):
    assert supervisor.place_of(tmp_path / "run", tmp_path).parent == tmp_path
