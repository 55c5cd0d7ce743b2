"""Schedules of faults, and what is told of their outcomes."""

import json
import random
import subprocess
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tejat.errors import BadInput
from tejat.train.guards import Phase
from tejat.train.surviving import chaos, events, faults
from tejat.train.surviving.exclusive import held
from tejat.train.surviving.faults import Fault, Injector, Kind, Over
from tejat.train.surviving.outcomes import Recovery
from tejat.train.surviving.pulse import Beat


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**40), st.integers(8, 500), st.integers(1, 9), st.integers(1, 4))
def test_a_schedule_is_a_function_of_its_seed_and_comes_within_the_run(seed, steps, processes, most):
    planned = faults.schedule(seed, steps, processes, most)
    assert planned == faults.schedule(seed, steps, processes, most)
    assert 1 <= len(planned) <= most
    at = [fault.step for fault in planned]
    assert at == sorted(set(at)) and at[0] >= 2 and at[-1] < steps - 1
    assert all(0 <= fault.rank < processes for fault in planned)


def test_all_kinds_and_ranks_come():
    planned = [fault for seed in range(200) for fault in faults.schedule(seed, 30, 4)]
    assert {fault.kind for fault in planned} == {*Kind} and {fault.rank for fault in planned} == {0, 1, 2, 3}
    few = [fault for seed in range(20) for fault in faults.schedule(seed, 30, 4, kinds=(Kind.KILL, Kind.HANG))]
    assert {fault.kind for fault in few} == {Kind.KILL, Kind.HANG}


def test_flips_are_of_all_sites_and_bits_and_strike_the_step_after():
    flips = [Fault(Kind.FLIP, 7, 2, chance).flip for chance in range(400)]
    assert {flip.site for flip in flips} == {"weights", "moments", "gradients"}
    assert {flip.bit for flip in flips} == {*range(32)}
    assert {(flip.step, flip.device, flip.lasting) for flip in flips} == {(8, 2, False)}


def test_one_bit_of_one_file_flips(tmp_path):
    paths = [tmp_path / name for name in "abc"]
    for path in paths:
        path.write_bytes(bytes(100))
    faults.flip(random.Random(3), paths)
    changed = [byte for path in paths for byte in path.read_bytes() if byte]
    assert len(changed) == 1 and changed[0].bit_count() == 1
    faults.flip(random.Random(3), [])


def test_a_run_too_short_for_its_faults_is_told(tmp_path):
    trials = chaos.Trials(tmp_path / "r.py", (), None, 4, steps=5)
    with pytest.raises(BadInput, match="want a run of 7 steps at least; it has 5"):
        next(chaos.run(trials, [0], tmp_path))
    assert not list(tmp_path.iterdir())


def test_only_one_makes_trials_in_a_directory(tmp_path):
    trials = chaos.Trials(tmp_path / "r.py", (), None, 4, steps=12)
    with held(tmp_path / "trying", ""), pytest.raises(BadInput, match="other trials are made in .*; wait for them"):
        next(chaos.run(trials, [0], tmp_path))


@pytest.mark.parametrize("kind", [Kind.KILL, Kind.DISK, Kind.RESTORE])
def test_a_fault_that_struck_before_the_end_is_told_apart_from_one_that_came_too_late(kind, tmp_path, monkeypatch):
    """Of one that struck when the last step was made, no other step tells."""
    training = subprocess.Popen(["sleep", "60"])
    beat = Beat(training.pid, 0.0, Phase.STEPPING, 0.0, 9, 9, 0.0, 0.0)
    monkeypatch.setattr(Injector, "_beats", lambda self: {0: beat})
    begun = time.time()
    try:
        injector = Injector(tmp_path, tmp_path, tmp_path, lambda: 0, lambda: None, lambda: True)
        with pytest.raises(Over) as over:
            injector.inject(Fault(kind, 10, 0, 1))
        assert over.value.struck is None and training.poll() is None
        with pytest.raises(Over) as over:
            injector.inject(Fault(kind, 9, 0, 1))
        assert begun <= over.value.struck <= time.time()
    finally:
        training.kill()
        training.wait()


def test_a_supervisor_that_ends_by_itself_was_not_struck(tmp_path, monkeypatch):
    ended = subprocess.Popen(["true"])
    monkeypatch.setattr(Injector, "_reached", lambda self, step: True)
    injector = Injector(tmp_path, tmp_path, tmp_path, lambda: ended.pid, lambda: None, lambda: True)
    with pytest.raises(Over) as over:
        injector.inject(Fault(Kind.NOTICE, 3, 0, 1))
    assert over.value.struck is None
    ended.wait()


def test_a_fault_after_the_last_step_costs_all_the_time_to_the_end(tmp_path):
    """A disk that is full at the last save of all: so one trial stood still for 15 minutes, and it was not counted."""

    def told(**line):
        with (tmp_path / "surviving" / events.NAME).open("a") as file:
            file.write(json.dumps(line) + "\n")

    full = Fault(Kind.DISK, 26, 3, 0)
    (tmp_path / "surviving").mkdir()
    ledger = [{"at": 50.0, "began": 1}, {"at": 50.0, "until": 110.0, "seconds": {"step": 60.0}, "steps": [1, 30]}]
    ledger += [{"at": 110.0, "until": 112.0, "seconds": {"unproductive_checkpoint_save_time": 2.0}}]
    (tmp_path / "goodput-0.jsonl").write_text("".join(json.dumps(line) + "\n" for line in ledger))
    told(at=50.0, event="generation", memory=False)
    told(at=52.0, event="stepping")
    assert chaos.to_the_end(tmp_path, full, 100.0) == []  # it could write after all
    told(at=1010.0, event="fault")
    told(at=1010.5, event="generation", memory=True)
    told(at=1025.0, event="done")
    assert chaos.to_the_end(tmp_path, full, 100.0) == [Recovery(Kind.DISK, True, 915.0, None, 110.0)]
    assert chaos.to_the_end(tmp_path, full, 120.0) == [Recovery(Kind.DISK, True, 905.0, None, 120.0)]
