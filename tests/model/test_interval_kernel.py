"""The GPU's kernels, interpreted on the processor, equal `attend` by blocks, which its own tests hold to float64."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tejat.model import interval_kernel
from tejat.model.attention import Intervals, attend, causal_intervals, windowed
from tejat.model.interval_kernel import Blocks, Plan

# Unequal everywhere, so that no kernel can take queries for keys.
PLAN = Plan(Blocks(16, 8), Blocks(8, 16), Blocks(4, 16))
B, T, H, K, N = 2, 64, 4, 2, 16


def backward(function, q, k, v, wanted):
    out, back = jax.vjp(function, q, k, v)
    return out, *back(wanted)


@jax.jit
def kernels(q, k, v, intervals, wanted):
    return backward(lambda *x: interval_kernel.attend(*x, *intervals, PLAN, True), q, k, v, wanted)


@jax.jit
def blocks(q, k, v, intervals, wanted):
    return backward(functools.partial(attend, intervals=intervals, block=16), q, k, v, wanted)


def arrays(seed: int, width: int = N):
    """Queries, keys, values and a gradient; scores have a variance of one, as a network's begin with.

    With one of N, gradients reach 14 where keys are few, and two orders of a sum differ by more than is asked for.
    """
    random = np.random.default_rng(seed)
    q, k, v, wanted = (jnp.asarray(random.standard_normal((B, T, heads, width), np.float32)) for heads in (H, K, K, H))
    return [q * width**-0.25, k * width**-0.25, v, wanted]


def rows(seed: int) -> dict[str, Intervals]:
    random = np.random.default_rng(seed)
    packed = causal_intervals(jnp.asarray(np.sort(random.integers(0, 5, (B, T)), axis=-1)))  # begins with padding
    any_order = np.sort(random.integers(0, T + 1, (2, B, T)), axis=0).astype(np.int32)  # some see nothing
    return {
        "causal": causal_intervals(jnp.ones((B, T), jnp.int32)),
        "packed": packed,
        "packed and windowed": windowed(packed, int(random.integers(1, T))),
        "anything": Intervals(*map(jnp.asarray, any_order)),
        "nothing": Intervals(jnp.zeros((B, T), jnp.int32), jnp.zeros((B, T), jnp.int32)),
    }


@pytest.mark.parametrize("name", rows(0))
@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_equals_attention_by_blocks_forward_and_backward(name, seed):
    q, k, v, wanted = arrays(seed)
    intervals = rows(seed)[name]
    for mine, theirs in zip(kernels(q, k, v, intervals, wanted), blocks(q, k, v, intervals, wanted), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=2e-5)


def test_heads_of_512_in_their_own_blocks():
    q, k, v, wanted = arrays(0, 512)
    intervals, plan = rows(0)["packed and windowed"], interval_kernel.plan(512)
    run = jax.jit(lambda *x: backward(lambda *y: interval_kernel.attend(*y, *intervals, plan, True), *x))
    mine = run(q, k, v, wanted)
    for found, due in zip(mine, blocks(q, k, v, intervals, wanted), strict=True):
        np.testing.assert_allclose(found, due, rtol=0, atol=5e-5)
    wrong = blocks(q, k, v, intervals._replace(start=jnp.minimum(intervals.start + 1, intervals.end)), wanted)
    assert np.abs(wrong[0] - mine[0]).max() > 1e-2


def test_a_group_whose_heads_are_not_parted_gives_the_same(monkeypatch):
    """Where there are programs enough."""
    q, k, v, wanted = arrays(0)
    intervals = rows(0)["packed and windowed"]
    parted = kernels(q, k, v, intervals, wanted)
    monkeypatch.setattr(interval_kernel, "PROGRAMS", 1)
    whole = backward(lambda *x: interval_kernel.attend(*x, *intervals, PLAN, True), q, k, v, wanted)
    for mine, theirs in zip(whole, parted, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=2e-5)


@given(st.integers(1, 64), st.integers(1, 4_096))
def test_parts_are_of_one_size_and_no_more_than_are_needed(group, programs):
    parts = interval_kernel._parts(group, programs)
    assert group % parts == 0 and (parts == 1 or programs * parts // 2 < interval_kernel.PROGRAMS)


def test_blocks_that_nobody_sees_are_not_visited():
    """Keys and values there may be NaN, which any visit would spread."""
    q, k, v, wanted = arrays(0)
    intervals = windowed(causal_intervals(jnp.ones((B, T), jnp.int32)), 8)
    late = slice(T - 16, T)
    cut = Intervals(intervals.start[:, late], intervals.end[:, late])
    poisoned = [x.at[:, : T - 32].set(jnp.nan) for x in (k, v)]
    out = interval_kernel.attend(q[:, late], *poisoned, *cut, PLAN, True)
    assert np.isfinite(out).all()


@pytest.mark.parametrize("width", interval_kernel.WIDTHS)
def test_every_width_has_a_plan_of_powers_of_two(width):
    """What Triton takes, and no block larger than the multiple that rows are padded to."""
    plan = interval_kernel.plan(width)
    for each in plan:
        assert each.queries & (each.queries - 1) == 0 and each.keys & (each.keys - 1) == 0
        assert plan.multiple % each.queries == 0 and plan.multiple % each.keys == 0
