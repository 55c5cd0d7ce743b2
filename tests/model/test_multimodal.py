"""Soft tokens take the places that point at them; everything else is an ordinary token."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from tejat.model import decoder, multimodal
from tejat.model.decoder import DecoderConfig
from tejat.model.multimodal import Inputs, Media, ModelConfig

CONFIG = ModelConfig(
    name="bare",
    decoder=DecoderConfig(
        vocabulary=30, width=8, layers=2, heads=2, mlp=8, head_width=4, per_layer_width=4, per_layer_vocabulary=30
    ),
    vision=None,
    audio=None,
    picture=None,
    text_vocabulary=30,
)
TOKENS = jnp.arange(12, dtype=jnp.int32).reshape(2, 6) + 3
SOFT = np.asarray([[-1, 2, 0, -1, -1, 1], [-1] * 6], np.int32)
INPUTS = Inputs(TOKENS, SOFT, np.tile(np.arange(6), (2, 1)), np.ones_like(TOKENS), np.zeros_like(TOKENS), None)
EMPTY = Media(
    np.zeros((2, 0, 12)),
    np.zeros((2, 0, 2), int),
    np.zeros((2, 0), int),
    np.zeros((2, 0), int),
    *[np.zeros((2, 0, 4))] * 2,
)


@pytest.fixture(scope="module")
def params(drawn):
    return drawn(multimodal.params(CONFIG), seed=0)


def test_soft_tokens_take_their_places(params, monkeypatch):
    soft = np.random.default_rng(0).standard_normal((2, 3, 8)).astype(np.float32)
    monkeypatch.setattr(multimodal, "soft_tokens", lambda *_: jnp.asarray(soft))
    media = EMPTY._replace(patches=np.zeros((2, 4, 12)))
    found = multimodal.embed(params, CONFIG, INPUTS._replace(media=media))
    plain = decoder.embed(params["decoder"], CONFIG.decoder, TOKENS)
    for row in range(2):
        for at in range(6):
            expected = plain[row, at] if SOFT[row, at] < 0 else soft[row, SOFT[row, at]]
            np.testing.assert_array_equal(found[row, at], expected)


def test_empty_buffers_are_as_good_as_none(params):
    ordinary = INPUTS._replace(soft=np.full_like(SOFT, -1))
    a, b = (multimodal.embed(params, CONFIG, ordinary._replace(media=media)) for media in (None, EMPTY))
    np.testing.assert_array_equal(a, b)


def test_soft_tokens_count_as_padding_in_per_layer_inputs(params):
    x = decoder.embed(params["decoder"], CONFIG.decoder, TOKENS)
    padded = jnp.where(SOFT >= 0, 0, TOKENS)
    expected = decoder.per_layer_inputs(params["decoder"], CONFIG.decoder, padded, x)
    np.testing.assert_array_equal(multimodal.per_layer(params, CONFIG, INPUTS, x), expected)
    bare = dataclasses.replace(CONFIG, decoder=dataclasses.replace(CONFIG.decoder, per_layer_width=0))
    assert multimodal.per_layer(params, bare, INPUTS, x) is None


def test_cast_changes_floats_and_nothing_else():
    found = multimodal.cast({"a": jnp.ones(2), "b": {"c": jnp.ones(2, jnp.int32)}}, jnp.bfloat16)
    assert found["a"].dtype == jnp.bfloat16 and found["b"]["c"].dtype == jnp.int32
