"""The items of a source that were read last, at hand: presenters look at an item several times, and at its neighbours.

A source of a few thousand drawings is at hand whole; of one of pages there are those of the last minutes.
"""

from collections import OrderedDict
from collections.abc import Sequence

from tejat.data.shards import Item

_HEAD = 2_000  # bytes that an item takes beside its text and blobs, about


class Recent(Sequence[Item]):
    """A sequence of items that keeps the last of them, within about `limit` bytes; at least one."""

    def __init__(self, items: Sequence[Item], limit: int):
        self._items, self._limit, self._size = items, limit, 0
        self._kept: OrderedDict[int, Item] = OrderedDict()

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return [self[k] for k in range(*index.indices(len(self)))]
        item = self._kept.get(index)
        if item is None:
            item = self._kept[index] = self._items[index]
            self._size += _size(item)
            while self._size > self._limit and len(self._kept) > 1:
                self._size -= _size(self._kept.popitem(last=False)[1])
        else:
            self._kept.move_to_end(index)
        return item


def _size(item: Item) -> int:
    return _HEAD + sum(map(len, item.blobs.values())) + len(item.fields.get("text", ""))
