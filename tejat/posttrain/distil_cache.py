"""What a teacher thought of every batch, on disk: made once, and read by every student that sees the same batches.

DIRECTORY/about.json   whose thoughts, and which part of them     DIRECTORY/batch-N.npz   of the batch of step N
"""

import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tejat.data.packing import Batch
from tejat.errors import BadInput
from tejat.parts import write_whole
from tejat.posttrain.distil_loss import Few

ABOUT = "about.json"


class Cache:
    """Of a directory, which is made if it is not there. Raises BadInput where another teacher's thoughts lie in it."""

    def __init__(self, directory: Path, about: dict[str, Any]):
        self.directory, path = directory, directory / ABOUT
        try:
            directory.mkdir(parents=True, exist_ok=True)
            if path.is_file():
                found = json.loads(path.read_text())
                wrong = next((name for name in about if found.get(name) != about[name]), None)
                if wrong is not None:
                    told = f"{directory} keeps what a teacher thought with {wrong} = {found.get(wrong)}"
                    raise BadInput(f"{told}, and the recipe has {about[wrong]}; name another directory as cache")
            else:
                write_whole(path, (json.dumps(about, indent=1) + "\n").encode())
        except (OSError, json.JSONDecodeError) as error:
            raise BadInput(f"{directory} cannot be used as cache ({error}); name another directory") from error

    def read(self, step: int, batch: Batch) -> Few | None:
        """Of a batch; None where it was not asked for before.

        Raises BadInput for a damaged file, and for one of another batch.
        """
        path = self._path(step)
        if not path.is_file():
            return None
        try:
            with np.load(path) as found:
                digest, ids, shares, entropy = (found[name] for name in ("digest", "ids", "shares", "entropy"))
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise BadInput(f"{path} cannot be read ({error}); remove it, and it is made anew") from error
        if str(digest) != _digest(batch):
            raise BadInput(f"{path} is of other documents than step {step} has now; name another directory as cache")
        real = np.asarray(batch.weights) > 0

        def placed(values: np.ndarray, dtype: Any) -> jax.Array:
            whole = np.zeros((*real.shape, *values.shape[1:]), dtype)
            whole[real] = values
            return jnp.asarray(whole)

        return Few(placed(ids, np.int32), placed(shares, np.float16), placed(entropy, np.float32))

    def write(self, step: int, batch: Batch, few: Few) -> Few:
        """Keeps what a teacher thought of a batch; the same as `read` will give it."""
        real = np.asarray(batch.weights) > 0
        ids, shares, entropy = (np.asarray(part)[real] for part in few)
        small = np.uint16 if ids.size == 0 or ids.max() < 2**16 else np.uint32
        stream = io.BytesIO()
        np.savez(stream, digest=_digest(batch), ids=ids.astype(small), shares=shares, entropy=entropy)
        try:
            write_whole(self._path(step), stream.getvalue())
        except OSError as error:
            raise BadInput(
                f"{self.directory} cannot be written ({error.strerror}); make room, or set k lower"
            ) from error
        found = self.read(step, batch)
        assert found is not None
        return found

    def _path(self, step: int) -> Path:
        return self.directory / f"batch-{step}.npz"


def _digest(batch: Batch) -> str:
    found = hashlib.sha256()
    for array in (batch.inputs.tokens, batch.targets, batch.weights):
        found.update(np.asarray(array).tobytes())
    return found.hexdigest()[:32]
