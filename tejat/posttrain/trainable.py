"""What of a model is trained: all of its weights, or adapters of some."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from tejat.bundle import Bundle
from tejat.errors import BadInput
from tejat.model import multimodal, quantised
from tejat.model.params import Tree, initialise
from tejat.model.quantised import Grid
from tejat.posttrain import lora as adapters
from tejat.posttrain.lora import Lora
from tejat.posttrain.recipe import Tuning


class Trainable(NamedTuple):
    """`tree` describes what is trained. Where these are adapters, `frozen` are the weights that they are added to;
    where there is a `grid`, matrices are computed with as it has them."""

    tree: Tree
    initial: Tree
    frozen: Tree
    lora: Lora | None = None
    grid: Grid | None = None

    def weights(self, trained: Tree, frozen: Tree) -> Tree:
        """The model's weights, whose gradients pass through a grid to what is trained. `frozen` are passed on as a
        compiled function's argument, not as its constants."""
        if self.lora is not None:
            return adapters.merged(frozen, trained, self.lora)
        return trained if self.grid is None else quantised.rounded_tree(trained, self.tree, self.grid.of)

    def reference(self, dtype: DTypeLike) -> Tree:
        """The weights that the run begins with; none where `frozen` are these, and need not be kept twice."""
        if self.lora is not None:
            return {}
        return multimodal.cast(self.weights(self.initial, self.frozen), dtype)


def trainable(bundle: Bundle, recipe: Tuning) -> Trainable:
    """Of a bundle. Raises BadInput as `lora.params` does, and for a grid with adapters or one that begins later."""
    tree, grid = multimodal.params(bundle.config), recipe.grid
    if grid and recipe.lora:
        raise BadInput(f"{recipe.name} has lora and grid: added to adapters, no weight stays on a grid; leave one out")
    if grid and grid.begins:
        raise BadInput(f"grid.begins is {grid.begins:g}; what is tuned has ended on its grid before, so leave it out")
    whole = jax.tree.map(jnp.asarray, bundle.params)
    if recipe.lora is None:
        return Trainable(tree, whole, {}, None, grid)
    found = adapters.params(tree, recipe.lora)
    return Trainable(found, initialise(found, recipe.seed), whole, recipe.lora)
