"""Schedules of faults, and what is told of their outcomes."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tejat.errors import BadInput
from tejat.train.surviving import chaos, faults
from tejat.train.surviving.exclusive import held
from tejat.train.surviving.faults import Fault, Kind


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
