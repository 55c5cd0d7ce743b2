"""A table from 64-bit keys to numbers in two NumPy arrays, for indexes that a dict would make five times larger."""

import numpy as np
from jaxtyping import Int64, UInt32, UInt64

FULLEST = 0.6  # share of slots in use beyond which the table doubles


class Table:
    """Keys are hashes, well mixed; values are numbers below 2^32. The first value that a key was given stays.

    12 bytes a slot; between 20 and 40 bytes for each key, and half as much again while it doubles.
    """

    def __init__(self) -> None:
        self._keys: UInt64[np.ndarray, " slots"] = np.zeros(1 << 10, np.uint64)  # 0: free
        self._values: UInt32[np.ndarray, " slots"] = np.zeros(1 << 10, np.uint32)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def nbytes(self) -> int:
        return self._keys.nbytes + self._values.nbytes

    def find(self, keys: UInt64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
        """The value of each key, -1 where it has none."""
        keys = np.maximum(keys, np.uint64(1))
        found = np.full(len(keys), -1, np.int64)
        open_, slots = np.arange(len(keys)), self._home(keys)
        while len(open_):
            here = self._keys[slots]
            hit = here == keys[open_]
            found[open_[hit]] = self._values[slots[hit]]
            on = ~hit & (here != 0)
            open_, slots = open_[on], (slots[on] + 1) & (len(self._keys) - 1)
        return found

    def add(self, keys: UInt64[np.ndarray, " n"], values: np.ndarray) -> None:
        """Gives keys their values; keys that have one keep it, and of equal keys the first is taken."""
        keys, first = np.unique(np.maximum(keys, np.uint64(1)), return_index=True)
        new = self.find(keys) < 0
        keys, values = keys[new], np.asarray(values, np.uint32)[first[new]]
        while self._count + len(keys) > FULLEST * len(self._keys):
            self._double()
        self._place(keys, values)
        self._count += len(keys)

    def _place(self, keys: UInt64[np.ndarray, " n"], values: UInt32[np.ndarray, " n"]) -> None:
        """Puts distinct new keys into free slots."""
        slots = self._home(keys)
        while len(keys):
            free = self._keys[slots] == 0
            self._keys[slots[free]] = keys[free]  # where several want one slot, one of them gets it
            got = self._keys[slots] == keys
            self._values[slots[got]] = values[got]
            keys, values, slots = keys[~got], values[~got], (slots[~got] + 1) & (len(self._keys) - 1)

    def _double(self) -> None:
        used = self._keys != 0
        keys, values = self._keys[used], self._values[used]
        self._keys = np.zeros(2 * len(self._keys), np.uint64)
        self._values = np.zeros(len(self._keys), np.uint32)
        self._place(keys, values)

    def _home(self, keys: UInt64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
        return (keys & np.uint64(len(self._keys) - 1)).astype(np.int64)
