"""What a chart shows, and how its labels and numbers are written."""

import math
import textwrap
from dataclasses import dataclass


@dataclass(frozen=True)
class Panel:
    """One plot: what it shows, and how."""

    title: str
    x: str
    y: str
    labels: tuple[str | float, ...]
    values: tuple[float, ...]
    kind: str  # "bar", "barh", "pie", "line", "area" or "scatter"
    colour: str = "tab:blue"  # as matplotlib has them
    grid: bool = False
    numbers: bool = False  # are the values written beside the marks?


@dataclass(frozen=True)
class Figure:
    """Panels in a grid, at a size in pixels."""

    panels: tuple[Panel, ...]
    rows: int = 1
    columns: int = 1
    pixels: tuple[int, int] = (256, 192)


def number(value: float) -> str:
    """Three significant digits, without an exponent."""
    if value == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def plain(label: str | float) -> str:
    """A label as it is written."""
    return label if isinstance(label, str) else number(label)


def cut(text: str, letters: int) -> str:
    """The text on one line, or its begin with an ellipsis."""
    text = _line(text)
    return text if len(text) <= letters else text[: max(1, letters - 1)].rstrip() + "…"


def wrapped(text: str, letters: int) -> str:
    """Two lines of a text at most."""
    lines = textwrap.wrap(_line(text), letters)
    return "\n".join(lines[:2]) + ("…" if len(lines) > 2 else "")


def _line(text: str) -> str:
    """Without control characters, which no font draws, and with single blanks."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
