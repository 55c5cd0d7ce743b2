"""Few rows times a matrix in four bits (`narrow`), as a kernel for NVIDIA GPUs that reads the matrix once.

Each program has some outputs and a share of the blocks. A code is masked out of its word where it stands and turned
into a float there, 16 ** field times too large: that is exact, and x brings the power back, so that a code costs a
mask, a conversion and a multiplication. What codes are too large by is taken away once for each block, by its sum of x.
Written in Pallas for its Triton backend, as `decoding_kernel` is.
"""

import functools
import math

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton
from jaxtyping import Array, Float, UInt32

from tejat.model.narrow import FIELDS, OFFSET, Narrow
from tejat.model.quantised import BLOCK

OUTPUTS, WARPS = 4, 1
"""Of a program: the fastest of eight pairs on an H100, when sums of x were made before (`docs/NANO.md`)."""

BLOCKS = 64
"""Blocks that a program takes at a time, at most."""

PROGRAMS = 1_024
"""Programs that keep a large GPU busy: narrow matrices are cut along their blocks too."""


def takes(weight: Narrow) -> bool:
    """Is the kernel made for this matrix?"""
    return weight.codes.ndim == 3 and weight.codes.shape[1] % OUTPUTS == 0


def splits_of(programs: int, tiles: int) -> int:
    """Shares of the tiles of blocks, a divisor of their number: as few as keep a device busy."""
    return next((n for n in range(1, tiles + 1) if tiles % n == 0 and n * programs >= PROGRAMS), tiles)


@functools.partial(jax.jit, static_argnames=("outputs", "splits", "warps", "interpret"))
def multiplied(
    x: Float[Array, "n I"],
    words: UInt32[Array, "P O G"],
    scales: Float[Array, "O G"],
    *,
    outputs: int = OUTPUTS,
    splits: int | None = None,
    warps: int = WARPS,
    interpret: bool = False,
) -> Float[Array, "n O"]:
    """x times a matrix, in float32. `interpret` runs the kernel on any processor."""
    (rows, inputs), (planes, size, groups) = x.shape, words.shape
    blocks = math.gcd(groups, BLOCKS)
    tiles = groups // blocks
    splits = splits or splits_of(size // outputs, tiles)
    x = jnp.pad(x, ((0, 0), (0, groups * BLOCK - inputs))).reshape(rows, groups, BLOCK).swapaxes(1, 2)
    found = pl.pallas_call(
        functools.partial(_kernel, blocks=blocks, tiles=tiles // splits),
        grid=(size // outputs, splits),
        in_specs=[
            pl.BlockSpec((rows, BLOCK, groups), lambda o, s: (0, 0, 0)),
            pl.BlockSpec((planes, outputs, groups), lambda o, s: (0, o, 0)),
            pl.BlockSpec((outputs, groups), lambda o, s: (o, 0)),
        ],
        out_specs=pl.BlockSpec((None, rows, outputs), lambda o, s: (s, 0, o)),
        out_shape=jax.ShapeDtypeStruct((splits, rows, size), jnp.float32),
        compiler_params=triton.CompilerParams(num_warps=warps, num_stages=2),
        interpret=interpret,
        name="product_in_four_bits",
    )(x, words, scales)
    return found.sum(0)


def _kernel(x_ref, words_ref, scales_ref, out_ref, *, blocks: int, tiles: int):
    rows, (planes, outputs, _) = x_ref.shape[0], words_ref.shape
    first = pl.program_id(1) * tiles

    def step(tile, totals):
        at = pl.ds((first + tile) * blocks, blocks)
        sums = [jnp.zeros((outputs, blocks), jnp.float32)] * rows
        shared = [jnp.zeros(blocks, jnp.float32)] * rows  # the sum of x over a block
        for plane in range(planes):
            word = words_ref[plane, :, at]
            for field in range(FIELDS):
                number = (word & jnp.uint32(15 << 4 * field)).astype(jnp.float32)
                some = [x_ref[n, plane * FIELDS + field, at].astype(jnp.float32) for n in range(rows)]
                shared = [mine + x for mine, x in zip(shared, some, strict=True)]
                sums = [mine + number * (x * 16.0**-field)[None] for mine, x in zip(sums, some, strict=True)]
        scale = scales_ref[:, at].astype(jnp.float32)
        parts = zip(totals, sums, shared, strict=True)
        return tuple(total + scale * (mine - OFFSET * x[None]) for total, mine, x in parts)

    totals = jax.lax.fori_loop(0, tiles, step, (jnp.zeros((outputs, blocks), jnp.float32),) * rows)
    for n, total in enumerate(totals):
        out_ref[n, :] = total.sum(-1)
