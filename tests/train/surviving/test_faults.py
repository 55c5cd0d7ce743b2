"""Schedules of faults, and what is told of their outcomes."""

import json
import random
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tejat.errors import BadInput
from tejat.train.guards import Phase
from tejat.train.surviving import chaos, events, faults
from tejat.train.surviving.exclusive import held
from tejat.train.surviving.faults import Fault, Injector, Kind, Over
from tejat.train.surviving.outcomes import Outcome, Recovery, Shrunken
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


def tell(directory: Path, **line) -> None:
    """Of a run there, an event."""
    (directory / "surviving").mkdir(exist_ok=True)
    with (directory / "surviving" / events.NAME).open("a") as file:
        file.write(json.dumps(line) + "\n")


def test_a_first_step_that_is_told_late_is_not_that_after_the_fault(tmp_path, monkeypatch):
    """The supervisor looks twenty times a second; steps may be faster, so that it tells of the first afterwards."""
    killed = Fault(Kind.KILL, 2, 0, 1)
    over = iter([False, False, True])
    beat = Beat(1, 0.0, Phase.STEPPING, 0.0, 9, 9, 0.0, 0.0)
    monkeypatch.setattr(Injector, "_beats", lambda self: {0: beat})
    tell(tmp_path, at=50.0, event="generation", memory=False)
    injector = Injector(tmp_path, tmp_path, tmp_path, lambda: 0, lambda: None, lambda: next(over))
    with pytest.raises(Over) as ended:
        injector.inject(killed)
    assert ended.value.struck is None  # it waited
    tell(tmp_path, at=60.0, event="stepping", cpu=1.0)
    assert chaos.until_steps(tmp_path, killed, 59.9) == []
    tell(tmp_path, at=61.0, event="fault")
    tell(tmp_path, at=61.5, event="generation", memory=True)
    assert chaos.until_steps(tmp_path, killed, 59.9) == []
    tell(tmp_path, at=69.0, event="stepping", cpu=7.0)
    (found,) = chaos.until_steps(tmp_path, killed, 60.5)
    assert found == Recovery(Kind.KILL, True, 8.5, 7.0, 60.5)
    (late,) = chaos.until_steps(tmp_path, Fault(Kind.DISK, 2, 0, 1), 60.5)
    assert (late.seconds, late.at) == (8.0, 61.0)  # from when it was noticed


def test_the_newest_checkpoint_is_removed_or_a_file_of_it_and_all_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(Injector, "_reached", lambda self, step: True)
    monkeypatch.setattr(Injector, "_told", lambda self: True)
    monkeypatch.setattr(Injector, "_signal", lambda self, *words, **more: None)
    left = []
    for chance in range(8):
        for step, name in (("9", "old"), ("12", "a"), ("12", "b/c")):
            path = tmp_path / "checkpoints" / step / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("some")
        (tmp_path / "domain-0").mkdir()
        steps = iter([[], [None]])
        monkeypatch.setattr(Injector, "_stepping", lambda self, steps=steps: next(steps))
        Injector(tmp_path, tmp_path, tmp_path, lambda: 0, lambda: None, lambda: False).inject(
            Fault(Kind.REMOVED, 3, 0, chance)
        )
        assert not (tmp_path / "domain-0").exists() and (tmp_path / "checkpoints" / "9" / "old").is_file()
        left.append(sum(path.is_file() for path in (tmp_path / "checkpoints" / "12").rglob("*")))
    assert {*left} == {0, 1}


def test_a_loss_comes_alone_and_not_where_fewer_cannot_go_on(tmp_path):
    planned = [faults.schedule(seed, 30, 4) for seed in range(300)]
    lost = [each for each in planned if any(fault.kind is Kind.LOSS for fault in each)]
    assert lost and {len(each) for each in lost} == {1}
    trials = chaos.Trials(tmp_path / "r.py", (), "data=2,tensor=2", 4, steps=12, kinds=(Kind.KILL, Kind.LOSS))
    with pytest.raises(BadInput, match="with the mesh data=2,tensor=2 fewer cannot go on; leave the fault `loss` out"):
        next(chaos.run(trials, [0], tmp_path))
    assert chaos.Trials(tmp_path / "r.py", (), "data=2", 2, 12, kinds=(Kind.LOSS,)).may_shrink
    assert not chaos.Trials(tmp_path / "r.py", (), "data=2", 2, 12, kinds=(Kind.LOSS, Kind.FLIP)).may_shrink


