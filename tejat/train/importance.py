"""How much the loss minds an error in each weight: the diagonal of the Fisher information, from squared gradients.

A small error e of a weight changes the loss by about F e^2 / 2 (LeCun et al. 1990); blocks of a grid are chosen by it
(`tejat.model.quantised`), as Kim et al. 2024 do. Gradients are of single documents: squares of a batch's mean gradient
would cancel what documents disagree on.
"""

import functools
from collections.abc import Iterable

import jax
import jax.numpy as jnp

from tejat.data.packing import Batch
from tejat.model.multimodal import ModelConfig
from tejat.model.params import Tree
from tejat.train import objective


def importance(params: Tree, config: ModelConfig, batches: Iterable[Batch]) -> Tree:
    """Mean squared gradients of batches of one document each."""
    total, count = None, 0
    for batch in batches:
        squares = _squares(params, config, batch)
        total = squares if total is None else jax.tree.map(jnp.add, total, squares)
        count += 1
    return jax.tree.map(lambda x: x / count, total)


@functools.partial(jax.jit, static_argnames="config")
def _squares(params: Tree, config: ModelConfig, batch: Batch) -> Tree:
    gradient = jax.grad(lambda p: objective.loss(p, config, batch, z_weight=0.0)[0])(params)
    return jax.tree.map(jnp.square, gradient)
