"""Copies on other hosts: what is sent is there, what came damaged is not, and any box of it can be read from afar."""

import numpy as np
import pytest

from tejat.errors import BadInput
from tejat.train.surviving import copies
from tejat.train.surviving.afar import Abroad, Sender, Shelf
from tejat.train.surviving.copies import KEPT, Assembly, Slots
from tejat.train.surviving.wire import Server

KEY = b"k" * 32
PIECES = copies.laid_out([("w", (0, 0), (3, 8), "float32"), ("n", (), (), "int32"), ("none", (0,), (0,), "float32")])


@pytest.fixture
def host(tmp_path):
    """Another host: (its place, its address)."""
    shelf = Shelf(tmp_path / "there")
    server = Server(shelf.handlers, KEY, shelf.room)
    yield tmp_path / "there", f"127.0.0.1:{server.port}"
    server.close()


def written(slots: Slots, step: int) -> list[np.ndarray]:
    arrays = slots.begin()
    for number, array in enumerate(arrays):
        array[...] = step + number
    slots.finish(step, 1, {"step": step}, copies.sums(arrays))
    return arrays


def test_what_is_sent_is_kept_and_read(host, tmp_path):
    place, address = host
    slots, sender = Slots(tmp_path / "here" / "domain-0", 0, PIECES), Sender(address, KEY, 7)
    for step in range(2, 12, 2):
        arrays = written(slots, step)
        assert sender.send(*slots.newest) is None
    found = copies.survivors(place)
    assert sorted(share.step for share in found) == [8, 10]
    assert all(share.path.parent.name == "domain-7" for share in found)
    assert len(list(place.rglob("*rank*"))) == KEPT  # memory is used again
    newest = max(found, key=lambda share: share.step)
    for sources in ([newest.path], [Abroad(newest.path, address, KEY)]):
        assembly = Assembly(sources)
        assert assembly.facts == [{"step": 10}]
        box = assembly.box("w", (3, 8), np.dtype("float32"), (slice(1, 3), slice(2, 5)))
        np.testing.assert_array_equal(box, arrays[0][1:3, 2:5])
        assert assembly.box("n", (), np.dtype("int32"), ()) == 11
        with pytest.raises(BadInput, match="do not hold all of x"):
            assembly.box("x", (3,), np.dtype("float32"), (slice(None),))


def test_what_comes_damaged_gets_no_name(host, tmp_path):
    place, address = host
    slots = Slots(tmp_path / "here" / "domain-0", 0, PIECES)
    written(slots, 2)
    name, data = slots.newest
    data = bytearray(data[:])
    (path,) = (tmp_path / "here").rglob("step-2.*")
    data[copies.header(path)["data"] + 3] ^= 1  # before it was sent: the frame's own checksum cannot see it
    assert "came damaged" in Sender(address, KEY, 7).send(name, data)
    assert copies.survivors(place) == []
    assert Sender(address, KEY, 7).send(name, slots.newest[1]) is None
    assert len(copies.survivors(place)) == 1


def test_a_piece_that_changed_in_the_others_memory_is_not_taken(host, tmp_path):
    place, address = host
    slots = Slots(tmp_path / "here" / "domain-0", 0, PIECES)
    written(slots, 2)
    assert Sender(address, KEY, 7).send(*slots.newest) is None
    path = copies.survivors(place)[0].path
    assembly = Assembly([Abroad(path, address, KEY)])
    told = copies.header(path)
    with path.open("r+b") as file:
        file.seek(told["data"] + 3)
        file.write(b"\x55")
    with pytest.raises(BadInput, match="is damaged"):
        assembly.box("w", (3, 8), np.dtype("float32"), (slice(None), slice(None)))


@pytest.mark.parametrize("name", ["../../etc", "step-2.rank-0/../x", "writing.rank-0", "run"])
def test_nothing_but_copies_is_written_or_read(host, name):
    place, address = host
    assert Sender(address, KEY, 7).send(name, b"data") is not None
    with pytest.raises(Exception, match="no copy of this run"):
        Abroad(place / name, address, KEY).header()
    assert not list(place.rglob("*"))


def test_a_host_that_is_gone_is_told_and_nothing_is_raised(tmp_path):
    slots = Slots(tmp_path / "domain-0", 0, PIECES)
    written(slots, 2)
    assert "does not answer" in Sender("127.0.0.1:9", KEY, 7).send(*slots.newest)
