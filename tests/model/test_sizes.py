"""Sizes against the shapes of real arrays and against sums written out by hand; the family against the paper."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import pytest

from tejat.errors import BadInput
from tejat.infer.cache import empty_cache
from tejat.model import decoder, family, multimodal, picture, sizes
from tejat.model.decoder import DecoderConfig
from tejat.model.params import abstract, count

each = pytest.mark.parametrize("name", family.FAMILY)


@each
def test_parts_add_up_to_all_numbers(name):
    config = family.preset(name)
    parts = sizes.parts(config)
    assert parts.whole == count(multimodal.params(config)) + count(picture.params(config.picture))
    assert parts.codes == config.picture.codes * config.decoder.width


def test_parts_that_are_not_there_weigh_nothing():
    bare = dataclasses.replace(family.preset("micro"), vision=None, audio=None, picture=None)
    assert sizes.parts(bare) == dataclasses.replace(sizes.parts(family.preset("micro")), vision=0, audio=0, picture=0)


SHARING = DecoderConfig(
    vocabulary=8,
    width=8,
    layers=8,
    heads=4,
    mlp=8,
    head_width=2,
    full_head_width=4,
    full_key_heads=2,
    window=16,
    period=2,
    shared_key_layers=4,
)


@pytest.mark.parametrize("positions", [10, 1_000, 32_768])
@pytest.mark.parametrize("config", [SHARING, *(make().decoder for make in family.FAMILY.values())])
def test_the_cache_weighs_what_its_arrays_weigh(config, positions):
    """All of its arrays, down to the byte: keys, values, and the four bytes that say how many tokens there are."""
    cache = jax.eval_shape(lambda: empty_cache(config, 1, positions, jnp.bfloat16))
    assert sizes.cache_bytes(config, positions) + 4 == sum(a.size * a.dtype.itemsize for a in jax.tree.leaves(cache))


@each
@pytest.mark.parametrize("bits", [16, 4])
def test_weights_weigh_what_their_arrays_weigh(name, bits):
    config = family.preset(name)
    tree = decoder.params(config.decoder)
    tree["embedding"] = dataclasses.replace(tree["embedding"], shape=(config.text_vocabulary, config.decoder.width))
    flat = jax.tree_util.tree_flatten_with_path(abstract(tree))[0]
    small = ("norm", "scalar")
    total = sum(a.size * (2 if any(s in jax.tree_util.keystr(path) for s in small) else bits / 8) for path, a in flat)
    assert sizes.weight_bytes(config, bits) == total


def test_flops_of_nano1_by_hand():
    """Per layer: q and o of D x D, k and v of D x 128, three matrices of D x F; then the scores."""
    d, f, vocabulary = 2_048, 8_192, 131_072 + 4_096
    weights = 26 * (2 * d * d + 2 * d * 128 + 3 * d * f) + vocabulary * d
    full = sum(t for t in range(1, 32_769)) / 32_768
    sliding = sum(min(t, 1_024) for t in range(1, 32_769)) / 32_768
    # Layers 6, 12, 18, 24 and the last see everything. Two products forward, four backward, 2 FLOPs each, of 16 x 128.
    attention = 12 * 16 * 128 * (5 * full + 21 * sliding)
    assert sizes.training_flops(family.preset("nano1")) == pytest.approx(6 * weights + attention, rel=1e-12)


def test_a_table_that_is_only_looked_up_costs_nothing():
    plain = dataclasses.replace(family.preset("micro"), decoder=SHARING)
    tabled = dataclasses.replace(SHARING, per_layer_width=4, per_layer_vocabulary=1_000)
    more = sizes.training_flops(dataclasses.replace(plain, decoder=tabled)) - sizes.training_flops(plain)
    assert more == 6 * (8 * 8 * 4 + 8 * 2 * 8 * 4)  # the projection, and a gate and an output in each of 8 layers


@pytest.mark.parametrize(("length", "window"), [(1, 1), (7, 3), (7, 7), (7, 99), (100, 1)])
def test_mean_keys(length, window):
    assert sizes.mean_keys(length, window) == pytest.approx(sum(min(t, window) for t in range(1, length + 1)) / length)


@pytest.mark.parametrize(
    ("name", "paper", "golden"), [("nano1", 1.80e9, 1_809_015_322), ("nano2", 3.25e9, 3_230_925_087)]
)
def test_nano_has_the_size_of_the_paper(name, paper, golden):
    parameters = sizes.parts(family.preset(name)).decoder
    assert parameters == golden and abs(parameters / paper - 1) < 0.01


def test_ultra_is_larger_than_palm_and_pro_an_eighth_of_it():
    ultra, pro = (sizes.parts(family.preset(name)).decoder for name in ("ultra", "pro"))
    assert ultra > 540e9 and 7.5 < ultra / pro < 8.5


def test_mini_fits_the_repository():
    parts = sizes.parts(family.preset("mini"))
    in_blocks = parts.whole - parts.picture  # four bits, and a half for the scale of each 32
    assert in_blocks * 4.5 / 8 + parts.picture <= 39e6 and parts.whole <= 72e6


@each
def test_a_member_is_consistent(name):
    config = family.preset(name)
    shape = config.decoder
    assert config.name == name and shape.vocabulary == config.text_vocabulary + config.picture.codes
    assert shape.heads % shape.key_heads == 0 and shape.attention_types[-1] == "full"
    assert config.picture.codes == (512 if name == "micro" else family.CODES)
    assert config.context == 32_768 or name in ("mini", "micro")
    assert shape.window == {"mini": 512, "micro": 128}.get(name, 1_024)
    for tower in (config.vision, config.picture):
        assert tower.head_width % 4 == 0  # two axes, and pairs in each
    # A square image of the largest budget stays inside the position table, and so does a picture.
    assert config.vision.table >= config.vision.pool * math.isqrt(max(config.vision.budgets))
    assert config.picture.table >= math.isqrt(config.picture.budget)


@pytest.mark.parametrize("name", ["pro", "ultra"])
def test_the_large_ones_divide_a_tensor_mesh_of_16(name):
    shape = family.preset(name).decoder
    assert shape.heads % 16 == shape.key_heads % 16 == 0 and shape.mlp % (16 * 128) == 0
    assert shape.layers % shape.period == 0


def test_a_name_that_is_none_is_refused():
    with pytest.raises(BadInput, match="no model size 'tiny'; choose one of ultra, pro, nano2, nano1, mini, micro"):
        family.preset("tiny")
