"""Compiled steps that outlive the processes that compiled them: a restart neither traces nor compiles.

JAX's own cache holds what process 0 compiled, after a trace; here every process finds its own program, ready to run.
A program is used only by the very same sources, recipe, mesh and version of JAX. Files are pickles: they are read from
where this user's supervisor put them, and from nowhere else.
"""

import hashlib
import os
import pickle
import zlib
from collections.abc import Callable
from pathlib import Path

import jax
from jax.experimental import serialize_executable

import tejat
from tejat.train.guards import Guard

FOLDERS = ("codecs", "data", "model", "train")
"""Parts of Tejat of which a step is made."""


class Programs(Guard):
    """Keeps the compiled step in a directory. `what` is all that it was compiled for, beside the sources."""

    def __init__(self, directory: Path, what: str):
        told = f"{jax.__version__} {os.environ.get('XLA_FLAGS', '')} {sources()} {what}"
        self._path = directory / f"{hashlib.sha256(told.encode()).hexdigest()[:24]}.program"

    def compiled(self, make: Callable[[], Callable]) -> Callable:
        try:
            data = self._path.read_bytes()
            total, data = int.from_bytes(data[:8], "little"), data[8:]
            if zlib.crc32(data) == total:
                return serialize_executable.deserialize_and_load(*pickle.loads(data))
        except FileNotFoundError:
            pass
        found = make()
        data = pickle.dumps(serialize_executable.serialize(found))
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = self._path.with_suffix(f".{os.getpid()}")
        new.write_bytes(zlib.crc32(data).to_bytes(8, "little") + data)
        new.rename(self._path)
        return found


def sources() -> str:
    """A digest of the sources that a step is made of."""
    root, digest = Path(tejat.__file__).parent, hashlib.sha256()
    for path in sorted(path for folder in FOLDERS for path in (root / folder).rglob("*.py")):
        digest.update(f"{path.relative_to(root)}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()
