"""Directories that appear when they are whole."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tejat.errors import BadInput

LAST = ("config.json", "manifest.json")
"""Files by which a reader knows that the others are there."""


def check(folder: Path) -> None:
    """Raises BadInput where there is something already, before any work is done for it."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadInput(f"{folder} is there already; give a new directory")


@contextmanager
def appearing(folder: Path) -> Iterator[Path]:
    """A directory under another name, which becomes `folder` when all went well and vanishes otherwise.

    An empty `folder` is filled instead, what says that it is whole last: somebody may stand in it.

    Raises BadInput for a `folder` that holds something, or cannot be made or written to.
    """
    check(folder)
    folder = folder.absolute()  # "." has no name
    fresh = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        fresh.mkdir(parents=True)
    except OSError as error:
        raise BadInput(f"{folder} cannot be made ({error.strerror}); give another directory") from error
    try:
        yield fresh
        if not folder.exists():
            os.replace(fresh, folder)
            return
        for path in sorted(fresh.iterdir(), key=lambda path: path.name in LAST):
            os.replace(path, folder / path.name)
    except OSError as error:
        raise BadInput(f"{folder} cannot be written ({error.strerror or error}); give another directory") from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
