"""Adapters: nothing at the start, then what two small matrices make; of every kind of matrix."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tejat.errors import BadInput
from tejat.model import multimodal
from tejat.model.params import initialise, walk
from tejat.posttrain import lora
from tejat.posttrain.lora import Lora

LORA = Lora(rank=3, alpha=6.0, parts=("decoder.blocks", "vision"))


@pytest.fixture(scope="module")
def tree(painter):
    return multimodal.params(painter.config)


@pytest.fixture(scope="module")
def random(tree):
    """Adapters that are nowhere zero."""
    draw = np.random.default_rng(0)
    return jax.tree.map(
        lambda a: jnp.asarray(draw.standard_normal(a.shape, np.float32)), initialise(lora.params(tree, LORA), 0)
    )


def test_at_the_start_the_model_is_the_same(painter, tree):
    adapters = initialise(lora.params(tree, LORA), 0)
    for (name, before), (_, after) in zip(
        walk(painter.params), walk(lora.merged(painter.params, adapters, LORA)), strict=True
    ):
        assert np.array_equal(before, after), name


def test_what_is_added(painter, tree, random):
    merged = lora.merged(painter.params, random, LORA)
    before, after = painter.params["decoder"]["blocks"]["full"], merged["decoder"]["blocks"]["full"]
    mine = random["decoder"]["blocks"]["full"]
    assert mine["q"]["a"].shape == (1, 16, 3) and mine["q"]["b"].shape == (1, 3, 2, 8)
    assert mine["o"]["a"].shape == (1, 2, 8, 3) and mine["o"]["b"].shape == (1, 3, 16)
    for name, sum in (("q", "ldr,lrhn->ldhn"), ("o", "lhnr,lrd->lhnd"), ("down", "lfr,lrd->lfd")):
        wanted = before[name] + 2.0 * jnp.einsum(sum, mine[name]["a"], mine[name]["b"])
        np.testing.assert_allclose(after[name], wanted, rtol=1e-5, atol=1e-5)
    assert np.array_equal(before["q_norm"], after["q_norm"])
    assert np.array_equal(painter.params["decoder"]["embedding"], merged["decoder"]["embedding"])


def test_adapters_are_matrices_of_the_parts_alone(tree):
    names = {name for name, _ in walk(lora.params(tree, Lora(rank=2)))}
    assert names and all(name.startswith("decoder.blocks.") for name in names)
    assert {name.split(".")[-2] for name in names} == {"q", "k", "v", "o", "gate", "up", "down"}


def test_what_cannot_be(tree):
    with pytest.raises(BadInput, match="lora.rank is 0"):
        lora.params(tree, Lora(rank=0))
    with pytest.raises(BadInput, match="name no matrix; there are some in decoder.blocks"):
        lora.params(tree, Lora(parts=("encoder",)))
