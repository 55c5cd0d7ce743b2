"""The Param tree: names, shapes and first values follow from it, and from nothing else."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tejat.model import family, multimodal
from tejat.model.params import (
    Param,
    abstract,
    count,
    initialise,
    is_param,
    linear,
    map_params,
    scale,
    stack,
    unflatten,
    walk,
)

TREE = {
    "b": {"weight": linear({"embed": 64}, {"heads": 4, "head": 16}), "norm": scale(8, "embed")},
    "a": Param((64, 64), ("vocabulary", "embed"), "embedding", 64),
    "low": Param((), (), -math.inf, frozen=True),
    "bias": Param((3,), (None,), 0.0),
}


@pytest.fixture(scope="module")
def arrays():
    return dict(walk(initialise(TREE, 7)))


def test_names_are_sorted_paths_and_unflatten_is_the_inverse():
    leaves = dict(walk(TREE))
    assert list(leaves) == ["a", "b.norm", "b.weight", "bias", "low"]
    assert unflatten(leaves) == TREE


def test_shapes_and_counts():
    assert TREE["b"]["weight"] == Param((64, 4, 16), ("embed", "heads", "head"), "normal", 64)
    assert count(TREE) == 64 * 64 * 2 + 8 + 1 + 3
    shapes = map_params(lambda p: p.shape, TREE)
    assert jax.tree.map(lambda a: a.shape, abstract(TREE, jnp.bfloat16)) == shapes
    assert abstract(TREE, jnp.bfloat16)["a"].dtype == jnp.bfloat16


def test_a_stack_has_a_leading_axis_and_the_same_scale():
    stacked = stack(5, TREE)
    assert stacked["b"]["weight"] == Param((5, 64, 4, 16), ("layers", "embed", "heads", "head"), "normal", 64)
    assert stacked["low"].frozen and stacked["low"].shape == (5,)


def test_a_param_needs_a_name_for_every_axis():
    with pytest.raises(ValueError, match="needs 2 axis names"):
        Param((2, 3), ("embed",))


def test_first_values_follow_the_tree(arrays):
    for name in ("a", "b.weight"):
        np.testing.assert_allclose(arrays[name].std(), 1 / 8, rtol=0.05)
        assert abs(arrays[name].mean()) < 0.01
        assert np.abs(arrays[name]).max() <= 2 / 8 / 0.87962566 + 1e-6
    assert (arrays["b.norm"] == 1).all() and (arrays["bias"] == 0).all() and arrays["low"] == -np.inf
    assert not np.array_equal(arrays["a"].ravel(), arrays["b.weight"].ravel())


def test_first_values_of_a_leaf_depend_on_its_name_alone(arrays):
    some = dict(walk(initialise({"a": TREE["a"], "other": scale(2)}, 7)))
    np.testing.assert_array_equal(some["a"], arrays["a"])
    # The number is golden: another process, another version of Tejat must draw the same.
    np.testing.assert_allclose(arrays["a"][0, :2], [-0.09783594, 0.00506534], rtol=1e-5)


@pytest.mark.parametrize("name", family.FAMILY)
def test_every_axis_of_the_family_has_a_name_or_none_and_nothing_is_allocated(name):
    for path, param in walk(multimodal.params(family.preset(name))):
        assert is_param(param) and len(param.axes) == len(param.shape), path
        assert param.init not in ("normal", "embedding") or param.fan_in > 0, path
