"""What of a model is trained: all of its weights, or adapters of some."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from tejat.bundle import Bundle
from tejat.model import multimodal, quantised
from tejat.model.params import Tree, initialise
from tejat.model.quantised import Grid
from tejat.posttrain import lora as adapters
from tejat.posttrain.lora import Lora
from tejat.posttrain.recipe import Tuning


class Trainable(NamedTuple):
    """`tree` describes what is trained, `model` all of the model's weights. Where adapters are trained, `frozen` are
    the weights that they are added to; where there is a `grid`, matrices are what it has of them."""

    tree: Tree
    initial: Tree
    frozen: Tree
    model: Tree
    lora: Lora | None = None
    grid: Grid | None = None

    def weights(self, trained: Tree, frozen: Tree) -> Tree:
        """The model's weights, whose gradients pass through a grid to what is trained. `frozen` are passed on as a
        compiled function's argument, not as its constants."""
        whole = trained if self.lora is None else adapters.merged(frozen, trained, self.lora)
        return whole if self.grid is None else quantised.rounded_tree(whole, self.model, self.grid.of)

    def reference(self, dtype: DTypeLike) -> Tree:
        """The weights that the run begins with; none where `frozen` are these, and need not be kept twice."""
        if self.lora is not None and self.grid is None:
            return {}
        return multimodal.cast(self.weights(self.initial, self.frozen), dtype)


def trainable(bundle: Bundle, recipe: Tuning) -> Trainable:
    """Of a bundle. Raises BadInput as `lora.params` does."""
    tree, grid = multimodal.params(bundle.config), recipe.grid
    whole = jax.tree.map(jnp.asarray, bundle.params)
    if recipe.lora is None:
        return Trainable(tree, whole, {}, tree, None, grid)
    found = adapters.params(tree, recipe.lora)
    return Trainable(found, initialise(found, recipe.seed), whole, tree, recipe.lora, grid)
