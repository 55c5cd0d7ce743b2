"""Attention of one query a row to a long cache, as kernels for NVIDIA GPUs which read the slots it sees and no others.

A step of decoding is bound by the bytes of keys and values. Plain attention reads every slot of a cache, written or
not; here the programs of a row visit the blocks between the first and the last slot that its query sees. The slots are
cut into `splits` equal shares, so that few rows keep a device busy too, and a second kernel merges the shares that hold
something (Dao et al. 2023, "Flash-Decoding"). Where the cuts are follows from shapes alone, so that the bits of a row
do not depend on what the others have read. Written in Pallas for its Triton backend, as `interval_kernel` is.
"""

import functools
import math

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton
from jaxtyping import Array, Float, Int

from tejat.model.interval_kernel import WIDTHS

_LOG2E = math.log2(math.e)  # exp2 is what the hardware has
_HIDDEN = -1e30
_NOTHING = _HIDDEN / 2  # above hidden scores and below all others: where nothing is seen yet, weights are zero

SIZE = 64
"""Slots that a program takes at a time. A cache is a multiple of it."""

PROGRAMS = 256
"""Programs that keep a large GPU busy."""

LARGE = 2**27
"""Bytes of keys and values that are worth two kernels, 50 us of an H100: smaller caches are read whole sooner."""


def takes(q: Float[Array, "B 1 H N"], k: Float[Array, "B S K N"]) -> bool:
    """Are the kernels made for these shapes, and worth it?"""
    fits = q.shape[1] == 1 and k.dtype.itemsize == 2 and k.shape[1] % SIZE == 0 and k.shape[3] in WIDTHS
    return fits and 2 * k.size * k.dtype.itemsize > LARGE


