"""Cross-entropy over a large vocabulary: its scores exist for a part of the targets at a time.

Where a gradient is wanted it is made in the forward pass, while the scores are there: they are computed once, not
again in the backward pass, and their gradient goes into matrix products in the type of the embedding, whose results
are summed in float32.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec
from jaxtyping import Array, Float, Int

from tejat.model import placing

SCORES = 2**28
"""Scores that exist at a time: 1 GiB in float32."""


class Losses(NamedTuple):
    """Of every target: the cross-entropy in nats, and the squared log-partition that a z-loss pulls to zero."""

    losses: Float[Array, "B N"]
    squares: Float[Array, "B N"]


def token_losses(
    table: Float[Array, "V D"],
    hidden: Float[Array, "B N D"],
    targets: Int[Array, "B N"],
    soft_cap: float | None = None,
    scores: int = SCORES,
) -> Losses:
    """The losses alone. `table` is the tied embedding, `scores` how many may exist at a time."""

    def some(_, part):
        return None, _losses(scored(table, part[0], soft_cap), part[1])

    parts = in_parts(scores // table.shape[0], hidden, targets)
    return Losses(*(rejoined(x, targets.shape[1]) for x in jax.lax.scan(some, None, parts)[1]))


@functools.partial(jax.custom_vjp, nondiff_argnums=(5, 6))
def weighted(
    table: Float[Array, "V D"],
    hidden: Float[Array, "B N D"],
    targets: Int[Array, "B N"],
    weights: Float[Array, "B N"],
    square_weights: Float[Array, "B N"],
    soft_cap: float | None = None,
    scores: int = SCORES,
) -> tuple[Float[Array, ""], Losses]:
    """(sum of weights x losses + square_weights x squares, the losses). The sum alone has a gradient, once."""
    found = token_losses(table, hidden, targets, soft_cap, scores)
    return _total(found, weights, square_weights), found


def _total(found: Losses, weights, square_weights) -> Float[Array, ""]:
    return (found.losses * weights + found.squares * square_weights).sum()


def _forward(table, hidden, targets, weights, square_weights, soft_cap: float | None, scores: int):
    def some(table, d_table, part):
        rows, wanted, weight, square_weight = part
        capped = scored(table, rows, soft_cap)
        partition = jax.nn.logsumexp(capped, axis=-1)
        found = _losses(capped, wanted, partition)
        # d partition / d score is the score's probability.
        d_scores = jnp.exp(capped - partition[..., None]) * (weight + 2 * square_weight * partition)[..., None]
        d_scores = jnp.where(_is(wanted, capped), d_scores - weight[..., None], d_scores)
        if soft_cap is not None:
            d_scores = d_scores * (1 - jnp.square(capped / soft_cap))
        d_scores = d_scores.astype(table.dtype)
        d_rows = jnp.einsum("btv,vd->btd", d_scores, table, preferred_element_type=jnp.float32).astype(rows.dtype)
        more = jnp.einsum("btv,btd->vd", d_scores, rows, preferred_element_type=jnp.float32)
        return d_table + more, (found, d_rows)

    def all_parts(table, *arrays):
        parts = in_parts(scores // table.shape[0], *arrays)
        zeros = jnp.zeros(table.shape, jnp.float32)
        d_table, (found, d_hidden) = jax.lax.scan(functools.partial(some, table), zeros, parts)
        return d_table, *(rejoined(x, arrays[0].shape[1]) for x in (*found, d_hidden))

    d_table, losses, squares, d_hidden = _spread(all_parts, table, hidden, targets, weights, square_weights)
    found = Losses(losses, squares)
    return (_total(found, weights, square_weights), found), (d_table.astype(table.dtype), d_hidden)


def _spread(function, table, *arrays):
    """(a sum over targets, more for each target) of each device's targets, summed up once and not part by part."""
    rules = placing.rules()
    batch, count = arrays[0].shape[:2]
    cut = rules and (rules.cut("rows", batch), rules.cut("sequence", count))
    # In an order that all processes have: of a set, each iterates in its own, and programs would differ.
    axes = tuple(name for names in cut or () if names for name in names)
    if not axes:
        return function(table, *arrays)

    def local(table, *arrays):
        total, *more = function(table, *arrays)
        return jax.lax.psum(total, axes), *more

    each = PartitionSpec(*cut)
    return rules.mapped(local, (PartitionSpec(), *(each,) * 4), (PartitionSpec(), each, each, each), {*axes})(
        table, *arrays
    )


def _backward(soft_cap: float | None, scores: int, kept, wanted):
    """Sums over targets were made already: they only take the size of the sum's own gradient."""
    return *(x * wanted[0].astype(x.dtype) for x in kept), None, None, None


weighted.defvjp(_forward, _backward)


def scored(table: Float[Array, "V D"], rows: Float[Array, "B t D"], soft_cap: float | None) -> Float[Array, "B t V"]:
    """Scores of some places, in float32."""
    scores = jnp.einsum("btd,vd->btv", rows, table, preferred_element_type=jnp.float32)
    return scores if soft_cap is None else jnp.tanh(scores / soft_cap) * soft_cap


def _losses(scores, targets, partition=None) -> Losses:
    partition = jax.nn.logsumexp(scores, axis=-1) if partition is None else partition
    # A sum over all scores, in one pass with the exponentials, instead of a look-up.
    return Losses(partition - jnp.where(_is(targets, scores), scores, 0).sum(-1), jnp.square(partition))


def _is(targets, scores):
    return targets[..., None] == jax.lax.broadcasted_iota(targets.dtype, scores.shape, scores.ndim - 1)


def in_parts(most: int, *arrays: Array) -> tuple[Array, ...]:
    """[B, N, ...] to [parts, B, n, ...] with at most `most` (and one of each row) in a part, zeros at the end.

    Rows stay whole, since several devices have some each.
    """
    batch, count = arrays[0].shape[:2]
    each = min(max(1, most // batch), count)
    parts = -(-count // each)
    each = -(-count // parts)  # of the same size

    def split(x: Array) -> Array:
        x = jnp.pad(x, ((0, 0), (0, parts * each - count), *[(0, 0)] * (x.ndim - 2)))
        return jnp.moveaxis(x.reshape(batch, parts, each, *x.shape[2:]), 1, 0)

    return tuple(map(split, arrays))


def rejoined(x: Array, count: int) -> Array:
    """The inverse of `in_parts`."""
    x = jnp.moveaxis(x, 0, 1)
    return x.reshape(x.shape[0], -1, *x.shape[3:])[:, :count]
