"""Items of a corpus as squares of pixels, many at once: what an image tokenizer is trained and measured on.

Drawings are rasterised, photographs decoded, charts drawn, pages written, by several processes; every function gives
the same pictures again for the same corpus, seed and libraries.
"""

import functools
import io
import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import UInt8
from PIL import Image as pillow
from PIL import ImageDraw, ImageFont

from tejat import sample
from tejat.data.drawing import rasterised
from tejat.data.presenting import charts as presenting
from tejat.data.presenting import plots
from tejat.data.presenting.wording import one
from tejat.data.shards import Item, Shards
from tejat.errors import BadInput

Split = Literal["train", "heldout"]
Squares = UInt8[np.ndarray, "n S S 4"]

CHUNK = 32  # items that a process takes at a time
CHARTS = ((1.0, 0.8), (1.0, 1.0), (1.0, 0.9), (0.9, 1.0))
"""Widths and heights of charts, as parts of the side."""


def drawings(
    corpus: Path,
    split: Split,
    side: int = 128,
    sources: Sequence[str] = ("concepts", "stamps"),
    axis: str = "",
    every: int = 1,
) -> Squares:
    """All drawings of every `every`th item, RGBA, transparent around the thing.

    `axis` of held-out concepts: "style" for things that training sees in other styles, "concept" for those it never
    sees; all if not given.
    """
    return _many(_drawn, [(corpus, source, split) for source in sources], side, axis, every)


def names(corpus: Path, split: Split, axis: str = "", every: int = 1) -> list[tuple[str, str]]:
    """(thing, style) of every drawing of `drawings` of the source "concepts", in its order."""
    items = (item for at, item in enumerate(Shards(corpus, "concepts", split)) if at % every == 0)
    chosen = (item for item in items if not axis or item.fields.get("axis") == axis)
    return [(item.fields["concept"], name.rpartition(".")[0]) for item in chosen for name in item.blobs]


def photographs(corpus: Path, split: Split, sky: bool, side: int = 160) -> Squares:
    """Those of the night sky, or all others; opaque. What is smaller is scaled up."""
    return _many(_opened, [(corpus, "photographs", split)], side, sky)


def charts(corpus: Path, split: Split, count: int, side: int = 128, seed: int = 0) -> Squares:
    """Charts of the corpus's tables at sizes where letters are 10 pixels high; transparent where there is no chart."""
    return _numbered(_charted, corpus, "charts", split, count, side, seed)


def pages(corpus: Path, split: Split, count: int, side: int = 128, seed: int = 0) -> Squares:
    """Pages of text, black on white, in the fonts of the split and the words of its part of the sample."""
    return np.stack([pixels for pixels, _ in written(corpus, split, count, side, seed)])


def written(corpus: Path, split: Split, count: int, side: int = 128, seed: int = 0) -> list[tuple[np.ndarray, dict]]:
    """Pages of `pages`, each with what it says: "text", "language", "font", and "size" of its letters in pixels."""
    jobs = [(corpus, split, first, min(count, first + CHUNK), side, seed) for first in range(0, count, CHUNK)]
    return [page for found in _map(_pages, jobs) for page in found]


def _many(make: Callable, places: Sequence[tuple[Path, str, Split]], side: int, *more) -> Squares:
    jobs = []
    for corpus, source, split in places:
        count = len(Shards(corpus, source, split))
        jobs += [
            (corpus, source, split, first, min(count, first + CHUNK), side, *more) for first in range(0, count, CHUNK)
        ]
    found = [squares for squares in _map(make, jobs) if len(squares)]
    if not found:
        raise BadInput(f"{places[0][0]} has no {split} pictures in {', '.join(p[1] for p in places)}; build it anew")
    return np.concatenate(found)


def _numbered(make: Callable, corpus: Path, source: str, split: Split, count: int, side: int, seed: int) -> Squares:
    Shards(corpus, source, split)  # told here, if it is not there
    ranges = range(0, count, CHUNK)
    return np.concatenate(
        _map(make, [(corpus, source, split, first, min(count, first + CHUNK), side, seed) for first in ranges])
    )


def _map(make: Callable, jobs: Sequence[tuple]) -> list:
    workers = min(len(jobs), os.cpu_count() or 1)
    if workers <= 1:
        return [make(*job) for job in jobs]
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        return list(pool.map(make, *zip(*jobs, strict=True)))


def _drawn(corpus: Path, source: str, split: Split, first: int, last: int, side: int, axis: str, every: int) -> Squares:
    items = [item for at, item in enumerate(Shards(corpus, source, split)[first:last], first) if at % every == 0]
    chosen = [item for item in items if not axis or item.fields.get("axis") == axis]
    return _stacked([centred(rasterised(data, side), side) for item in chosen for data in item.blobs.values()], side)


