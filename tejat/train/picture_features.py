"""How unlike pictures are in the features of a trained classifier: a loss of reconstructions besides that of pixels.

What it weighs is told by its gradient with respect to pixels, as a multiple of the length of that of the pixels' own
loss (as Esser et al. 2021, section 3.1, weigh an adversary): losses whose sizes have nothing in common need no weight
found by trial.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from tejat.model import picture_classifier
from tejat.model.layers import rms_norm
from tejat.model.params import Tree
from tejat.model.picture_classifier import ClassifierConfig


class Judge(NamedTuple):
    """A trained classifier."""

    params: Tree
    config: ClassifierConfig


def distance(judge: Judge, pictures: Float[Array, "B H W 3"], drawn: Float[Array, "B H W 3"]) -> Float[Array, ""]:
    """How unlike two pictures are to a classifier: in every stage, at every place, features scaled to mean square one
    (Zhang et al. 2018, without weights of their own). Computed in the pixels' own type."""
    found = jnp.zeros(())
    seen, due = (_stages(judge, pixels) for pixels in (drawn, pictures))
    for mine, theirs in zip(seen, due, strict=True):
        found += jnp.square(rms_norm(mine) - rms_norm(theirs)).astype(jnp.float32).mean()
    return found / len(seen)


def weighed(slope: Float[Array, "..."], beside: Float[Array, "..."], weight: float) -> Float[Array, "..."]:
    """A gradient made `weight` times as long as another."""
    return slope * (weight * jnp.linalg.norm(beside.ravel()) / (jnp.linalg.norm(slope.ravel()) + 1e-12))


def _stages(judge: Judge, pixels: Float[Array, "B H W 3"]) -> list[Array]:
    params = jax.tree.map(lambda p: p.astype(pixels.dtype), judge.params)
    return picture_classifier.stages(params, judge.config, pixels)
