"""Attention over intervals as kernels for NVIDIA GPUs, which skip the blocks of keys that no query of theirs sees.

The algorithm is that of `attention.attend`, block by block (Dao 2023): a block of queries visits the keys between the
first and the last that one of its queries sees, with a running maximum and sum. In between, where all of its queries
see all keys, nothing is masked. Backward, one kernel sums over keys for the queries' gradient, and one over queries
for those of keys and values. Written in Pallas for its Triton backend, which JAX 0.10 to 0.12 have.
"""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton
from jaxtyping import Array, Float, Int

from tejat.model.passes import attended

_LOG2E = math.log2(math.e)  # exp2 is what the hardware has
_HIDDEN = -1e30
_NOWHERE = jnp.iinfo(jnp.int32).max

WIDTHS = (16, 32, 64, 128, 256, 512)
"""Head widths that the kernels take."""

PROGRAMS = 1_024
"""Of a kernel: several for each processor of a large GPU."""

LEAST = 64
"""Keys that are worth a kernel: fewer are one block."""


class Blocks(NamedTuple):
    """Queries and keys that a program takes at a time; warps and pipeline stages of it."""

    queries: int
    keys: int
    warps: int = 4
    stages: int = 2


class Plan(NamedTuple):
    """The blocks of each kernel: forward, gradient of the queries, gradient of keys and values."""

    forward: Blocks
    queries: Blocks
    keys: Blocks

    @property
    def multiple(self) -> int:
        """What the numbers of queries and of keys must be multiples of."""
        return max(side for blocks in self for side in blocks[:2])


def plan(width: int) -> Plan:
    """The blocks that were fastest on an H100, by head width; wider heads leave less of its shared memory for them."""
    if width <= 128:
        return Plan(Blocks(64, 64, stages=3), Blocks(64, 64), Blocks(64, 64))
    if width == 256:
        return Plan(Blocks(64, 32), Blocks(64, 32), Blocks(32, 64))
    return Plan(Blocks(32, 32, stages=1), Blocks(32, 32, stages=1), Blocks(32, 32, stages=1))


@functools.partial(jax.custom_vjp, nondiff_argnums=(5, 6))
def attend(
    q: Float[Array, "B T H N"],
    k: Float[Array, "B S K N"],
    v: Float[Array, "B S K N"],
    start: Int[Array, "B T"],
    end: Int[Array, "B T"],
    plan: Plan,
    interpret: bool = False,
) -> Float[Array, "B T H N"]:
    """softmax(q k^T) v over keys start <= p < end of each query; nothing where that is empty.

    T and S are multiples of `plan.multiple`, N is one of `WIDTHS`. `interpret` runs the kernels on any processor.
    """
    return _forward(q, k, v, start, end, plan.forward, interpret)[0]


def _remember(q, k, v, start, end, plan: Plan, interpret: bool):
    out, log_total = attended(*_forward(q, k, v, start, end, plan.forward, interpret))
    return out, (q, k, v, start, end, out, log_total)


def _backward(plan: Plan, interpret: bool, kept, wanted):
    q, k, v, start, end, out, log_total = kept
    mean = jnp.einsum("bthn,bthn->bht", wanted, out, preferred_element_type=jnp.float32)
    known = (q, k, v, start, end, wanted, log_total, mean)
    dq = _queries_gradient(*known, plan.queries, interpret)
    return dq, *_keys_gradient(*known, plan.keys, interpret), None, None


attend.defvjp(_remember, _backward)