def _opened(corpus: Path, source: str, split: Split, first: int, last: int, side: int, sky: bool) -> Squares:
    found = []
    for item in Shards(corpus, source, split)[first:last]:
        if item.fields["group"].startswith("nebula/") != sky:
            continue
        with pillow.open(io.BytesIO(item.blobs["photograph.webp"])) as picture:
            found.append(np.asarray(picture.convert("RGBA").resize((side, side), pillow.Resampling.LANCZOS)))
    return _stacked(found, side)


def _charted(corpus: Path, source: str, split: Split, first: int, last: int, side: int, seed: int) -> Squares:
    items, found = Shards(corpus, source, split), []
    for number in range(first, last):
        random = np.random.default_rng([seed, number, 1])
        panel = presenting.panel_of(items[int(random.integers(len(items)))].fields, random)
        if panel.kind == "pie" or random.random() < 0.2:  # as others show it, made smaller: only its shape can be read
            pixels = plots.drawn(panel, one(presenting.PIXELS, random), one(plots.FONTS, random))
            picture = pillow.fromarray(pixels)
            picture.thumbnail((side, side), pillow.Resampling.LANCZOS)
            pixels = np.asarray(picture)
        else:
            across, down = one(CHARTS, random)
            pixels = plots.drawn(panel, (round(side * across), round(side * down)), one(plots.FONTS, random))
        found.append(centred(np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)]), side))
    return _stacked(found, side)


def _pages(corpus: Path, split: Split, first: int, last: int, side: int, seed: int) -> list[tuple[np.ndarray, dict]]:
    fonts = Shards(corpus, "lettering", split)
    found = []
    for number in range(first, last):
        random = np.random.default_rng([seed, number, 2])
        font = fonts[int(random.integers(len(fonts)))]
        if random.random() < 0.2:  # a fifth in what few fonts are for; held-out ones are all European
            font = _rare(fonts) or font
        found.append(page(font, split == "heldout", side, random))
    return found


def page(font: Item, heldout: bool, side: int, random: np.random.Generator) -> tuple[np.ndarray, dict]:
    """Lines of words in a font (an item of the kind "font"), black on white, RGBA, and what they say."""
    language = one(font.fields["languages"], random)
    size = int(np.exp(random.uniform(np.log(9), np.log(30))))
    if language in ("ja", "ko", "zh"):
        size = max(size, 12)
    loaded = _font(font.blobs["font.ttf"], size)
    picture = pillow.new("RGB", (side, side), (255, 255, 255))
    pen, words = ImageDraw.Draw(picture), _words(language, heldout)
    left, top = int(random.integers(1, 8)), float(random.integers(0, 8))
    at, lines, leading = int(random.integers(len(words))), [], size * random.uniform(1.15, 1.5)
    while top + 1.1 * size < side:
        line, gap = "", "" if language in ("ja", "zh") else " "
        while True:
            word = words[at % len(words)]
            if random.random() < 0.08:
                word = str(int(random.integers(10 ** int(random.integers(1, 5)))))
            longer = f"{line}{gap}{word}" if line else word
            if pen.textlength(longer, font=loaded) > side - left - 1:
                break
            line, at = longer, at + 1
        if not line:  # a word that is longer than the page
            at += 1
            if at > 4 * len(words):
                break
            continue
        pen.text((left, round(top)), line, fill=(0, 0, 0), font=loaded)
        lines.append(line)
        top += leading
    told = {"text": "\n".join(lines), "language": language, "font": font.fields["group"], "size": size}
    return np.asarray(picture.convert("RGBA")), told


def centred(picture: UInt8[np.ndarray, "h w 4"], side: int) -> UInt8[np.ndarray, "S S 4"]:
    """In the middle of a transparent square."""
    height, width = picture.shape[:2]
    square = np.zeros((side, side, 4), np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = picture
    return square


def _stacked(pictures: list[np.ndarray], side: int) -> Squares:
    return np.stack(pictures) if pictures else np.zeros((0, side, side, 4), np.uint8)


def _rare(fonts: Sequence[Item]) -> Item | None:
    return next((font for font in fonts if len(font.fields["languages"]) < 5), None)


@functools.lru_cache(256)
def _font(data: bytes, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(io.BytesIO(data), size)


@functools.cache
def _words(language: str, heldout: bool) -> list[str]:
    prose = sample.prose(language, heldout)
    if language in ("ja", "zh"):
        return [letter for letter in prose if letter != "\n"]
    return [word for word in prose.split() if len(word) < 14]
