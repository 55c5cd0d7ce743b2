"""Lines of text as if written by hand or printed: fonts that matplotlib ships, each letter a little out of place."""

import functools
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image as pillow
from PIL import ImageDraw, ImageFont

from tejat.data.presenting.wording import one

FONTS = (
    "DejaVuSans-Oblique",
    "DejaVuSans",
    "DejaVuSans-Bold",
    "DejaVuSerif-Italic",
    "DejaVuSerif",
    "DejaVuSansMono",
    "STIXGeneralItalic",
    "STIXGeneral",
)
"""Of these the slanted ones look most like a hand."""

SLANTED = ("DejaVuSans-Oblique", "DejaVuSerif-Italic", "STIXGeneralItalic")
INKS = ((20, 30, 120), (20, 20, 20), (40, 60, 150), (110, 20, 30), (20, 80, 50))
PAPERS = ((255, 255, 255), (252, 250, 240), (245, 248, 255), (250, 245, 225))
MARGIN = 8  # pixels

SCRIPTS = (
    "en",
    "de",
    "fr",
    "es",
    "it",
    "pt",
    "nl",
    "pl",
    "ru",
    "uk",
    "el",
    "cs",
    "sv",
    "da",
    "nb",
    "fi",
    "hu",
    "tr",
    "ro",
)
"""Languages whose letters these fonts have, and which need no shaping."""


def page(lines: Sequence[str], random: np.random.Generator, size: int = 15) -> UInt8[np.ndarray, "H W 3"]:
    """Lines written by hand on plain, ruled or squared paper; as large as they need."""
    name = one(SLANTED, random)
    font = _font(name, size)
    step = round(size * random.uniform(1.5, 1.75))
    width = round(max(font.getlength(line) for line in lines) * 1.06) + 2 * MARGIN + size
    height = step * len(lines) + 2 * MARGIN
    paper = pillow.new("RGB", (width, height), one(PAPERS, random))
    pen = ImageDraw.Draw(paper)
    kind, line = one(("plain", "ruled", "squared"), random), (205, 215, 235)
    if kind != "plain":
        for y in range(MARGIN + step - 3, height, step if kind == "ruled" else step // 2):
            pen.line((0, y, width, y), fill=line)
    if kind == "squared":
        for column in range(0, width, step // 2):
            pen.line((column, 0, column, height), fill=line)
    ink, slope = one(INKS, random), random.uniform(-0.01, 0.01)
    for n, text in enumerate(lines):
        left = MARGIN + random.uniform(0, size / 2)
        base = MARGIN + n * step + random.uniform(-1, 1)
        shifts = random.normal(0, 0.045 * size, (len(text), 2))
        x = left
        for letter, (aside, up) in zip(text, shifts, strict=True):
            drawn, right, down, length = _letter(name, size, letter)
            paper.paste(ink, (round(x + 0.4 * aside + right), round(base + up + slope * x + down)), drawn)
            x += length * 1.03
    turned = paper.rotate(random.uniform(-0.8, 0.8), pillow.Resampling.BILINEAR, fillcolor=paper.getpixel((0, 0)))
    return np.asarray(turned)


def printed(lines: Sequence[str], random: np.random.Generator, size: int | None = None) -> UInt8[np.ndarray, "H W 3"]:
    """Lines in some font, size and colour, as large as they need."""
    font = _font(one(FONTS, random), size or int(random.integers(12, 26)))
    step = round(font.size * 1.35)
    width = max(48, round(max(font.getlength(line) for line in lines)) + 2 * MARGIN)
    height = max(48, step * len(lines) + 2 * MARGIN)
    dark, light = _colour(random, 0, 90), _colour(random, 200, 256)
    if random.random() < 0.5:
        light = (255, 255, 255)
    paper, ink = (light, dark) if random.random() < 0.85 else (dark, light)
    picture = pillow.new("RGB", (width, height), paper)
    pen = ImageDraw.Draw(picture)
    for n, text in enumerate(lines):
        pen.text((MARGIN, MARGIN + n * step), text, fill=ink, font=font)
    return np.asarray(picture)


def _colour(random: np.random.Generator, low: int, high: int) -> tuple[int, int, int]:
    red, green, blue = (int(value) for value in random.integers(low, high, 3))
    return red, green, blue


@functools.lru_cache(4_096)
def _letter(name: str, size: int, letter: str) -> tuple[pillow.Image, float, float, float]:
    """A letter as a mask, how far right and down of its place it begins, and its length: drawing it takes ten times as
    long as laying it down."""
    font = _font("DejaVuSans-Oblique" if letter == "√" else name, size)  # STIXGeneralItalic has no such letter
    left, top, right, bottom = font.getbbox(letter)
    mask = pillow.new("L", (max(1, math.ceil(right - left)), max(1, math.ceil(bottom - top))))
    ImageDraw.Draw(mask).text((-left, -top), letter, fill=255, font=font)
    return mask, left, top, font.getlength(letter)


@functools.cache
def _font(name: str, size: int) -> ImageFont.FreeTypeFont:
    import matplotlib

    return ImageFont.truetype(str(Path(matplotlib.get_data_path(), "fonts", "ttf", f"{name}.ttf")), size)
