"""JSON lines as records by number, each read from where it lies: a file may be larger than memory."""

import hashlib
import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from tejat.data.corpus.source import Dropped
from tejat.errors import BadInput

Record = TypeVar("Record")

Parse = Callable[[Any, str, str], Record]
"""(the line's JSON, the folder of files that it names, its place for messages) to a record; raises BadInput."""


class _Place(NamedTuple):
    """Where a record lies in its file: bytes, and the number of its line."""

    start: int
    length: int
    number: int


class Lines(Generic[Record]):
    """The records of a file. Each is read once at the beginning, so that what cannot be used is known by then.

    Attributes:
      dropped: lines that cannot be used, by reason, with examples.
      refused: the place and the reason of the first of them.
      digest: SHA-256 of the file.

    Raises BadInput for a file that cannot be read or has no record.
    """

    def __init__(self, path: Path, parse: Parse[Record]):
        self.path, self._parse, self._places = path, parse, list[_Place]()
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
        if not self._places:
            told = f"; the first line that cannot be used: {self.refused}" if self.refused else ""
            raise BadInput(f"{path} has no record{told}; give JSON lines")

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> Record:
        start, length, _ = self._places[index]
        with self.path.open("rb") as stream:
            stream.seek(start)
            line = stream.read(length)
        return self._parse(json.loads(line.decode("utf-8-sig")), str(self.path.parent), self.path.name)

    @property
    def unusable(self) -> int:
        """How many lines cannot be used."""
        return sum(self.dropped.counts.values())

    def needed(self, what: str) -> None:
        """Raises BadInput where a line cannot be used: how many are not `what`, by reason, and which is the first."""
        if self.unusable:
            kinds = "; ".join(f"{kind}: {count:,}" for kind, count in self.dropped.counts.most_common())
            raise BadInput(
                f"{self.path} has lines that are no {what} ({kinds}), the first of them {self.refused}; "
                "mend or remove them"
            )

    @contextmanager
    def told(self, index: int) -> Iterator[None]:
        """What is raised as BadInput inside, with the line of the record that it is about."""
        try:
            yield
        except BadInput as error:
            raise BadInput(
                f"line {self._places[index].number} of {self.path}: {error}; mend or remove it, or take another model"
            ) from error

    def _take(self, line: bytes, start: int, number: int) -> None:
        try:
            record = json.loads(line.rstrip(b"\r\n").decode("utf-8-sig"))
        except json.JSONDecodeError as error:
            return self._drop("that are not JSON in UTF-8", number, f"{error.msg}, at column {error.colno}")
        except UnicodeDecodeError as error:
            return self._drop("that are not JSON in UTF-8", number, f"{error.reason}, at byte {error.start + 1}")
        except (ValueError, RecursionError) as error:  # thousands of digits, or of brackets
            return self._drop("that are not JSON in UTF-8", number, str(error))
        try:
            self._parse(record, str(self.path.parent), self.path.name)
        except BadInput as error:
            return self._drop(getattr(error, "kind", "that cannot be used"), number, str(error))
        self._places.append(_Place(start, len(line), number))

    def _drop(self, reason: str, number: int, why: str) -> None:
        self.dropped.drop(reason, f"line {number}: {why}")
        self.refused = self.refused or f"line {number}: {why}"


def is_number(value: Any) -> bool:
    """Is a value of JSON a number that arithmetic can do with? Not where it has so many digits that no float holds
    it."""
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:
        return False
