"""Digests see every single changed bit, and are the same however an array is spread."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tejat.train.auditing import flips, scan
from tejat.train.auditing.digests import digest

TYPES = ("float32", "bfloat16", "int32", "uint8")


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(TYPES), st.integers(0, 23), st.integers(0, 31), st.integers(0, 9))
def test_a_flipped_bit_is_seen_and_flipped_back_it_is_as_before(kind, index, bit, seed):
    array = np.asarray(jnp.asarray(np.random.default_rng(seed).standard_normal((4, 6)) * 50).astype(kind))
    struck = flips.flipped(array, index, bit)
    assert (struck.view(np.uint8) != array.view(np.uint8)).sum() == 1
    assert int(digest(struck)) != int(digest(array))
    assert int(digest(flips.flipped(struck, index, bit))) == int(digest(array))


@pytest.mark.parametrize("kind", ["float32", "int32"])
def test_elements_that_change_places_are_seen(kind):
    """All pairs of the first hundred integers: a weaker mixing missed some."""
    array = np.arange(100).astype(kind)
    first, second = np.triu_indices(len(array), 1)
    swapped = np.tile(array, (len(first), 1))
    swapped[np.arange(len(first)), first], swapped[np.arange(len(first)), second] = array[second], array[first]
    assert not (np.asarray(digest(swapped, (1,))) == int(digest(array))).any()


def test_along_some_axes_there_is_one_for_each_place_of_the_others():
    array = np.random.default_rng(0).standard_normal((3, 4, 5)).astype(np.float32)
    assert [int(d) for d in digest(array, (1, 2))] == [int(digest(row)) for row in array]


def test_numpy_makes_the_same():
    array = np.random.default_rng(0).integers(-9, 9, (7, 11)).astype(np.int32)
    assert int(digest(array)) == scan.digest_known(array)
