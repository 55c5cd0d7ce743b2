"""Weights on disk: one safetensors file per part, names as `params.walk` gives them."""

import os
from pathlib import Path

import numpy as np

from tejat.errors import BadInput
from tejat.model.params import Tree, unflatten, walk


def write(path: Path, arrays: Tree, dtype: str = "float32") -> None:
    """Writes a tree of arrays atomically, floats in `dtype` ("float32", "bfloat16" or "float16")."""
    import ml_dtypes
    from safetensors.numpy import save_file

    kind = np.dtype(getattr(ml_dtypes, dtype, None) or dtype)
    flat = {name: np.ascontiguousarray(np.asarray(array).astype(kind)) for name, array in walk(arrays)}
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        save_file(flat, str(part))
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def read(path: Path, tree: Tree, dtype: str = "float32") -> Tree:
    """Arrays for every Param of `tree`, as `dtype`.

    Raises BadInput, naming the tensors, when the file is damaged or does not fit the tree.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise BadInput(f"there are no weights at {path}; train a model or give another directory")
    expected = dict(walk(tree))
    try:
        with safe_open(str(path), framework="numpy") as file:
            names = set(file.keys())
            _compare(path, expected, {name: tuple(file.get_slice(name).get_shape()) for name in names})
            return unflatten({name: np.asarray(file.get_tensor(name)).astype(dtype) for name in sorted(names)})
    except SafetensorError as error:
        raise BadInput(f"{path} is not a whole safetensors file ({error}); copy or export it again") from error


def _compare(path: Path, expected: dict, shapes: dict[str, tuple[int, ...]]) -> None:
    missing = sorted(expected.keys() - shapes.keys())
    extra = sorted(shapes.keys() - expected.keys())
    wrong = sorted(n for n in expected.keys() & shapes.keys() if expected[n].shape != shapes[n])
    told = [f"lacks {_some(missing)}" if missing else "", f"has unknown {_some(extra)}" if extra else ""]
    told += [f"has {n} of shape {shapes[n]} where {expected[n].shape} belongs" for n in wrong[:3]]
    if any(told):
        raise BadInput(f"{path} {' and '.join(filter(None, told))}: it is of another model; check its config.json")


def _some(names: list[str], shown: int = 3) -> str:
    return ", ".join(names[:shown]) + (f" and {len(names) - shown} more" if len(names) > shown else "")
