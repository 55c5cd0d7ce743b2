"""A file that one process at a time holds: what only one may do."""

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

from tejat.errors import BadInput


@contextlib.contextmanager
def held(path: Path, otherwise: str) -> Iterator[None]:
    """Nobody else holds the file, until the end of this or of the process. Raises BadInput, with the sentence
    `otherwise`, where another process does."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BadInput(otherwise) from error
        yield
