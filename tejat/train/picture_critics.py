"""What judges reconstructions besides their pixels: the features of a trained classifier, and an adversary.

Each gives a loss of pictures alone. What it weighs is told by its gradient with respect to their pixels, as a multiple
of the length of that of the reconstruction's own (as Esser et al. 2021, section 3.1, weigh their adversary): losses
whose sizes have nothing in common need no weights found by trial.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from tejat.model import picture_classifier
from tejat.model.layers import rms_norm
from tejat.model.params import Tree, initialise
from tejat.model.picture_classifier import ClassifierConfig

WAITS = 0.1  # of the run: the adversary learns alone, then comes in over as long again


class Judge(NamedTuple):
    """A trained classifier."""

    params: Tree
    config: ClassifierConfig


class Adversary(NamedTuple):
    """A network that tells pictures from reconstructions, piece by piece, and its moments."""

    params: Tree
    moments: Any


def distance(judge: Judge, pictures: Float[Array, "B H W 3"], drawn: Float[Array, "B H W 3"]) -> Float[Array, ""]:
    """How unlike two pictures are in a classifier's features: of every stage, at every place, scaled to mean square
    one (Zhang et al. 2018, without weights of their own)."""
    found = jnp.zeros(())
    seen, due = (_stages(judge.params, judge.config, pixels) for pixels in (drawn, pictures))
    for mine, theirs in zip(seen, due, strict=True):
        found += jnp.square(rms_norm(mine, None) - rms_norm(theirs, None)).astype(jnp.float32).mean()
    return found / len(seen)


def adversary(judge: Judge) -> Adversary:
    """One that begins with what a judge knows of edges and textures."""
    config = _shape(judge.config)
    params = initialise(picture_classifier.params(config, 1), 0)
    params |= {name: jax.tree.map(jnp.array, judge.params[name]) for name in params if name not in ("norm", "out")}
    return Adversary(params, _adam().init(params))


def doubt(params: Tree, config: ClassifierConfig, drawn: Float[Array, "B H W 3"]) -> Float[Array, ""]:
    """What a reconstruction is to make small: the adversary's scores, whose sign is turned; `config` of the judge."""
    return -_scores(params, config, drawn).mean()


def taught(
    state: Adversary, config: ClassifierConfig, pictures: Float[Array, "B H W 3"], drawn: Float[Array, "B H W 3"]
) -> Adversary:
    """After a step of the hinge loss (Lim & Ye 2017)."""

    def objective(params):
        real, made = _scores(params, config, pictures), _scores(params, config, drawn)
        return jax.nn.relu(1 - real).mean() + jax.nn.relu(1 + made).mean()

    updates, moments = _adam().update(jax.grad(objective)(state.params), state.moments)
    return Adversary(optax.apply_updates(state.params, updates), moments)


def weighed(slope: Float[Array, "..."], beside: Float[Array, "..."], weight: float | Array) -> Float[Array, "..."]:
    """A gradient made `weight` times as long as another."""
    return slope * (weight * jnp.linalg.norm(beside.ravel()) / (jnp.linalg.norm(slope.ravel()) + 1e-12))


def _stages(params: Tree, config: ClassifierConfig, pixels: Float[Array, "B H W 3"]) -> list[Array]:
    cast = jax.tree.map(lambda p: p.astype(jnp.bfloat16), params)
    return picture_classifier.stages(cast, config, pixels.astype(jnp.bfloat16))


def _scores(params: Tree, config: ClassifierConfig, pixels: Float[Array, "B H W 3"]) -> Float[Array, "B h w"]:
    last = rms_norm(_stages(params, _shape(config), pixels)[-1].astype(jnp.float32), params["norm"])
    return (jax.nn.gelu(last) @ params["out"])[..., 0]


def _shape(config: ClassifierConfig) -> ClassifierConfig:
    """The adversary sees pieces, not pictures: the last stage of the judge is left out."""
    return ClassifierConfig(config.channels[:-1], config.blocks)


def _adam() -> optax.GradientTransformation:
    return optax.chain(optax.clip_by_global_norm(1.0), optax.adam(3e-4, 0.5, 0.9))
