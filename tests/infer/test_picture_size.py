"""Sizes in words: what is drawn for them, what comes out, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tejat.codecs.vocabulary import LARGEST_SIDE
from tejat.data.presenting.concepts import SHAPES
from tejat.errors import BadInput
from tejat.infer import picture_size
from tejat.infer.picture_size import LONGEST, MOST, PictureSize
from tejat.model import family

MINI = family.preset("mini").picture


def test_words() -> None:
    assert picture_size.read("16:9") == PictureSize(16, 9, exact=False)
    assert picture_size.read(" 96 x 64 ") == picture_size.read("96×64") == PictureSize(96, 64)


def test_mini_draws_the_grids_that_it_was_taught() -> None:
    """Those of 256 codes at most that are nearest to the shape, as `codecs.picture` makes them for training."""
    grids = {"1:1": (16, 16), "1024x1024": (16, 16), "16:9": (12, 21), "96x64": (13, 19), "64x128": (22, 11)}
    for words, grid in grids.items():
        assert picture_size.read(words).grid(MINI) == grid
    for words, (width, height) in SHAPES.items():  # 4:3 is 14 x 18 and not 13 x 18, rounded down on both sides
        assert picture_size.read(words).grid(MINI) == (height // MINI.patch, width // MINI.patch), words
    assert picture_size.read("16:9").pixels is None and picture_size.read("96x64").pixels == (64, 96)


@given(st.integers(1, LONGEST), st.integers(1, LONGEST), st.booleans())
def test_every_grid_is_within_the_budget(width: int, height: int, exact: bool) -> None:
    rows, columns = PictureSize(width, height, exact).grid(MINI)
    assert 1 <= rows <= LARGEST_SIDE and 1 <= columns <= LARGEST_SIDE and rows * columns <= MINI.budget
    if max(width, height) <= 4 * min(width, height):
        assert rows * columns > 0.85 * MINI.budget


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_what_is_too_much_or_nothing_is_refused(width: int, height: int) -> None:
    fits = min(width, height) >= 1 and max(width, height) <= LONGEST and width * height <= MOST
    if fits:
        assert picture_size.read(f"{width}x{height}").pixels == (height, width)
    else:
        with pytest.raises(BadInput, match="; give sides of at least 1$|: ask for less$"):
            picture_size.read(f"{width}x{height}")


@pytest.mark.parametrize("words", ["", "big", "96", "96x", "x64", "-1x5", "1.5x2", "16:9:4", "1" * 40 + "x1", "9\n:9x"])
def test_what_is_no_size_is_told(words: str) -> None:
    with pytest.raises(
        BadInput, match="^the size of a picture is .*; give a shape as 16:9, or width x height as 96x64$"
    ):
        picture_size.read(words)
