"""Attention over intervals equals a plain masked softmax in float64; interval functions equal their definitions."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tejat.model.attention import (
    Intervals,
    _hull,
    _reach,
    attend,
    block_ends,
    causal_intervals,
    run_intervals,
    windowed,
)

BLOCK = 16  # small, so that short arrays take the path of long ones
SHAPES = {
    # name: (B, T, S, H, K, N)
    "multi-query, one block": (2, 9, 9, 4, 1, 8),
    "grouped-query, one block": (1, 16, 16, 4, 2, 8),
    "multi-query, many blocks": (2, 40, 40, 4, 1, 8),
    "grouped-query, ragged blocks": (1, 37, 37, 6, 3, 4),
    "multi-head, blocks of keys only": (2, 5, 50, 2, 2, 8),
    "one query over a cache": (3, 1, 33, 4, 2, 8),
    "blocks of queries only": (1, 33, 7, 2, 1, 8),
}

run = jax.jit(functools.partial(attend, block=BLOCK))


def case(shape, seed: int, hidden: bool):
    """Random arrays, intervals (some empty) and, with `hidden`, shuffled key positions of which some are -1."""
    batch, length, keys, heads, key_heads, width = shape
    random = np.random.default_rng(seed)
    q = random.standard_normal((batch, length, heads, width), np.float32)
    k, v = random.standard_normal((2, batch, keys, key_heads, width), np.float32)
    intervals = Intervals(*np.sort(random.integers(0, keys + 1, (2, batch, length)), axis=0).astype(np.int32))
    positions = np.broadcast_to(np.arange(keys, dtype=np.int32), (batch, keys))
    if hidden:
        positions = random.permuted(positions, axis=1)
        positions = np.where(random.random(positions.shape) < 0.2, -1, positions).astype(np.int32)
    return q, k, v, intervals, positions


def plain(q, k, v, intervals, positions):
    """The definition, T x S mask and all, in the precision of what it is given."""
    repeats = q.shape[2] // k.shape[2]
    k, v = jnp.repeat(k, repeats, 2), jnp.repeat(v, repeats, 2)
    p = positions[:, None, None, :]
    visible = (p >= intervals.start[:, None, :, None]) & (p < intervals.end[:, None, :, None])
    scores = jnp.where(visible, jnp.einsum("bthn,bshn->bhts", q, k), -jnp.inf)
    top = jnp.where(visible.any(-1, keepdims=True), scores.max(-1, keepdims=True), 0)
    weights = jnp.where(visible, jnp.exp(scores - top), 0)
    total = weights.sum(-1, keepdims=True)
    return jnp.einsum("bhts,bshn->bthn", weights / jnp.where(total == 0, 1, total), v)


def exactly(function, *arrays):
    with jax.enable_x64(True):
        wide = [np.asarray(a, np.float64) if a.dtype == np.float32 else a for a in jax.tree.leaves(arrays)]
        return jax.tree.map(np.asarray, function(*jax.tree.unflatten(jax.tree.structure(arrays), wide)))


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), hidden=st.booleans())
def test_equals_a_masked_softmax(shape, seed, hidden):
    arrays = case(shape, seed, hidden)
    np.testing.assert_allclose(run(*arrays), exactly(plain, *arrays), rtol=0, atol=2e-6)


@pytest.mark.parametrize("name", ["grouped-query, one block", "grouped-query, ragged blocks"])
def test_gradients_equal_those_of_a_masked_softmax(name):
    *floats, intervals, positions = case(SHAPES[name], 0, hidden=True)
    wanted = np.random.default_rng(1).standard_normal(floats[0].shape)

    def gradient(function, q, k, v, intervals, positions, wanted):
        return jax.grad(lambda *x: (function(*x, intervals, positions) * wanted).sum(), (0, 1, 2))(q, k, v)

    found = gradient(run, *floats, intervals, positions, wanted.astype(np.float32))
    exact = exactly(functools.partial(gradient, plain), *floats, intervals, positions, wanted)
    for a, b in zip(found, exact, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5)


def by_hand(q, k, v, intervals, positions, wanted):
    """Attention and its gradients for (q, k, v), in NumPy and float64, one row and one head at a time."""
    q, k, v, wanted = (np.asarray(a, np.float64) for a in (q, k, v, wanted))
    out, dq, dk, dv = np.zeros_like(q), np.zeros_like(q), np.zeros_like(k), np.zeros_like(v)
    for b, h in np.ndindex(q.shape[0], q.shape[2]):
        g = h * k.shape[2] // q.shape[2]
        p = positions[b]
        visible = (p >= intervals.start[b][:, None]) & (p < intervals.end[b][:, None])
        scores = q[b, :, h] @ k[b, :, g].T
        top = scores.max(-1, keepdims=True, where=visible, initial=-1e9)
        weights = np.exp(scores - top, where=visible, out=np.zeros_like(scores))
        weights /= np.maximum(weights.sum(-1, keepdims=True), 1e-300)
        out[b, :, h] = weights @ v[b, :, g]
        dv[b, :, g] += weights.T @ wanted[b, :, h]
        d_weights = wanted[b, :, h] @ v[b, :, g].T
        d_scores = weights * (d_weights - (weights * d_weights).sum(-1, keepdims=True))
        dq[b, :, h] = d_scores @ k[b, :, g]
        dk[b, :, g] += d_scores.T @ q[b, :, h]
    return out, dq, dk, dv


@pytest.mark.parametrize("length", [12, 37])
def test_heads_of_512(length):
    """As wide as the full layers of Gemma 4, dense and by blocks, forward and backward."""
    q, k, v, intervals, positions = case((2, length, length, 4, 2, 512), 0, hidden=True)
    q *= 512**-0.5
    wanted = np.random.default_rng(1).standard_normal(q.shape).astype(np.float32)
    found, back = jax.vjp(lambda *x: run(*x, intervals, positions), q, k, v)
    exact = by_hand(q, k, v, intervals, positions, wanted)
    for a, b in zip((found, *back(jnp.asarray(wanted))), exact, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 * max(1, np.abs(b).max()))


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_blocks_of_keys_that_nobody_sees_are_skipped(seed, hidden):
    """The hull of the blocks that are seen, exactly where keys are in order; nothing is lost where they are not."""
    _, _, _, intervals, positions = case((2, 3, 64, 1, 1, 1), seed, hidden)
    first, end = map(int, _hull(Intervals(*map(jnp.asarray, intervals)), _reach(jnp.asarray(positions), 8)))
    visible = (positions[:, None] >= intervals.start[..., None]) & (positions[:, None] < intervals.end[..., None])
    seen = np.flatnonzero(visible.reshape(2, 3, 8, 8).any((0, 1, 3)))
    assert set(seen.tolist()) <= set(range(first, end))
    if not hidden:
        assert end - first == (seen.max() - seen.min() + 1 if len(seen) else 0)


def test_a_window_is_few_blocks():
    causal = causal_intervals(np.ones((1, 1024), np.int32))
    reach = _reach(jnp.arange(1024)[None], 32)
    for window, blocks in ((32, 2), (128, 5), (2048, 32)):
        rows = Intervals(*(x[:, 992:] for x in windowed(causal, window)))
        first, end = map(int, _hull(rows, reach))
        assert end == 32 and end - first == blocks


@pytest.mark.parametrize("length", [9, 40])
def test_an_empty_interval_gives_zeros_and_no_gradient(length):
    q, k, v, _, positions = case((1, length, length, 2, 1, 8), 0, hidden=False)
    empty = Intervals(*(np.full((1, length), n, np.int32) for n in (3, 3)))
    assert not np.any(run(q, k, v, empty, positions))
    gradients = jax.grad(lambda *x: run(*x, empty, positions).sum(), (0, 1, 2))(q, k, v)
    assert not any(np.any(g) for g in gradients)


def test_huge_scores_do_not_overflow():
    q, k, v, intervals, positions = case(SHAPES["multi-query, many blocks"], 3, hidden=False)
    found = run(100 * q, 100 * k, v, intervals, positions)
    np.testing.assert_allclose(found, exactly(plain, 100 * q, 100 * k, v, intervals, positions), rtol=0, atol=0.02)


def test_key_positions_default_to_the_order_of_keys():
    q, k, v, intervals, positions = case(SHAPES["multi-query, one block"], 0, hidden=False)
    np.testing.assert_array_equal(run(q, k, v, intervals), run(q, k, v, intervals, positions))


def test_a_wrong_interval_is_noticed():
    """The control of the tests above: one key too many, for one query, is no rounding error."""
    q, k, v, intervals, positions = case(SHAPES["grouped-query, ragged blocks"], 0, hidden=False)
    start = np.array(intervals.start)
    start[0, 20], intervals.end[0, 20] = 4, 10
    found = np.asarray(run(q, k, v, Intervals(start, intervals.end), positions))  # done before `start` changes again
    start[0, 20] = 3
    exact = exactly(plain, q, k, v, Intervals(start, intervals.end), positions)
    assert np.abs(found - exact)[0, 20].max() > 1e-3
    np.testing.assert_allclose(found[0, :20], exact[0, :20], rtol=0, atol=2e-6)


# Intervals


@st.composite
def runs(draw, length=12):
    """Ids of runs along a row as a packer writes them, and zeros."""
    row, number = [], 0
    while len(row) < length:
        number += 1
        row += [draw(st.sampled_from([number, 0]))] * draw(st.integers(1, 6))
    return np.asarray([row[:length]], np.int32)


def seen(intervals: Intervals) -> list[set[int]]:
    return [set(range(s, e)) for s, e in zip(*(np.asarray(x)[0].tolist() for x in intervals), strict=True)]


@settings(max_examples=40, deadline=None)
@given(runs())
def test_causal_is_the_own_document_up_to_itself(segments):
    row = segments[0]
    wanted = [{p for p in range(t + 1) if row[p] == row[t]} if row[t] else set() for t in range(len(row))]
    assert seen(causal_intervals(segments)) == wanted


@settings(max_examples=40, deadline=None)
@given(runs(), st.integers(1, 8))
def test_a_window_is_the_last_tokens_of_the_own_document(segments, window):
    row = segments[0]
    wanted = [
        {p for p in range(max(0, t - window + 1), t + 1) if row[p] == row[t]} if row[t] else set()
        for t in range(len(row))
    ]
    assert seen(windowed(causal_intervals(segments), window)) == wanted


@settings(max_examples=40, deadline=None)
@given(runs(), st.integers(1, 8))
def test_an_image_sees_its_end_and_other_tokens_do_not(blocks, window):
    row = blocks[0]
    causal = causal_intervals(np.ones_like(blocks))
    wanted = []
    for t in range(len(row)):
        ahead = {p for p in range(t, len(row)) if row[t] and len(set(row[t : p + 1])) == 1}
        wanted.append(set(range(max(0, t - window + 1), t + 1)) | ahead)
    assert seen(windowed(causal, window, blocks)) == wanted


@settings(max_examples=40, deadline=None)
@given(runs())
def test_a_run_sees_all_of_itself_and_nothing_else(ids):
    row = ids[0]
    wanted = [{p for p in range(len(row)) if row[p] == row[t]} if row[t] else set() for t in range(len(row))]
    assert seen(run_intervals(ids)) == wanted


def test_ends_of_neighbouring_blocks():
    assert block_ends(jnp.asarray([[1, 1, 2, 0, 0, 3]])).tolist() == [[2, 2, 3, 5, 5, 6]]


def test_the_printed_example():
    """The matrix in the module's docstring."""
    intervals = causal_intervals(np.asarray([[1, 1, 1, 2, 2]]))
    assert intervals.start.tolist() == [[0, 0, 0, 3, 3]] and intervals.end.tolist() == [[1, 2, 3, 4, 5]]
