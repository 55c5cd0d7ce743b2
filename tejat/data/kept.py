"""Arrays that a process keeps at hand, as many of the last as fit into a number of bytes."""

import threading
import zlib
from collections import OrderedDict

import numpy as np


class Kept:
    """Arrays by key, compressed or not; the one that was longest unused goes first. Threads may share it.

    Args:
      limit: bytes that are kept at most, as they are kept.
      level: of zlib's compression; 0 for none.
    """

    def __init__(self, limit: int, level: int = 0):
        self.limit, self.level, self.size = limit, level, 0
        self._lock = threading.Lock()
        self._arrays: OrderedDict[bytes, tuple[tuple[int, ...], np.dtype, bytes]] = OrderedDict()

    def get(self, key: bytes) -> np.ndarray | None:
        """The array, read-only; None where it is not kept."""
        with self._lock:
            if key not in self._arrays:
                return None
            self._arrays.move_to_end(key)
            shape, dtype, data = self._arrays[key]
        return np.frombuffer(zlib.decompress(data) if self.level else data, dtype).reshape(shape)

    def put(self, key: bytes, array: np.ndarray) -> None:
        """Keeps it; one that is larger than the limit is not kept."""
        data = zlib.compress(array.tobytes(), self.level) if self.level else array.tobytes()
        with self._lock:
            if key not in self._arrays:
                self._arrays[key] = array.shape, array.dtype, data
                self.size += len(data)
            while self.size > self.limit:
                self.size -= len(self._arrays.popitem(last=False)[1][2])
