"""Directories that appear when they are whole."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tejat.errors import BadInput

LAST = ("config.json", "manifest.json")
"""Files by which a reader knows that the others are there."""


@contextmanager
def appearing(folder: Path) -> Iterator[Path]:
    """A directory under another name, which becomes `folder` when all went well and vanishes otherwise.

    An empty `folder` is filled instead, what says that it is whole last: somebody may stand in it.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadInput(f"{folder} is there already; give a new directory")
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
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
