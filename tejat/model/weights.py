"""Weights on disk: one safetensors file per part, names as `params.walk` gives them.

In eight bits, a matrix NAME is whole numbers from -127 to 127, and NAME.step what each output's are multiplied by.
"""

import os
from pathlib import Path

import numpy as np

from tejat.errors import BadInput
from tejat.model.params import Tree, unflatten, walk

STEP = ".step"

LEAST = 16
"""Inputs and outputs of a matrix that is kept in eight bits: less is not worth its steps, or is no matrix."""


def write(path: Path, arrays: Tree, dtype: str = "float32") -> None:
    """Writes a tree of arrays atomically, floats in `dtype` ("float32", "bfloat16", "float16", or "int8": matrices in
    eight bits, all else as float16)."""
    import ml_dtypes
    from safetensors.numpy import save_file

    flat = {name: np.asarray(array) for name, array in walk(arrays)}
    if dtype == "int8":
        flat, dtype = _in_eight_bits(flat), "float16"
    kind = np.dtype(getattr(ml_dtypes, dtype, None) or dtype)
    flat = {name: np.ascontiguousarray(a if a.dtype == np.int8 else a.astype(kind)) for name, a in flat.items()}
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
            found = set(file.keys())
            names = found - {name + STEP for name in found}
            _compare(path, expected, {name: tuple(file.get_slice(name).get_shape()) for name in names})

            def value(name: str) -> np.ndarray:
                array = np.asarray(file.get_tensor(name))
                if name + STEP in found:
                    array = array.astype(np.float32) * np.asarray(file.get_tensor(name + STEP)).astype(np.float32)
                return array.astype(dtype)

            return unflatten({name: value(name) for name in sorted(names)})
    except SafetensorError as error:
        raise BadInput(f"{path} is not a whole safetensors file ({error}); copy or export it again") from error


def _in_eight_bits(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    found = {}
    for name, array in arrays.items():
        if array.ndim < 2 or min(array.shape[-2:]) < LEAST:
            found[name] = array
            continue
        largest = np.abs(array).max(-2, keepdims=True)
        # Rounded as it is kept, so that the whole numbers are those nearest to what is read again.
        step = (np.maximum(largest, 1e-4) / 127).astype(np.float16).astype(np.float32)
        found |= {name: np.clip(np.rint(array / step), -127, 127).astype(np.int8), name + STEP: step}
    return found


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
