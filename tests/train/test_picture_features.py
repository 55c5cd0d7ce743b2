"""Pictures compared in the features of a classifier, and gradients of a length."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tejat.model import picture_classifier
from tejat.model.params import initialise
from tejat.model.picture_classifier import ClassifierConfig
from tejat.train import picture_features
from tejat.train.picture_features import Judge

CONFIG = ClassifierConfig((4, 8), blocks=1)


@pytest.fixture(scope="module")
def judge():
    return Judge(initialise(picture_classifier.params(CONFIG, 2), 0), CONFIG)


@pytest.fixture(scope="module")
def pictures():
    return jnp.asarray(np.random.default_rng(0).random((4, 16, 16, 3)), jnp.float32)


def test_the_distance_grows_with_what_is_unlike(judge, pictures):
    measure = jax.jit(jax.value_and_grad(lambda drawn: picture_features.distance(judge, pictures, drawn)))
    other = pictures[::-1]
    drawn = 0.9 * pictures + 0.1 * other
    near, slope = measure(drawn)
    assert measure(pictures)[0] < 1e-9 < 1e-4 < near < measure(other)[0]
    # It falls along its gradient, which reaches every pixel.
    assert np.abs(np.asarray(slope)).max(-1).min() > 0
    assert measure(drawn - 0.2 * slope / jnp.linalg.norm(slope.ravel()))[0] < near


def test_a_gradient_is_as_long_as_it_is_to_be():
    random = np.random.default_rng(0)
    slope, beside = (jnp.asarray(random.normal(0, size, (2, 3)), jnp.float32) for size in (1e3, 1e-4))
    found = picture_features.weighed(slope, beside, 0.5)
    assert jnp.linalg.norm(found) == pytest.approx(0.5 * float(jnp.linalg.norm(beside)), rel=1e-5)
    np.testing.assert_allclose(found / found[0, 0], slope / slope[0, 0], rtol=1e-5)
    assert not picture_features.weighed(0 * slope, beside, 0.5).any()
