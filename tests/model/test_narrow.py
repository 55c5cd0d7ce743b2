"""Matrices that stay in four or eight bits stand for what the grid says, in a kernel and in a whole model."""

import functools
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tejat.infer.cache import empty_cache, run_cached
from tejat.infer.engine import Engine, apart_on_device
from tejat.infer.options import Options
from tejat.model import decoder, narrow, narrow_kernel, quantised
from tejat.model.attention import Intervals
from tejat.model.decoder import DecoderConfig
from tejat.model.experts import ExpertsConfig
from tejat.model.layers import look_up
from tejat.model.params import unflatten, walk
from tejat.model.quantised import Layout, Quantised
from tejat.parts import Text, Turn

# Programs that run for milliseconds are not worth seconds of optimisation.
QUICK = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
BASE = DecoderConfig(vocabulary=64, width=64, layers=4, heads=4, mlp=96, head_width=16, window=8, period=2)
KINDS = {
    "grouped queries, wide full heads": replace(BASE, key_heads=2, full_head_width=32, full_key_heads=1),
    "keys are values": replace(BASE, keys_are_values=True),
    "shared keys, per-layer inputs": replace(
        BASE, shared_key_layers=2, shared_mlp_factor=2, per_layer_width=32, per_layer_vocabulary=64
    ),
    "experts": replace(BASE, experts=ExpertsConfig(4, 2, 32)),
}


def matrix(seed: int, bits: int, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> Quantised:
    random = np.random.default_rng(seed)
    array = random.standard_normal((*inputs, *outputs)) * random.uniform(0.1, 10, outputs)
    return quantised.quantised(array.astype(np.float32), Layout(0, len(inputs)), bits)


@pytest.mark.parametrize("rows", [1, 3])
@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), groups=st.sampled_from([1, 20, 37, 70]), splits=st.sampled_from([None, 1]))
def test_the_kernel_multiplies_by_what_the_codes_stand_for(rows, seed, groups, splits):
    made = matrix(seed, 4, (groups * 32,), (4, 8))
    x = np.random.default_rng(seed).standard_normal((rows, groups * 32)).astype(np.float32)
    mine = narrow.narrowed([made], made.layout, "float32")
    due = x.astype(np.float64) @ made.array().reshape(groups * 32, -1)
    exact = {"rtol": 0, "atol": 1e-5 * np.abs(x).max() * np.abs(made.array()).max() * groups}
    kernel = functools.partial(narrow_kernel.multiplied, jnp.asarray(x), splits=splits, interpret=True)
    np.testing.assert_allclose(kernel(mine.codes, mine.scales), due, **exact)
    np.testing.assert_allclose(narrow.multiplied(jnp.asarray(x), mine), due, **exact)
    other = mine.codes ^ np.uint32(1)  # a control: the lowest bit of one code of every word
    assert np.abs(kernel(other, mine.scales) - due).max() > 2 * exact["atol"]


@pytest.mark.parametrize("bits", [8, 32])
def test_a_sum_is_the_product(bits):
    made = matrix(3, 8, (96,), (4, 8))
    mine = narrow.narrowed([made if bits == 8 else made.array()], made.layout, "float32")
    x = jnp.asarray(np.random.default_rng(3).standard_normal((1, 96)), jnp.float32)
    due = x @ made.array().reshape(96, -1)
    assert mine.bits == bits
    np.testing.assert_allclose(narrow.summed(x, mine), due, rtol=0, atol=1e-3)
    np.testing.assert_allclose(narrow.multiplied(x, mine), due, rtol=0, atol=1e-3)


def test_small_matrices_are_cut_among_programs():
    """All tiles are somebody's: shares divide their number."""
    for programs, tiles in ((640, 5), (160, 21), (5_184, 5), (16, 7)):
        splits = narrow_kernel.splits_of(programs, tiles)
        assert tiles % splits == 0
        assert splits == tiles or programs * splits >= narrow_kernel.PROGRAMS


def test_products_over_several_axes():
    o = matrix(1, 4, (4, 16), (6,))
    x = jnp.asarray(np.random.default_rng(1).standard_normal((2, 3, 4, 16)), jnp.float32)
    found = narrow.product("bthn,hnd->btd", x, narrow.narrowed([o], o.layout, "float32"))
    np.testing.assert_allclose(found, jnp.einsum("bthn,hnd->btd", x, o.array()), rtol=0, atol=1e-3)


