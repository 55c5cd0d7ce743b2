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
from jaxtyping import Array, Float, Int

# Finite, so that a query with an empty interval (padding) gives zeros and never NaN.
_HIDDEN = -1e30


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
    block: int = 512,
) -> Float[Array, "B T H N"]:
    """softmax(q k^T) v over each query's interval; scale 1, since q and k are normalised before (Gemma 4).

    H is a multiple of K: a key head serves H / K query heads. `key_positions` are the positions which intervals speak
    of (default 0..S-1; a cache gives its own, and -1 hides a slot). Memory grows with T + S, never with T x S: blocks
    of queries scan over blocks of keys with a running maximum and sum (Rabe & Staats 2021; Dao et al. 2022), and the
    backward pass computes blocks anew.
    """
    batch, length, heads, _ = q.shape
    if key_positions is None:
        key_positions = jnp.broadcast_to(jnp.arange(k.shape[1], dtype=jnp.int32), (batch, k.shape[1]))
    if length <= block and k.shape[1] <= block:
        out = _attend_dense(_fold(q, k.shape[2]), k, v, intervals, key_positions)
    else:
        out = _attend_blocks(q, k, v, intervals, key_positions, min(block, length), min(block, k.shape[1]))
    return _unfold(out, length, heads).astype(v.dtype)


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


def _scores(q, k, intervals: Intervals, key_positions):
    """Scores [B, K, TG, S] in float32, hidden keys at a huge negative one; and what of [B, 1, T, 1, S] is visible."""
    scores = jnp.einsum("bktn,bskn->bkts", q, k, preferred_element_type=jnp.float32)
    p = key_positions[:, None, :]
    visible = (p >= intervals.start[:, :, None]) & (p < intervals.end[:, :, None])
    # Added, not selected: the backward pass of a sum costs nothing.
    hidden = jnp.where(visible, 0.0, _HIDDEN)[:, None, :, None, :]
    return (_by_query(scores, visible) + hidden).reshape(scores.shape), visible[:, None, :, None, :]


def _by_query(x: Float[Array, "B K TG S"], visible) -> Float[Array, "B K T G S"]:
    return x.reshape(*x.shape[:2], visible.shape[1], -1, x.shape[-1])


def _attend_dense(q, k, v, intervals: Intervals, key_positions):
    scores, visible = _scores(q, k, intervals, key_positions)
    # Divided after the product with v, which has fewer numbers than the weights have.
    weights = jnp.exp(scores - jax.lax.stop_gradient(scores.max(-1, keepdims=True)))
    total = _by_query(weights.sum(-1, keepdims=True), visible[:, 0, :, 0])
    kept = jnp.where(visible.any(-1, keepdims=True), 1 / total, 0).reshape(*scores.shape[:-1], 1)
    out = jnp.einsum("bkts,bskn->bktn", weights.astype(v.dtype), v, preferred_element_type=jnp.float32)
    return out * kept


def _attend_blocks(q, k, v, intervals: Intervals, key_positions, block_q: int, block_k: int):
    batch, _, heads, width = q.shape
    key_heads, length = k.shape[2], q.shape[1]
    q, start, end = (_split(_pad(x, block_q), block_q) for x in (q, *intervals))
    keys, values = _split(_pad(k, block_k), block_k), _split(_pad(v, block_k), block_k)
    positions = _split(_pad(key_positions, block_k, fill=-1), block_k)
    shape = (batch, key_heads, heads // key_heads * block_q)

    @jax.checkpoint
    def key_step(carry, key_block, q_block, start_block, end_block):
        best, total, out = carry
        k_block, v_block, p_block = key_block
        scores, visible = _scores(q_block, k_block, Intervals(start_block, end_block), p_block)
        new_best = jax.lax.stop_gradient(jnp.maximum(best, scores.max(-1)))  # the result does not depend on it
        weights = jnp.exp(scores - new_best[..., None])
        # Where a block hides all keys so far, `scores - new_best` is zero: such weights must not count.
        weights = (_by_query(weights, visible[:, 0, :, 0]) * visible).reshape(scores.shape)
        shrink = jnp.exp(best - new_best)
        added = jnp.einsum(
            "bkts,bskn->bktn", weights.astype(v_block.dtype), v_block, preferred_element_type=jnp.float32
        )
        return (new_best, total * shrink + weights.sum(-1), out * shrink[..., None] + added), None

    def query_step(query_block):
        q_block, start_block, end_block = query_block
        q_block = _fold(q_block, key_heads)
        carry = (
            jnp.full(shape, _HIDDEN, jnp.float32),
            jnp.zeros(shape, jnp.float32),
            jnp.zeros((*shape, width), jnp.float32),
        )
        step = functools.partial(key_step, q_block=q_block, start_block=start_block, end_block=end_block)
        (_, total, out), _ = jax.lax.scan(step, carry, (keys, values, positions))
        seen = total > 0
        out = out * jnp.where(seen, 1 / jnp.where(seen, total, 1), 0)[..., None]
        return out.reshape(batch, key_heads, block_q, -1, width)

    out = jax.lax.map(query_step, (q, start, end))  # [blocks, B, K, block_q, G, N]
    out = jnp.moveaxis(out, 0, 2).reshape(batch, key_heads, -1, heads // key_heads, width)[:, :, :length]
    return out.reshape(batch, key_heads, -1, width)


def _pad(x: Array, multiple: int, fill: int = 0) -> Array:
    """Pads axis 1 to a multiple; padded queries have empty intervals (0, 0) and padded keys position -1."""
    widths = [(0, 0)] * x.ndim
    widths[1] = (0, -x.shape[1] % multiple)
    return jnp.pad(x, widths, constant_values=fill)


def _split(x: Array, block: int) -> Array:
    """[B, n * block, ...] to [n, B, block, ...], ready for a scan."""
    return jnp.moveaxis(x.reshape(x.shape[0], -1, block, *x.shape[2:]), 1, 0)
