"""Eight bits a number: how far what comes back may be from what went in, and what must come back exactly."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tejat.train.blockwise import BLOCK, LEAST, coded, decoded

finite = st.floats(-(2.0**60), 2.0**60, width=32)
positive = st.one_of(st.just(0.0), st.floats(2.0**-60, 2.0**60, width=32))


@given(arrays.arrays(np.float32, st.integers(1, 3 * BLOCK), elements=finite))
def test_signed_numbers_are_within_half_a_step_of_their_block(numbers):
    numbers[0] = -1.0
    found = decoded(coded(numbers), numbers.shape)
    for at in range(0, len(numbers), BLOCK):
        block = numbers[at : at + BLOCK]
        wrong = np.abs(found[at : at + BLOCK] - block).max()
        assert wrong <= np.abs(block).max() / 127 * 0.5001
    assert (found[numbers == 0] == 0).all()


@given(arrays.arrays(np.float32, st.integers(1, 3 * BLOCK), elements=positive))
def test_numbers_never_negative_keep_their_size_and_zero_alone_is_zero(numbers):
    found = decoded(coded(numbers), numbers.shape)
    assert ((found == 0) == (numbers == 0)).all()
    for at in range(0, len(numbers), BLOCK):
        block, back = numbers[at : at + BLOCK], found[at : at + BLOCK]
        some = block > 0
        if some.any():
            wanted = np.maximum(block[some], block.max() * np.float32(LEAST))
            # 40 powers of two in 254 steps: at most half a step, 0.08 of a power, away.
            assert np.abs(np.log2(back[some]) - np.log2(wanted)).max() <= 40 / 254 / 2 + 1e-3


def test_shapes_come_back_and_blocks_have_scales_of_their_own():
    numbers = np.random.default_rng(0).standard_normal((3, 4, 100)).astype(np.float32)
    numbers[0] *= 1e6
    found = decoded(coded(numbers), numbers.shape)
    assert found.shape == numbers.shape and found.dtype == np.float32
    np.testing.assert_allclose(found[2], numbers[2], atol=0.02)


@pytest.mark.parametrize("wrong", [np.inf, np.nan])
def test_what_is_no_number_is_refused(wrong):
    with pytest.raises(ValueError, match="infinite or none"):
        coded(np.asarray([1.0, wrong]))
