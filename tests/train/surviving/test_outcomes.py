"""Outcomes of schedules, kept over several calls, and what is told of all of them."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tejat.errors import BadInput
from tejat.train.surviving import outcomes
from tejat.train.surviving.faults import Fault, Kind
from tejat.train.surviving.outcomes import Outcome, Record, Recovery, Shrunken

TRIALS = {"steps": 30, "settings": ["room.rows=8"]}
number, seconds = st.integers(0, 2**31), st.floats(0, 1e6)
untold = st.none() | seconds
faults = st.lists(st.builds(Fault, st.sampled_from(Kind), number, number, number), max_size=3)
recoveries = st.lists(st.builds(Recovery, st.sampled_from(Kind), st.booleans(), seconds, untold, untold), max_size=3)
some = st.builds(
    Outcome,
    number,
    faults,
    faults,
    recoveries,
    st.booleans(),
    st.booleans(),
    st.text(),
    number,
    seconds,
    seconds,
    shrunk=st.none() | st.builds(Shrunken, st.booleans(), seconds, seconds),
)


@settings(max_examples=50, deadline=None)
@given(some)
def test_an_outcome_is_what_it_was_after_a_line_of_json(outcome):
    assert Outcome.from_json(json.loads(json.dumps(outcome.to_json()))) == outcome


def test_outcomes_of_several_calls_add_up(tmp_path):
    for seed in (3, 4):
        record = Record(tmp_path, TRIALS)
        assert record.seeds == {*range(3, seed)}
        record.add(Outcome(seed, [Fault(Kind.KILL, 5, 0, 1)]))
    assert [outcome.seed for outcome in Record(tmp_path, TRIALS).outcomes] == [3, 4]


def test_a_directory_of_other_trials_is_told_and_left_as_it_was(tmp_path):
    Record(tmp_path, TRIALS).add(Outcome(0, []))
    with pytest.raises(BadInput, match="holds trials with other settings; give the same, or another directory"):
        Record(tmp_path, TRIALS | {"settings": []})
    assert Record(tmp_path, TRIALS).seeds == {0}


def test_a_line_that_tells_no_outcome_is_named(tmp_path):
    Record(tmp_path, TRIALS).add(Outcome(0, []))
    with (tmp_path / outcomes.NAME).open("a") as file:
        file.write('{"seed": 1, "pla')
    with pytest.raises(BadInput, match="line 2 of .*chaos.jsonl tells no outcome .*; remove the line"):
        Record(tmp_path, TRIALS)


def test_the_summary_counts_what_was_lost():
    fault = Fault(Kind.KILL, 3, 1, 0)
    good = Outcome(0, [fault], [fault], [Recovery(Kind.KILL, True, 4.0, 9.0)], True, True, goodput=0.9, lost=6.0)
    slower = [Recovery(Kind.HANG, False, 9.0), Recovery(Kind.KILL, True, 5.0, 12.0)]
    other = Outcome(1, [fault] * 2, [fault] * 2, slower, True, False, goodput=0.7, lost=12.0)
    dead = Outcome(2, [fault], [], [], False, False, wrong="code 1", seconds=1800.0)
    told = json.loads(json.dumps(outcomes.summary([good, other, dead])))
    assert (told["schedules"], told["survived"], told["bit_equal"], told["faults"]) == (3, 2, 1, 3)
    assert told["lost"] == [1, 2] and told["hours"] == 0.5
    assert (told["recovery_s_p50"], told["recovery_s_p99"]) == (5.0, 9.0)
    assert told["recovery_from_memory_s_p50"] == 4.0 and told["recovery_from_memory_cpu_s_p50"] == 9.0
    assert told["recovery_s_by_kind"]["hang"] == 9.0
    assert told["goodput"] == pytest.approx(0.8) and told["lost_s_per_fault"] == pytest.approx(6.0)
    assert told["goodput_at_one_fault_per_600_s"] == pytest.approx(600 / 606)
    assert outcomes.summary([dead])["recovery_s_p50"] is None
    slowed = Outcome(3, [Fault(Kind.SLOW, 3, 1, 0)], [Fault(Kind.SLOW, 3, 1, 0)], [], True, True)
    assert outcomes.summary([good, slowed])["lost_s_per_fault"] == 6.0  # not by what stopped nothing


def test_schedules_in_which_fewer_went_on_are_told_apart_and_counted():
    fault = Fault(Kind.LOSS, 3, 1, 0)
    slow = [Recovery(Kind.LOSS, True, 30.0)]
    near = Outcome(0, [fault], [fault], slow, True, shrunk=Shrunken(True, 2e-4, 1e-5), goodput=0.4, lost=36.0)
    far = Outcome(1, [fault], [fault], [], True, shrunk=Shrunken(True, 2e-3, 1e-5))
    twice = Outcome(2, [fault], [fault], [], True, shrunk=Shrunken(False, 0.0, 0.0))
    good = Outcome(3, [], [], [], True, True)
    told = json.loads(json.dumps(outcomes.summary([near, far, twice, good])))
    assert (told["schedules"], told["bit_equal"], told["faults"], told["lost"]) == (4, 1, 3, [1, 2])
    shrunk = told["shrunk"]
    assert (shrunk["schedules"], shrunk["within"], shrunk["recovery_s_p50"]) == (3, 1, 30.0)
    assert shrunk["loss_off"] == 2e-3 and shrunk["tolerance"]["loss"] == outcomes.LOSS == 1e-3
    assert told["recovery_s_p50"] == told["recovery_s_by_kind"]["loss"] == 30.0
    assert told["lost_s_per_fault"] == 36.0 and told["goodput"] == pytest.approx(0.1)  # what it cost is not left out
    older = near.to_json()
    del older["shrunk"]
    assert Outcome.from_json(older).shrunk is None
