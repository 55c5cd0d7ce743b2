"""The lines that are added to a run's log, told to whoever supervises it."""

import json
from pathlib import Path
from typing import Any


class Follower:
    """Reads a log of JSON lines while others write it, and cut it back where a run goes on from an earlier step."""

    def __init__(self, path: Path):
        self._path, self._at = path, self._size(path)

    def new(self) -> list[dict[str, Any]]:
        """Whole lines since the last call."""
        size = self._size(self._path)
        if size <= self._at:
            self._at = size
            return []
        with self._path.open("rb") as file:
            file.seek(self._at)
            whole, end, _ = file.read(size - self._at).rpartition(b"\n")
        self._at += len(whole) + len(end)
        found = []
        for line in whole.splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:  # the log was cut back and has grown again since the last call
                continue
        return found

    @staticmethod
    def _size(path: Path) -> int:
        return path.stat().st_size if path.is_file() else 0
