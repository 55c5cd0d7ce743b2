"""Finite scalar quantisation, over whole codebooks; pictures packed with others."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tejat.model import picture
from tejat.model.picture import PictureConfig

LEVELS = [(8, 8, 8, 8), (8, 8, 8), (7, 5, 5, 5), (3, 2, 4), (2,)]


def config(levels) -> PictureConfig:
    return PictureConfig(
        width=16, encoder_layers=1, decoder_layers=1, heads=2, head_width=8, mlp=24, patch=2, levels=levels, table=8
    )


@pytest.mark.parametrize("levels", LEVELS)
def test_codes_and_digits_are_inverse_over_the_whole_codebook(levels):
    shape = config(levels)
    codes = np.arange(shape.codes)
    digits = picture.digits_of(shape, codes)
    assert digits.shape == (shape.codes, len(levels)) and np.abs(digits).max() <= 1
    np.testing.assert_array_equal(picture.codes_of(shape, digits), codes)
    assert [len(np.unique(digits[:, i])) for i in range(len(levels))] == list(levels)
    assert len(np.unique(digits, axis=0)) == shape.codes


@pytest.mark.parametrize("levels", LEVELS)
def test_rounding_gives_digits_of_the_codebook_and_reaches_all_of_them(levels):
    shape = config(levels)
    z = np.concatenate([np.linspace(-8, 8, 20_001), [-1e9, 1e9]])[:, None].repeat(len(levels), 1)
    found = np.asarray(picture.quantise(shape, jnp.asarray(z, jnp.float32)))
    for i, count in enumerate(levels):
        digits = np.unique(picture.digits_of(shape, np.arange(shape.codes))[:, i])
        np.testing.assert_allclose(np.unique(found[:, i]), digits, atol=1e-6)
        assert len(digits) == count and (np.diff(found[:, i]) >= 0).all() or (np.diff(found[:-2, i]) >= 0).all()
    codes = np.asarray(picture.codes_of(shape, jnp.asarray(found)))
    assert codes.min() == 0 and codes.max() == shape.codes - 1


@pytest.mark.parametrize("levels", [(8, 8, 8), (5, 5, 5)])
def test_the_gradient_passes_straight_through(levels):
    shape = config(levels)
    slope = jax.grad(lambda z: picture.quantise(shape, z).sum())(jnp.full(len(levels), 0.1))
    assert (np.asarray(slope) > 0.5).all() and (np.asarray(slope) < 1.5).all()


def test_a_picture_is_the_same_alone_and_beside_others(drawn):
    shape = config((8, 8, 8))
    params = drawn(picture.params(shape), seed=0)
    random = np.random.default_rng(0)
    patches, digits = random.random((1, 12, 12), np.float32), random.random((1, 12, 3), np.float32)
    y, x = np.divmod(np.arange(12, dtype=np.int32), 3)
    positions = np.stack([x, y], 1)[None]
    both = np.asarray([[1] * 6 + [2] * 3 + [0] * 3], np.int32)
    first = np.where(both == 1, 1, 0)
    for function, values in ((picture.encode, patches), (picture.decode, digits)):
        run = jax.jit(lambda values, images, f=function: f(params, shape, values, positions, images))
        changed = values.copy()
        changed[0, 6:] = 7
        np.testing.assert_allclose(run(values, both)[0, :6], run(changed, first)[0, :6], rtol=0, atol=1e-5)
        assert np.abs(run(values, both)[0, :6] - run(values, np.minimum(both, 1))[0, :6]).max() > 1e-3
