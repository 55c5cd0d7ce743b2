"""Pictures to codes and back, at any aspect, through an image tokenizer of random weights."""

import pickle

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tejat.codecs.image import fitted, resize
from tejat.codecs.picture import PictureCodec
from tejat.errors import BadInput
from tejat.model import picture as network
from tejat.model import picture_batch
from tejat.model.params import initialise
from tejat.model.picture import PictureConfig

sides = st.integers(1, 400)


@settings(max_examples=25, deadline=None)
@given(height=sides, width=sides, seed=st.integers(0, 99))
def test_any_aspect_becomes_codes_and_pixels_again(micro, height, width, seed):
    codec = micro.pictures
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    codes = codec.encode(pixels)
    assert codes.size <= codec.budget and max(codes.shape) <= codec.config.table
    assert codes.min() >= 0 and codes.max() < codec.config.codes
    patch = codec.config.patch
    drawn = codec.decode(codes)
    assert drawn.shape == (codes.shape[0] * patch, codes.shape[1] * patch, 3) and drawn.dtype == np.uint8
    assert drawn.shape[:2] == fitted(height, width, patch, codec.budget, codec.config.table)


@pytest.mark.parametrize("shape", [(1, 2_000, 3), (2_000, 1, 3)])
def test_the_thinnest_picture_stays_inside_the_position_table(micro, shape):
    codes = micro.pictures.encode(np.zeros(shape, np.uint8))
    assert max(codes.shape) == micro.pictures.config.table and min(codes.shape) == 1
    assert micro.pictures.decode(codes).size


def test_one_picture_has_the_same_codes_among_others(micro):
    pictures = [np.random.default_rng(s).integers(0, 256, (40 + 9 * s, 64, 3), np.uint8) for s in range(3)]
    for alone, among in zip(pictures, micro.pictures.encode_many(pictures), strict=True):
        np.testing.assert_array_equal(micro.pictures.encode(alone), among)


def test_codes_are_the_same_by_a_program_that_was_compiled_before(micro):
    codec, asked = PictureCodec(micro.pictures.params, micro.pictures.config), []

    def compiled(make, name):
        asked.append(name)
        return make()

    codec.compile(compiled)
    for side in (40, 64):
        pixels = np.random.default_rng(side).integers(0, 256, (side, 52, 3), np.uint8)
        np.testing.assert_array_equal(codec.encode(pixels), micro.pictures.encode(pixels))
    assert asked == ["pictures"]
    elsewhere = pickle.loads(pickle.dumps(codec))  # as processes that make batches have it
    np.testing.assert_array_equal(elsewhere.encode(pixels), codec.encode(pixels))


def test_more_codes_than_the_budget_are_drawn_too(micro):
    codes = np.random.default_rng(0).integers(0, micro.pictures.config.codes, (12, 9))
    assert micro.pictures.decode(codes).shape == (96, 72, 3)


def test_a_picture_longer_than_the_table_is_refused(micro):
    with pytest.raises(BadInput, match="33 x 1 codes is outside 1..32"):
        micro.pictures.decode(np.zeros((1, 33), np.int32))


def test_a_picture_seen_before_has_the_codes_it_had_and_is_not_encoded_again(micro, monkeypatch):
    codec = PictureCodec(micro.pictures.params, micro.pictures.config)
    pixels = np.random.default_rng(5).integers(0, 256, (64, 48, 3), np.uint8)
    first = codec.encode(pixels)
    expected = first.copy()
    first[:] = 0  # what the caller does with them is its own affair
    monkeypatch.setattr(codec, "encode_many", lambda pictures: pytest.fail("encoded again"))
    np.testing.assert_array_equal(codec.encode(pixels.copy()), expected)
    monkeypatch.undo()
    turned = pixels.reshape(48, 64, 3)  # the same bytes in another shape are another picture
    assert codec.encode(turned).shape != expected.shape


def test_a_learned_codebook_gives_codes_and_pixels_that_training_would_see():
    config = PictureConfig(
        width=16, encoder_layers=1, decoder_layers=1, heads=1, head_width=16, mlp=16, patch=4, levels=(8, 8), vectors=4
    )
    codec = PictureCodec(initialise(network.params(config), 0), config)
    pixels = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
    codes = codec.encode(pixels)
    assert codes.min() >= 0 and codes.max() < config.codes == 64 and len(np.unique(codes)) > 2
    shown = resize(pixels, *(config.patch * side for side in codes.shape))[None] / np.float32(255)
    due = jax.jit(picture_batch.reconstruct, static_argnums=1)(codec.params, config, shown).pixels[0]
    drawn = codec.decode(codes)
    grained = ~(drawn == 255).all(-1)  # the rest is white but for a grain
    np.testing.assert_allclose(drawn[grained], 255 * np.clip(due, 0, 1)[grained], rtol=0, atol=1.01)
