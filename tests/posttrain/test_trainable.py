"""What is trained, and what is computed with: adapters, grids, and the model that a run begins with."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tejat.errors import BadInput
from tejat.model import multimodal, quantised
from tejat.model.params import walk
from tejat.model.quantised import Grid
from tejat.posttrain.lora import Lora
from tejat.posttrain.recipe import Supervised
from tejat.posttrain.trainable import trainable
from tejat.train.optimizer import Schedule


@pytest.fixture
def recipe(talker_at):
    return Supervised(name="some", model=talker_at, schedule=Schedule(steps=1, peak=1.0), data=talker_at)


def rounded(bundle, grid):
    tree = multimodal.params(bundle.config)
    return [found for _, found in walk(quantised.rounded_tree(bundle.params, tree, grid.of))]


def test_on_a_grid_weights_are_those_of_the_grid_and_gradients_pass(talker, recipe):
    grid = Grid(bits=4, embedding=8)
    found = trainable(talker, dataclasses.replace(recipe, grid=grid))
    for (name, mine), wanted, (_, plain) in zip(
        walk(found.weights(found.initial, found.frozen)), rounded(talker, grid), walk(talker.params), strict=True
    ):
        np.testing.assert_allclose(mine, wanted, rtol=1e-6, atol=1e-7, err_msg=name)
        assert name != "decoder.embedding" or np.abs(mine - plain).max() > 0
    gradient = jax.grad(lambda w: sum(a.sum() for _, a in walk(found.weights(w, found.frozen))))(found.initial)
    assert all(np.all(one == 1) for _, one in walk(gradient))


def test_the_first_model_is_kept_once(talker, recipe):
    assert trainable(talker, dataclasses.replace(recipe, lora=Lora(rank=2))).reference(jnp.bfloat16) == {}
    for grid, wanted in ((None, [a for _, a in walk(talker.params)]), (Grid(), rounded(talker, Grid()))):
        first = trainable(talker, dataclasses.replace(recipe, grid=grid)).reference(jnp.float32)
        for (_, one), other in zip(walk(first), wanted, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-7)


def test_what_cannot_be_is_told(talker, recipe):
    with pytest.raises(BadInput, match="some has lora and grid"):
        trainable(talker, dataclasses.replace(recipe, grid=Grid(), lora=Lora(rank=2)))
    with pytest.raises(BadInput, match=r"grid.begins is 0.5"):
        trainable(talker, dataclasses.replace(recipe, grid=Grid(begins=0.5)))