def test_where_fewer_went_on_numbers_may_differ_a_little_and_samples_not_at_all(tmp_path):
    from safetensors.numpy import save_file

    weights = np.full((4, 3), 2.0, np.float32)
    for name, array in (("one", weights), ("other", weights * np.float32(1 + 1e-4))):
        (tmp_path / name / "model").mkdir(parents=True)
        save_file({"a": array}, tmp_path / name / "model" / "model.safetensors")
    log = [{"step": 4, "text_loss": 5.0, "text_count": 9, "picture_loss": None, "picture_count": 0}]
    wanted = {"log": log, "samples": {"step": 8, "position": [3]}}

    def found(**more) -> Shrunken:
        ran = {"log": [log[0] | more], "samples": wanted["samples"]}
        return chaos.shrunken(ran, wanted, tmp_path / "other", tmp_path / "one")

    near = found(text_loss=5.0002)
    assert near.within and near.loss == pytest.approx(2e-4) and near.parameters == pytest.approx(1e-4, rel=0.01)
    assert not found(text_loss=5.002).within and not found(text_loss=float("nan")).within
    assert not found(text_count=8).within
    skipped = chaos.shrunken(
        wanted | {"samples": {"step": 8, "position": [4]}}, wanted, tmp_path / "one", tmp_path / "one"
    )
    assert not skipped.within and skipped.parameters == 0


def test_the_tolerance_is_for_a_machine_that_was_lost_and_for_nothing_else():
    """A supervisor that takes the wrong machine out went on with fewer, near enough to the unharmed run's numbers."""
    for kind, differ, shrank, tolerated, wrong in (
        (Kind.LOSS, ["parameters"], True, True, "parameters"),
        (Kind.LOSS, [], True, True, ""),
        (Kind.LOSS, [], False, False, "a machine was lost for good, and no fewer processes went on"),
        (Kind.FLIP, [], True, False, "fewer processes went on, though no machine was lost for good"),
        (Kind.FLIP, ["log"], False, False, "log"),
        (Kind.FLIP, [], False, False, ""),
    ):
        fault = Fault(kind, 3, 1, 0)
        outcome = Outcome(0, [fault], [fault], survived=True)
        assert chaos.judge(outcome, differ, shrank) is tolerated
        assert (outcome.wrong, outcome.bit_equal) == (wrong, not wrong)
        assert tolerated or outcome.kept is not bool(wrong)
    late = Outcome(0, [Fault(Kind.LOSS, 3, 1, 0)], [], survived=True)  # planned, and it came after the end
    assert not chaos.judge(late, [], True) and not late.kept


@pytest.mark.parametrize("kind", [Kind.KILL, Kind.DISK, Kind.RESTORE])
def test_a_fault_that_struck_before_the_end_is_told_apart_from_one_that_came_too_late(kind, tmp_path, monkeypatch):
    """Of one that struck when the last step was made, no other step tells."""
    training = subprocess.Popen(["sleep", "60"])
    beat = Beat(training.pid, 0.0, Phase.STEPPING, 0.0, 9, 9, 0.0, 0.0)
    monkeypatch.setattr(Injector, "_beats", lambda self: {0: beat})
    begun = time.time()
    tell(tmp_path, at=1.0, event="generation")
    tell(tmp_path, at=2.0, event="stepping")
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
    monkeypatch.setattr(Injector, "_told", lambda self: True)
    injector = Injector(tmp_path, tmp_path, tmp_path, lambda: ended.pid, lambda: None, lambda: True)
    with pytest.raises(Over) as over:
        injector.inject(Fault(Kind.NOTICE, 3, 0, 1))
    assert over.value.struck is None
    ended.wait()


def test_a_fault_after_the_last_step_costs_all_the_time_to_the_end(tmp_path):
    """A disk that is full at the last save of all: so one trial stood still for 15 minutes, and it was not counted."""
    full = Fault(Kind.DISK, 26, 3, 0)
    ledger = [{"at": 50.0, "began": 1}, {"at": 50.0, "until": 110.0, "seconds": {"step": 60.0}, "steps": [1, 30]}]
    ledger += [{"at": 110.0, "until": 112.0, "seconds": {"unproductive_checkpoint_save_time": 2.0}}]
    (tmp_path / "goodput-0.jsonl").write_text("".join(json.dumps(line) + "\n" for line in ledger))
    tell(tmp_path, at=50.0, event="generation", memory=False)
    tell(tmp_path, at=52.0, event="stepping")
    assert chaos.to_the_end(tmp_path, full, 100.0) == []  # it could write after all
    tell(tmp_path, at=1010.0, event="fault")
    tell(tmp_path, at=1010.5, event="generation", memory=True)
    tell(tmp_path, at=1025.0, event="done")
    assert chaos.to_the_end(tmp_path, full, 100.0) == [Recovery(Kind.DISK, True, 915.0, None, 110.0)]
    assert chaos.to_the_end(tmp_path, full, 120.0) == [Recovery(Kind.DISK, True, 905.0, None, 120.0)]
