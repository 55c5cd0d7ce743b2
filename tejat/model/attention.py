"""Attention over intervals of keys: the one mask this project knows.

Every mask here is one half-open interval [start, end) of key positions per query. Causality, packed documents,
sliding windows and image blocks that see themselves are all such intervals, and their intersections are too, so no
T x T mask exists anywhere. For a row packed with two documents "a b c" and "d e", causal, the intervals are

    query      a       b       c       d       e
    [start,)   0       0       0       3       3
    end)       1       2       3       4       5
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from tejat.model.passes import attended

# Finite, so that a query with an empty interval (padding) gives zeros and never NaN.
_HIDDEN = -1e30

DENSE = 2**26
"""Scores of a chunk against its cache that a GPU makes in one piece; its loops over blocks wait for the host."""


class Intervals(NamedTuple):
    """The keys that each query sees: positions start <= p < end."""

    start: Int[Array, "B T"]
    end: Int[Array, "B T"]


def causal_intervals(segments: Int[Array, "B T"]) -> Intervals:
    """Each token sees its own document up to itself. `segments` numbers documents along a row; 0 is padding."""
    index = jnp.arange(segments.shape[1], dtype=jnp.int32)[None, :]
    first = jnp.concatenate([jnp.ones_like(segments[:, :1], bool), segments[:, 1:] != segments[:, :-1]], axis=1)
    start = jax.lax.cummax(jnp.where(first, index, 0), axis=1)
    return Intervals(start, jnp.where(segments > 0, index + 1, start))


def windowed(intervals: Intervals, window: int, blocks: Int[Array, "B T"] | None = None) -> Intervals:
    """Intervals cut to the last `window` tokens; with `blocks`, tokens of one image (equal ids > 0) see its end too."""
    index = jnp.arange(intervals.start.shape[1], dtype=jnp.int32)[None, :]
    start, end = jnp.maximum(intervals.start, index - window + 1), intervals.end
    if blocks is not None:
        end = jnp.where(blocks > 0, jnp.maximum(end, block_ends(blocks)), end)
    return Intervals(start, end)


def block_ends(blocks: Int[Array, "B T"]) -> Int[Array, "B T"]:
    """One past the last token of the run of equal ids that each token stands in."""
    length = blocks.shape[1]
    index = jnp.arange(length, dtype=jnp.int32)[None, :]
    last = jnp.concatenate([blocks[:, 1:] != blocks[:, :-1], jnp.ones_like(blocks[:, :1], bool)], axis=1)
    return jax.lax.cummin(jnp.where(last, index + 1, length), axis=1, reverse=True)


def run_intervals(runs: Int[Array, "B T"]) -> Intervals:
    """Tokens of one run of equal ids > 0 see the whole run, both ways (patches of one image); id 0 sees nothing."""
    index = jnp.arange(runs.shape[1], dtype=jnp.int32)[None, :]
    first = jnp.concatenate([jnp.ones_like(runs[:, :1], bool), runs[:, 1:] != runs[:, :-1]], axis=1)
    start = jax.lax.cummax(jnp.where(first, index, 0), axis=1)
    return Intervals(start, jnp.where(runs > 0, block_ends(runs), start))


def attend(
    q: Float[Array, "B T H N"],
    k: Float[Array, "B S K N"],
    v: Float[Array, "B S K N"],
    intervals: Intervals,
    key_positions: Int[Array, "B S"] | None = None,
    *,
    block: int = 256,
    whole: bool = False,
) -> Float[Array, "B T H N"]:
    """softmax(q k^T) v over each query's interval; scale 1, since q and k are normalised before (Gemma 4).

    H is a multiple of K: a key head serves H / K query heads. `key_positions` are the positions which intervals speak
    of (default 0..S-1; a cache gives its own, and -1 hides a slot). Memory grows with T + S, never with T x S, and
    time with what the intervals hold: each block of queries visits the blocks of keys that it sees something of, with
    a running maximum and sum (Rabe & Staats 2021; Dao et al. 2022), and the backward pass visits them anew. Gradients
    flow to q, k and v, once: there is no forward mode and no second derivative through the blocks.

    On a GPU, 16-bit rows without positions of their own are left to the kernels of `interval_kernel`, or, where queries
    may see the `whole` row before them, to `whole_rows`; single queries, which then have no gradient, to
    `decoding_kernel`.
    """
    batch, length, heads, _ = q.shape
    keys = k.shape[1]
    on_gpu, in_one_piece = jax.default_backend() == "gpu", length <= block and keys <= block
    if on_gpu and (length == 1 or key_positions is not None):
        in_one_piece |= batch * heads * length * keys <= DENSE
    if on_gpu and (out := _by_kernels(q, k, v, intervals, key_positions, whole)) is not None:
        return out
    if key_positions is None:
        key_positions = jnp.broadcast_to(jnp.arange(keys, dtype=jnp.int32), (batch, keys))
    if in_one_piece:
        out = _attend_dense(_fold(q, k.shape[2]), k, v, intervals, key_positions)
        return _unfold(out, length, heads).astype(v.dtype)
    return _attend_blocks(q, k, v, intervals, key_positions, min(block, length), min(block, keys))


def _by_kernels(
    q: Float[Array, "B T H N"],
    k: Float[Array, "B S K N"],
    v: Float[Array, "B S K N"],
    intervals: Intervals,
    key_positions: Int[Array, "B S"] | None,
    whole: bool,
) -> Float[Array, "B T H N"] | None:
    """`attend` by the kernels of a GPU; None where they do not take these."""
    # Not above: to load Pallas takes a tenth of what a server on a CPU, which never uses it, takes to start.
    from tejat.model import decoding_kernel, interval_kernel, whole_rows

    length, width = q.shape[1], q.shape[-1]
    if decoding_kernel.takes(q, k):
        return decoding_kernel.attend(q, k, v, *intervals, key_positions)
    large = length > 1 and k.shape[1] > interval_kernel.LEAST
    if key_positions is None and large and k.dtype.itemsize == 2 and width in interval_kernel.WIDTHS:
        plan = interval_kernel.plan(width)
        q, k, v, start, end = (_pad(x, plan.multiple) for x in (q, k, v, *intervals))

        def by_intervals(q, k, v):
            return interval_kernel.attend(q, k, v, start, end, plan)

        if whole and whole_rows.takes(q, k):
            return whole_rows.attend(q, k, v, start, end, by_intervals)[:, :length]
        return by_intervals(q, k, v)[:, :length]
    return None


def _fold(q: Float[Array, "B T H N"], key_heads: int) -> Float[Array, "B K TG N"]:
    """Query heads that share a key head become rows of one matrix: one large product instead of H small ones.

    Heads vary fastest, so that with one key head nothing is moved.
    """
    batch, length, heads, width = q.shape
    q = q.reshape(batch, length, key_heads, heads // key_heads, width)
    return q.transpose(0, 2, 1, 3, 4).reshape(batch, key_heads, -1, width)


def _unfold(out: Float[Array, "B K TG N"], length: int, heads: int) -> Float[Array, "B T H N"]:
    batch, key_heads, _, width = out.shape
    out = out.reshape(batch, key_heads, length, heads // key_heads, width)
    return out.transpose(0, 2, 1, 3, 4).reshape(batch, length, heads, width)


def _visible(intervals: Intervals, key_positions: Int[Array, "B S"]) -> Bool[Array, "B T S"]:
    p = key_positions[:, None, :]
    return (p >= intervals.start[:, :, None]) & (p < intervals.end[:, :, None])


def _scores(q: Float[Array, "B K TG N"], k: Float[Array, "B S K N"], visible: Bool[Array, "B T S"]):
    """Scores [B, K, TG, S] in float32, hidden keys at a huge negative one."""
    scores = jnp.einsum("bktn,bskn->bkts", q, k, preferred_element_type=jnp.float32)
    # Added, not selected: the backward pass of a sum costs nothing.
    hidden = jnp.where(visible, 0.0, _HIDDEN)[:, None, :, None, :]
    return (scores.reshape(*scores.shape[:2], visible.shape[1], -1, scores.shape[-1]) + hidden).reshape(scores.shape)


def _attend_dense(q, k, v, intervals: Intervals, key_positions):
    visible = _visible(intervals, key_positions)
    scores = _scores(q, k, visible)
    # Divided after the product with v, which has fewer numbers than the weights have.
    weights = jnp.exp(scores - jax.lax.stop_gradient(scores.max(-1, keepdims=True)))
    total = weights.sum(-1).reshape(*scores.shape[:2], visible.shape[1], -1)
    kept = jnp.where(visible.any(-1)[:, None, :, None], 1 / total, 0).reshape(*scores.shape[:-1], 1)
    out = jnp.einsum("bkts,bskn->bktn", weights.astype(v.dtype), v, preferred_element_type=jnp.float32)
    return out * kept


def _attend_blocks(q, k, v, intervals: Intervals, key_positions, block_q: int, block_k: int):
    length, heads, key_heads = q.shape[1], q.shape[2], k.shape[2]
    q, start, end = (_split(_pad(x, block_q), block_q) for x in (q, *intervals))
    q = jax.vmap(lambda x: _fold(x, key_heads))(q)
    k, v = _pad(k, block_k), _pad(v, block_k)
    out = _visit(q, k, v, Intervals(start, end), _pad(key_positions, block_k, fill=-1), block_k)
    out = jnp.moveaxis(jax.vmap(lambda x: _unfold(x, block_q, heads))(out), 0, 1)  # [B, blocks, block_q, H, N]
    return out.reshape(out.shape[0], -1, *out.shape[3:])[:, :length]


@functools.partial(jax.custom_vjp, nondiff_argnums=(5,))
def _visit(
    q: Float[Array, "n B K TG N"],
    k: Float[Array, "B S K N"],
    v: Float[Array, "B S K N"],
    intervals: Intervals,
    key_positions: Int[Array, "B S"],
    block: int,
) -> Float[Array, "n B K TG N"]:
    """Attention of n blocks of folded queries, whose intervals are [n, B, T], to the blocks of keys that they see."""
    return _visit_forward(q, k, v, intervals, key_positions, block)[0]


def _visit_forward(q, k, v, intervals, key_positions, block: int):
    reach = _reach(key_positions, block)

    def query_step(query_block):
        q_block, mine = query_block

        def key_step(at, carry):
            best, total, out = carry
            k_block, v_block, p_block = (_block(x, at, block) for x in (k, v, key_positions))
            scores = _scores(q_block, k_block, _visible(mine, p_block))
            new_best = jnp.maximum(best, scores.max(-1))
            weights, shrink = jnp.exp(scores - new_best[..., None]), jnp.exp(best - new_best)
            added = jnp.einsum("bkts,bskn->bktn", weights.astype(v.dtype), v_block, preferred_element_type=jnp.float32)
            return new_best, total * shrink + weights.sum(-1), out * shrink[..., None] + added

        shape = q_block.shape[:-1]
        # The best begins above hidden scores and below all others: where a row sees nothing yet, its weights are zero.
        carry = (jnp.full(shape, _HIDDEN / 2), jnp.zeros(shape), jnp.zeros(q_block.shape, jnp.float32))
        best, total, out = jax.lax.fori_loop(*_hull(mine, reach), key_step, carry)
        seen = total > 0
        total = jnp.where(seen, total, 1)
        return (out / total[..., None]).astype(v.dtype), jnp.where(seen, best + jnp.log(total), 0)

    out, log_total = attended(*jax.lax.map(query_step, (q, intervals)))
    return out, (q, k, v, intervals, key_positions, out, log_total)


def _visit_backward(block: int, kept, wanted):
    """Weights again from scores and their logarithmic sums; sums of gradients of keys grow in place."""
    q, k, v, intervals, key_positions, out, log_total = kept
    reach = _reach(key_positions, block)
    product = functools.partial(jnp.einsum, preferred_element_type=jnp.float32)

    def query_step(carry, query_block):
        q_block, mine, out_block, log_total, wanted = query_block
        mean = (wanted.astype(jnp.float32) * out_block).sum(-1, keepdims=True)

        def key_step(at, carry):
            dq, dk, dv = carry
            k_block, v_block, p_block = (_block(x, at, block) for x in (k, v, key_positions))
            weights = jnp.exp(_scores(q_block, k_block, _visible(mine, p_block)) - log_total[..., None])
            d_scores = weights * (product("bktn,bskn->bkts", wanted, v_block) - mean)
            weights, d_scores = weights.astype(v.dtype), d_scores.astype(k.dtype)
            dq += product("bkts,bskn->bktn", d_scores, k_block)
            dk = _add(dk, product("bkts,bktn->bskn", d_scores, q_block), at)
            return dq, dk, _add(dv, product("bkts,bktn->bskn", weights, wanted), at)

        start = (jnp.zeros(q_block.shape, jnp.float32), *carry)
        dq, *carry = jax.lax.fori_loop(*_hull(mine, reach), key_step, start)
        return tuple(carry), dq.astype(q.dtype)

    zeros = jnp.zeros(k.shape, jnp.float32)
    (dk, dv), dq = jax.lax.scan(query_step, (zeros, zeros), (q, intervals, out, log_total, wanted))
    return dq, dk.astype(k.dtype), dv.astype(v.dtype), None, None


_visit.defvjp(_visit_forward, _visit_backward)


def _reach(key_positions: Int[Array, "B S"], block: int) -> tuple[Int[Array, "B m"], Int[Array, "B m"]]:
    """The lowest and the highest position in each block of keys."""
    p = key_positions.reshape(key_positions.shape[0], -1, block)
    return jnp.where(p < 0, jnp.iinfo(jnp.int32).max, p).min(-1), p.max(-1)


def _hull(intervals: Intervals, reach: tuple[Int[Array, "B m"], Int[Array, "B m"]]) -> tuple[Array, Array]:
    """[first, end) of the blocks of keys between which lies all that some query [B, T] sees, in any row."""
    start, end = intervals
    empty, (low, high) = start >= end, reach
    first_seen = jnp.where(empty, jnp.iinfo(jnp.int32).max, start).min(-1, keepdims=True)
    touched = ((high >= first_seen) & (low < jnp.where(empty, 0, end).max(-1, keepdims=True))).any(0)
    last = touched.shape[0] - jnp.argmax(touched[::-1])
    return jnp.argmax(touched), jnp.where(touched.any(), last, 0)


def _block(x: Array, at: Array, size: int) -> Array:
    return jax.lax.dynamic_slice_in_dim(x, at * size, size, axis=1)


def _add(x: Array, part: Array, at: Array) -> Array:
    start = at * part.shape[1]
    return jax.lax.dynamic_update_slice_in_dim(x, _block(x, at, part.shape[1]) + part, start, axis=1)


def _pad(x: Array, multiple: int, fill: int = 0) -> Array:
    """Pads axis 1 to a multiple; padded queries have empty intervals (0, 0) and padded keys position -1."""
    widths = [(0, 0)] * x.ndim
    widths[1] = (0, -x.shape[1] % multiple)
    return jnp.pad(x, widths, constant_values=fill)


def _split(x: Array, block: int) -> Array:
    """[B, n * block, ...] to [n, B, block, ...], ready for a scan."""
    return jnp.moveaxis(x.reshape(x.shape[0], -1, block, *x.shape[2:]), 1, 0)