def splits_of(batch: int, slots: int, key_heads: int) -> int:
    """Shares of the slots: as many as keep a device busy, none smaller than two blocks."""
    wanted, splits = max(1, PROGRAMS // (batch * key_heads)), 1
    while splits < min(wanted, 32) and slots % (4 * splits * SIZE) == 0:
        splits *= 2
    return splits


@functools.partial(jax.jit, static_argnames=("splits", "size", "warps", "stages", "interpret"))
def attend(
    q: Float[Array, "B 1 H N"],
    k: Float[Array, "B S K N"],
    v: Float[Array, "B S K N"],
    start: Int[Array, "B 1"],
    end: Int[Array, "B 1"],
    key_positions: Int[Array, "B S"] | None = None,
    *,
    splits: int | None = None,
    size: int | None = None,
    warps: int = 4,
    stages: int = 3,
    interpret: bool = False,
) -> Float[Array, "B 1 H N"]:
    """softmax(q k^T) v over keys at positions start <= p < end; nothing where that is empty.

    `key_positions` are those of the slots, by default 0..S-1; -1 hides one. S is a multiple of splits x size, N is one
    of `WIDTHS`. There is no gradient. `interpret` runs the kernels on any processor.
    """
    (batch, _, heads, width), (slots, key_heads) = q.shape, k.shape[1:3]
    splits, size = splits or splits_of(batch, slots, key_heads), size or min(SIZE, 8192 // width)
    group = heads // key_heads
    rows = max(16, 1 << (group - 1).bit_length())  # what a product takes at least
    bounds = _bounds(start, end, key_positions, slots)
    q = jnp.pad(q.reshape(batch, key_heads, group, width), ((0, 0), (0, 0), (0, rows - group), (0, 0)))

    keys = pl.BlockSpec((None, slots, None, width), lambda b, h, p: (b, 0, h, 0))
    queries = pl.BlockSpec((None, None, rows, width), lambda b, h, p: (b, h, 0, 0))
    four = pl.BlockSpec((None, 4), lambda b, h, p: (b, 0))
    places, specs = ((), ()) if key_positions is None else ((key_positions,), (_row(slots),))
    share = pl.BlockSpec((None, None, None, rows, width), lambda b, h, p: (b, h, p, 0, 0))
    statistic = pl.BlockSpec((None, None, None, rows), lambda b, h, p: (b, h, p, 0))
    compiler = triton.CompilerParams(num_warps=warps, num_stages=stages)
    out, best, total = pl.pallas_call(
        functools.partial(_share_kernel, share=slots // splits, size=size, group=group),
        grid=(batch, key_heads, splits),
        in_specs=[queries, keys, keys, four, *specs],
        out_specs=[share, statistic, statistic],
        out_shape=[
            jax.ShapeDtypeStruct((batch, key_heads, splits, rows, width), jnp.float32),
            jax.ShapeDtypeStruct((batch, key_heads, splits, rows), jnp.float32),
            jax.ShapeDtypeStruct((batch, key_heads, splits, rows), jnp.float32),
        ],
        compiler_params=compiler,
        interpret=interpret,
        name="decoding_attention",
    )(q, k, v, bounds, *places)

    shares = pl.BlockSpec((None, None, splits, rows, width), lambda b, h: (b, h, 0, 0, 0))
    statistics = pl.BlockSpec((None, None, splits, rows), lambda b, h: (b, h, 0, 0))
    merged = pl.pallas_call(
        functools.partial(_merge_kernel, share=slots // splits, group=group),
        grid=(batch, key_heads),
        in_specs=[shares, statistics, statistics, pl.BlockSpec((None, 4), lambda b, h: (b, 0))],
        out_specs=pl.BlockSpec((None, None, rows, width), lambda b, h: (b, h, 0, 0)),
        out_shape=jax.ShapeDtypeStruct((batch, key_heads, rows, width), v.dtype),
        compiler_params=compiler,
        interpret=interpret,
        name="decoding_attention_merge",
    )(out, best, total, bounds)
    return merged[:, :, :group].reshape(batch, 1, heads, width)


def _row(slots: int) -> pl.BlockSpec:
    return pl.BlockSpec((None, slots), lambda b, h, p: (b, 0))


def _bounds(start, end, key_positions: Int[Array, "B S"] | None, slots: int) -> Int[Array, "B 4"]:
    """Of each row: the first slot that it sees and the end of the last, and the positions it sees from and to."""
    if key_positions is None:
        low, high = jnp.clip(start, 0, slots), jnp.clip(end, 0, slots)
    else:
        visible = (key_positions >= start) & (key_positions < end)
        low = jnp.argmax(visible, axis=1, keepdims=True)
        high = jnp.where(visible.any(1, keepdims=True), slots - jnp.argmax(visible[:, ::-1], axis=1, keepdims=True), 0)
    low, high = (jnp.where(low < high, bound, 0) for bound in (low, high))
    return jnp.concatenate([low, high, start, end], axis=1).astype(jnp.int32)


def _share_kernel(q_ref, k_ref, v_ref, bounds_ref, *refs, share: int, size: int, group: int):
    """One share of a row's slots: the weighted sum of values, not divided, the best score and the sum of weights."""
    *places_ref, out_ref, best_ref, total_ref = refs
    q, rows = q_ref[...], q_ref.shape[0]
    begin = pl.program_id(2) * share
    low, high = jnp.maximum(bounds_ref[0], begin), jnp.minimum(bounds_ref[1], begin + share)

    def step(block, carry):
        best, total, out = carry
        at = pl.ds(block * size, size)
        place = places_ref[0][at] if places_ref else block * size + jnp.arange(size)
        visible = (place >= bounds_ref[2]) & (place < bounds_ref[3])
        scores = jnp.where(visible[None], triton.dot(q, k_ref[at, :].T) * _LOG2E, _HIDDEN)
        new_best = jnp.maximum(best, scores.max(-1))
        weights, shrink = jnp.exp2(scores - new_best[:, None]), jnp.exp2(best - new_best)
        added = triton.dot(weights.astype(v_ref.dtype), v_ref[at, :])
        return new_best, total * shrink + weights.sum(-1), out * shrink[:, None] + added

    carry = jnp.full(rows, _NOTHING, jnp.float32), jnp.zeros(rows, jnp.float32), jnp.zeros(q.shape, jnp.float32)
    blocks = low // size, (high + size - 1) // size
    best, total, out = jax.lax.fori_loop(*blocks, step, carry)

    @pl.when(low < high)  # what is not written is not read
    def _():
        real = jnp.arange(rows) < group
        triton.store(out_ref, out, mask=jnp.broadcast_to(real[:, None], out.shape))
        best_ref[...], total_ref[...] = best, total


def _merge_kernel(shares_ref, best_ref, total_ref, bounds_ref, out_ref, *, share: int, group: int):
    rows, width = out_ref.shape
    real = jnp.broadcast_to((jnp.arange(rows) < group)[:, None], (rows, width))

    def step(split, carry):
        best, total, out = carry
        mine = best_ref[split, :]
        new_best = jnp.maximum(best, mine)
        shrink, weight = jnp.exp2(best - new_best), jnp.exp2(mine - new_best)
        added = triton.load(shares_ref.at[split], mask=real, other=0.0)
        return new_best, total * shrink + total_ref[split, :] * weight, out * shrink[:, None] + added * weight[:, None]

    carry = jnp.full(rows, _NOTHING, jnp.float32), jnp.zeros(rows, jnp.float32), jnp.zeros((rows, width), jnp.float32)
    low, high = bounds_ref[0], bounds_ref[1]
    _, total, out = jax.lax.fori_loop(low // share, (high + share - 1) // share, step, carry)
    out_ref[...] = (out / jnp.where(total > 0, total, 1.0)[:, None]).astype(out_ref.dtype)
