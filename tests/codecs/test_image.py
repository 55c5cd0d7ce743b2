"""Patches: the aspect kept, the budget kept, every pixel kept."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tejat.codecs.image import cut, fitted, join, patchify, resize, some_budget, usual_budget, whitened
from tejat.errors import BadInput
from tejat.model import family

side, budgets = st.integers(1, 5_000), st.sampled_from([1, 4, 16, 64, 70, 280, 1120])
quick = settings(max_examples=200, deadline=None)


@quick
@given(side, side, budgets, st.sampled_from([8, 16, 48]))
def test_sizes_fill_the_budget_and_no_more(height, width, budget, step):
    rows, columns = (n / step for n in fitted(height, width, step, budget))
    assert rows == int(rows) >= 1 and columns == int(columns) >= 1 and rows * columns <= budget
    # The largest: the real-valued optimum is less than one step away on either side, unless a side would vanish.
    ideal = math.sqrt(budget * height / width), math.sqrt(budget * width / height)
    if min(ideal) >= 1:
        assert ideal[0] - 1 < rows <= ideal[0] * (1 + 1e-12) and ideal[1] - 1 < columns <= ideal[1] * (1 + 1e-12)


@quick
@given(side, st.sampled_from([1, 2, 8, 16]))
def test_a_square_stays_a_square_and_fills_a_square_budget(pixels, root):
    assert fitted(pixels, pixels, 16, root**2) == (16 * root, 16 * root)


@quick
@given(side, side, budgets, st.integers(1, 64))
def test_sides_are_mirrored_and_no_longer_than_allowed(height, width, budget, longest):
    found = fitted(height, width, 16, budget, longest)
    assert found == fitted(width, height, 16, budget, longest)[::-1]
    assert max(found) <= 16 * longest


@pytest.mark.parametrize(("height", "width", "expected"), [(1, 5_000, (1, 64)), (5_000, 1, (64, 1)), (9, 90, (2, 25))])
def test_thin_images_by_hand(height, width, expected):
    assert fitted(height, width, 1, 64) == expected


def test_nothing_is_refused():
    with pytest.raises(BadInput, match="0 x 5 pixels"):
        fitted(5, 0, 16, 64)


@quick
@given(st.integers(1, 300), st.integers(1, 300), st.sampled_from([None, 4, 16, 64]))
def test_patches_stand_in_the_grid_and_pool_evenly(height, width, budget):
    config = family.preset("micro").vision
    pixels = np.zeros((height, width, 3), np.uint8)
    found = patchify(pixels, config, budget)
    assert found.count <= (budget or 16)
    x, y = found.positions.T
    assert len(found.patches) == len(found.slots) == (x.max() + 1) * (y.max() + 1)
    assert found.positions.max() < config.table  # beyond it the position table has no rows
    # Each soft token is the mean of one square of patches, and the tokens are in reading order.
    for slot in range(found.count):
        mine = found.positions[found.slots == slot]
        assert len(mine) == config.pool**2 and (mine.max(0) - mine.min(0) == config.pool - 1).all()
    corners = [tuple(found.positions[found.slots == s].min(0)[::-1]) for s in range(found.count)]
    assert corners == sorted(corners)


@quick
@given(st.integers(1, 300), st.integers(1, 300), st.sampled_from([4, 16, 64]))
def test_raw_squares_are_the_pixels_of_soft_tokens(height, width, budget):
    pooled = family.preset("micro").vision
    config = dataclasses.replace(pooled, front_end="raw", table=pooled.table // pooled.pool)
    pixels = np.random.default_rng([height, width]).integers(0, 256, (height, width, 3), np.uint8)
    found, towers = patchify(pixels, config, budget), patchify(pixels, pooled, budget)
    assert found.slots.tolist() == list(range(found.count)) == list(range(len(found.patches)))
    assert found.count == towers.count
    side = config.patch * config.pool
    shown = resize(pixels, *((found.positions.max(0)[::-1] + 1) * side))
    for values, (x, y) in zip(found.patches, found.positions, strict=True):
        square = shown[y * side : (y + 1) * side, x * side : (x + 1) * side]
        np.testing.assert_array_equal(np.rint(values * 255), square.reshape(-1))


@quick
@given(st.integers(1, 300), st.integers(1, 300), st.sampled_from([4, 16, 64]))
def test_a_resampled_image_takes_as_many_soft_tokens_as_any(height, width, budget):
    pooled = family.preset("micro").vision
    config = dataclasses.replace(pooled, front_end="resampled", latents=5)
    pixels = np.zeros((height, width, 3), np.uint8)
    found, towers = patchify(pixels, config, budget), patchify(pixels, pooled, budget)
    assert found.count == 5 and (found.slots == -1).all()
    np.testing.assert_array_equal(found.positions, towers.positions)


def test_an_image_longer_than_the_table_is_made_to_fit_it():
    config = family.preset("micro").vision
    found = patchify(np.zeros((1, 400, 3), np.uint8), config, 64)
    assert found.positions.max() == config.table - 1 and found.count == config.table // config.pool


@quick
@given(st.integers(1, 4), st.integers(1, 4), st.sampled_from([1, 2, 8]), st.data())
def test_join_is_the_inverse_of_cut(rows, columns, patch, data):
    pixels = data.draw(hnp.arrays(np.uint8, (rows * patch, columns * patch, 3)))
    patches, positions = cut(pixels, patch)
    np.testing.assert_array_equal(join(patches, rows, columns), pixels)
    for values, (x, y) in zip(patches, positions, strict=True):
        square = pixels[y * patch : (y + 1) * patch, x * patch : (x + 1) * patch]
        np.testing.assert_array_equal(np.rint(values * 255), square.reshape(-1))


def test_join_clips():
    assert join(np.asarray([[-1.0, 0.5, 2.0]]), 1, 1).tolist() == [[[0, 128, 255]]]


def test_resize_keeps_what_fits_and_flat_colours():
    pixels = np.full((9, 7, 3), (10, 200, 30), np.uint8)
    assert resize(pixels, 9, 7) is pixels
    larger = resize(pixels, 16, 24)
    assert larger.shape == (16, 24, 3) and (larger == pixels[0, 0]).all()


def test_budgets_of_training_lose_no_pixel_and_prefer_the_smallest():
    config = family.preset("mini").vision
    random = np.random.default_rng(0)
    side = config.patch * config.pool
    drawn = [some_budget(112, 112, config, random) for _ in range(400)]  # five squares and a half
    assert set(drawn) == {16, 32, 64} and drawn.count(16) > 1.5 * drawn.count(32) > 2 * drawn.count(64) > 0
    assert {some_budget(6 * side, 9 * side, config, random) for _ in range(20)} == {64, 128}
    assert some_budget(2_000, 2_000, config, random) == 128


@given(st.integers(1, 900), st.integers(1, 900), st.integers(0, 99))
def test_by_size_an_image_takes_a_budget_of_training_and_loses_no_pixel(height, width, seed):
    config = dataclasses.replace(family.preset("mini").vision, budget_by_size=True)
    usual = usual_budget(height, width, config)
    assert usual <= some_budget(height, width, config, np.random.default_rng(seed))
    assert usual * 48**2 >= height * width or usual == config.budgets[-1]
    assert patchify(np.zeros((height, width, 3), np.uint8), config).count <= usual
    assert usual_budget(height, width, dataclasses.replace(config, budget_by_size=False)) == config.budgets[2]


def test_only_what_is_white_but_for_a_grain_is_made_white():
    shown = np.array([[[255, 250, 252], [249, 255, 255], [255, 255, 120]]], np.uint8)
    found = whitened(shown)
    np.testing.assert_array_equal(found, [[[255, 255, 255], [249, 255, 255], [255, 255, 120]]])
    assert found.dtype == np.uint8 and shown[0, 0, 1] == 250
