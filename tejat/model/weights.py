"""Weights on disk: one safetensors file per part, names as `params.walk` gives them.

In eight bits, a matrix NAME is whole numbers from -127 to 127, and NAME.step what each output's are multiplied by. In
blocks (`tejat.model.quantised`), NAME.q4 or NAME.q8 are its codes and NAME.scale the scales of the blocks.
"""

import os
from pathlib import Path

import numpy as np

from tejat.errors import BadInput
from tejat.model import quantised
from tejat.model.params import Param, Tree, unflatten, walk
from tejat.model.quantised import Quantised

STEP = ".step"

CODES = {".q4": 4, ".q8": 8}

SCALE = ".scale"

LEAST = 16
"""Inputs and outputs of a matrix that is kept in eight bits: less is not worth its steps, or is no matrix."""


def write(path: Path, arrays: Tree, dtype: str = "float32") -> None:
    """Writes a tree of arrays atomically, floats in `dtype` ("float32", "bfloat16", "float16", or "int8": matrices in
    eight bits, all else as float16). Leaves may be `Quantised`: they are written as they are."""
    import ml_dtypes
    from safetensors.numpy import save_file

    flat, blocks = {}, {}
    for name, leaf in walk(arrays):
        if isinstance(leaf, Quantised):
            codes = quantised.packed(leaf.codes) if leaf.bits == 4 else leaf.codes
            blocks |= {f"{name}.q{leaf.bits}": codes, name + SCALE: leaf.scales}
        else:
            flat[name] = np.asarray(leaf)
    if dtype == "int8":
        flat, dtype = _in_eight_bits(flat), "float16"
    kind = np.dtype(getattr(ml_dtypes, dtype, None) or dtype)
    flat = {name: a if a.dtype == np.int8 else a.astype(kind) for name, a in flat.items()} | blocks
    flat = {name: np.ascontiguousarray(array) for name, array in flat.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        part.touch()
        mode = part.stat().st_mode  # as the user's umask has it; safetensors makes files that nobody else can read
        save_file(flat, str(part))
        part.chmod(mode)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def read(path: Path, tree: Tree, dtype: str = "float32", in_blocks: bool = False) -> Tree:
    """Arrays for every Param of `tree`, as `dtype`; with `in_blocks`, those that are kept so as `Quantised`.

    Raises BadInput, naming the tensors, when the file is damaged or does not fit the tree.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise BadInput(f"there are no weights at {path}; train a model or give another directory")
    expected = dict(walk(tree))
    try:
        with safe_open(str(path), framework="numpy") as file:
            found = set(file.keys())
            kept = {name: suffix for name in expected for suffix in CODES if name + suffix in found}
            more = {name + suffix for name in kept for suffix in (kept[name], SCALE)}
            names = found - {name + STEP for name in found} - more
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in names}
            _compare(path, expected, shapes | {name: _shape(path, file, name, kept, expected[name]) for name in kept})

            def value(name: str) -> np.ndarray:
                array = np.asarray(file.get_tensor(name))
                if name + STEP in found:
                    array = array.astype(np.float32) * np.asarray(file.get_tensor(name + STEP)).astype(np.float32)
                return array.astype(dtype, copy=False)

            def block_value(name: str) -> np.ndarray | Quantised:
                found = _quantised(file, name, kept[name], expected[name])
                return found if in_blocks else found.array().astype(dtype, copy=False)

            return unflatten({name: (block_value if name in kept else value)(name) for name in sorted(expected)})
    except SafetensorError as error:
        raise BadInput(f"{path} is not a whole safetensors file ({error}); copy or export it again") from error


def _quantised(file, name: str, suffix: str, param: Param) -> Quantised:
    codes, scales = np.asarray(file.get_tensor(name + suffix)), np.asarray(file.get_tensor(name + SCALE))
    codes = quantised.unpacked(codes) if suffix == ".q4" else codes
    return Quantised(codes, scales, CODES[suffix], param.shape, quantised.layout(name, param))


def _shape(path: Path, file, name: str, kept: dict[str, str], param: Param) -> tuple[int, ...]:
    """The shape of a weight in blocks, if its codes and scales are those of the Param; else that of its codes."""
    at = quantised.layout(name, param)
    if name + SCALE not in file.keys():  # noqa: SIM118 (not a dict)
        raise BadInput(f"{path} has {name + kept[name]} and no {name + SCALE}; copy or quantize it again")
    codes, scales = (tuple(file.get_slice(name + s).get_shape()) for s in (kept[name], SCALE))
    whole = (*codes[:-1], codes[-1] * (8 // CODES[kept[name]]))
    fits = at is not None and scales == (*whole[:-1], whole[-1] // quantised.BLOCK)
    return param.shape if fits and whole == quantised.matrix_shape(param.shape, at) else whole


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
