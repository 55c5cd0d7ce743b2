"""Log-probabilities and entropies of tokens, with gradients, of which scores exist for a part of the tokens at a time.

`tejat.model.cross_entropy.weighted` knows the weight of each token's loss beforehand. Here a loss is any function of
the probabilities, as a clipped ratio is: scores of a part are made again in the backward pass.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from tejat.infer import constraints
from tejat.infer.constraints import Rule
from tejat.model import multimodal
from tejat.model.layers import picked
from tejat.model.multimodal import ModelConfig
from tejat.model.params import Tree
from tejat.model.passes import SCANNED, Pass
from tejat.posttrain.packed import Packed

PLACES = 2_048
"""Tokens of a batch whose scores exist at a time."""

_HIDDEN = -1e30


class Likely(NamedTuple):
    """Of every target: its log-probability, the entropy in its place, the hidden state that it is predicted from."""

    logprobs: Float[Array, "B M"]
    entropies: Float[Array, "B M"]
    hidden: Float[Array, "B M D"]


def likely(
    weights: Tree,
    config: ModelConfig,
    packed: Packed,
    allowed: Bool[Array, " V"] | None = None,
    how: Pass = SCANNED,
    entropy: bool = True,
) -> Likely:
    """Of the targets of a batch, over the ids allowed (None: all). Zeros where there is no target."""
    batch = packed.batch
    hidden = multimodal.forward(weights, config, batch.inputs, how)
    hidden = picked(hidden, jnp.where(batch.weights > 0, batch.target_at, hidden.shape[1]))
    flat, targets = hidden.reshape(-1, hidden.shape[-1]), batch.targets.reshape(-1)
    count = flat.shape[0]
    each = min(PLACES, count)
    parts = -(-count // each)
    pad = parts * each - count
    flat = jnp.pad(flat, ((0, pad), (0, 0))).reshape(parts, each, -1)
    targets = jnp.pad(targets, (0, pad)).reshape(parts, each)
    part = jax.checkpoint(functools.partial(_part, config.decoder.soft_cap, entropy))
    table = weights["decoder"]["embedding"]
    _, found = jax.lax.scan(lambda _, some: (None, part(table, allowed, *some)), None, (flat, targets))
    there = batch.weights > 0
    logprobs, entropies = (jnp.where(there, x.reshape(-1)[:count].reshape(there.shape), 0.0) for x in found)
    return Likely(logprobs, entropies, hidden)


def _part(soft_cap: float | None, entropy: bool, table, allowed, hidden, targets) -> tuple[Array, Array]:
    scores = jnp.einsum("td,vd->tv", hidden, table, preferred_element_type=jnp.float32)
    if soft_cap is not None:
        scores = jnp.tanh(scores / soft_cap) * soft_cap
    if allowed is not None:
        scores = jnp.where(allowed, scores, _HIDDEN)
    logs = scores - jax.nn.logsumexp(scores, axis=-1, keepdims=True)
    chosen = jnp.take_along_axis(logs, targets[:, None], axis=-1)[:, 0]
    # Probabilities of hidden ids are exactly zero, and zero times -1e30 is zero.
    return chosen, -(jnp.exp(logs) * logs).sum(-1) if entropy else jnp.zeros_like(chosen)


def of_text(rule: Rule, vocabulary: int) -> Bool[Array, " V"]:
    """The ids that the engine lets a model without pictures write: probabilities are over the same ones there."""
    one = jnp.zeros(1, jnp.int32)
    asked = constraints.Asked(jnp.zeros(1, bool), one, one)
    return constraints.allowed(rule, constraints.start(1), asked, one + 1, vocabulary)[0]


def totals(values: Float[Array, "B M"], packed: Packed, documents: int) -> Float[Array, " N"]:
    """Sums over each document's targets."""
    return jax.ops.segment_sum(values.reshape(-1), packed.owner.reshape(-1), documents + 1)[:documents]


def logprobs_of_answers(
    weights: Tree, config: ModelConfig, packed: Packed, documents: int, how: Pass = SCANNED
) -> Float[Array, " N"]:
    """Log-probability of all targets of each document, over the whole vocabulary as in training."""
    found = likely(weights, config, packed, how=how, entropy=False)
    return totals(found.logprobs, packed, documents)
