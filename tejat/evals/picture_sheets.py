"""Sheets of pictures: rows with a title, in each some cells of one or several pictures with words below."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image as pillow
from PIL import ImageDraw, ImageFont

GAP, LETTERS = 4, 11  # pixels between cells, and of letters
_INK, _RIGHT, _WRONG = (60, 60, 60), (30, 130, 60), (190, 50, 40)
_COLOURS = {None: _INK, True: _RIGHT, False: _WRONG}


@dataclass(frozen=True)
class Cell:
    """Pictures side by side, words below, and whether they are right: green or red."""

    pictures: Sequence[UInt8[np.ndarray, "H W 3"]]
    words: str = ""
    right: bool | None = None


def sheet(rows: Iterable[tuple[str, Sequence[Cell]]], side: int = 128) -> pillow.Image:
    """The rows, each with its title above; a picture is shrunk to `side` pixels where it is larger. Words that are
    longer than two lines are cut."""
    font = ImageFont.load_default(LETTERS)
    drawn = [_row(title, cells, side, font) for title, cells in rows]
    width = max(row.width for row in drawn)
    canvas = pillow.new("RGB", (width, sum(row.height for row in drawn)), "white")
    top = 0
    for row in drawn:
        canvas.paste(row, (0, top))
        top += row.height
    return canvas


def write(canvas: pillow.Image, path: Path, most: int | None = None) -> None:
    """As the ending of the name says; a WebP file in the best quality, of steps of five, that takes `most` bytes."""
    qualities = range(90, 0, -5) if most is not None else [90]
    for quality in qualities:
        canvas.save(path, quality=quality, method=6) if path.suffix == ".webp" else canvas.save(path)
        if most is None or path.stat().st_size <= most:
            return


def _row(title: str, cells: Sequence[Cell], side: int, font: ImageFont.FreeTypeFont) -> pillow.Image:
    line = LETTERS + GAP
    widths = [max(len(cell.pictures), 1) * (side + 1) + GAP for cell in cells]  # where nothing was drawn, a gap
    words = [cell.words if cell.words.isascii() else "(other letters)" for cell in cells]  # which the font lacks
    below = [_lines(told, width - GAP, font.getlength) for told, width in zip(words, widths, strict=True)]
    height = (1 + max(map(len, below))) * line + side + GAP
    row = pillow.new("RGB", (GAP + sum(widths), height), "white")
    pen = ImageDraw.Draw(row)
    pen.text((GAP, 0), title, fill="black", font=font)
    left = GAP
    for cell, width, told in zip(cells, widths, below, strict=True):
        for n, pixels in enumerate(cell.pictures):
            shown = pillow.fromarray(pixels)
            shown.thumbnail((side, side), pillow.Resampling.LANCZOS)
            row.paste(shown, (left + n * (side + 1), line))
        for n, text in enumerate(told):
            pen.text((left, line + side + n * line), text, fill=_COLOURS[cell.right], font=font)
        left += width
    return row


def _lines(words: str, width: float, length: Callable[[str], float]) -> list[str]:
    """The words on two lines at most, each cut to the width."""
    first, rest = words, ""
    while " " in first and length(first) > width:
        first, _, last = first.rpartition(" ")
        rest = f"{last} {rest}".rstrip()
    return [_cut(line, width, length) for line in (first, rest) if line]


def _cut(words: str, width: float, length: Callable[[str], float]) -> str:
    while words and length(words) > width:
        words = words[:-1]
    return words
