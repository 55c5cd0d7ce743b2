"""A learned codebook: look-ups, where gradients go, and vectors that follow what falls to them."""

import jax
import jax.numpy as jnp
import numpy as np

from tejat.model import picture_vectors
from tejat.model.params import initialise

CODES, WIDTH = 12, 3


def codebook():
    return initialise(picture_vectors.params(CODES, WIDTH), 0)


def made(*shape: int):
    return jnp.asarray(np.random.default_rng(1).normal(size=(*shape, WIDTH)), jnp.float32)


def test_the_nearest_vector_is_that_at_the_least_distance():
    book, z = codebook(), made(5, 7)
    placed = np.asarray(picture_vectors.on_sphere(z))[:, :, None]
    due = np.square(placed - np.asarray(picture_vectors.on_sphere(book["vectors"]))).sum(-1).argmin(-1)
    found = picture_vectors.nearest(book, z)
    np.testing.assert_array_equal(found, due)
    np.testing.assert_array_equal(found, picture_vectors.nearest(book, 9 * z))  # lengths say nothing
    np.testing.assert_allclose(
        picture_vectors.rounded(book, z), picture_vectors.vectors(book, found), rtol=0, atol=1e-6
    )
    # A decoder that reads codes sees what it was trained on; every code is its own nearest.
    codes = jnp.arange(CODES)
    np.testing.assert_array_equal(picture_vectors.nearest(book, picture_vectors.vectors(book, codes)), codes)


def test_gradients_pass_through_to_what_was_encoded_and_never_to_the_vectors():
    book, z = codebook(), made(4)
    weight = made(2)[0]
    slopes, theirs = jax.grad(lambda z, book: (picture_vectors.rounded(book, z) * weight).sum(), (0, 1))(z, book)
    due = jax.grad(lambda z: (picture_vectors.on_sphere(z) * WIDTH**0.5 * weight).sum())(z)
    np.testing.assert_allclose(slopes, due, rtol=1e-5, atol=1e-6)
    assert not np.asarray(theirs["vectors"]).any()
    # Commitment draws each toward its vector.
    before = picture_vectors.commitment(book, z)
    closer = z - 0.1 * jax.grad(lambda z: picture_vectors.commitment(book, z))(z)
    assert picture_vectors.commitment(book, closer) < before


def test_vectors_follow_the_mean_of_what_falls_to_them_and_dead_ones_begin_again():
    book = {"vectors": jnp.eye(3), "counts": jnp.asarray([1.0, 1.0, 0.05])}
    z = jnp.asarray([[1.0, 0.5, 0.0]] * 6 + [[0.2, 2.0, 0.0]] * 2)
    pieces, kept = np.asarray(picture_vectors.on_sphere(z)), picture_vectors.MEMORY
    follow = jax.jit(picture_vectors.followed)
    found = follow(book, z, jax.random.key(0))
    np.testing.assert_allclose(found["counts"], [kept + 6 * (1 - kept), kept + 2 * (1 - kept), 1], rtol=1e-5)
    due = kept * np.eye(3)[0] + (1 - kept) * pieces[:6].sum(0)
    np.testing.assert_allclose(found["vectors"][0], due / np.linalg.norm(due), rtol=1e-5)
    # What hardly anything fell to lies on something of the batch.
    assert np.abs(np.asarray(found["vectors"][2]) - pieces).max(1).min() < 1e-6
    for step in range(300):
        found = follow(found, z, jax.random.key(step))
    at = picture_vectors.nearest(found, z)
    np.testing.assert_allclose(found["vectors"][at], pieces, rtol=0, atol=0.02)
