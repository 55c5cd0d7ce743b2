"""The tokenizer on many pictures of one size against the general one: values, gradients, wide and tall."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tejat.model import picture, picture_batch
from tejat.model.picture import PictureConfig

CONFIG = PictureConfig(
    width=16, encoder_layers=1, decoder_layers=2, heads=2, head_width=8, mlp=24, patch=2, levels=(8, 8, 8), table=8
)


def general(params, pixels, first=0):
    """Pictures one after the other through `picture`, their patches cut and joined by NumPy's rules."""
    batch, height, width, _ = pixels.shape
    rows, columns, patch = height // 2, width // 2, 2
    y, x = np.divmod(np.arange(rows * columns, dtype=np.int32), columns)
    positions = jnp.broadcast_to(jnp.stack([x + first, y], axis=1), (batch, rows * columns, 2))
    images = jnp.ones((batch, rows * columns), jnp.int32)
    patches = pixels.reshape(batch, rows, patch, columns, patch, 3).swapaxes(2, 3).reshape(batch, rows * columns, -1)
    digits = picture.quantise(CONFIG, picture.encode(params, CONFIG, patches, positions, images))
    drawn = picture.decode(params, CONFIG, digits, positions, images)
    return drawn.reshape(batch, rows, columns, patch, patch, 3).swapaxes(2, 3).reshape(pixels.shape)


@pytest.fixture(scope="module")
def params(drawn):
    return drawn(picture.params(CONFIG), seed=3)


@pytest.fixture(scope="module")
def pixels():
    return jnp.asarray(np.random.default_rng(0).random((3, 6, 10, 3), np.float32))


def test_values_and_gradients_are_those_of_the_general_network(params, pixels):
    def loss(function, params):
        drawn = function(params)
        return jnp.square(drawn - pixels).sum(), drawn

    def run(function):
        return jax.jit(jax.value_and_grad(lambda p: loss(function, p), has_aux=True))(params)

    (_, drawn), gradient = run(lambda p: picture_batch.reconstruct(p, CONFIG, pixels))
    (_, wanted), reference = run(lambda p: general(p, pixels))
    np.testing.assert_allclose(drawn, wanted, rtol=0, atol=1e-5)
    assert np.abs(drawn - pixels).max() > 0.1
    for found, due in zip(jax.tree.leaves(gradient), jax.tree.leaves(reference), strict=True):
        np.testing.assert_allclose(found, due, rtol=1e-3, atol=1e-3)
        assert np.abs(due).max() > 1e-3


def test_one_program_serves_wide_and_tall_pictures(params, pixels):
    run = jax.jit(lambda upright: picture_batch.reconstruct(params, CONFIG, pixels, upright))
    np.testing.assert_allclose(run(False), general(params, pixels), rtol=0, atol=1e-5)
    tall = general(params, pixels.swapaxes(1, 2)).swapaxes(1, 2)
    np.testing.assert_allclose(run(True), tall, rtol=0, atol=1e-5)
    assert np.abs(run(True) - run(False)).max() > 1e-2


def test_columns_may_stand_further_along_the_tables(params, pixels):
    # Rotations are relative and do not change; the learned vectors of the columns do.
    moved = picture_batch.reconstruct(params, CONFIG, pixels, first=3)
    np.testing.assert_allclose(moved, general(params, pixels, first=3), rtol=0, atol=1e-5)
    assert np.abs(moved - general(params, pixels)).max() > 1e-3
