"""Scenes: filters against JAX's own resampling, what lies where, colours that stay colours."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tejat.train.scenes import Laying, scenes, store, weights

PLAIN = Laying((1.0, 1.0), mirrored=False, white=1.0)


@pytest.fixture(scope="module")
def pictures():
    """Random things of 12 x 10 in transparent squares of 16 x 16."""
    random = np.random.default_rng(0)
    found = np.zeros((5, 16, 16, 4), np.uint8)
    found[:, 2:14, 3:13] = random.integers(0, 256, (5, 12, 10, 4))
    found[:, 2:14, 3:13, 3] = 255
    return found


def test_filters_are_those_of_scale_and_translate():
    random = np.random.default_rng(1)
    line = random.random(16).astype(np.float32)
    scale = np.exp(random.uniform(np.log(0.2), np.log(3), 12)).astype(np.float32)
    shift = random.uniform(-8, 12, 12).astype(np.float32)
    found = np.asarray(weights(16, 20, jnp.asarray(scale), jnp.asarray(shift))) @ line

    def reference(scale, shift):
        return jax.image.scale_and_translate(jnp.asarray(line), (20,), (0,), scale[None], shift[None], "linear")

    np.testing.assert_allclose(found, jax.vmap(reference)(scale, shift), rtol=0, atol=2e-4)
    assert (found == 0).any() and (np.abs(found) > 0.1).any()
    mirrored = np.asarray(weights(16, 20, jnp.asarray(scale), jnp.asarray(shift), jnp.ones(12, bool))) @ line[::-1]
    np.testing.assert_allclose(mirrored, found, rtol=0, atol=1e-6)


def test_a_picture_lies_on_white_as_it_is(pictures):
    shown = jax.jit(lambda key: scenes(PLAIN, jnp.asarray(store(pictures)), key, 9, 16, 16))(jax.random.key(0))
    alpha = pictures[..., 3:] / 255
    due = pictures[..., :3] / 255 * alpha + 1 - alpha
    assert len({*np.asarray(shown.chosen).tolist()}) > 2
    np.testing.assert_allclose(shown.pixels, due[shown.chosen], rtol=0, atol=1e-5)
    np.testing.assert_allclose(shown.inside, alpha[shown.chosen, ..., 0], rtol=0, atol=1e-5)


def test_an_upright_scene_is_the_wide_one_on_its_side(pictures):
    run = jax.jit(lambda upright: scenes(PLAIN, jnp.asarray(store(pictures)), jax.random.key(0), 9, 16, 32, upright))
    wide, tall = run(False), run(True)
    # The same keys: the same pictures, in the middle of the shorter side and anywhere along the longer one.
    np.testing.assert_allclose(wide.inside.sum((1, 2)), tall.inside.sum((1, 2)), rtol=1e-5)
    for values in (wide.pixels, tall.pixels):
        assert (1 - values).sum((1, 2, 3)).min() > 10
    np.testing.assert_allclose((1 - wide.pixels).sum((1, 2)), (1 - tall.pixels).sum((1, 2)), rtol=1e-3)
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(wide.pixels, tall.pixels, atol=0.1)


def test_colours_stay_colours_whatever_is_done(pictures):
    laying = Laying((0.4, 1.6), 0.4, True, 0.5, recoloured=1.0, several=0.5, inked=0.5, white=0.5)
    shown = jax.jit(lambda key: scenes(laying, jnp.asarray(store(pictures)), key, 40, 16, 24))(jax.random.key(2))
    assert shown.pixels.shape == (40, 16, 24, 3) and shown.inside.shape == (40, 16, 24)
    for values in shown[:2]:
        assert float(values.min()) > -1e-4 and float(values.max()) < 1 + 1e-4
    corners = np.asarray(shown.pixels)[:, 0, 0]
    assert 5 < (corners > 0.999).all(-1).sum() < 35


@pytest.mark.slow
def test_only_as_many_are_recoloured_as_wished(pictures):
    grey = pictures.copy()
    grey[..., :3] = grey[..., :1]
    laying = Laying((1.0, 1.0), mirrored=False, white=1.0, recoloured=0.5)
    run = jax.jit(lambda key: scenes(laying, jnp.asarray(store(grey)), key, 200, 16, 16))
    pixels = np.asarray(run(jax.random.key(0)).pixels)
    due = grey[..., :3] / 255 * (grey[..., 3:] / 255) + 1 - grey[..., 3:] / 255
    same = np.abs(pixels[:, None] - due[None]).max((2, 3, 4)).min(1) < 1e-3
    assert 70 < same.sum() < 130
    assert np.abs(np.diff(pixels, axis=-1)).max() < 1e-3  # greys have no hue that could be turned