def _forward(q, k, v, start, end, blocks: Blocks, interpret: bool):
    """(the result, the binary logarithm of each query's sum of weights [B, H, T])."""
    batch, length, heads, _ = q.shape
    mine, all_keys, each, statistic, ranges = _specs(q, k, blocks)
    return pl.pallas_call(
        functools.partial(_forward_kernel, size=blocks.keys),
        grid=(batch, heads, length // blocks.queries),
        in_specs=[mine, all_keys, all_keys, each, each, ranges],
        out_specs=[mine, statistic],
        out_shape=[jax.ShapeDtypeStruct(q.shape, v.dtype), jax.ShapeDtypeStruct((batch, heads, length), jnp.float32)],
        **_how(blocks, interpret, "interval_attention"),
    )(q, k, v, start, end, _key_ranges(start, end, blocks))


def _queries_gradient(q, k, v, start, end, wanted, log_total, mean, blocks: Blocks, interpret: bool):
    batch, length, heads, _ = q.shape
    mine, all_keys, each, statistic, ranges = _specs(q, k, blocks)
    return pl.pallas_call(
        functools.partial(_queries_kernel, size=blocks.keys),
        grid=(batch, heads, length // blocks.queries),
        in_specs=[mine, all_keys, all_keys, each, each, ranges, mine, statistic, statistic],
        out_specs=mine,
        out_shape=jax.ShapeDtypeStruct(q.shape, q.dtype),
        **_how(blocks, interpret, "interval_attention_dq"),
    )(q, k, v, start, end, _key_ranges(start, end, blocks), wanted, log_total, mean)


def _keys_gradient(q, k, v, start, end, wanted, log_total, mean, blocks: Blocks, interpret: bool):
    """Sums over some of a group's heads each, added up: the programs of the first keys have the most to do, and more of
    them, each smaller, keep all processors busy to the end."""
    (batch, length, heads, width), (keys, key_heads) = q.shape, k.shape[1:3]
    parts = _parts(heads // key_heads, batch * key_heads * (keys // blocks.keys))
    some = heads // key_heads // parts  # heads of a part
    mine = pl.BlockSpec((None, blocks.keys, None, width), lambda b, h, i: (b, i, h // parts, 0))
    queries = pl.BlockSpec((None, length, some, width), lambda b, h, i: (b, 0, h, 0))
    each = pl.BlockSpec((None, length), lambda b, h, i: (b, 0))
    statistic = pl.BlockSpec((None, some, length), lambda b, h, i: (b, h, 0))
    ranges = pl.BlockSpec((None, None, 4), lambda b, h, i: (b, i, 0))
    sums = pl.BlockSpec((None, blocks.keys, None, width), lambda b, h, i: (b, i, h, 0))
    made = jax.ShapeDtypeStruct((batch, keys, key_heads * parts, width), k.dtype if parts == 1 else jnp.float32)
    found = pl.pallas_call(
        functools.partial(_keys_kernel, size=blocks.queries, group=some),
        grid=(batch, key_heads * parts, keys // blocks.keys),
        in_specs=[queries, mine, mine, each, each, ranges, queries, statistic, statistic],
        out_specs=[sums, sums],
        out_shape=[made, made],
        **_how(blocks, interpret, "interval_attention_dkv"),
    )(q, k, v, start, end, _query_ranges(start, end, keys, blocks), wanted, log_total, mean)
    return [x.reshape(batch, keys, key_heads, parts, width).sum(3, dtype=jnp.float32).astype(k.dtype) for x in found]


def _parts(group: int, programs: int) -> int:
    """Into how many parts of its heads a group is cut, where there is one program for the whole of it otherwise."""
    parts = 1
    while group % (2 * parts) == 0 and programs * parts < PROGRAMS:
        parts *= 2
    return parts


def _specs(q, k, blocks: Blocks):
    """Of a block of queries: itself, all keys of its head, its starts or ends, its statistics, its ranges of keys."""
    heads, width = q.shape[2:]
    group = heads // k.shape[2]
    return (
        pl.BlockSpec((None, blocks.queries, None, width), lambda b, h, i: (b, i, h, 0)),
        pl.BlockSpec((None, k.shape[1], None, width), lambda b, h, i: (b, 0, h // group, 0)),
        pl.BlockSpec((None, blocks.queries), lambda b, h, i: (b, i)),
        pl.BlockSpec((None, None, blocks.queries), lambda b, h, i: (b, h, i)),
        pl.BlockSpec((None, None, 4), lambda b, h, i: (b, i, 0)),
    )


def _how(blocks: Blocks, interpret: bool, name: str) -> dict:
    compiler = triton.CompilerParams(num_warps=blocks.warps, num_stages=blocks.stages)
    return {"compiler_params": compiler, "interpret": interpret, "name": name}


def _forward_kernel(q_ref, k_ref, v_ref, start_ref, end_ref, ranges_ref, out_ref, log_total_ref, *, size: int):
    q, start, end = q_ref[...], start_ref[...], end_ref[...]

    def step(masked: bool, block, carry):
        best, total, out = carry
        at = pl.ds(block * size, size)
        scores = _scores(q, k_ref[at, :], block * size, start, end, masked)
        new_best = jnp.maximum(best, scores.max(-1))
        weights, shrink = jnp.exp2(scores - new_best[:, None]), jnp.exp2(best - new_best)
        added = triton.dot(weights.astype(v_ref.dtype), v_ref[at, :])
        return new_best, total * shrink + weights.sum(-1), out * shrink[:, None] + added

    length = q.shape[0]
    # The best begins above hidden scores and below all others: where a row sees nothing yet, its weights are zero.
    carry = (
        jnp.full(length, _HIDDEN / 2, jnp.float32),
        jnp.zeros(length, jnp.float32),
        jnp.zeros(q.shape, jnp.float32),
    )
    best, total, out = _visit(ranges_ref, step, carry)
    seen = total > 0
    total = jnp.where(seen, total, 1.0)
    out_ref[...] = (out / total[:, None]).astype(out_ref.dtype)
    log_total_ref[...] = jnp.where(seen, best + jnp.log2(total), 0.0)


def _queries_kernel(
    q_ref, k_ref, v_ref, start_ref, end_ref, ranges_ref, wanted_ref, log_total_ref, mean_ref, dq_ref, *, size: int
):
    q, start, end = q_ref[...], start_ref[...], end_ref[...]
    wanted, log_total, mean = wanted_ref[...], log_total_ref[...], mean_ref[...]

    def step(masked: bool, block, dq):
        at = pl.ds(block * size, size)
        k = k_ref[at, :]
        weights = jnp.exp2(_scores(q, k, block * size, start, end, masked) - log_total[:, None])
        d_scores = weights * (triton.dot(wanted, v_ref[at, :].T) - mean[:, None])
        return dq + triton.dot(d_scores.astype(k.dtype), k)

    dq_ref[...] = _visit(ranges_ref, step, jnp.zeros(q.shape, jnp.float32)).astype(dq_ref.dtype)


def _keys_kernel(
    q_ref,
    k_ref,
    v_ref,
    start_ref,
    end_ref,
    ranges_ref,
    wanted_ref,
    log_total_ref,
    mean_ref,
    dk_ref,
    dv_ref,
    *,
    size: int,
    group: int,
):
    k, v = k_ref[...], v_ref[...]
    place = pl.program_id(2) * k.shape[0] + jnp.arange(k.shape[0])

    def head(h, carry):
        def step(masked: bool, block, carry):
            dk, dv = carry
            at = pl.ds(block * size, size)
            q, wanted = q_ref[at, h, :], wanted_ref[at, h, :]
            scores = triton.dot(k, q.T) * _LOG2E
            if masked:
                visible = (place[:, None] >= start_ref[at][None]) & (place[:, None] < end_ref[at][None])
                scores = jnp.where(visible, scores, _HIDDEN)
            weights = jnp.exp2(scores - log_total_ref[h, at][None])
            dv += triton.dot(weights.astype(wanted.dtype), wanted)
            d_scores = weights * (triton.dot(v, wanted.T) - mean_ref[h, at][None])
            return dk + triton.dot(d_scores.astype(q.dtype), q), dv

        return _visit(ranges_ref, step, carry)

    zeros = jnp.zeros(k.shape, jnp.float32)
    dk, dv = jax.lax.fori_loop(0, group, head, (zeros, zeros))
    dk_ref[...], dv_ref[...] = dk.astype(dk_ref.dtype), dv.astype(dv_ref.dtype)


def _scores(q, k, first_place, start, end, masked: bool):
    """Scores to the base 2, hidden keys at a huge negative one."""
    scores = triton.dot(q, k.T) * _LOG2E
    if not masked:
        return scores
    place = first_place + jnp.arange(k.shape[0])
    return jnp.where((place[None] >= start[:, None]) & (place[None] < end[:, None]), scores, _HIDDEN)


def _visit(ranges_ref, step, carry):
    """Blocks in order: some of which is hidden, those of which nothing is, and again some."""
    carry = jax.lax.fori_loop(ranges_ref[0], ranges_ref[1], functools.partial(step, True), carry)
    carry = jax.lax.fori_loop(ranges_ref[1], ranges_ref[2], functools.partial(step, False), carry)
    return jax.lax.fori_loop(ranges_ref[2], ranges_ref[3], functools.partial(step, True), carry)


def _key_ranges(start: Int[Array, "B T"], end: Int[Array, "B T"], blocks: Blocks) -> Int[Array, "B n 4"]:
    """For each block of queries, blocks of keys: the first seen, the first and the end of those all see, the end."""
    low, high, all_low, all_high = _spans(start, end, blocks.queries)
    last = -(-high // blocks.keys)
    first = jnp.minimum(low // blocks.keys, last)
    whole = jnp.clip(all_low // blocks.keys + (all_low % blocks.keys > 0), first, last)
    return jnp.stack([first, whole, jnp.clip(all_high // blocks.keys, whole, last), last], -1)


def _query_ranges(start: Int[Array, "B T"], end: Int[Array, "B T"], keys: int, blocks: Blocks) -> Int[Array, "B m 4"]:
    """For each block of keys, blocks of queries: the first that sees something of it, the first of those in a row that
    see all of it whole, their end, and the end of those that see something."""
    low, high, all_low, all_high = (x[..., None] for x in _spans(start, end, blocks.queries))
    at = jnp.arange(keys // blocks.keys, dtype=jnp.int32) * blocks.keys
    touched = (low < at + blocks.keys) & (high > at)  # [B, n, m]
    whole = (all_low <= at) & (all_high >= at + blocks.keys)
    count = touched.shape[1]
    first = jnp.argmax(touched, axis=1)
    last = jnp.where(touched.any(1), count - jnp.argmax(touched[:, ::-1], axis=1), first)
    begin = jnp.where(whole.any(1), jnp.argmax(whole, axis=1), last)
    broken = ~whole & (jnp.arange(count)[None, :, None] >= begin[:, None])
    stop = jnp.where(broken.any(1), jnp.argmax(broken, axis=1), count)
    return jnp.stack([first, begin, jnp.clip(stop, begin, last), last], -1).astype(jnp.int32)


def _spans(start: Int[Array, "B T"], end: Int[Array, "B T"], size: int) -> tuple[Int[Array, "B n"], ...]:
    """Of blocks of queries: keys [low, high) seen by some, [all_low, all_high) by all (none if one sees nothing)."""
    start, end = (x.reshape(x.shape[0], -1, size) for x in (start, end))
    sees = end > start
    starts, ends = jnp.where(sees, start, _NOWHERE), jnp.where(sees, end, 0)
    return starts.min(-1), ends.max(-1), starts.max(-1), ends.min(-1)
