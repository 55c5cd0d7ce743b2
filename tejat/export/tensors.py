"""Checkpoints as streams of tensors: read from one file or many, and written, one tensor in memory at a time."""

import json
import os
import struct
from collections.abc import Callable, Iterable, Mapping, Set
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

from tejat.errors import BadInput

WHOLE, INDEX = "model.safetensors", "model.safetensors.index.json"
TYPES = {"F32": np.dtype("float32"), "F16": np.dtype("float16"), "BF16": np.dtype(ml_dtypes.bfloat16)}
"""What weights may be stored in, by the names that safetensors gives."""


class Stored(NamedTuple):
    """A tensor on disk."""

    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def bytes(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize


class Checkpoint:
    """The tensors of one safetensors file, or of all that an index names: a context manager that holds them open.

    The files are mapped, not read: memory holds what was asked for last.
    """

    def __init__(self, path: Path):
        """`path`: a safetensors file, or a directory with `model.safetensors` or its index.

        Raises BadInput, naming the files or tensors, for what is missing, truncated, or stored as no float.
        """
        from safetensors import SafetensorError, safe_open

        self.path = path
        self.tensors: dict[str, Stored] = {}
        self._where: dict[str, Any] = {}
        self._stack = ExitStack()
        placed = _index(path) if path.is_dir() and not (path / WHOLE).is_file() else None
        files = sorted(set(placed.values())) if placed is not None else [WHOLE if path.is_dir() else path.name]
        folder = path if path.is_dir() else path.parent
        if absent := [name for name in files if not (folder / name).is_file()]:
            raise BadInput(f"{path} lacks the file{'s' * (len(absent) > 1)} {some(absent)}; copy the checkpoint again")
        try:
            for name in files:
                try:
                    file = self._stack.enter_context(safe_open(str(folder / name), framework="numpy"))
                except SafetensorError as error:
                    told = f"{folder / name} is not a whole safetensors file ({error})"
                    raise BadInput(f"{told}; copy the checkpoint again") from error
                self._add(folder / name, file)
            self._agree(placed)
        except BaseException:
            self._stack.close()
            raise

    def __enter__(self) -> "Checkpoint":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def read(self, name: str) -> np.ndarray:
        return np.asarray(self._where[name].get_tensor(name))

    def read_layer(self, name: str, layer: int) -> np.ndarray:
        """One row along the first axis, and no more of the tensor than that."""
        return np.asarray(self._where[name].get_slice(name)[layer : layer + 1])[0]

    def compare(self, expected: Mapping[str, tuple[int, ...]], unread: Set[str] = frozenset()) -> None:
        """Raises BadInput, naming them, when tensors are missing, left over, or of another shape than expected.

        Those in `unread` may be there.
        """
        missing = sorted(expected.keys() - self.tensors.keys())
        extra = sorted(self.tensors.keys() - expected.keys() - unread)
        told = [f"lacks {some(missing)}" if missing else "", f"has unknown {some(extra)}" if extra else ""]
        wrong = [
            f"{name} of shape {self.tensors[name].shape} where {expected[name]} belongs"
            for name in sorted(expected.keys() & self.tensors.keys())
            if self.tensors[name].shape != expected[name]
        ]
        told.append(f"has {some(wrong)}" if wrong else "")
        if any(told):
            raise BadInput(f"{self.path} {' and '.join(filter(None, told))}; it does not fit its config.json")

    def _add(self, path: Path, file: Any) -> None:
        others = []
        for name in file.keys():  # noqa: SIM118 (it is no mapping)
            part = file.get_slice(name)
            if part.get_dtype() not in TYPES:
                others.append(f"{name} ({part.get_dtype()})")
                continue
            if name in self.tensors:
                raise BadInput(f"{path} has {name}, which another file of the checkpoint has too; remove one of them")
            self.tensors[name] = Stored(tuple(part.get_shape()), TYPES[part.get_dtype()])
            self._where[name] = file
        if others:
            raise BadInput(f"{path} stores {some(others)} as no float; give the checkpoint that is not quantised")

    def _agree(self, placed: Mapping[str, str] | None) -> None:
        """What the index promises is what the files hold."""
        if placed is not None and (absent := sorted(placed.keys() - self.tensors.keys())):
            raise BadInput(f"the files of {self.path} lack {some(absent)}, which {INDEX} names; copy them again")


def write(path: Path, layout: Mapping[str, Stored], pieces: Iterable[tuple[str, np.ndarray]]) -> None:
    """Writes a safetensors file piece by piece.

    `pieces` go through the tensors in the order of `layout`; a tensor may come in several pieces along its first axis.
    Raises ValueError for pieces of another type or number of bytes than the layout says.
    """
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}  # without it, transformers takes no file
    at = 0
    for name, tensor in layout.items():
        kind = next(code for code, dtype in TYPES.items() if dtype == tensor.dtype)
        header[name] = {"dtype": kind, "shape": list(tensor.shape), "data_offsets": [at, at + tensor.bytes]}
        at += tensor.bytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        start = file.tell()
        for name, piece in pieces:
            begin, end = (start + offset for offset in header[name]["data_offsets"])
            if piece.dtype != layout[name].dtype or not begin <= file.tell() <= end - piece.nbytes:
                raise ValueError(f"a piece of {name} comes out of order or is not as its layout says")
            file.write(np.ascontiguousarray(piece).reshape(-1).view(np.uint8).data)
        if file.tell() != start + at:
            raise ValueError(f"{path} ended {start + at - file.tell()} bytes early")
        file.flush()
        os.fsync(file.fileno())


