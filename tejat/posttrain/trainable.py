"""What of a model is trained: all of its weights, or adapters of some."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from tejat.bundle import Bundle
from tejat.model import multimodal
from tejat.model.params import Tree, initialise
from tejat.posttrain import lora as adapters
from tejat.posttrain.lora import Lora


class Trainable(NamedTuple):
    """`tree` describes what is trained. Where these are adapters, `frozen` are the weights that they are added to."""

    tree: Tree
    initial: Tree
    frozen: Tree
    lora: Lora | None

    def weights(self, trained: Tree, frozen: Tree) -> Tree:
        """The model's weights. `frozen` are passed on as a compiled function's argument, not as its constants."""
        return trained if self.lora is None else adapters.merged(frozen, trained, self.lora)


def trainable(bundle: Bundle, lora: Lora | None, seed: int) -> Trainable:
    """Of a bundle. Raises BadInput as `lora.params` does."""
    tree = multimodal.params(bundle.config)
    whole = jax.tree.map(jnp.asarray, bundle.params)
    if lora is None:
        return Trainable(tree, whole, {}, None)
    found = adapters.params(tree, lora)
    return Trainable(found, initialise(found, seed), whole, lora)
