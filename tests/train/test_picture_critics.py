"""What judges reconstructions besides their pixels: distances, an adversary that learns, and gradients of a length."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tejat.model import picture_classifier
from tejat.model.params import initialise
from tejat.model.picture_classifier import ClassifierConfig
from tejat.train import picture_critics
from tejat.train.picture_critics import Judge

CONFIG = ClassifierConfig((4, 8), blocks=1)


@pytest.fixture(scope="module")
def judge():
    return Judge(initialise(picture_classifier.params(CONFIG, 2), 0), CONFIG)


@pytest.fixture(scope="module")
def pictures():
    return jnp.asarray(np.random.default_rng(0).random((4, 16, 16, 3)), jnp.float32)


def test_the_distance_grows_with_what_is_unlike(judge, pictures):
    measure = jax.jit(jax.value_and_grad(lambda drawn: picture_critics.distance(judge, pictures, drawn)))
    other = pictures[::-1]
    drawn = 0.9 * pictures + 0.1 * other
    near, slope = measure(drawn)
    assert measure(pictures)[0] == 0 and 0 < near < measure(other)[0]
    # It falls along its gradient, which reaches every pixel.
    assert np.abs(np.asarray(slope)).max(-1).min() > 0
    assert measure(drawn - 0.2 * slope / jnp.linalg.norm(slope.ravel()))[0] < near


def test_an_adversary_learns_to_tell_pictures_from_reconstructions(judge, pictures):
    state = picture_critics.adversary(judge)
    drawn = jnp.broadcast_to(pictures.mean((1, 2), keepdims=True), pictures.shape)
    before = state.params["stage_0"]["in"]
    taught = jax.jit(lambda state: picture_critics.taught(state, CONFIG, pictures, drawn))
    for _ in range(60):
        state = taught(state)
    made, real = (picture_critics.doubt(state.params, CONFIG, shown) for shown in (drawn, pictures))
    assert made > real + 0.2
    np.testing.assert_array_equal(judge.params["stage_0"]["in"], before)  # the judge stays as it is


def test_a_gradient_is_as_long_as_it_is_to_be():
    random = np.random.default_rng(0)
    slope, beside = (jnp.asarray(random.normal(0, size, (2, 3)), jnp.float32) for size in (1e3, 1e-4))
    found = picture_critics.weighed(slope, beside, 0.5)
    assert jnp.linalg.norm(found) == pytest.approx(0.5 * float(jnp.linalg.norm(beside)), rel=1e-5)
    np.testing.assert_allclose(found / found[0, 0], slope / slope[0, 0], rtol=1e-5)
    assert not picture_critics.weighed(0 * slope, beside, 0.5).any()
