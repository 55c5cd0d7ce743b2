"""The loader: batches are a function of documents and step, after any interruption and however they are made."""

import dataclasses
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tejat.codecs.framing import Encoded
from tejat.data import drawing, filling, workers
from tejat.data.loading import STAGE, Loader, Position
from tejat.data.packing import Room
from tejat.errors import BadInput
from tejat.model import family

CONFIG = family.preset("micro")
ROOM = Room(rows=4, tokens=24, targets=24, patches=0, sounds=0, frames=0)


def encoded(index: int, length: int, learnt: bool = True) -> Encoded:
    """A document whose every token is its number, below a million."""
    column = np.zeros(length, np.int32)
    loss = (np.arange(length) > 0) & (learnt | (np.arange(length) % 2 == 0))
    return Encoded(column + index % 1_000_000, loss, column, column, column - 1, column, ())


def source(index: int) -> Encoded:
    """Document `index`; every eleventh is too long for a row: the odd ones are cut, the even ones lost."""
    length = 60 if index % 11 == 10 else int(np.random.default_rng(index).integers(2, 20))
    return encoded(index, length, learnt=index % 2 == 1)


def take(count: int, position: Position | None = None, source=source, room=ROOM, **how):
    loader = Loader(source, CONFIG, room, position, **how)
    try:
        return [next(loader) for _ in range(count)]
    finally:
        loader.close()


def same(one, other) -> bool:
    leaves = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in leaves)


def documents(batch) -> list[list[tuple[int, int]]]:
    """(document, tokens of it) in each row."""
    rows = []
    for tokens, segments in zip(batch.inputs.tokens, batch.inputs.segments, strict=True):
        spans = [tokens[segments == number] for number in range(1, segments.max() + 1)]
        assert all(len(set(span.tolist())) == 1 for span in spans)
        rows.append([(int(span[0]), len(span)) for span in spans])
    return rows


@pytest.fixture(scope="module")
def whole():
    return take(9)


def test_the_same_batches_from_every_position(whole):
    for stop in range(8):
        position = Position.from_json(json.loads(json.dumps(whole[stop][1].to_json())))
        rest = take(8 - stop, position)
        assert all(same(a, b) for (a, _), (b, _) in zip(whole[stop + 1 :], rest, strict=True))
        assert [p for _, p in rest] == [p for _, p in whole[stop + 1 :]]
    assert any(p.rows[0].waiting for _, p in whole) and not same(whole[0][0], whole[1][0])


def test_every_document_comes_once_or_waits_or_is_counted(whole):
    found = [pair for batch, _ in whole for row in documents(batch) for pair in row]
    end = whole[-1][1]
    drawn = {row + n * ROOM.rows for row, place in end.rows.items() for n in range(place.drawn)}
    waiting = [pair for place in end.rows.values() for pair in place.waiting]
    long = {index for index in drawn if index % 11 == 10}
    cut, lost = {index for index in long if index % 2}, {index for index in long if not index % 2}
    assert end.dropped == len(lost) > 0 and end.damaged == 0
    assert {i for place in end.rows.values() for i, _ in place.listed} <= lost
    short = [index for index, _ in found if index not in cut] + [index for index, _ in waiting if index not in cut]
    assert sorted(short) == sorted(drawn - long)
    # Of the 60 tokens cut, each once, and a mark of a beginning before the second and the third piece.
    assert cut
    for index in cut:
        lengths = [n for i, n in found if i == index] + [(24, 24, 14)[n] for i, n in waiting if i == index]
        assert sorted(lengths) == [14, 24, 24]


def test_rows_read_streams_of_their_own(whole):
    for batch, _ in whole:
        assert [{index % ROOM.rows for index, _ in row} for row in documents(batch)] == [{0}, {1}, {2}, {3}]


@settings(max_examples=15, deadline=None)
@given(st.sampled_from([1, 2, 4]), st.sampled_from([1, 2, 4]), st.integers(1, 5))
def test_the_order_does_not_depend_on_the_number_of_hosts(before, after, stop):
    """Stopped at a batch by one number of hosts, gone on with by another."""
    expected = take(7)
    begun = [take(stop, process=p, processes=before) for p in range(before)]
    position = Position.merged([batches[-1][1] for batches in begun])
    assert position == expected[stop - 1][1]
    ended = [take(7 - stop, position, process=p, processes=after) for p in range(after)]
    for hosts, part in ((begun, expected[:stop]), (ended, expected[stop:])):
        for step, (batch, _) in enumerate(part):
            joined = jax.tree.map(lambda *arrays: np.concatenate(arrays), *[host[step][0] for host in hosts])
            assert same(joined, batch)


def test_the_order_does_not_depend_on_the_number_of_workers(whole):
    """Begun by a thread, gone on with by two processes; their arrays come back as they were."""
    ended = take(5, whole[3][1], workers=2)
    for (batch, position), (expected, known) in zip(ended, whole[4:], strict=True):
        assert same(batch, expected) and position == known


class Staged:
    """Documents of 5 tokens in the stages before the last, of 7 in the last."""

    def __init__(self, *begins: int):
        self.begins = begins

    def __call__(self, index: int) -> Encoded:
        stage, number = divmod(index, STAGE)
        assert 0 <= stage < len(self.begins) and number < 200
        return encoded(index, 7 if stage and stage == len(self.begins) - 1 else 5)


def test_a_change_of_the_mixture_takes_effect_exactly_at_its_step():
    batches = take(8, source=Staged(0, 3))
    for step, (batch, _) in enumerate(batches):
        lengths = {n for row in documents(batch) for _, n in row}
        assert lengths == ({5} if step < 3 else {7})
    assert sum(place.left for place in batches[-1][1].rows.values()) > 0
    first = {index - STAGE % 1_000_000 for row in documents(batches[3][0]) for index, _ in row}
    assert first == set(range(len(first)))  # of every row the first few
    # A stage that is added when a run goes on is the same as one that was always there.
    begun = take(3, source=Staged(0))
    ended = take(5, begun[-1][1], source=Staged(0, 3))
    assert all(same(a, b) for (a, _), (b, _) in zip(begun + ended, batches, strict=True))


