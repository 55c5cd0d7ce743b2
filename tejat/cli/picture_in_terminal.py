"""Pictures in a terminal of 24-bit colour: every character is an upper half block, two pixels high."""

import os
import shutil
import sys

import numpy as np
from jaxtyping import UInt8
from PIL import Image


def shown() -> bool:
    """Is standard output a terminal that can show them?"""
    return sys.stdout.isatty() and os.environ.get("TERM", "") not in ("", "dumb") and "NO_COLOR" not in os.environ


def render(pixels: UInt8[np.ndarray, "H W 3"], columns: int | None = None) -> str:
    """Lines of coloured half blocks, `columns` characters wide, without a line break at the end.

    Default: one character for a column of pixels, but no wider than the terminal or 64 characters. The aspect ratio
    is kept, for a character is about twice as high as wide.
    """
    height, width = pixels.shape[:2]
    columns = columns or min(width, 64, shutil.get_terminal_size().columns)
    rows = max(1, round(height * columns / width / 2))
    image = Image.fromarray(pixels).resize((columns, 2 * rows), Image.Resampling.BOX)
    grid = np.asarray(image).reshape(rows, 2, columns, 3)
    return "\n".join(_line(*pair) for pair in grid)


def _line(upper: UInt8[np.ndarray, "W 3"], lower: UInt8[np.ndarray, "W 3"]) -> str:
    cells = []
    for (r, g, b), (r2, g2, b2) in zip(upper.tolist(), lower.tolist(), strict=True):
        cells.append(f"\x1b[38;2;{r};{g};{b};48;2;{r2};{g2};{b2}m\u2580")
    return "".join(cells) + "\x1b[0m"