def shards(layout: Mapping[str, Stored], limit: int) -> list[dict[str, Stored]]:
    """The layout cut into files of at most `limit` bytes each, but at least one tensor, in its order."""
    found: list[dict[str, Stored]] = [{}]
    room = limit
    for name, tensor in layout.items():
        if found[-1] and tensor.bytes > room:
            found.append({})
            room = limit
        found[-1][name] = tensor
        room -= tensor.bytes
    return found


def write_sharded(
    folder: Path,
    layout: Mapping[str, Stored],
    pieces: Callable[[Iterable[str]], Iterable[tuple[str, np.ndarray]]],
    limit: int,
) -> None:
    """Writes `model.safetensors`, or, beyond `limit` bytes, numbered files and their index.

    `pieces` is asked for the tensors of one file at a time, and gives them as `write` takes them.
    """
    parts = shards(layout, limit)
    if len(parts) == 1:
        write(folder / WHOLE, layout, pieces(layout))
        return
    placed: dict[str, str] = {}
    for number, part in enumerate(parts, 1):
        name = f"model-{number:05d}-of-{len(parts):05d}.safetensors"
        placed |= dict.fromkeys(part, name)
        write(folder / name, part, pieces(part))
    size = sum(tensor.bytes for tensor in layout.values())
    index = {"metadata": {"total_size": size}, "weight_map": placed}
    (folder / INDEX).write_text(json.dumps(index, indent=2) + "\n")


def some(names: list[str], shown: int = 5) -> str:
    return ", ".join(names[:shown]) + (f" and {len(names) - shown} more" if len(names) > shown else "")


def _index(path: Path) -> dict[str, str]:
    """Which file holds which tensor."""
    try:
        placed = json.loads((path / INDEX).read_bytes())["weight_map"]
        bare = all(Path(name).name == name and Path(name).suffix == ".safetensors" for name in placed.values())
    except FileNotFoundError as error:
        raise BadInput(f"{path} has neither {WHOLE} nor {INDEX}; give the directory of a checkpoint") from error
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise BadInput(f"{path / INDEX} is no index of tensors ({error}); copy the checkpoint again") from error
    if not bare or not placed:
        raise BadInput(f"{path / INDEX} must name files beside it, without folders; copy the checkpoint again")
    return placed
