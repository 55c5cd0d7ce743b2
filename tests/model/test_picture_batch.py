"""The tokenizer on many pictures of one size against the general one: values, gradients, wide and tall."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tejat.model import picture, picture_batch
from tejat.model.picture import PictureConfig

CONFIG = PictureConfig(
    width=16, encoder_layers=1, decoder_layers=1, heads=2, head_width=8, mlp=24, patch=2, levels=(8, 8, 8), table=8
)


@functools.partial(jax.jit, static_argnames="first")
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


@pytest.fixture(scope="module")
def run(params, pixels):
    """Reconstructions, upright or not, from a column on; one program."""
    lean = jax.jit(lambda upright, first: picture_batch.reconstruct(params, CONFIG, pixels, upright, first).pixels)
    return lambda upright=False, first=0: lean(upright, first)


def test_gradients_are_those_of_the_general_network(params, pixels):
    def gradient(function):
        return jax.jit(jax.grad(lambda p: jnp.square(function(p, pixels) - pixels).sum()))(params)

    found = gradient(lambda p, x: picture_batch.reconstruct(p, CONFIG, x).pixels)
    for mine, due in zip(jax.tree.leaves(found), jax.tree.leaves(gradient(general)), strict=True):
        np.testing.assert_allclose(mine, due, rtol=1e-3, atol=1e-3)
        assert np.abs(due).max() > 1e-3


def test_one_program_serves_wide_and_tall_pictures(params, pixels, run):
    np.testing.assert_allclose(run(), general(params, pixels), rtol=0, atol=1e-5)
    tall = general(params, pixels.swapaxes(1, 2)).swapaxes(1, 2)
    np.testing.assert_allclose(run(True), tall, rtol=0, atol=1e-5)
    assert np.abs(run(True) - run()).max() > 1e-2


def test_columns_may_stand_further_along_the_tables(params, pixels, run):
    # Rotations are relative and do not change; the learned vectors of the columns do.
    np.testing.assert_allclose(run(first=3), general(params, pixels, first=3), rtol=0, atol=1e-5)
    assert np.abs(run(first=3) - run()).max() > 1e-3
