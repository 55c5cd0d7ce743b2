"""Drawings redrawn: another picture, of the same thing."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from tejat.data.presenting import styles


@pytest.fixture(scope="module")
def apple():
    picture = Image.new("RGBA", (80, 90))
    ImageDraw.Draw(picture).ellipse((4, 10, 75, 88), (220, 30, 40, 255))
    ImageDraw.Draw(picture).rectangle((36, 0, 44, 30), (130, 80, 45, 255))
    return picture


def redrawn(picture, seed, **shares):
    styles.SHARES, kept = dict.fromkeys(styles.SHARES, 0.0) | shares, styles.SHARES
    try:
        return styles.restyled(picture, np.random.default_rng(seed))
    finally:
        styles.SHARES = kept


def shape(picture):
    return np.asarray(picture.resize((40, 40)).getchannel("A"), np.float32) > 127


def test_without_any_share_it_is_as_it_was(apple):
    assert redrawn(apple, 0).tobytes() == apple.tobytes()


@pytest.mark.parametrize("what", styles.SHARES)
def test_each_way_changes_the_picture_and_keeps_the_thing(apple, what):
    for seed in range(12):
        found = redrawn(apple, seed, **{what: 1.0})
        assert found.mode == "RGBA"
        assert found.size != apple.size or found.tobytes() != apple.tobytes() or what == "mirrored"
        if what != "inked":
            both, either = shape(apple) & shape(found), shape(apple) | shape(found)
            assert both.sum() > 0.7 * either.sum()


def test_another_hue_is_a_neighbour(apple):
    plain = apple.convert("RGB").crop((20, 40, 60, 80))
    for seed in range(40):
        red, green, blue = np.asarray(redrawn(plain.convert("RGBA"), seed, recoloured=1.0)).reshape(-1, 4).mean(0)[:3]
        assert red >= max(green, blue) - 1  # red stays red, or becomes grey


def test_ink_is_dark_and_lies_along_the_rim(apple):
    grey = np.asarray(
        Image.alpha_composite(Image.new("RGBA", (84, 94), "white"), redrawn(apple, 1, inked=1.0)).convert("L")
    )
    assert (grey < 100).any(0)[6:78].all()  # in each column that the thing has
    assert (grey[20:80, 30:50] < 100).mean() < 0.3  # and not all over it


@pytest.mark.parametrize("wide", [3, 5])
def test_the_span_is_that_of_rank_filters(wide):
    pixels = np.random.default_rng(wide).integers(0, 256, (31, 17, 4), dtype=np.uint8)
    picture = Image.fromarray(pixels)
    high, low = (np.asarray(picture.filter(rank(wide))) for rank in (ImageFilter.MaxFilter, ImageFilter.MinFilter))
    assert np.array_equal(styles._span(pixels, wide), high - low)
