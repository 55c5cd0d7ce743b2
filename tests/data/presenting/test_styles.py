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
        # It is even already, and of two colours.
        assert found.size != apple.size or found.tobytes() != apple.tobytes() or what in ("mirrored", "flattened")
        if what != "inked":
            both, either = shape(apple) & shape(found), shape(apple) | shape(found)
            assert both.sum() > 0.7 * either.sum()


def test_a_flag_is_cut_round_and_keeps_its_colours():
    flag = Image.new("RGBA", (90, 60), (0, 0, 200, 255))
    ImageDraw.Draw(flag).rectangle((0, 30, 89, 59), fill=(200, 0, 0, 255))
    thing, cut = styles.Thing(flag=True), 0
    for seed in range(60):
        random = np.random.default_rng(seed)
        kept, styles.SHARES = styles.SHARES, dict.fromkeys(styles.SHARES, 0.0)
        try:
            found = styles.restyled(flag, random, thing)
        finally:
            styles.SHARES = kept
        if found.size == (60, 60):
            cut += 1
            alpha = np.asarray(found.getchannel("A")) > 127
            assert alpha.mean() == pytest.approx(np.pi / 4, abs=0.02) and not alpha[0, 0]
    assert 10 < cut < 35
    random = np.random.default_rng(0)
    greys = [np.ptp(np.asarray(styles._recoloured(flag, random, thing))[10, 10, :3]) for _ in range(60)]
    assert min(greys) > 20  # none without colour


def test_what_is_made_in_any_colour_is_known_by_its_list_and_its_name():
    item = {"list": "objects", "names": {"en": "kick scooter"}}
    assert styles.Thing.of(item) == (True, False)
    assert not styles.Thing.of(item | {"names": {"en": "green book"}}).any_hue
    assert not styles.Thing.of(item | {"list": "food-drink"}).any_hue
    assert styles.Thing.of({"list": "flags", "names": {"en": "flag: Iraq"}}).flag and styles.Thing.of({}) == styles.SOME


def test_another_hue_is_a_neighbour(apple):
    plain = apple.convert("RGB").crop((20, 40, 60, 80))
    for seed in range(40):
        red, green, blue = np.asarray(redrawn(plain.convert("RGBA"), seed, recoloured=1.0)).reshape(-1, 4).mean(0)[:3]
        assert red >= max(green, blue) - 1  # red stays red, or becomes grey


def test_ink_is_dark_and_lies_along_the_rim(apple):
    grey = np.asarray(
        Image.alpha_composite(Image.new("RGBA", (84, 94), "white"), redrawn(apple, 3, inked=1.0)).convert("L")
    )
    assert (grey < 100).any(0)[6:78].all()  # in each column that the thing has
    assert (grey[20:80, 30:50] < 100).mean() < 0.3  # and not all over it


@pytest.mark.parametrize("wide", [3, 5])
def test_the_span_is_that_of_rank_filters(wide):
    pixels = np.random.default_rng(wide).integers(0, 256, (31, 17, 4), dtype=np.uint8)
    picture = Image.fromarray(pixels)
    high, low = (np.asarray(picture.filter(rank(wide))) for rank in (ImageFilter.MaxFilter, ImageFilter.MinFilter))
    assert np.array_equal(styles._span(pixels, wide), high - low)
