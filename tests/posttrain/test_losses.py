"""Losses beside their formulas in NumPy, and the gradients that matter."""

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tejat.posttrain import losses

random = np.random.default_rng(0)


def numbers(scale=1.0, count=40):
    return (random.standard_normal(count) * scale).astype(np.float32)


def test_bradley_terry():
    chosen, rejected, margin = numbers(), numbers(), np.abs(numbers())
    wanted = -np.log(1 / (1 + np.exp(-(chosen - rejected - margin))))
    np.testing.assert_allclose(losses.bradley_terry(chosen, rejected, margin), wanted, rtol=1e-5)
    assert np.isfinite(losses.bradley_terry(jnp.float32(-300.0), jnp.float32(300.0)))


def test_dpo():
    chosen, rejected, before, other = numbers(5), numbers(5), numbers(5), numbers(5)
    margin = 0.3 * ((chosen - before) - (rejected - other))
    sure = 1 / (1 + np.exp(-margin))
    found, told = losses.dpo(chosen, rejected, before, other, beta=0.3, smoothing=0.1)
    np.testing.assert_allclose(told, margin, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found, -0.9 * np.log(sure) - 0.1 * np.log(1 - sure), rtol=1e-4, atol=1e-5)
    start, _ = losses.dpo(chosen, rejected, chosen, rejected)
    np.testing.assert_allclose(start, np.log(2), rtol=1e-6)


def test_the_surrogate_and_where_it_stops_teaching():
    logprobs, before, gained = numbers(0.5), numbers(0.5), numbers()
    ratio = np.exp(logprobs - before)
    wanted = np.maximum(-ratio * gained, -np.clip(ratio, 0.8, 1.3) * gained)
    found, cut = losses.clipped(logprobs, before, gained, 0.2, 0.3)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    gradient = jax.grad(lambda x: losses.clipped(x, before, gained, 0.2, 0.3)[0].sum())(logprobs)
    stops = ((ratio > 1.3) & (gained > 0)) | ((ratio < 0.8) & (gained < 0))
    assert stops.any() and (np.asarray(gradient)[stops] == 0).all() and np.asarray(cut).tolist() == stops.tolist()
    np.testing.assert_allclose(np.asarray(gradient)[~stops], (-ratio * gained)[~stops], rtol=1e-5)


def test_the_value_does_not_profit_from_a_far_step():
    values, before, returns = numbers(), numbers(), numbers()
    bound = before + np.clip(values - before, -0.2, 0.2)
    wanted = 0.5 * np.maximum((values - returns) ** 2, (bound - returns) ** 2)
    np.testing.assert_allclose(losses.value(values, before, returns, 0.2), wanted, rtol=1e-5)


@settings(deadline=None)
@given(st.floats(-8, 8), st.floats(-8, 8))
def test_divergences(logprob, reference):
    ratio = logprob - reference
    assert float(losses.divergence(np.float64(logprob), np.float64(reference))) == ratio
    np.testing.assert_allclose(losses.divergence(logprob, reference, "square"), 0.5 * ratio**2, rtol=1e-4, atol=1e-5)
    positive = float(losses.divergence(np.float32(logprob), np.float32(reference), "positive"))
    assert positive >= 0
    np.testing.assert_allclose(positive, np.exp(-ratio) - 1 + ratio, rtol=1e-3, atol=1e-4)


def test_two_divergences_are_that_of_the_policy_on_the_mean():
    policy, reference = np.asarray([0.7, 0.2, 0.1]), np.asarray([0.3, 0.3, 0.4])
    exact = (policy * np.log(policy / reference)).sum()
    for kind in ("plain", "positive"):
        found = (policy * np.asarray(losses.divergence(np.log(policy), np.log(reference), kind))).sum()
        np.testing.assert_allclose(found, exact, rtol=1e-5)


def test_means_count_what_is_there():
    values, there = jnp.asarray([[1.0, 2.0, 9.0]]), jnp.asarray([[1.0, 1.0, 0.0]])
    assert losses.masked_mean(values, there) == 1.5
    assert losses.masked_mean(values, there * 0) == 0
