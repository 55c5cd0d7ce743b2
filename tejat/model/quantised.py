"""Weights in four or eight bits: blocks of 32 along a matrix's inputs, each with one scale.

The grids are Q4_0 and Q8_0 of GGML, which `MatMulNBits` of ONNX Runtime has too: a number is (code - 8) x scale, where
the code has four bits and the scale, of either sign, makes the block's largest number the grid's -8; or code x scale
with codes from -127 to 127. Scales are kept in 16 bits. A matrix here is what `layout` makes of a Param: its stacked
axes, its outputs, its inputs. A table of vectors is one of its rows: the embedding's blocks lie along the width.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from tejat.model.params import Param, Tree, unflatten, walk

BLOCK = 32
Bits = Literal[4, 8]


class Layout(NamedTuple):
    """How a Param is a stack of matrices: stacked axes, then inputs, then outputs; a table of vectors the other way."""

    stacked: int  # axes
    inputs: int  # axes
    outputs_first: bool = False


def layout(name: str, param: Param) -> Layout | None:
    """None where it is no matrix, or has inputs that blocks do not divide."""
    if param.init not in ("normal", "embedding") or len(param.shape) < 2 or param.frozen:
        return None
    if name.endswith("embedding"):
        return Layout(0, 1, True) if param.shape[-1] % BLOCK == 0 else None
    if param.init != "normal" or None in param.axes:  # tables of places, kernels of convolutions
        return None
    stacked = next(n for n, axis in enumerate(param.axes) if axis not in ("layers", "experts"))
    inputs = 1
    while math.prod(param.shape[stacked : stacked + inputs]) < param.fan_in:
        inputs += 1
    if param.fan_in % BLOCK or stacked + inputs >= len(param.shape):
        return None
    return Layout(stacked, inputs)


@dataclass(frozen=True)
class Quantised:
    """A weight on the grid. `codes` are [..., O, I] of 0 to 15 or -127 to 127, `scales` [..., O, I / 32]."""

    codes: np.ndarray
    scales: np.ndarray
    bits: Bits
    shape: tuple[int, ...]
    layout: Layout

    @property
    def nbytes(self) -> int:
        return self.codes.size * self.bits // 8 + self.scales.size * 2

    def array(self) -> np.ndarray:
        """The numbers that it stands for, in float32 and the Param's shape.

        By NumPy, to the bit what `from_grid` gives: JAX would load programs for every shape of a model, which takes
        longer than the arithmetic.
        """
        blocks = self.codes.reshape(*self.scales.shape, BLOCK).astype(np.float32)
        if self.bits == 4:
            blocks -= 8
        blocks *= self.scales.astype(np.float32)[..., None]
        return _of_matrix(blocks.reshape(self.codes.shape), self.shape, self.layout)


def inside(params: Tree) -> bool:
    """Is some leaf `Quantised`?"""
    return any(isinstance(leaf, Quantised) for _, leaf in walk(params))


def quantised(
    array: Float[Array, "..."], at: Layout, bits: Bits, importance: Float[Array, "..."] | None = None
) -> Quantised:
    """The array on the grid. With `importance`, of its shape, scales are searched: see `to_grid`.

    It is taken as the mean over outputs: that of single weights, from so few documents as anyone has, is mostly chance,
    and what an input is usually multiplied by is the same for all outputs.
    """
    matrix = _matrix(jnp.asarray(array, jnp.float32), at)
    weights = None
    if importance is not None:
        weights = _matrix(jnp.asarray(importance, jnp.float32), at).mean(-2, keepdims=True)
        weights = jnp.broadcast_to(weights, matrix.shape)
    codes, scales = jax.jit(to_grid, static_argnums=1)(matrix, bits, weights)
    return Quantised(
        np.asarray(codes, np.uint8 if bits == 4 else np.int8),
        np.asarray(scales, np.float16),
        bits,
        tuple(array.shape),
        at,
    )


def rounded(array: Float[Array, "..."], at: Layout, bits: Bits) -> Float[Array, "..."]:
    """The array as the grid has it; its gradient passes straight through (for training that knows of the grid)."""
    codes, scales = to_grid(_matrix(array.astype(jnp.float32), at), bits)
    found = _of_matrix(from_grid(codes, scales, bits), array.shape, at).astype(array.dtype)
    return array + jax.lax.stop_gradient(found - array)


@dataclass(frozen=True)
class Grid:
    """Bits of a model's matrices, and of the tied table of its text and codes. Where a run does not begin on the grid,
    `begins` is the share of its steps that come before."""

    bits: Bits = 4
    embedding: Bits = 4
    begins: float = 0.0

    def of(self, name: str) -> Bits:
        return self.embedding if name.endswith("embedding") else self.bits


def rounded_tree(arrays: Tree, tree: Tree, bits: Callable[[str], Bits | None]) -> Tree:
    """`rounded` of every matrix for whose name there is a number of bits."""
    found = {}
    for (name, array), (_, param) in zip(walk(arrays), walk(tree), strict=True):
        at, held = layout(name, param), bits(name)
        found[name] = array if at is None or held is None else rounded(array, at, held)
    return unflatten(found)


def to_grid(
    matrix: Float[Array, "... O I"], bits: Bits, importance: Float[Array, "... O I"] | None = None
) -> tuple[Int[Array, "... O I"], Float[Array, "... O n"]]:
    """(codes, scales). Plain: the largest number of a block decides its scale.

    With `importance`, of scales from 0.7 to 1.1 times that one, of either sign, the one whose squared errors, times
    importance, have the least sum; the scale is then made the best for the codes found.
    """
    blocks = matrix.reshape(*matrix.shape[:-1], -1, BLOCK)
    at = jnp.abs(blocks).argmax(-1, keepdims=True)
    extreme = jnp.take_along_axis(blocks, at, -1)[..., 0]
    plain = extreme / (-8 if bits == 4 else 127)
    if importance is None:
        scales = _in_16_bits(plain)
        return _codes(blocks, scales, bits).reshape(matrix.shape), scales
    weights = importance.reshape(blocks.shape)
    weights = weights / jnp.maximum(weights.mean(-1, keepdims=True), 1e-30) + 1e-3

    def error(scales):
        gap = blocks - from_codes(_codes(blocks, scales, bits), scales, bits)
        return (weights * gap * gap).sum(-1)

    def better(best, factor):
        scales, least = best
        tried = _in_16_bits(plain * factor)
        found = error(tried)
        return (jnp.where(found < least, tried, scales), jnp.minimum(found, least)), None

    factors = np.linspace(0.7, 1.1, 21)
    factors = jnp.asarray(np.concatenate([factors, -factors]) if bits == 4 else factors, jnp.float32)
    first = _in_16_bits(plain)
    (scales, least), _ = jax.lax.scan(better, (first, error(first)), factors)
    codes = _codes(blocks, scales, bits)
    grid = codes.astype(jnp.float32) - (8 if bits == 4 else 0)
    fitted = (weights * blocks * grid).sum(-1) / jnp.maximum((weights * grid * grid).sum(-1), 1e-30)
    fitted = _in_16_bits(jnp.where(jnp.abs(fitted) > 0, fitted, scales))
    scales = jnp.where(error(fitted) < least, fitted, scales)
    return _codes(blocks, scales, bits).reshape(matrix.shape), scales


def from_grid(codes: Int[Array, "... O I"], scales: Float[Array, "... O n"], bits: Bits) -> Float[Array, "... O I"]:
    blocks = codes.reshape(*codes.shape[:-1], -1, BLOCK)
    return from_codes(blocks, scales.astype(jnp.float32), bits).reshape(codes.shape)


def from_codes(codes, scales, bits: Bits):
    return (codes.astype(jnp.float32) - (8 if bits == 4 else 0)) * scales[..., None]


def _codes(blocks, scales, bits: Bits):
    inverse = jnp.where(scales == 0, 0, 1 / jnp.where(scales == 0, 1, scales))[..., None]
    nearest = jnp.round(blocks * inverse)
    if bits == 4:
        return jnp.clip(nearest + 8, 0, 15).astype(jnp.int32)
    return jnp.clip(nearest, -127, 127).astype(jnp.int32)


def _in_16_bits(scales):
    """As they will be kept. Below what 16 bits can say, a block is zero."""
    return scales.astype(jnp.float16).astype(jnp.float32)


def _matrix(array: Array, at: Layout) -> Array:
    """[stacked..., O, I]."""
    if at.outputs_first:
        return array
    stacked, inputs = array.shape[: at.stacked], array.shape[at.stacked : at.stacked + at.inputs]
    return array.reshape(*stacked, math.prod(inputs), -1).swapaxes(-1, -2)


def matrix_shape(shape: tuple[int, ...], at: Layout) -> tuple[int, ...]:
    """The shape of the stack of matrices that a Param of this shape is."""
    if at.outputs_first:
        return shape
    first, rest = at.stacked, at.stacked + at.inputs
    return (*shape[:first], math.prod(shape[rest:]), math.prod(shape[first:rest]))


def _of_matrix(matrix, shape: tuple[int, ...], at: Layout):
    return matrix.reshape(shape) if at.outputs_first else matrix.swapaxes(-1, -2).reshape(shape)


def packed(codes: np.ndarray) -> np.ndarray:
    """Codes of four bits, two in a byte: the first in its lower half."""
    return (codes[..., ::2] | codes[..., 1::2] << 4).astype(np.uint8)


def unpacked(pairs: np.ndarray) -> np.ndarray:
    """The inverse of `packed`."""
    return np.stack([pairs & 15, pairs >> 4], axis=-1).reshape(*pairs.shape[:-1], -1)
