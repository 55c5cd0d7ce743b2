"""The choice of one token: greedy, or at random by temperature, top-k and top-p; for codes, by settings of their own.

Randomness comes from (seed, position) alone: the same prompt and seed give the same answer alone and in any batch.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, UInt32

_HIDDEN = -1e30  # finite: a difference of two hidden scores is still a number


class Settings(NamedTuple):
    """How each row of a batch chooses. Temperature 0 is greedy; top-k 0, top-p 1 and min-p 0 keep everything."""

    seed: UInt32[Array, " B"]
    temperature: Float[Array, " B"]
    top_k: Int[Array, " B"]
    top_p: Float[Array, " B"]
    picture_temperature: Float[Array, " B"]  # of codes only; marks and sides of a picture go by the settings of text
    picture_top_k: Int[Array, " B"]
    picture_min_p: Float[Array, " B"]


class Needs(NamedTuple):
    """What some row of a batch needs. None: the program finds out at run time.

    On a GPU a program that branches waits for the host to read what it branches on: there the host, which knows what
    was asked for, says it beforehand.
    """

    chance: bool | None = None  # a temperature above 0
    bounds: bool | None = None  # a top-k or top-p
    top: bool | None = None  # the likeliest tokens of each place
    penalties: bool | None = None


def when(known: bool | None, found: Bool[Array, ""], yes: Callable, no: Callable, operand: Any) -> Any:
    """`yes` or `no` of an operand: as is `known`, or as is `found` at run time."""
    if known is None:
        return jax.lax.cond(found, yes, no, operand)
    return yes(operand) if known else no(operand)


def choose(
    logits: Float[Array, "B V"],
    allowed: Bool[Array, "B V"],
    code_due: Bool[Array, " B"],
    position: Int[Array, " B"],
    settings: Settings,
    liked: Float[Array, "B V"] | None = None,
    needs: Needs = Needs(),  # noqa: B008 (immutable)
) -> tuple[Int[Array, " B"], Float[Array, " B"]]:
    """(token, log-probability). `position` is where the token will stand in its sequence.

    `liked` are scores to choose by where they are not those of the model: after penalties. The log-probability is that
    of the model itself over the allowed ids: at temperature 1, whatever the settings, so that it measures the model and
    not the way of choosing. A token without alternatives has 0.
    """
    likelihood = jnp.where(allowed, logits, _HIDDEN)
    # A code is chosen among those that the model itself finds plausible, whatever they are liked for.
    least = likelihood.max(axis=-1) + jnp.where(code_due, jnp.log(settings.picture_min_p), -jnp.inf)
    plausible = allowed & (likelihood >= least[:, None])
    scores = jnp.where(plausible, likelihood if liked is None else liked, _HIDDEN)
    temperature = jnp.where(code_due, settings.picture_temperature, settings.temperature)
    top_k = jnp.where(code_due, settings.picture_top_k, settings.top_k)
    top_p = jnp.where(code_due, 1.0, settings.top_p)
    best = jnp.argmax(scores, axis=-1).astype(jnp.int32)

    def at_random(_):
        # Greedy rows come along and are put back below. The floor keeps scores finite.
        scaled = scores / jnp.maximum(temperature, 1e-6)[:, None]

        def cut(scores):
            return jnp.where(_kept(scores, top_k, top_p), scores, _HIDDEN)

        kept = when(needs.bounds, jnp.any((top_k > 0) | (top_p < 1.0)), cut, lambda scores: scores, scaled)
        keys = jax.vmap(lambda seed, at: jax.random.fold_in(jax.random.key(seed), at))(settings.seed, position)
        drawn = jax.vmap(jax.random.categorical)(keys, kept).astype(jnp.int32)
        return jnp.where(temperature > 0, drawn, best)

    # Noise for a whole vocabulary costs as much as a small model's layer: none is made for a greedy batch.
    token = when(needs.chance, jnp.any(temperature > 0), at_random, lambda _: best, None)
    chosen = jnp.take_along_axis(likelihood, token[:, None], axis=-1)[:, 0]
    return token, chosen - jax.nn.logsumexp(likelihood, axis=-1)


def guided(
    asked: Float[Array, "B V"],
    unasked: Float[Array, "B V"],
    strength: Float[Array, " B"],
    code_due: Bool[Array, " B"],
) -> Float[Array, "B V"]:
    """The scores to choose by: of codes u + g (c - u), of all else c; of strength 1 those of `asked`, to the bit."""
    wanted = code_due & (strength != 1.0)
    return jnp.where(wanted[:, None], unasked + strength[:, None] * (asked - unasked), asked)


def _kept(scores: Float[Array, "B V"], top_k: Int[Array, " B"], top_p: Float[Array, " B"]) -> Bool[Array, "B V"]:
    """The k likeliest, and of them the fewest whose probabilities reach p; equals of the last one are kept too."""
    vocabulary = scores.shape[-1]
    weights = jnp.exp(scores - scores.max(-1, keepdims=True))
    # A score stays in (weight 0 included) where a row asks for no top-k.
    need = jnp.where(top_k > 0, jnp.minimum(top_k, vocabulary), vocabulary).astype(jnp.float32)
    in_k = weights >= _highest(weights, lambda inside: inside.sum(-1, dtype=jnp.float32) >= need)[:, None]
    weights = jnp.where(in_k, weights, 0.0)
    enough = jnp.where(top_p < 1.0, top_p * weights.sum(-1), -1.0)
    least = _highest(weights, lambda inside: jnp.where(inside, weights, 0.0).sum(-1) >= enough)
    # Where no top-p is asked for every bar is low enough, and the highest would cut: take none.
    return in_k & (weights >= jnp.where(top_p < 1.0, least, 0.0)[:, None])


def _highest(
    weights: Float[Array, "B V"], enough: Callable[[Bool[Array, "B V"]], Bool[Array, " B"]]
) -> Float[Array, " B"]:
    """The highest bar at which the weights not below it are enough. `enough` must hold at bar 0.

    Numbers >= 0 are ordered as their bits are, so bisecting the bits finds the bar exactly, in 31 passes; sorting the
    vocabulary of a batch takes several times longer on a CPU.
    """

    def halve(_, bounds):
        low, high = bounds  # enough at low, not at high
        middle = low + (high - low) // 2
        holds = enough(weights >= jax.lax.bitcast_convert_type(middle, jnp.float32)[:, None])
        return jnp.where(holds, middle, low), jnp.where(holds, high, middle)

    low = jnp.zeros(weights.shape[0], jnp.int32)
    above_one = jnp.full_like(low, 0x3F800001)
    return jax.lax.bitcast_convert_type(jax.lax.fori_loop(0, 31, halve, (low, above_one))[0], jnp.float32)
