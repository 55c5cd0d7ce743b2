"""A run in few bytes, to go on with on another machine: weights in bfloat16, moments of the optimizer in eight bits.

Of a checkpoint of float32 it has a quarter, in pieces that each say what they are, so that they can travel one by one:

DIRECTORY/piece-000, piece-001, …   a line of JSON {"piece", "pieces", "run", "sha256"}, then bytes

The bytes of all pieces are the length of a head in JSON (8 bytes), the head, and the arrays one after the other. What
is small stays exact. How much worse the run is for it is measured at the joint (`tejat.train.loop`) and in the head.
"""

import hashlib
import json
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import ml_dtypes
import numpy as np

from tejat.errors import BadInput
from tejat.parts import write_whole
from tejat.train import blockwise
from tejat.train.checkpoint import flat
from tejat.train.step import TrainState

PIECE = 16_000_000
"""Bytes of a piece at most."""

SMALL = 4_096
"""Arrays of fewer numbers stay as they are."""

Packed = tuple[list[dict[str, Any]], bytes]
"""What each array is, in order, and the bytes of all."""


def pack(state: TrainState) -> Packed:
    """The state's arrays. Raises BadInput for a moment that is not a number."""
    table, blobs = [], []
    for name, leaf in flat(jax.device_get(state)).items():
        array = np.asarray(leaf)
        told: dict[str, Any] = {"name": name, "shape": list(array.shape), "dtype": str(array.dtype)}
        if array.size < SMALL or array.dtype != np.float32:
            told |= {"as": "exact"}
            blob = np.ascontiguousarray(array).tobytes()
        elif name.startswith("params"):
            told |= {"as": "bfloat16"}
            blob = array.astype(ml_dtypes.bfloat16).tobytes()
        else:
            try:
                found = blockwise.coded(array)
            except ValueError as error:
                raise BadInput(f"{name} cannot be kept ({error}); go back to a checkpoint before it was so") from error
            told |= {"as": "positive" if found.positive else "signed"}
            blob = found.codes.tobytes() + found.scales.tobytes()
        table.append(told | {"bytes": len(blob)})
        blobs.append(blob)
    return table, b"".join(blobs)


def unpack(packed: Packed, like: TrainState) -> TrainState:
    """A state of the same shapes as `like`, on the host. Raises BadInput where the arrays are others."""
    table, data = packed
    wanted = {name: (tuple(leaf.shape), str(leaf.dtype)) for name, leaf in flat(like).items()}
    found, at = {}, 0
    for told in table:
        name, shape = told["name"], tuple(told["shape"])
        if wanted.get(name) != (shape, told["dtype"]):
            raise BadInput(f"the chain has {told['dtype']}{list(shape)} {name} where the recipe has other; mend either")
        found[name] = _array(told, data[at : at + told["bytes"]], shape)
        at += told["bytes"]
    if lost := sorted(wanted.keys() - found.keys()):
        raise BadInput(f"the chain has no {lost[0]}, which the recipe has; give the recipe that it was made with")
    return jax.tree.unflatten(jax.tree.structure(like), [found[name] for name in wanted])


def _array(told: Mapping[str, Any], blob: bytes, shape: tuple[int, ...]) -> np.ndarray:
    match told["as"]:
        case "exact":
            return np.frombuffer(blob, told["dtype"]).reshape(shape)
        case "bfloat16":
            return np.frombuffer(blob, ml_dtypes.bfloat16).astype(np.float32).reshape(shape)
    blocks = -(-int(np.prod(shape)) // blockwise.BLOCK)
    codes = np.frombuffer(blob, np.uint8, blocks * blockwise.BLOCK)
    scales = np.frombuffer(blob, np.float32, offset=len(codes)).reshape(blocks, 2)
    return blockwise.decoded(blockwise.Coded(codes, scales, told["as"] == "positive"), shape)


def write(directory: Path, packed: Packed, facts: dict[str, Any]) -> int:
    """Writes all pieces, and how many they are. Raises BadInput for a directory that holds some."""
    if any(directory.glob("piece-*")):
        raise BadInput(f"{directory} holds pieces of a chain; give an empty directory")
    table, data = packed
    head = zlib.compress(json.dumps({"arrays": table, "facts": facts}).encode())
    whole = struct.pack("<Q", len(head)) + head + data
    room = PIECE - 512  # the line before
    parts = [whole[at : at + room] for at in range(0, len(whole), room)]
    run = hashlib.sha256(whole).hexdigest()
    directory.mkdir(parents=True, exist_ok=True)
    for number, part in enumerate(parts):
        line = {"piece": number, "pieces": len(parts), "run": run, "sha256": hashlib.sha256(part).hexdigest()}
        write_whole(directory / f"piece-{number:03d}", json.dumps(line).encode() + b"\n" + part)
    return len(parts)


def read(directory: Path) -> tuple[Packed, dict[str, Any]]:
    """What `write` was given. Raises BadInput that names the piece that is missing, damaged or of another chain."""
    first, part = _piece(directory, 0)
    parts = [part]
    for number in range(1, first["pieces"]):
        told, part = _piece(directory, number)
        if told["run"] != first["run"]:
            raise BadInput(f"{directory / f'piece-{number:03d}'} is of another chain than piece-000; copy them anew")
        parts.append(part)
    whole = b"".join(parts)
    size = struct.unpack_from("<Q", whole)[0]
    head = json.loads(zlib.decompress(whole[8 : 8 + size]))
    return (head["arrays"], whole[8 + size :]), head["facts"]


def _piece(directory: Path, number: int) -> tuple[dict[str, Any], bytes]:
    path = directory / f"piece-{number:03d}"
    try:
        line, _, part = path.read_bytes().partition(b"\n")
        told = json.loads(line)
        whole = told["piece"] == number and hashlib.sha256(part).hexdigest() == told["sha256"]
    except OSError as error:
        raise BadInput(f"the piece {path} of a chain cannot be read ({error.strerror}); copy it again") from error
    except (ValueError, KeyError, TypeError):
        whole = False
    if not whole:
        raise BadInput(f"the piece {path} of a chain is damaged; copy it again")
    return told, part
