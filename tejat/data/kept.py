"""Arrays that a process keeps at hand, as many of the last as fit into a number of bytes.

Processes that do the same work may keep them for each other too, in a directory (`share`): what one has rasterised or
decoded, none of the others makes again.
"""

import json
import threading
import zlib
from collections import OrderedDict
from pathlib import Path

import numpy as np

from tejat.parts import write_whole

_shared: Path | None = None


def share(directory: Path | None) -> None:
    """Where this process finds what others keep, and leaves what it keeps; None: nowhere, as at first."""
    global _shared
    _shared = directory


class Kept:
    """Arrays by key, compressed or not; the one that was longest unused goes first. Threads may share it.

    Args:
      limit: bytes that are kept at most in the process, as they are kept.
      level: of zlib's compression; 0 for none.
      name: of what is kept, by which processes know it; without one, nothing is shared.
    """

    def __init__(self, limit: int, level: int = 0, name: str = ""):
        self.limit, self.level, self.name, self.size = limit, level, name, 0
        self._lock = threading.Lock()
        self._arrays: OrderedDict[bytes, tuple[tuple[int, ...], str, bytes]] = OrderedDict()

    def get(self, key: bytes) -> np.ndarray | None:
        """The array, read-only; None where it is not kept."""
        with self._lock:
            found = self._arrays.get(key)
            if found is not None:
                self._arrays.move_to_end(key)
        if found is None and _shared is not None and self.name:
            try:
                head, _, body = self._path(_shared, key).read_bytes().partition(b"\n")
            except OSError:
                return None
            shape, dtype = json.loads(head)
            found = tuple(shape), dtype, body
            self._put(key, found)
        if found is None:
            return None
        shape, dtype, body = found
        return np.frombuffer(zlib.decompress(body) if self.level else body, dtype).reshape(shape)

    def put(self, key: bytes, array: np.ndarray) -> None:
        """Keeps it; one that is larger than the limit is not kept in the process."""
        body = zlib.compress(array.tobytes(), self.level) if self.level else array.tobytes()
        self._put(key, (array.shape, array.dtype.str, body))
        if _shared is not None and self.name:
            head = json.dumps([array.shape, array.dtype.str]).encode()
            try:
                write_whole(self._path(_shared, key), head + b"\n" + body)
            except OSError:  # a full disk: the others make it themselves
                return

    def _put(self, key: bytes, found: tuple[tuple[int, ...], str, bytes]) -> None:
        with self._lock:
            if key not in self._arrays:
                self._arrays[key] = found
                self.size += len(found[2])
            while self.size > self.limit:
                self.size -= len(self._arrays.popitem(last=False)[1][2])

    def _path(self, directory: Path, key: bytes) -> Path:
        return directory / f"{self.name}-{key.hex()}"
