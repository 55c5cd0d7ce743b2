"""Items as squares of pixels: what is drawn, opened and written, and from which side of the split."""

import io

import numpy as np
import pytest
from PIL import Image as pillow
from PIL import ImageFont

from tejat.data import rasters
from tejat.data.shards import Item, Writer
from tejat.errors import BadInput

SVG = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 4 2"><rect width="4" height="2" fill="%s"/></svg>'


def concept(colour: str, axis: str = "", count: int = 1) -> Item:
    blobs = {f"style{k}.svg": SVG.replace(b"%s", colour.encode()) for k in range(count)}
    return Item("concept", {"axis": axis} if axis else {}, blobs)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Three drawings to train on and three held out, two photographs, a table, and a font on either side."""
    folder = tmp_path_factory.mktemp("corpus")
    packed = io.BytesIO()
    pillow.fromarray(np.full((20, 20, 3), 90, np.uint8)).save(packed, "WEBP", lossless=True)
    font = ImageFont.load_default(10).font_bytes
    items = {
        ("concepts", "train"): [concept("red", count=2), concept("lime")],
        ("concepts", "heldout"): [concept("blue", "style"), concept("red", "concept", 2)],
        ("stamps", "train"): [],
        ("photographs", "train"): [
            Item("photograph", {"group": group}, {"photograph.webp": packed.getvalue()})
            for group in ("nebula/m1", "wallpaper/hill", "skimage/cat")
        ],
        ("charts", "train"): [
            Item(
                "chart",
                {"title": "T", "x": "a", "y": "b", "labels": ["p", "q"], "values": [1, 3], "shape": "categories"},
            )
        ],
        ("lettering", "train"): [Item("font", {"group": "one", "languages": ["en"]}, {"font.ttf": font})],
        ("lettering", "heldout"): [Item("font", {"group": "two", "languages": ["de"]}, {"font.ttf": font})],
    }
    for (name, split), found in items.items():
        (folder / name).mkdir(exist_ok=True)
        with Writer(folder, name, split) as writer:
            for item in found:
                writer.write(item)
    return folder


@pytest.fixture(autouse=True)
def one_process(monkeypatch):
    monkeypatch.setattr(rasters.os, "cpu_count", lambda: 1)


def test_drawings_lie_in_the_middle_of_transparent_squares(corpus):
    found = rasters.drawings(corpus, "train", side=8)
    assert found.shape == (3, 8, 8, 4)
    assert (found[:, :2] == 0).all() and (found[:, 6:] == 0).all()
    assert [tuple(picture[4, 4]) for picture in found] == [(255, 0, 0, 255)] * 2 + [(0, 255, 0, 255)]
    assert len(rasters.drawings(corpus, "train", side=8, every=2)) == 2


def test_held_out_drawings_are_told_apart_by_axis(corpus):
    concepts = {"side": 8, "sources": ("concepts",)}
    assert len(rasters.drawings(corpus, "heldout", **concepts)) == 3
    (style,) = rasters.drawings(corpus, "heldout", axis="style", **concepts)
    assert tuple(style[4, 4]) == (0, 0, 255, 255)
    assert len(rasters.drawings(corpus, "heldout", axis="concept", **concepts)) == 2
    with pytest.raises(BadInput, match="has no heldout pictures in stamps"):
        rasters.drawings(corpus, "heldout", sources=("stamps",))


def test_photographs_of_the_sky_are_apart(corpus):
    assert len(rasters.photographs(corpus, "train", sky=True, side=24)) == 1
    others = rasters.photographs(corpus, "train", sky=False, side=24)
    assert others.shape == (2, 24, 24, 4) and (np.abs(others.astype(int) - [90, 90, 90, 255]) <= 1).all()


def test_charts_are_as_many_as_wished_and_the_same_again(corpus):
    found = rasters.charts(corpus, "train", 5, side=96)
    assert found.shape == (5, 96, 96, 4) and len({picture.tobytes() for picture in found}) > 1
    np.testing.assert_array_equal(found, rasters.charts(corpus, "train", 5, side=96))
    with pytest.raises(BadInput, match="there is no source 'charts'"):
        rasters.charts(corpus / "none", "train", 5)


def test_pages_say_what_is_told_of_them(corpus):
    pages = rasters.written(corpus, "train", 6, side=96)
    assert {told["font"] for _, told in pages} == {"one"} and {told["language"] for _, told in pages} == {"en"}
    for pixels, told in pages:
        assert pixels.shape == (96, 96, 4) and 9 <= told["size"] < 30
        rows = (pixels[..., 0] < 128).any(1)
        assert told["text"] and rows.any()
    assert {told["language"] for _, told in rasters.written(corpus, "heldout", 3, side=96)} == {"de"}
    np.testing.assert_array_equal(rasters.pages(corpus, "train", 6, side=96), [pixels for pixels, _ in pages])
