"""Losses in parts, and the gradient made with them, equal what is computed of all scores at once."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tejat.model import cross_entropy

B, V, D = 2, 37, 8


def arrays(count: int, seed: int):
    random = np.random.default_rng(seed)
    table, hidden = (jnp.asarray(random.standard_normal(s, np.float32)) for s in ((V, D), (B, count, D)))
    targets = jnp.asarray(random.integers(0, V, (B, count)))
    return table, hidden, targets, *(jnp.asarray(random.random((B, count), np.float32)) for _ in range(2))


def direct(table, hidden, targets, weights, square_weights, soft_cap):
    scores = jnp.einsum("btd,vd->btv", hidden, table)
    scores = scores if soft_cap is None else jnp.tanh(scores / soft_cap) * soft_cap
    partition = jax.nn.logsumexp(scores, -1)
    losses = partition - jnp.take_along_axis(scores, targets[..., None], -1)[..., 0]
    return (losses * weights + jnp.square(partition) * square_weights).sum(), (losses, jnp.square(partition))


@settings(max_examples=8, deadline=None)
@given(
    count=st.sampled_from([1, 7, 12]),
    most=st.sampled_from([1, 3, 100]),
    cap=st.sampled_from([None, 2.0]),
    seed=st.integers(0, 99),
)
def test_equals_all_scores_at_once_forward_and_backward(count, most, cap, seed):
    inputs = arrays(count, seed)
    ours = functools.partial(cross_entropy.weighted, soft_cap=cap, scores=most * V)
    mine, theirs = (
        jax.jit(jax.value_and_grad(lambda *x, f=f: (3 * f(*x)[0], f(*x)[1]), (0, 1), has_aux=True))(*inputs)
        for f in (lambda *x: ours(*x), lambda *x: direct(*x, cap))
    )
    for a, b in zip(jax.tree.leaves(mine), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=2e-5)


def test_losses_alone_are_the_same():
    table, hidden, targets, *weights = arrays(5, 0)
    found = cross_entropy.weighted(table, hidden, targets, *weights)[1]
    for a, b in zip(found, cross_entropy.token_losses(table, hidden, targets, scores=2 * V), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_in_16_bits_sums_over_targets_are_not():
    """A thousand equal gradients: added one after the other in bfloat16, they would stop at 256 times one."""
    table, hidden = jnp.zeros((2, 1), jnp.bfloat16), jnp.ones((1, 1000, 1), jnp.bfloat16)
    targets, ones, zeros = jnp.zeros((1, 1000), jnp.int32), jnp.ones((1, 1000)), jnp.zeros((1, 1000))
    gradient = jax.grad(lambda t: cross_entropy.weighted(t, hidden, targets, ones, zeros, None, 2)[0])(table)
    assert gradient[0, 0] == pytest.approx(-500, rel=0.01)