def test_documents_that_cannot_be_read_are_passed_over_counted_and_listed():
    def damaged(index: int) -> Encoded:
        if index % 5 == 2:
            raise BadInput(f"record {index} is damaged")
        return source(index)

    batches = take(6, source=damaged)
    end = batches[-1][1]
    bad = [r + n * 4 for r, place in end.rows.items() for n in range(place.drawn) if (r + n * 4) % 5 == 2]
    assert end.damaged == len(bad) > 0
    assert (2, "record 2 is damaged") in end.rows[2].listed
    assert all(index % 5 != 2 for batch, _ in batches for row in documents(batch) for index, _ in row)
    again = take(3, batches[2][1], source=damaged)
    assert again[-1][1] == end


@pytest.mark.parametrize("reason", ["the disk is empty", "no row can hold it"])
def test_a_stream_without_use_ends_with_its_reason(reason, monkeypatch):
    def useless(index: int) -> Encoded:
        if reason == "no row can hold it":
            return encoded(index, 25, learnt=False)
        raise BadInput(reason)

    monkeypatch.setattr(filling, "PATIENCE", 50)
    with pytest.raises(BadInput, match=f"50 documents in a row.*{reason}"):
        take(1, source=useless)


def test_positions_given_out_do_not_change(whole):
    loader = Loader(source, CONFIG, ROOM)
    first = next(loader)[1]
    copy = json.dumps(first.to_json())
    for _ in range(5):
        next(loader)
    loader.close()
    assert json.dumps(first.to_json()) == copy


def test_positions_of_other_rows_are_refused(whole):
    position = whole[0][1]
    with pytest.raises(BadInput, match="lacks row 4"):
        take(1, position, room=dataclasses.replace(ROOM, rows=5))
    with pytest.raises(BadInput, match="has a row 3"):
        take(1, position, room=dataclasses.replace(ROOM, rows=3))
    with pytest.raises(BadInput, match="4 rows cannot be shared evenly by host 0 of 3"):
        take(1, processes=3)
    with pytest.raises(BadInput, match=r"positions of the steps \[1, 2\]"):
        Position.merged([position, whole[1][1]])
    with pytest.raises(BadInput, match="another version"):
        Position.from_json({"next": 3, "waiting": [], "dropped": 0})


def _broken(index: int) -> Encoded:
    if index >= 90:
        raise OSError("the disk is gone")
    return source(index)


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_of_the_source_reaches_the_consumer_every_time(workers):
    loader = Loader(_broken, CONFIG, ROOM, workers=workers)
    with pytest.raises(OSError, match="the disk is gone"):
        for _ in loader:
            pass
    with pytest.raises(OSError, match="the disk is gone"):
        next(loader)
    loader.close()


def _told_to_end(index: int) -> Encoded:
    if multiprocessing.parent_process() is not None:
        os.kill(os.getpid(), signal.SIGTERM)
    return source(index)


def test_a_notice_to_all_processes_of_a_job_leaves_workers_to_their_parent(whole):
    """As schedulers send it, and `timeout`: the run ends in order, which takes a batch or two more."""
    found = take(3, source=_told_to_end, workers=2)
    assert all(same(one[0], other[0]) for one, other in zip(found, whole, strict=False))


def _drawn(index: int) -> Encoded:
    drawing.pixels(b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 2 2"><circle cx="1" cy="1" r="1"/></svg>', 16)
    return source(index)


def test_what_workers_keep_stays_for_later_ones_where_they_are_told_to(whole, tmp_path):
    first = take(2, source=_drawn, workers=1, kept=tmp_path / "a" / "kept")
    (file,) = (tmp_path / "a" / "kept").iterdir()
    made = file.stat().st_mtime_ns
    again = take(2, source=_drawn, workers=2, kept=tmp_path / "a" / "kept")
    assert [*(tmp_path / "a" / "kept").iterdir()] == [file] and file.stat().st_mtime_ns == made
    assert all(same(one[0], other[0]) for one, other in zip(first, again, strict=True))


def test_close_ends_the_thread_and_the_iteration():
    def count() -> int:
        return sum(thread.name == "loader" for thread in threading.enumerate())

    loader = Loader(source, CONFIG, ROOM, ahead=1)
    next(loader)
    assert count() == 1
    loader.close()
    assert count() == 0
    assert list(loader) == []


def test_batches_that_shared_memory_cannot_hold_are_told(monkeypatch):
    class Small:
        f_bavail, f_frsize = 3, 1_000

    monkeypatch.setattr(workers.os, "statvfs", lambda path: Small)
    assert workers._room_for(1_000) == 2 and workers._room_for(1_500) == 1
    with pytest.raises(BadInput, match="enlarge it .*, or set workers=0"):
        take(1, workers=2)
    assert take(1)


ALONE = """
import sys, threading
from tejat.data.loading import Loader
from tejat.data.packing import Room
from tejat.model import family
assert "grain" not in sys.modules
threading.Thread.start = lambda thread: None
Loader(None, family.preset("micro"), Room(rows=1, tokens=8, targets=8, patches=0, sounds=0, frames=0))
assert "grain" in sys.modules
"""


def test_grain_is_imported_before_the_thread_begins():
    """While a part of it is imported, Python's import is another's for all threads: a step that was being traced
    meanwhile ended with a module of JAX that was not found."""
    done = subprocess.run([sys.executable, "-c", ALONE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
