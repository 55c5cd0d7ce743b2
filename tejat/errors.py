"""The error for a user's bad input."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


class BadInput(ValueError):
    """A user's input cannot be used; the message is one sentence that names the input and the mend. Exit code 2."""


class Refused(BadInput):
    """What must not be trained on. It ends a run, where a document that is only damaged is passed over."""


@contextmanager
def explained() -> Iterator[None]:
    """A BadInput within ends the program as it ends a command of `tejat`: its sentence on standard error, and 2."""
    try:
        yield
    except BadInput as error:
        print(f"tejat: error: {error}", file=sys.stderr)
        sys.exit(2)
