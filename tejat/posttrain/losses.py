"""What post-training minimises, of log-probabilities, values and scores; with the papers that each comes from."""

from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

Kind = Literal["plain", "square", "positive"]


def bradley_terry(
    chosen: Float[Array, " N"], rejected: Float[Array, " N"], margin: Float[Array, " N"] | float = 0.0
) -> Float[Array, " N"]:
    """-log P(chosen is preferred), where a pair's scores should be `margin` apart (Touvron et al. 2023, eq. 2)."""
    return jax.nn.softplus(-(chosen - rejected - margin))


def dpo(
    chosen: Float[Array, " N"],
    rejected: Float[Array, " N"],
    reference_chosen: Float[Array, " N"],
    reference_rejected: Float[Array, " N"],
    beta: float = 0.1,
    smoothing: float = 0.0,
) -> tuple[Float[Array, " N"], Float[Array, " N"]]:
    """(losses, implicit margins) of log-probabilities of whole answers (Rafailov et al. 2023, eq. 7).

    `smoothing`: the share of labels that are taken to be wrong (Mitchell 2023, conservative DPO).
    """
    margin = beta * ((chosen - reference_chosen) - (rejected - reference_rejected))
    return (1 - smoothing) * jax.nn.softplus(-margin) + smoothing * jax.nn.softplus(margin), margin


def clipped(
    logprobs: Float[Array, "..."],
    before: Float[Array, "..."],
    advantages: Float[Array, "..."],
    low: float = 0.2,
    high: float = 0.2,
) -> tuple[Float[Array, "..."], Bool[Array, "..."]]:
    """(loss, was it clipped) of each token: the surrogate of PPO (Schulman et al. 2017, eq. 7).

    `before` are log-probabilities when the answers were sampled. Bounds apart are of Yu et al. 2025 (DAPO).
    """
    ratio = jnp.exp(jnp.clip(logprobs - before, -20.0, 20.0))
    free, bound = -ratio * advantages, -jnp.clip(ratio, 1 - low, 1 + high) * advantages
    return jnp.maximum(free, bound), bound > free


def value(
    values: Float[Array, "..."], before: Float[Array, "..."], returns: Float[Array, "..."], clip: float
) -> Float[Array, "..."]:
    """Half the squared error of each value, which may not profit from a step beyond `clip` (Schulman's PPO code)."""
    bound = jnp.clip(values, before - clip, before + clip)
    return 0.5 * jnp.maximum(jnp.square(values - returns), jnp.square(bound - returns))


def divergence(
    logprobs: Float[Array, "..."], reference: Float[Array, "..."], kind: Kind = "plain"
) -> Float[Array, "..."]:
    """Estimates of KL(policy, reference) from single tokens that the policy sampled (Schulman 2020).

    "plain": the log-ratio; "square": half its square, biased; "positive": unbiased too, and never negative.
    """
    ratio = logprobs - reference
    match kind:
        case "plain":
            return ratio
        case "square":
            return 0.5 * jnp.square(ratio)
        case "positive":
            return jnp.expm1(-ratio) + ratio


def masked_mean(values: Float[Array, "..."], weights: Float[Array, "..."], count: Float[Array, ""] | None = None):
    """Mean over the tokens of a batch, long answers counting for more (DAPO); `count` where it is of a whole."""
    return (values * weights).sum() / jnp.maximum(weights.sum() if count is None else count, 1.0)
