"""The grids of four and eight bits: nearest codes, scales that are searched, and no number that is not on the grid."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tejat.model import family, multimodal, quantised
from tejat.model.params import Param, linear, stack, walk
from tejat.model.quantised import Layout

PLAIN = Layout(0, 1)


def by_hand(column: np.ndarray, bits: int) -> np.ndarray:
    """One block, as GGML's Q4_0 and Q8_0 say it."""
    extreme = column[np.argmax(np.abs(column))]
    scale = np.float32(np.float16(extreme / (-8 if bits == 4 else 127)))
    codes = np.round(column / scale) if scale else np.zeros_like(column)
    return (np.clip(codes, -8, 7) if bits == 4 else np.clip(codes, -127, 127)) * scale


def test_a_router_s_experts_are_what_it_gives():
    """Not a stack of matrices: the axes before a matrix are stacked, and no others. Its inputs were never found."""
    router = Param((3, 64, 4), ("layers", "embed", "experts"), fan_in=64)
    each = Param((3, 4, 64, 2, 8), ("layers", "experts", "embed", "pair", "mlp"), fan_in=64)
    assert quantised.layout("router", router) == Layout(1, 1)
    assert quantised.layout("gate_up", each) == Layout(2, 1)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), bits=st.sampled_from([4, 8]), size=st.sampled_from([1e-3, 1.0, 50.0]))
def test_a_block_is_what_the_format_says(seed, bits, size):
    array = (size * np.random.default_rng(seed).standard_normal((64, 3))).astype(np.float32)
    kept = quantised.quantised(array, PLAIN, bits)
    found = kept.array()
    np.testing.assert_array_equal(found, quantised.from_grid(kept.codes, kept.scales, bits).T)
    for at in (slice(0, 32), slice(32, 64)):
        for column in range(3):
            np.testing.assert_allclose(found[at, column], by_hand(array[at, column], bits), rtol=1e-6)


@pytest.mark.parametrize("bits", [4, 8])
def test_searched_scales_are_never_worse_by_what_they_are_searched_for(bits):
    random = np.random.default_rng(0)
    array, importance = random.standard_normal((128, 40)), np.exp(2 * random.standard_normal((128, 1)))
    importance = np.broadcast_to(importance, array.shape)
    plain, searched = (quantised.quantised(array, PLAIN, bits, i).array() for i in (None, importance))

    def error(found, weights):
        """By block, as weights are normalised there."""
        gap = (weights * np.square(found - array)).reshape(4, 32, 40).sum(1)
        return gap / weights.reshape(4, 32, 40).mean(1)

    assert (error(searched, importance) <= error(plain, importance) * 1.01 + 1e-9).all()
    assert error(searched, importance).mean() < 0.9 * error(plain, importance).mean()


def test_what_is_on_the_grid_stays():
    array = quantised.quantised(np.random.default_rng(0).standard_normal((64, 5)), PLAIN, 4).array()
    np.testing.assert_array_equal(quantised.quantised(array, PLAIN, 4).array(), array)


def test_matrices_of_several_axes_and_stacks():
    """A weight [layers, heads, head, embed]: inputs are heads and head, and every output has blocks of its own."""
    param = stack(2, {"o": linear({"heads": 4, "head": 16}, {"embed": 6})})["o"]
    at = quantised.layout("o", param)
    assert at == Layout(1, 2)
    array = np.random.default_rng(0).standard_normal(param.shape).astype(np.float32)
    found = quantised.quantised(array, at, 4)
    assert found.codes.shape == (2, 6, 64) and found.scales.shape == (2, 6, 2)
    column = array[1].reshape(64, 6)[32:, 5]
    np.testing.assert_allclose(found.array()[1].reshape(64, 6)[32:, 5], by_hand(column, 4), rtol=1e-6)
    assert found.nbytes == 2 * 6 * (32 + 4)


def test_which_weights_of_a_model_are_matrices():
    tree = multimodal.params(family.preset("mini"))
    layouts = {name: quantised.layout(name, param) for name, param in walk(tree)}
    assert layouts["decoder.embedding"] == Layout(0, 1, True)
    assert layouts["decoder.blocks.full.q"] == Layout(1, 1) and layouts["decoder.blocks.full.o"] == Layout(1, 2)
    others = [name for name, at in layouts.items() if at is None]
    sizes = dict(walk(tree))
    assert all("norm" in n or sizes[n].size < 200_000 for n in others), others
    assert quantised.layout("odd", linear({"a": 48}, {"b": 8})) is None
    assert quantised.layout("table", Param((3, 64), (None, "x"), "embedding")) is None


def test_the_gradient_passes_straight_through():
    array = jnp.asarray(np.random.default_rng(0).standard_normal((32, 4)), jnp.float32)
    value, gradient = jax.value_and_grad(lambda x: (quantised.rounded(x, PLAIN, 4) * 3).sum())(array)
    np.testing.assert_array_equal(gradient, 3)
    assert value == pytest.approx(3 * quantised.quantised(array, PLAIN, 4).array().sum(), rel=1e-5)


def test_codes_in_pairs_come_back():
    codes = np.random.default_rng(0).integers(0, 16, (3, 5, 64), np.uint8)
    pairs = quantised.packed(codes)
    assert pairs.shape == (3, 5, 32)
    np.testing.assert_array_equal(quantised.unpacked(pairs), codes)
