"""Compiled programs that outlive the processes that compiled them: a restart neither traces nor compiles.

JAX's own cache holds what process 0 compiled, after a trace; here every process finds its own program, ready to run.
A program is used only by the very same sources, recipe, mesh and version of JAX. Files are pickles: they are read from
where this user's supervisor put them, and from nowhere else.
"""

import hashlib
import os
import pickle
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import jax
from jax.experimental import serialize_executable

import tejat
from tejat.train.guards import Guard

FOLDERS = ("codecs", "data", "model", "train")
"""Parts of Tejat of which a step is made."""


class Programs(Guard):
    """Keeps compiled programs in a directory. `what` is all that they were compiled for, beside the sources."""

    def __init__(self, directory: Path, what: str):
        told = f"{jax.__version__} {os.environ.get('XLA_FLAGS', '')} {running()} {what}"
        self._directory, self._key = directory, hashlib.sha256(told.encode()).hexdigest()[:24]

    def compiled(self, make: Callable[[], Callable], name: str = "step") -> Callable:
        path = self._directory / f"{name}-{self._key}.program"
        try:
            data = path.read_bytes()
            total, data = int.from_bytes(data[:8], "little"), data[8:]
            if zlib.crc32(data) == total:
                ids, *serialized = pickle.loads(data)
                devices = [device for device in jax.devices() if device.id in ids]
                return serialize_executable.deserialize_and_load(*serialized, execution_devices=devices)
        except FileNotFoundError:
            pass
        found = make()
        devices = jax.tree.leaves(found.input_shardings)[0].device_set
        data = pickle.dumps(({device.id for device in devices}, *serialize_executable.serialize(found)))
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = path.with_suffix(f".{os.getpid()}")
        new.write_bytes(zlib.crc32(data).to_bytes(8, "little") + data)
        new.rename(path)
        return found


@cache
def running() -> str:
    """`sources` of the modules that this process runs, and those that are forked from it: as they were when it first
    asked, which is when it imported them. What is written to the files later is not what they run."""
    return sources()


def sources() -> str:
    """A digest of the sources that a step is made of."""
    root, digest = Path(tejat.__file__).parent, hashlib.sha256()
    for path in sorted(path for folder in FOLDERS for path in (root / folder).rglob("*.py")):
        digest.update(f"{path.relative_to(root)}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()
