"""Who is dead, who hangs, who is slow: read from heartbeats, and the heartbeats themselves."""

import os
import time

import pytest

from tejat.train.guards import Phase
from tejat.train.surviving import pulse, watching
from tejat.train.surviving.pulse import Beat, Pulse
from tejat.train.surviving.watching import Watch


def beats(now: float, steps: int, **of_rank_2) -> dict[int, Beat]:
    """Four processes that have made so many steps, the last of them just now."""
    usual = Beat(1, now, Phase.STEPPING, 0.0, steps, steps, now, 0.0)
    return {rank: usual._replace(process=100 + rank, **(of_rank_2 if rank == 2 else {})) for rank in range(4)}


@pytest.fixture
def watch() -> Watch:
    """It has seen twenty steps of half a second."""
    watch = Watch(silence=5.0)
    for step in range(1, 21):
        assert watch.look(beats(step / 2, step), step / 2) is None
    assert watch.step_time == pytest.approx(0.5)
    assert watch.limit == pytest.approx(watching.SLOW * 0.5 + watching.ENDURED)
    return watch


def test_who_does_not_beat_hangs(watch):
    assert watch.look(beats(14.0, 20, beat=10.0), 14.0) is None
    found = watch.look(beats(16.0, 20, beat=10.0), 16.0)
    assert found.rank == 2 and "has not beaten for 6.0 s" in found.why


def test_who_does_other_things_than_steps_may_be_silent_for_longer(watch):
    loading = beats(14.0, 20, beat=14.0 - 6.0, phase=Phase.COMPILING, since=8.0)
    assert watch.look(loading, 14.0) is None
    assert watch.look(beats(60.0, 20, beat=8.0, phase=Phase.COMPILING, since=8.0), 60.0).rank == 2


def test_who_is_behind_when_no_step_is_made_hangs(watch):
    late = 10.0 + watch.limit
    still = {rank: beat._replace(beat=late, done_at=10.0, given=21) for rank, beat in beats(10.0, 20).items()}
    still[2] = still[2]._replace(given=20)
    assert watch.look(still, late - 0.1) is None
    found = watch.look(still, late + 0.1)
    assert found.rank == 2 and "no step was finished" in found.why and "0.50 s" in found.why
    assert watch.look(still | {2: still[2]._replace(given=21)}, late + 0.1).rank is None


def test_compiling_takes_its_time_but_not_for_ever():
    watch = Watch()
    start = Beat(1, 0.0, Phase.COMPILING, 0.0, 0, 0, 0.0, 0.0)
    patience = watching.PATIENCE[Phase.COMPILING]
    assert watch.look({0: start._replace(beat=patience - 1)}, patience - 1) is None
    found = watch.look({0: start._replace(beat=patience + 1)}, patience + 1)
    assert found.rank == 0 and "compiling" in found.why


def test_a_saving_process_does_not_hang(watch):
    late = 10.0 + 3 * watch.limit
    saving = {rank: beat._replace(beat=late, done_at=10.0) for rank, beat in beats(10.0, 20).items()}
    saving[0] = saving[0]._replace(phase=Phase.SAVING, since=10.0)
    assert watch.look(saving, late) is None


def test_a_straggler_is_who_runs_less_than_the_others():
    watch = Watch()
    assert watch.straggler(beats(10.0, 20)) is None
    found = watch.straggler(beats(20.0, 30, held=6.0))
    assert found.rank == 2 and found.share == pytest.approx(0.6) and found.usual == 0
    everyone = {
        rank: beat._replace(beat=30.0, held=beat.held + 6.0) for rank, beat in beats(20.0, 30, held=6.0).items()
    }
    assert watch.straggler(everyone) is None  # the machine is busy: all run less


class Result:
    """As an array of a step that takes a while."""

    def __init__(self, seconds: float):
        self._ready = time.monotonic() + seconds

    def is_ready(self) -> bool:
        return time.monotonic() > self._ready


def test_a_pulse_tells_phases_and_steps_and_who_it_is(tmp_path):
    assert pulse.read(tmp_path / "pulse") is None
    guard = Pulse(tmp_path / "pulse")
    first = pulse.read(tmp_path / "pulse")
    assert (first.process, first.phase, first.given, first.done) == (os.getpid(), Phase.BEGINNING, 0, 0)
    guard.enter(Phase.STEPPING)
    guard.after(7, None, {"tokens": Result(0.3)}, None)
    time.sleep(2 * pulse.TICK)
    early = pulse.read(tmp_path / "pulse")
    assert (early.phase, early.given, early.done) == (Phase.STEPPING, 7, 0)
    deadline = time.monotonic() + 10
    while pulse.read(tmp_path / "pulse").done < 7 and time.monotonic() < deadline:
        time.sleep(0.02)
    last = pulse.read(tmp_path / "pulse")
    assert last.done == 7 and last.done_at >= first.done_at + 0.3 and last.beat > first.beat
    guard.close()
    assert pulse.read(tmp_path / "pulse").beat <= time.monotonic()
