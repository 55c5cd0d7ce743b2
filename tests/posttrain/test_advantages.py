"""Advantages beside what is computed by hand, and what holds of all of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tejat.posttrain import advantages

NUMBERS = st.floats(-10, 10, width=32)
GROUPS = arrays.arrays(np.float64, st.tuples(st.integers(1, 4), st.integers(2, 6)), elements=NUMBERS)


def test_a_group_is_compared_with_itself():
    found = advantages.group_relative(np.asarray([[1.0, 0.0, 0.0, 1.0], [2.0, 2.0, 2.0, 2.0]]))
    deviation = np.sqrt(1 / 3)  # of 1 0 0 1, over n - 1
    np.testing.assert_allclose(found[0], np.asarray([0.5, -0.5, -0.5, 0.5]) / (deviation + 1e-6))
    assert (found[1] == 0).all()
    found = advantages.group_relative(np.asarray([[1.0, 0.0, 0.0, 1.0]]), normalise=False)
    assert found.tolist() == [[0.5, -0.5, -0.5, 0.5]]
    assert advantages.group_relative(np.asarray([[3.0]])).tolist() == [[0.0]]


@given(GROUPS, st.floats(-5, 5), st.floats(0.5, 5))
def test_what_all_answers_earn_alike_changes_nothing(rewards, more, times):
    found = advantages.group_relative(rewards)
    np.testing.assert_allclose(found.mean(axis=1), 0, atol=1e-6)
    np.testing.assert_allclose(advantages.group_relative(rewards + more), found, atol=1e-3)
    if (rewards.std(axis=1) > 0.1).all():
        np.testing.assert_allclose(advantages.group_relative(rewards * times), found, atol=1e-4)


def test_generalised_advantages_by_hand():
    found, returns = advantages.generalised(np.asarray([0.0, 0.0, 1.0]), np.asarray([0.5, 0.4, 0.2]), 0.9, 0.8)
    last = 1.0 - 0.2
    middle = 0.9 * 0.2 - 0.4 + 0.72 * last
    first = 0.9 * 0.4 - 0.5 + 0.72 * middle
    np.testing.assert_allclose(found, [first, middle, last])
    np.testing.assert_allclose(returns, found + [0.5, 0.4, 0.2])


@given(arrays.arrays(np.float64, 5, elements=NUMBERS), arrays.arrays(np.float64, 5, elements=NUMBERS))
def test_with_a_full_trace_the_return_is_the_sum_of_what_comes(rewards, values):
    found, returns = advantages.generalised(rewards, values, 1.0, 1.0)
    np.testing.assert_allclose(returns, np.cumsum(rewards[::-1])[::-1], atol=1e-9)
    np.testing.assert_allclose(found, returns - values, atol=1e-9)
    found, _ = advantages.generalised(rewards, values, 1.0, 0.0)
    np.testing.assert_allclose(found, rewards + np.append(values[1:], 0) - values, atol=1e-9)


def test_whitened_over_all_tokens():
    found = np.concatenate(advantages.whitened([np.asarray([1.0, 2.0]), np.asarray([6.0])]))
    np.testing.assert_allclose([found.mean(), found.std(ddof=1)], [0, 1], atol=1e-6)
    assert advantages.whitened([np.asarray([3.0])])[0].tolist() == [0.0]


def test_importance_is_the_ratio_cut_off():
    found = advantages.importance(np.log([0.5, 0.9, 0.1]), np.log([0.25, 0.1, 0.2]), 2.5)
    np.testing.assert_allclose(found, [2.0, 2.5, 0.5])


def test_the_weight_of_the_divergence_is_steered():
    assert advantages.steered(0.1, 12.0, 6.0, 256) == pytest.approx(0.1 * (1 + 0.2 * 256 / 10_000))
    assert advantages.steered(0.1, 3.0, 6.0, 256) < 0.1
    assert advantages.steered(0.1, 6.0, 6.0, 256) == 0.1
