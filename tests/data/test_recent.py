"""The last items are read once; what is beyond the limit is read again."""

from collections.abc import Sequence

import pytest

from tejat.data.recent import Recent
from tejat.data.shards import Item


class Counted(Sequence):
    """Items of a kilobyte, and how often each was read."""

    def __init__(self, count: int):
        self.read = [0] * count

    def __len__(self):
        return len(self.read)

    def __getitem__(self, index):
        self.read[index] += 1
        return Item("text", {"text": "x" * 1_000, "n": index})


@pytest.fixture
def source():
    return Counted(10)


def test_an_item_is_read_once(source):
    recent = Recent(source, 1 << 20)
    assert [recent[k].fields["n"] for k in (3, 3, 4, 3)] == [3, 3, 4, 3]
    assert source.read[3:5] == [1, 1] and len(recent) == 10
    assert [item.fields["n"] for item in recent[2:5]] == [2, 3, 4] and source.read[3] == 1


def test_what_was_used_longest_ago_goes(source):
    recent = Recent(source, 10_000)  # three items of 3,000 bytes as they are counted
    for k in (0, 1, 2, 0, 3):
        recent[k]
    recent[0]
    assert source.read[:4] == [1, 1, 1, 1]
    recent[1]
    assert source.read[1] == 2


def test_one_item_is_at_hand_whatever_its_size(source):
    recent = Recent(source, 10)
    recent[5], recent[5]
    assert source.read[5] == 1
