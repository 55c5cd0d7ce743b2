"""The decoder: packing changes nothing, recomputation changes nothing (tests/infer/test_cache.py has the cache)."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tejat.model import decoder
from tejat.model.attention import causal_intervals
from tejat.model.decoder import DecoderConfig, Kind
from tejat.model.params import map_params
from tejat.model.passes import SCANNED, Pass

BASE = DecoderConfig(vocabulary=50, width=32, layers=5, heads=4, mlp=48, head_width=8, window=8, period=2)
GROUPED = dataclasses.replace(BASE, key_heads=2, full_head_width=16, full_key_heads=1, keys_are_values=True)
SHARED = dataclasses.replace(
    BASE,
    layers=6,
    shared_key_layers=2,
    shared_mlp_factor=2,
    full_head_width=16,
    per_layer_width=16,
    per_layer_vocabulary=50,
    soft_cap=30.0,
    position_scale=4.0,
)
CONFIGS = {"grouped-query, wide full heads, keys are values": GROUPED, "shared keys, per-layer inputs": SHARED}
each = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
LENGTH = 40  # five windows


@functools.cache
def weights(config):
    """Random weights; norms and scalars too, since ones would hide a norm that is left out.

    Queries are small, as trained ones are: with scores of ten and more the network would magnify rounding.
    """
    random = np.random.default_rng(0)

    def draw(param):
        noise = random.standard_normal(param.shape, np.float32)
        return 1 + 0.3 * noise if isinstance(param.init, float) else noise / np.float32(param.fan_in) ** 0.5

    params = map_params(draw, decoder.params(config))
    for block in params["blocks"].values():
        block["q_norm"] = 0.15 * block["q_norm"]
    return params


@functools.partial(jax.jit, static_argnums=(0, 5))
def forward(config, params, tokens, positions, segments, how=SCANNED):
    x = decoder.embed(params, config, tokens)
    extra = decoder.per_layer_inputs(params, config, tokens, x) if config.per_layer_width else None
    shared = decoder.context(config, causal_intervals(segments), positions)
    return decoder.run(params, config, x, shared, extra, how)


def whole(config, tokens):
    """Hidden states of one document in every row."""
    positions = np.broadcast_to(np.arange(LENGTH, dtype=np.int32), tokens.shape)
    return np.asarray(forward(config, weights(config), tokens, positions, np.ones_like(tokens)))


def tokens_of(seed: int):
    return np.random.default_rng(seed).integers(0, 50, (3, LENGTH)).astype(np.int32)


@each
def test_packed_documents_equal_the_same_documents_alone(config):
    lengths, tokens = (9, 1, 22), tokens_of(0)
    spans = [slice(0, 9), slice(9, 10), slice(10, 32)]
    positions, segments, alone = (np.zeros_like(tokens) for _ in range(3))
    for number, (span, length) in enumerate(zip(spans, lengths, strict=True)):
        positions[0, span], segments[0, span] = np.arange(length), number + 1
        alone[number, :length] = tokens[0, span]
    packed, expected = np.asarray(forward(config, weights(config), tokens, positions, segments)), whole(config, alone)
    for number, (span, length) in enumerate(zip(spans, lengths, strict=True)):
        np.testing.assert_allclose(packed[0, span], expected[number, :length], rtol=0, atol=1e-5)


def test_another_window_is_noticed():
    """The control of the tests above: the window decides what comes out, past it and not before."""
    tokens = tokens_of(2)
    positions = np.broadcast_to(np.arange(LENGTH, dtype=np.int32), tokens.shape)
    narrow = dataclasses.replace(GROUPED, window=7)
    a, b = whole(GROUPED, tokens), np.asarray(forward(narrow, weights(GROUPED), tokens, positions, tokens * 0 + 1))
    assert np.abs(a - b)[:, :7].max() < 1e-5
    assert (np.abs(a - b)[:, 7:].max(-1) > 1e-3).all()


@functools.partial(jax.jit, static_argnums=(0, 2))
def gradient(config, params, how):
    tokens = jnp.asarray(tokens_of(3)[:1])

    def total(params):
        hidden = forward(config, params, tokens, jnp.arange(LENGTH)[None], jnp.ones_like(tokens), how)
        return jnp.square(decoder.logits(params, config, hidden)).mean()

    return jax.grad(total)(params)


@each
def test_every_weight_is_used(config):
    leaves = jax.tree.leaves(gradient(config, weights(config), SCANNED))
    assert all(np.abs(leaf).max() > 0 for leaf in leaves)


@pytest.mark.parametrize("how", [Pass("inputs"), Pass("products", unrolled=True)])
def test_what_is_kept_and_unrolled_changes_nothing(how):
    plain, again = (jax.tree.leaves(gradient(GROUPED, weights(GROUPED), each)) for each in (SCANNED, how))
    largest = max(np.abs(leaf).max() for leaf in plain)
    for a, b in zip(plain, again, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 * largest)


def test_positions_are_scaled_on_full_layers_only():
    """Scaled by eight, 32,768 positions turn full heads as 4,096 do; sliding ones turn as ever."""
    causal = causal_intervals(jnp.ones((1, 4), jnp.int32))
    positions = np.asarray([[0, 1, 8, 32_760]])
    scaled = decoder.context(dataclasses.replace(BASE, position_scale=8.0), causal, jnp.asarray(positions)).rope
    plain = decoder.context(BASE, causal, jnp.asarray(positions)).rope
    angles = positions[0, :, None] / 8 * 1e6 ** -(np.arange(4) / 4) * ([1] + [0] * 3)  # a quarter of 8 turns
    for table, wanted in zip(scaled["full"], (np.cos(angles), np.sin(angles)), strict=True):
        np.testing.assert_allclose(table[0], wanted, rtol=0, atol=2e-4)  # float32 at an angle of 4,095
    for a, b in zip(scaled["sliding"], plain["sliding"], strict=True):
        np.testing.assert_array_equal(a, b)
    assert np.abs(scaled["full"][1] - plain["full"][1]).max() > 0.1


def test_bidirectional_images_see_their_end_on_sliding_layers_only():
    config = dataclasses.replace(BASE, bidirectional_images=True)
    causal = causal_intervals(jnp.ones((1, 6), jnp.int32))
    made = decoder.context(config, causal, jnp.arange(6)[None], jnp.asarray([[0, 1, 1, 1, 0, 0]]))
    assert made.intervals["sliding"].end.tolist() == [[1, 4, 4, 4, 5, 6]]
    assert made.intervals["full"].end.tolist() == [[1, 2, 3, 4, 5, 6]]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.builds(Kind, st.sampled_from(["sliding", "full"]), st.booleans()), max_size=24).map(tuple))
def test_segments_spell_the_layers(kinds):
    assert sum((pattern * repeats for pattern, repeats in decoder.segments(kinds)), ()) == kinds


def test_segments_scan_most_of_a_deep_model():
    s, f = Kind("sliding"), Kind("full")
    assert decoder.segments((*(s, s, s, s, s, f) * 4, s, f))[0] == ((s, s, s, s, s, f), 4)


def test_the_last_layer_sees_everything():
    assert BASE.attention_types == ("sliding", "full", "sliding", "full", "full")
    assert SHARED.attention_types == ("sliding", "full") * 3


def test_the_soft_cap_bounds_scores():
    params = weights(SHARED)
    hidden = 100 * jax.random.normal(jax.random.key(0), (5, SHARED.width))
    scores = np.asarray(decoder.logits(params, SHARED, hidden))
    plain = np.asarray(hidden, np.float64) @ np.asarray(params["embedding"], np.float64).T
    assert np.abs(plain).max() > SHARED.soft_cap >= np.abs(scores).max()
    np.testing.assert_allclose(scores, np.tanh(plain / 30.0) * 30.0, rtol=0, atol=1e-4)
