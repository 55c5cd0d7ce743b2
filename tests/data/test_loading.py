"""The loader: the same batches after any interruption, nothing lost, and no thread left behind."""

import dataclasses
import threading

import jax
import numpy as np
import pytest

from tejat.codecs.framing import Encoded
from tejat.data.loading import Loader, Position
from tejat.data.packing import Room
from tejat.model import family

CONFIG = family.preset("micro")
ROOM = Room(rows=3, tokens=24, targets=24, patches=0, sounds=0, frames=0)


def source(index: int) -> Encoded:
    """Document `index`: its number, over and over; every eleventh is too long for any row."""
    length = 40 if index % 11 == 10 else int(np.random.default_rng(index).integers(1, 20))
    column = np.zeros(length, np.int32)
    return Encoded(column + index, column > 0, column, column, column - 1, column, ())


def take(count: int, position: Position | None = None, source=source):
    loader = Loader(source, CONFIG, ROOM, position)
    try:
        return [next(loader) for _ in range(count)]
    finally:
        loader.close()


def same(one, other) -> bool:
    leaves = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in leaves)


def test_the_same_batches_from_every_position():
    whole = take(8)
    for stop in range(7):
        position = Position.from_json(whole[stop][1].to_json())
        rest = take(7 - stop, position)
        assert all(same(a, b) for (a, _), (b, _) in zip(whole[stop + 1 :], rest, strict=True))
        assert [p for _, p in rest] == [p for _, p in whole[stop + 1 :]]
    assert any(p.waiting for _, p in whole) and not same(whole[0][0], whole[1][0])


def test_every_document_comes_once_and_whole_or_waits_or_is_counted():
    batches = take(8)
    found: list[int] = []
    for batch, _ in batches:
        for tokens, segments in zip(batch.inputs.tokens, batch.inputs.segments, strict=True):
            for number in range(1, segments.max() + 1):
                index = int(tokens[segments == number][0])
                np.testing.assert_array_equal(tokens[segments == number], source(index).tokens)
                found.append(index)
    end = batches[-1][1]
    large = [i for i in range(end.next) if i % 11 == 10]
    assert sorted([*found, *end.waiting, *large]) == list(range(end.next))
    assert end.dropped == len(large) > 0


def test_documents_wait_on_when_a_smaller_batch_takes_over():
    """A run that goes on with fewer rows finds more documents waiting than it may look at."""
    small = dataclasses.replace(ROOM, rows=1)
    old = Position(next=30, waiting=[i for i in range(30) if i % 11 != 10])
    loader = Loader(source, CONFIG, small, old)
    found: list[int] = []
    for _ in range(4):
        batch, position = next(loader)
        found += [
            int(batch.inputs.tokens[0][batch.inputs.segments[0] == n][0])
            for n in range(1, 9)
            if (batch.inputs.segments[0] == n).any()
        ]
    loader.close()
    large = [i for i in range(position.next) if i % 11 == 10]
    assert sorted([*found, *position.waiting, *large]) == list(range(position.next))


def test_positions_given_out_do_not_change():
    loader = Loader(source, CONFIG, ROOM)
    first = next(loader)[1]
    copy = first.to_json()
    for _ in range(5):
        next(loader)
    loader.close()
    assert first.to_json() == copy


def test_an_error_of_the_source_reaches_the_consumer_every_time():
    def broken(index: int) -> Encoded:
        if index == 25:
            raise OSError("the disk is gone")
        return source(index)

    loader = Loader(broken, CONFIG, ROOM)
    with pytest.raises(OSError, match="the disk is gone"):
        for _ in loader:
            pass
    with pytest.raises(OSError, match="the disk is gone"):
        next(loader)
    loader.close()


def test_close_ends_the_thread_and_the_iteration():
    before = threading.active_count()
    loader = Loader(source, CONFIG, ROOM, ahead=1)
    next(loader)
    assert threading.active_count() == before + 1
    loader.close()
    assert threading.active_count() == before
    assert list(loader) == []
