"""Photographs and fonts of packages: what is cut and kept, what is dropped, and on which side it is."""

import io

import numpy as np
import pytest
from PIL import Image as pillow
from PIL import ImageFont

from tejat.data.corpus import media_lettering, media_photographs
from tejat.data.corpus.source import Dropped


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """Packages with a large photograph, one in two sizes, a transparent one, a small one, and what is no photograph."""
    root = tmp_path_factory.mktemp("packages")
    random = np.random.default_rng(0)

    def put(path: str, width: int, height: int, alpha: int | None = None, plain: bool = False) -> None:
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        pixels = (
            np.full((height, width, 3), 90, np.uint8)
            if plain
            else random.integers(0, 256, (height, width, 3), np.uint8)
        )
        picture = pillow.fromarray(pixels)
        if alpha is not None:
            picture.putalpha(alpha)
        picture.save(file)

    put("wallpapers/usr/share/wallpapers/Hill/contents/images/800x600.png", 800, 600)
    put("wallpapers/usr/share/wallpapers/Hill/contents/images/80x60.png", 80, 60)
    put("gnome/usr/share/backgrounds/sea-d.png", 200, 200, plain=True)
    put("gnome/usr/share/backgrounds/sea-l.png", 200, 300)
    put("skies/usr/share/stellarium/nebulae/default/m1.png", 300, 300, alpha=200)
    put("skies/usr/share/stellarium/landscapes/field/tile.png", 90, 90)
    put("image/skimage/data/cat.png", 300, 200)
    put("image/skimage/data/text.png", 300, 200)
    (root / "image/skimage/data/broken.png").write_bytes(b"no picture")
    names = ("plasma-workspace-wallpapers", "gnome-backgrounds", "stellarium-data", "scikit-image")
    return dict(zip(names, (root / "wallpapers", root / "gnome", root / "skies", root / "image"), strict=True))


def test_photographs_are_cut_to_small_squares(paths):
    dropped = Dropped()
    found = list(media_photographs.photographs(paths, dropped))
    groups = [item.fields["group"] for item in found]
    # The largest of a wallpaper's sizes, whole and in cuts; of two backgrounds the light one, for the other is plain.
    cuts = media_photographs.CUTS
    assert groups.count("wallpaper/Hill") == 1 + cuts["wallpaper"] and groups.count("background/sea") == 1
    assert groups.count("skimage/cat") == 1 and len(groups) == 3 + cuts["wallpaper"]
    for item in found:
        with pillow.open(io.BytesIO(item.blobs["photograph.webp"])) as picture:
            assert picture.size == (192, 192) and picture.mode == "RGB"
    assert dropped.counts == {
        "cuts that are not all there, or show nothing": 2,  # the plain one, the transparent one
        "pictures below 96 pixels": 1,
        "pictures that cannot be read": 1,
    }
    again = list(media_photographs.photographs(paths, Dropped()))
    assert [item.blobs for item in again] == [item.blobs for item in found]


def test_all_cuts_of_a_picture_are_on_one_side(paths):
    sides = {}
    for item in media_photographs.photographs(paths, Dropped()):
        sides.setdefault(item.fields["group"], set()).add(media_photographs.heldout(item))
    assert all(len(side) == 1 for side in sides.values())


def test_fonts_keep_the_letters_that_are_written(tmp_path, monkeypatch):
    data = ImageFont.load_default(10).font_bytes
    (tmp_path / "some.ttf").write_bytes(data)
    fonts = (
        media_lettering.Font("fonts", "some.ttf", ("en",), heldout=True),
        media_lettering.Font("fonts", "none.ttf", ("en",)),
    )
    monkeypatch.setattr(media_lettering, "FONTS", fonts)
    dropped = Dropped()
    (item,) = media_lettering.lettering({"fonts": tmp_path}, dropped)
    assert dropped.counts == {"fonts that are not in their package": 1}
    assert item.fields == {"group": "some", "languages": ["en"]} and media_lettering.heldout(item)
    cut = item.blobs["font.ttf"]
    assert 1_000 < len(cut) < len(data)
    whole, small = (ImageFont.truetype(io.BytesIO(font), 20) for font in (data, cut))
    for text in ("Queen, 1836", "fox?"):
        assert small.getlength(text) == pytest.approx(whole.getlength(text), abs=1)
        assert small.getmask(text).getbbox() is not None
