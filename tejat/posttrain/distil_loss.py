"""What a student minimises: its cross-entropy to a teacher's distribution and to the data, mixed, with a z-loss.

The scores of teacher and student exist for a part of the targets at a time, as in `tejat.model.cross_entropy`. A
teacher's distribution is either whole, made from its hidden states while the student's scores are there, or a few ids
with their shares, which are small enough to be kept on disk.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from tejat.codecs.framing import Modality
from tejat.data.packing import Batch
from tejat.model import multimodal
from tejat.model.cross_entropy import SCORES, in_parts, rejoined, scored
from tejat.model.params import Tree
from tejat.model.passes import SCANNED, Pass
from tejat.train import objective

AT_ONCE = SCORES // 4
"""Scores of the student that exist at a time; those of the teacher and both probabilities exist beside them."""


class Whole(NamedTuple):
    """All that a teacher thinks: its table and its hidden states at the targets."""

    table: Float[Array, "V E"]
    hidden: Float[Array, "B M E"]


class Few(NamedTuple):
    """The part of it that is kept: shares of some ids, an id of more than one place counted as often."""

    ids: Int[Array, "B M K"]
    shares: Float[Array, "B M K"]  # their sum counts as one
    entropy: Float[Array, "B M"]  # of the distribution that they stand for, in nats


class Losses(NamedTuple):
    """Of every target, in nats: the cross-entropy to the data, and the divergence of the student from the teacher."""

    losses: Float[Array, "B M"]
    divergences: Float[Array, "B M"]


def loss(
    params: Tree,
    config: multimodal.ModelConfig,
    batch: Batch,
    taught: Whole | Few,
    share: float,
    *,
    teacher_cap: float | None = None,
    picture_weight: float = 1.0,
    z_weight: float = 1e-4,
    how: Pass = SCANNED,
    scores: int = AT_ONCE,
    counts: dict[Modality, Float[Array, ""]] | None = None,
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """(what to minimise, sums for the log), as `objective.loss`, with `share` of every target the teacher's.

    Text and codes of pictures alike. The sums "text_divergence" and "picture_divergence" come to those of
    `objective.sums`, which are of the data.
    """
    hidden = objective.at_targets(params, config, batch, how)
    weights = objective.shares(batch, picture_weight, z_weight, counts)
    table, caps = params["decoder"]["embedding"], (config.decoder.soft_cap, teacher_cap)
    total, found = weighted(table, hidden, batch.targets, taught, *weights, share, caps, scores)
    losses, divergences = jax.lax.stop_gradient(found)
    sums = objective.sums(batch, losses)
    for kind in objective.PREDICTED:
        sums[f"{kind.name.lower()}_divergence"] = (divergences * batch.weights * (batch.modality == kind)).sum()
    return total, sums


@functools.partial(jax.custom_vjp, nondiff_argnums=(6, 7, 8))
def weighted(
    table: Float[Array, "V D"],
    hidden: Float[Array, "B M D"],
    targets: Int[Array, "B M"],
    taught: Whole | Few,
    weights: Float[Array, "B M"],
    square_weights: Float[Array, "B M"],
    share: float,
    caps: tuple[float | None, float | None] = (None, None),
    scores: int = AT_ONCE,
) -> tuple[Float[Array, ""], Losses]:
    """(sum of weights x losses of the mixed target + square_weights x squared log-partitions, the losses).

    The mixed target is `share` of the teacher's distribution and the rest of the data's token. `caps` are those of
    student and teacher. The sum alone has a gradient, of `table` and `hidden`.
    """
    return _forward(table, hidden, targets, taught, weights, square_weights, share, caps, scores)[0]


def _forward(table, hidden, targets, taught, weights, square_weights, share: float, caps, scores: int):
    cap, teacher_cap = caps
    whole = isinstance(taught, Whole)
    teacher = (taught.hidden,) if whole else tuple(taught)

    def some(d_table, part):
        rows, wanted, weight, square_weight, *teacher = part
        capped = scored(table, rows, cap)
        partition = jax.nn.logsumexp(capped, axis=-1)
        if whole:
            log_taught = jax.nn.log_softmax(scored(taught.table, teacher[0], teacher_cap))
            probabilities = jnp.exp(log_taught)
            entropy = -(probabilities * log_taught).sum(-1)
        else:
            probabilities, entropy = _spread(*teacher[:2], capped.shape[-1]), teacher[2]
        one = wanted[..., None] == jax.lax.broadcasted_iota(wanted.dtype, capped.shape, capped.ndim - 1)
        mixed = share * probabilities + jnp.where(one, 1.0 - share, 0.0)
        mixed_loss = partition - (mixed * capped).sum(-1)
        found = Losses(
            partition - jnp.where(one, capped, 0).sum(-1), partition - (probabilities * capped).sum(-1) - entropy
        )
        total = (mixed_loss * weight + jnp.square(partition) * square_weight).sum()
        # d partition / d score is the score's probability, and the mixed target sums to one.
        d_scores = jnp.exp(capped - partition[..., None]) * (weight + 2 * square_weight * partition)[..., None]
        d_scores = d_scores - mixed * weight[..., None]
        if cap is not None:
            d_scores = d_scores * (1 - jnp.square(capped / cap))
        d_scores = d_scores.astype(table.dtype)
        d_rows = jnp.einsum("btv,vd->btd", d_scores, table, preferred_element_type=jnp.float32).astype(rows.dtype)
        more = jnp.einsum("btv,btd->vd", d_scores, rows, preferred_element_type=jnp.float32)
        return d_table + more, (total, found, d_rows)

    parts = in_parts(scores // table.shape[0], hidden, targets, weights, square_weights, *teacher)
    d_table, (totals, found, d_hidden) = jax.lax.scan(some, jnp.zeros(table.shape, jnp.float32), parts)
    count = targets.shape[1]
    found = Losses(*(rejoined(x, count) for x in found))
    return (totals.sum(), found), (d_table.astype(table.dtype), rejoined(d_hidden, count))


def _backward(share: float, caps, scores: int, kept, wanted):
    """Gradients were made in the forward pass: they only take the size of the sum's own."""
    return *(x * wanted[0].astype(x.dtype) for x in kept), None, None, None, None


weighted.defvjp(_forward, _backward)


def _spread(ids: Int[Array, "B t K"], shares: Float[Array, "B t K"], vocabulary: int) -> Float[Array, "B t V"]:
    """Shares at their ids. Places that only pad have none, and their weight is zero."""
    shares = shares.astype(jnp.float32)
    shares = shares / jnp.maximum(shares.sum(-1, keepdims=True), 1e-9)
    b, t = (jnp.arange(n).reshape(shape) for n, shape in zip(ids.shape, ((-1, 1, 1), (1, -1, 1)), strict=False))
    return jnp.zeros((*ids.shape[:2], vocabulary), jnp.float32).at[b, t, ids].add(shares)
