"""A run of the image tokenizer on disk, so that it goes on on another machine: small files, the newest state alone.

    DIR/run.json                       what the run may not change
       /state.json                     the step, and the files of the state
       /state-00004000-0.safetensors   its arrays, in pieces of at most 15 MiB

Weights are kept in float32. Moments are rounded to bfloat16, and the run that saved them goes on with the rounded ones,
so that a run which is killed comes to the same weights as one which is not.
"""

import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tejat.errors import BadInput
from tejat.parts import write_whole

PIECE = 15 << 20  # bytes of arrays in a file
_NAME = "state.json"


def rounded(moments: Any) -> Any:
    """Moments as they are kept."""
    return jax.tree.map(lambda a: a.astype(jnp.bfloat16).astype(a.dtype) if a.dtype == jnp.float32 else a, moments)


def save(directory: Path, step: int, params: Any, moments: Any) -> None:
    """Writes the state after `step` steps; `moments` are `rounded`. Until it is whole, the one before it is there."""
    from safetensors.numpy import save_file

    arrays = {f"params.{name}": array for name, array in _named(params).items()}
    for name, array in _named(moments).items():
        arrays[f"moments.{name}"] = array.astype(jnp.bfloat16) if array.dtype == np.float32 else array
    pieces: list[dict[str, np.ndarray]] = []
    room = 0
    for name, array in arrays.items():
        if not pieces or array.nbytes > room:
            pieces.append({})
            room = PIECE
        pieces[-1][name] = array
        room -= array.nbytes
    names = [f"state-{step:08d}-{number}.safetensors" for number in range(len(pieces))]
    for name, piece in zip(names, pieces, strict=True):
        save_file(piece, str(directory / name))
    write_whole(directory / _NAME, json.dumps({"step": step, "files": names}).encode())
    for path in directory.glob("state-*.safetensors"):
        if path.name not in names:
            path.unlink()


def step_of(directory: Path) -> int:
    """Steps of the state kept in a directory; 0 where there is none. Raises BadInput where it cannot be read."""
    return _facts(directory)["step"] if (directory / _NAME).exists() else 0


def restore(directory: Path, params: Any, moments: Any) -> tuple[Any, Any]:
    """(params, moments) as saved, of the shapes and types of those given.

    Raises BadInput for a state that is damaged or of other shapes.
    """
    from safetensors import SafetensorError, safe_open

    found: dict[str, np.ndarray] = {}
    for name in _facts(directory)["files"]:
        try:
            with safe_open(str(directory / name), framework="numpy") as file:
                found.update({key: file.get_tensor(key) for key in file.keys()})  # noqa: SIM118 (it is no dict)
        except (OSError, SafetensorError) as error:
            raise BadInput(
                f"{directory / name} cannot be read ({error}); copy it again, or begin the run anew"
            ) from error
    trees = []
    for part, tree in (("params", params), ("moments", moments)):
        leaves = []
        for name, like in _named(tree).items():
            array = found.get(f"{part}.{name}")
            if array is None or array.shape != like.shape:
                raise BadInput(
                    f"the state in {directory} has no {part}.{name} of shape {like.shape}; begin the run anew"
                )
            leaves.append(jnp.asarray(array.astype(like.dtype)))
        trees.append(jax.tree.unflatten(jax.tree.structure(tree), leaves))
    return trees[0], trees[1]


def _facts(directory: Path) -> dict[str, Any]:
    path = directory / _NAME
    try:
        value = json.loads(path.read_text())
        return {"step": int(value["step"]), "files": [str(name) for name in value["files"]]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{path} cannot be read ({error!r}); copy it again, or begin the run anew") from error


def _named(tree: Any) -> dict[str, np.ndarray]:
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="."): np.asarray(leaf) for path, leaf in leaves}
