"""Output pictures as grids of codes, through the trained image tokenizer."""

import functools
import hashlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Int, UInt8

from tejat.codecs.image import cut, fitted, join, resize, squares, whitened
from tejat.codecs.vocabulary import LARGEST_SIDE
from tejat.errors import BadInput
from tejat.model import picture as network
from tejat.model.params import Tree


class Drawn(NamedTuple):
    """A picture whose codes are still to be made: the pixels of each, and where it is."""

    pixels: UInt8[np.ndarray, "P C"]  # (y, x, channel) within a patch
    positions: Int[np.ndarray, "P 2"]  # (x, y), in reading order

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of codes."""
        columns, rows = (int(last) + 1 for last in self.positions[-1])
        return rows, columns


def drawn_patches(pixels: UInt8[np.ndarray, "H W 3"], config: network.PictureConfig) -> Drawn:
    """A picture resized to the budget of codes at its own aspect ratio, and cut."""
    height, width = fitted(*pixels.shape[:2], config.patch, config.budget, min(LARGEST_SIDE, config.table))
    return Drawn(*squares(resize(pixels, height, width), config.patch))


class PictureCodec:
    """Pixels to codes and back, at any aspect ratio within a budget of codes."""

    def __init__(self, params: Tree, config: network.PictureConfig):
        self.params, self.config, self.budget = params, config, config.budget
        self._known: dict[bytes, Int[np.ndarray, "h w"]] = {}
        self._program: Callable | None = None
        self._on_device: Tree | None = None

    def __getstate__(self) -> dict[str, Any]:
        # A compiled program and what a device holds are of this process alone; others compile their own.
        return self.__dict__ | {"_program": None, "_on_device": None}

    def compile(self, compiled: Callable[[Callable[[], Callable], str], Callable]) -> None:
        """Compiles what encodes a picture before the first one comes: `compiled` is given what makes the program, and
        its name, and may have it from before (as `tejat.train.guards.Guard.compiled`)."""
        leaves, form = jax.tree.flatten(self.params)
        shapes = tuple(jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in leaves)
        self._program = compiled(functools.partial(_compiled, self.config, self.budget, form, shapes), "pictures")

    def encode(self, pixels: UInt8[np.ndarray, "H W 3"]) -> Int[np.ndarray, "h w"]:
        """Codes of a picture, resized to the budget at its own aspect ratio; the last thousand are remembered."""
        key = hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).digest()
        if key not in self._known:
            if len(self._known) >= 1_000:
                self._known.pop(next(iter(self._known)))
            self._known[key] = self.encode_many([pixels])[0]
        return self._known[key].copy()

    def encode_many(self, pictures: Sequence[UInt8[np.ndarray, "H W 3"]]) -> list[Int[np.ndarray, "h w"]]:
        patch = self.config.patch
        found: list[Int[np.ndarray, "h w"]] = []
        for pixels in pictures:
            height, width = fitted(*pixels.shape[:2], patch, self.budget, min(LARGEST_SIDE, self.config.table))
            patches, positions = cut(resize(pixels, height, width), patch)
            room = -(-len(patches) // self.budget) * self.budget
            arrays = (patches, positions, np.ones(len(patches), np.int32))
            encode = self._program or functools.partial(_encode, config=self.config)
            codes = encode(self.params, *(_padded(a, room) for a in arrays))
            columns = int(positions[:, 0].max()) + 1
            found.append(np.asarray(codes)[0, : len(patches)].reshape(-1, columns))
        return found

    def decode(self, codes: Int[np.ndarray, "h w"]) -> UInt8[np.ndarray, "H W 3"]:
        """Pixels of a grid of codes; what is nearly white is white."""
        rows, columns = codes.shape
        if not (1 <= rows <= self.config.table and 1 <= columns <= self.config.table):
            raise BadInput(f"a picture of {columns} x {rows} codes is outside 1..{self.config.table} a side")
        y, x = np.divmod(np.arange(rows * columns, dtype=np.int32), columns)
        room = -(-codes.size // self.budget) * self.budget
        arrays = (codes.reshape(-1), np.stack([x, y], 1), np.ones(codes.size, np.int32))
        if self._on_device is None:
            self._on_device = jax.device_put(self.params)  # once, and not with every picture
        patches = _decode(self._on_device, self.config, *(_padded(a, room) for a in arrays))
        return whitened(join(np.asarray(patches)[0, : codes.size], rows, columns))


def _padded(array: np.ndarray, room: int) -> np.ndarray:
    """One row of a batch, padded to a few fixed lengths so that few programs are compiled."""
    return np.pad(array, [(0, room - len(array))] + [(0, 0)] * (array.ndim - 1))[None]


@functools.partial(jax.jit, static_argnames="config")
def _encode(params, patches, positions, images, *, config):
    return network.codes(params, config, network.encode(params, config, patches, positions, images))


@functools.cache
def _compiled(config, budget, form, shapes) -> Callable:
    """`_encode`, compiled for pictures of so many codes, and for parameters of this form and these shapes."""
    patches = jax.ShapeDtypeStruct((1, budget, 3 * config.patch**2), np.float32)
    positions, images = (jax.ShapeDtypeStruct((1, budget, *more), np.int32) for more in ((2,), ()))
    return _encode.lower(jax.tree.unflatten(form, shapes), patches, positions, images, config=config).compile()


@functools.partial(jax.jit, static_argnums=1)
def _decode(params, config, codes, positions, images):
    return network.decode(params, config, network.numbers(params, config, codes), positions, images)
