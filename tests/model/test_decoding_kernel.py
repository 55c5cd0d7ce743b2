"""The kernels for one query a row, interpreted on the processor, equal `attend`, and read nothing that is not seen."""

import contextlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tejat.model import decoding_kernel
from tejat.model.attention import Intervals, attend

B, S, N, SIZE = 5, 64, 16, 8


def arrays(seed: int, heads: int, key_heads: int, width: int = N):
    random = np.random.default_rng(seed)
    shapes = (B, 1, heads, width), (B, S, key_heads, width), (B, S, key_heads, width)
    return [jnp.asarray(random.standard_normal(shape, np.float32)) for shape in shapes]


def rows(seed: int, ring: bool):
    """(intervals, positions of slots or None): rows that see nothing, little, much, and rings that went round."""
    random = np.random.default_rng(seed)
    read = np.asarray([0, 9, 1, *random.integers(1, 3 * S if ring else S, 2)], np.int32)[:, None]
    start = np.asarray([0, 9, 0, random.integers(0, read[3, 0]), max(0, read[4, 0] - S + 1)], np.int32)[:, None]
    intervals = Intervals(jnp.asarray(start), jnp.asarray(read))
    if not ring:
        return intervals, None
    last = read - 1
    return intervals, jnp.asarray(np.maximum(last - (last - np.arange(S)) % S, -1))


@pytest.mark.parametrize(("heads", "key_heads", "splits"), [(4, 1, 4), (4, 2, 1), (20, 1, 2)])
@pytest.mark.parametrize("ring", [False, True])
@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_equals_attend(heads, key_heads, splits, ring, seed):
    q, k, v = arrays(seed, heads, key_heads)
    intervals, places = rows(seed, ring)
    mine = decoding_kernel.attend(q, k, v, *intervals, places, splits=splits, size=SIZE, interpret=True)
    np.testing.assert_allclose(mine, attend(q, k, v, intervals, places), rtol=0, atol=2e-5)
    assert not np.asarray(mine[:2]).any()


def test_heads_of_512():
    """In blocks of the size that the kernel itself takes for them."""
    q, k, v = arrays(0, 4, 2, 512)
    q *= 512**-0.5
    intervals, places = rows(0, True)
    mine = decoding_kernel.attend(q, k, v, *intervals, places, interpret=True)
    np.testing.assert_allclose(mine, attend(q, k, v, intervals, places), rtol=0, atol=2e-5)


@pytest.mark.parametrize("ring", [False, True])
def test_a_row_has_the_same_bits_in_any_company(ring):
    q, k, v = arrays(3, 4, 1)
    intervals, places = rows(3, ring)
    whole = decoding_kernel.attend(q, k, v, *intervals, places, splits=4, size=SIZE, interpret=True)
    for row in range(B):
        same = [x if x is None else jnp.roll(x, 1 + row, axis=0) for x in (q, k, v, *intervals, places)]
        moved = decoding_kernel.attend(*same, splits=4, size=SIZE, interpret=True)
        assert np.array_equal(np.roll(np.asarray(moved), -1 - row, axis=0), whole)


def test_blocks_that_are_not_seen_are_not_read():
    """Keys and values there may be NaN, which any look would spread."""
    q, k, v = arrays(0, 4, 1)
    start, end = (jnp.asarray(x, jnp.int32)[:, None] for x in ([0, 8, 40, 0, 0], [5, 24, 64, 0, 0]))
    hidden = [x.at[0, 8:].set(jnp.nan).at[1, :8].set(jnp.nan).at[1, 24:].set(jnp.nan) for x in (k, v)]
    hidden = [x.at[2, :40].set(jnp.nan).at[3:].set(jnp.nan) for x in hidden]
    mine = decoding_kernel.attend(q, *hidden, start, end, splits=4, size=SIZE, interpret=True)
    np.testing.assert_allclose(mine, attend(q, k, v, Intervals(start, end)), rtol=0, atol=2e-5)


@pytest.mark.parametrize("batch", [1, 8, 64, 256, 1024])
@pytest.mark.parametrize("slots", [64, 128, 448, 512, 1024, 32_768])
def test_shares_are_whole_blocks(batch, slots):
    splits = decoding_kernel.splits_of(batch, slots, 1)
    assert 1 <= splits <= 32 and slots % (splits * decoding_kernel.SIZE) == 0
    assert splits == 1 or batch * splits <= decoding_kernel.PROGRAMS


@pytest.mark.parametrize(("ring", "width"), [(False, 128), (True, 128), (True, 512)])
def test_a_gpu_would_take_it(ring, width):
    """Lowered for one that is not here: what Pallas cannot say to Triton fails."""
    shapes = [((8, 1, 20, width), "bfloat16"), *[((8, 512, 1, width), "bfloat16")] * 2, *[((8, 1), "int32")] * 2]
    arguments = [jax.ShapeDtypeStruct(*shape) for shape in [*shapes, *[((8, 512), "int32")] * ring]]
    with a_gpu():
        text = decoding_kernel.attend.trace(*arguments).lower(lowering_platforms=("cuda",)).as_text()
    assert text.count("custom_call") == 2


def a_gpu():
    """JAX from 0.11 on asks which it is."""
    if jax.__version_info__ < (0, 11):
        return contextlib.nullcontext()
    device = jax.sharding.AbstractDevice("NVIDIA H100 80GB HBM3", 132, "cuda")
    return jax.sharding.use_abstract_mesh(jax.sharding.AbstractMesh((1,), ("x",), abstract_device=device))
