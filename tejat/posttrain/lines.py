"""JSON lines as records by number, each read from where it lies: a file may be larger than memory."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

from tejat.data.corpus.source import Dropped
from tejat.errors import BadInput

Record = TypeVar("Record")

Parse = Callable[[Any, str, str], Record]
"""(the line's JSON, the folder of files that it names, its place for messages) to a record; raises BadInput."""


class Lines(Generic[Record]):
    """The records of a file. Each is read once at the beginning, so that what cannot be used is known by then.

    Attributes:
      dropped: lines that cannot be used, by reason, with examples.
      refused: the place and the reason of the first of them.
      digest: SHA-256 of the file.

    Raises BadInput for a file that cannot be read or has no record.
    """

    def __init__(self, path: Path, parse: Parse[Record]):
        self.path, self._parse, self._starts = path, parse, list[tuple[int, int]]()
        self.dropped, self.refused, digest = Dropped(), "", hashlib.sha256()
        try:
            with path.open("rb") as stream:
                for number, line in enumerate(stream, 1):
                    digest.update(line)
                    start = stream.tell() - len(line)
                    if line.strip():
                        self._take(line, start, number)
        except OSError as error:
            raise BadInput(f"{path} cannot be read ({error.strerror}); give a file of JSON lines") from error
        self.digest = digest.hexdigest()
        if not self._starts:
            told = f"; the first line that cannot be used: {self.refused}" if self.refused else ""
            raise BadInput(f"{path} has no record{told}; give JSON lines")

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, index: int) -> Record:
        start, length = self._starts[index]
        with self.path.open("rb") as stream:
            stream.seek(start)
            line = stream.read(length)
        return self._parse(json.loads(line.decode("utf-8-sig")), str(self.path.parent), self.path.name)

    @property
    def unusable(self) -> int:
        """How many lines cannot be used."""
        return sum(self.dropped.counts.values())

    def _take(self, line: bytes, start: int, number: int) -> None:
        try:
            self._parse(json.loads(line.decode("utf-8-sig")), str(self.path.parent), self.path.name)
        except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
            self._drop("lines that are not JSON in UTF-8", number, str(error))
        except BadInput as error:
            self._drop(getattr(error, "kind", "records that cannot be used"), number, str(error))
        else:
            self._starts.append((start, len(line)))

    def _drop(self, reason: str, number: int, why: str) -> None:
        self.dropped.drop(reason, f"line {number}: {why}")
        self.refused = self.refused or f"line {number}: {why}"