def test_a_table_is_looked_up_in_its_bits():
    rows = np.random.default_rng(2).standard_normal((40, 96)).astype(np.float32)
    table = quantised.quantised(rows, Layout(0, 1, True), 8)
    index = jnp.asarray([[0, 39, 7], [5, 40, 10**6]])  # two of them past the end
    mine = jax.device_put(narrow.narrowed([table], table.layout, "float32"))
    found = narrow.look_up(mine, index)
    np.testing.assert_array_equal(found, look_up(jnp.asarray(table.array()), index))


@pytest.mark.parametrize("bits", [4, 32])
def test_a_narrow_model_is_itself(tiny_q4, bits):
    """It writes, scores and embeds as what its numbers stand for, and is made whole again to the bit."""
    plain = jax.tree.map(_array, tiny_q4.params, is_leaf=lambda leaf: isinstance(leaf, Quantised))
    kept = narrow.kept(tiny_q4.params if bits == 4 else plain, "float32")
    layers = kept["decoder"]["blocks"]["sliding"]
    assert layers["qkv"].bits == layers["down"].bits == bits and not {"q", "k", "v", "gate", "up"} & layers.keys()
    apart = jax.jit(narrow.whole, compiler_options=QUICK)(kept)["decoder"]
    for name, array in walk(plain["decoder"]):
        np.testing.assert_array_equal(_at(apart, name), array, err_msg=name)

    ours, theirs = Engine(tiny_q4, params=apart_on_device(kept)), Engine(tiny_q4, params=apart_on_device(plain))
    prompts = [tiny_q4.framing.prompt([Turn("user", (Text(text),))]) for text in ("Hello", "one two three")]
    wish = Options(max_tokens=12, picture_temperature=0.0)
    for mine, due in zip(ours.generate(prompts, wish), theirs.generate(prompts, wish), strict=True):
        np.testing.assert_array_equal(mine.tokens, due.tokens)
        np.testing.assert_allclose(mine.logprobs, due.logprobs, rtol=0, atol=1e-4)
    np.testing.assert_allclose(ours.embed(prompts), theirs.embed(prompts), rtol=0, atol=1e-6)


@pytest.mark.parametrize("in_blocks", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_layer_takes_narrow_matrices(kind, in_blocks):
    config = KINDS[kind]
    random = np.random.default_rng(0)

    def leaf(name, param):
        noise = random.standard_normal(param.shape, np.float32)
        array = 1 + 0.1 * noise if isinstance(param.init, float) else noise / max(param.fan_in, 1) ** 0.5
        at = quantised.layout(name, param)
        return array if at is None or not in_blocks else quantised.quantised(array, at, 8 if "down" in name else 4)

    drawn = unflatten({name: leaf(name, param) for name, param in walk(decoder.params(config))})
    plain = jax.tree.map(_array, drawn, is_leaf=lambda leaf: isinstance(leaf, Quantised))
    kept = narrow.kept({"decoder": drawn}, "float32")
    found = [_written(config, apart_on_device(params)["decoder"]) for params in (kept, {"decoder": plain})]
    np.testing.assert_allclose(*found, rtol=0, atol=2e-4)
    whole = jax.jit(narrow.whole, compiler_options=QUICK)(kept)["decoder"]
    for name, array in walk(plain):
        np.testing.assert_array_equal(_at(whole, name), array, err_msg=name)


@functools.partial(jax.jit, static_argnums=0, compiler_options=QUICK)
def _written(config, params):
    """Scores of five tokens read together and of one after them."""
    cache = empty_cache(config, 1, 16)
    for places in (jnp.arange(5)[None], jnp.asarray([[5]])):
        x = decoder.embed(params, config, places % 64)
        extra = decoder.per_layer_inputs(params, config, places % 64, x) if config.per_layer_width else None
        full = Intervals(jnp.zeros_like(places), places + 1)
        shared = decoder.context(config, full, places, sliding=Intervals(jnp.maximum(places - 7, 0), places + 1))
        x, cache = run_cached(params, config, x, shared, places, cache, extra)
    return decoder.logits(params, config, x)


def _array(leaf):
    return leaf.array() if isinstance(leaf, Quantised) else leaf


def _at(tree, name: str):
    for part in name.split("."):
        tree = tree[part]
    return tree
