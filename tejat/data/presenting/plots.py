"""Charts drawn by Pillow in a few milliseconds, where matplotlib takes fifty: most charts that are trained on.

They have axes with round numbers, labels, titles and grids as those of matplotlib have, in sizes and colours of their
own. A larger chart has larger letters: a model that pools its patches reads none of ten pixels among many others.
"""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image as pillow
from PIL import ImageColor, ImageDraw, ImageFont

from tejat.data.presenting.panel import Panel, cut, number, plain, wrapped
from tejat.data.presenting.wording import one

FONTS = ("DejaVuSans", "DejaVuSans", "DejaVuSerif", "DejaVuSansMono")
INK = (25, 25, 25)
SLICES = ("#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#b07aa1", "#9c755f", "#edc948")
_TABLEAU = {
    **{"tab:blue": "#1f77b4", "tab:orange": "#ff7f0e", "tab:green": "#2ca02c", "tab:red": "#d62728"},
    **{"tab:purple": "#9467bd", "tab:brown": "#8c564b"},
}


LETTER = 10
"""Pixels of a letter's height where the lesser side has up to 200; in larger charts it grows with that side."""

PLAIN_PAPER = (255, 255, 255)
PAPERS = ((250, 248, 240), (240, 244, 250), (234, 234, 242), (245, 245, 245), (255, 250, 235))


@dataclass(frozen=True)
class Style:
    """How charts of the same kind differ.

    Attributes:
      paper, ink: colours of the ground and of what is written.
      framed: has the plot a line on all four sides?
      ticks: do marks stand at the numbers of the axes?
      varied: has each bar a colour of its own?
      broad: of the place that a bar has, the share that it fills.
      larger: letters, beside those of `LETTER`.
    """

    paper: tuple[int, int, int] = PLAIN_PAPER
    ink: tuple[int, int, int] = INK
    framed: bool = False
    ticks: bool = False
    varied: bool = False
    broad: float = 0.76
    larger: float = 1.0


PLAIN = Style()


def some_style(random: np.random.Generator) -> Style:
    """Dark letters on white or nearly so; of a tenth light ones on dark."""
    kind = random.random()
    paper = PLAIN_PAPER if kind < 0.55 else one(PAPERS, random) if kind < 0.9 else (32, 34, 40)
    return Style(
        paper,
        INK if kind < 0.9 else (225, 225, 225),
        *(bool(found) for found in random.random(3) < (0.3, 0.4, 0.2)),
        float(random.uniform(0.4, 0.95)),
        float(random.uniform(0.85, 1.2)),
    )


def drawn(
    panel: Panel, size: tuple[int, int], font: str = "DejaVuSans", style: Style = PLAIN
) -> UInt8[np.ndarray, "H W 3"]:
    """A chart of that width and height."""
    letter = round(style.larger * max(LETTER, min(size) / 19.2))
    plot = _Plot(panel, size, _font(font, letter), style)
    if panel.kind == "pie":
        plot.pie()
    else:
        plot.axes()
        plot.marks()
    return np.asarray(plot.canvas)


class _Plot:
    """A canvas on which a panel is being drawn, and where in it the axes lie. Lengths are in tenths of a letter: `unit`
    says how many pixels one is."""

    def __init__(self, panel: Panel, size: tuple[int, int], font: ImageFont.FreeTypeFont, style: Style = PLAIN):
        self.panel, self.font, self.style, self.unit = panel, font, style, font.size / 10
        self.width, self.height = size
        self.canvas = pillow.new("RGB", size, style.paper)
        self.pen = ImageDraw.Draw(self.canvas)
        self.colour = self._on_paper(ImageColor.getrgb(_TABLEAU.get(panel.colour, panel.colour)))
        self.grey, self.pale = (tuple(_between(style.paper, style.ink, part)) for part in (0.6, 0.15))
        self.thick = max(1, round(1.5 * self.unit))
        title = wrapped(panel.title, int(self.width / (6.4 * self.unit))).split("\n")
        for n, line in enumerate(title):
            self.text(self.width / 2, (4 + 12 * n) * self.unit, line, "ma")
        self.top = (8 + 12 * len(title)) * self.unit
        self.labels = [cut(plain(label), 14) for label in panel.labels]

    def text(self, x: float, y: float, text: str, anchor: str) -> None:
        self.pen.text((x, y), text, fill=self.style.ink, font=self.font, anchor=anchor)

    def upright(self, x: float, y: float, text: str) -> None:
        """Text that reads from below, its right end at the top (x, y)."""
        length = math.ceil(self.font.getlength(text)) + 2
        strip = pillow.new("L", (length, math.ceil(14 * self.unit)))
        ImageDraw.Draw(strip).text((0, self.unit), text, fill=255, font=self.font)
        turned = strip.transpose(pillow.Transpose.ROTATE_90)
        self.canvas.paste(self.style.ink, (round(x - 7 * self.unit), round(y)), turned)

    def axes(self) -> None:
        """Finds room for labels and draws what the marks stand on."""
        panel, lying, unit = self.panel, self.panel.kind == "barh", self.unit
        low, high = min(panel.values), max(panel.values)
        if panel.kind in ("bar", "barh", "area"):
            low, high = min(low, 0.0), max(high, 0.0)
        self.ticks = round_ticks(low, high, 4 if lying else max(3, int((self.height - self.top) / (34 * unit))))
        self.low, self.high = min(low, self.ticks[0]), max(high, self.ticks[-1])
        spread = (self.high - self.low) or 1.0
        if panel.kind in ("line", "scatter") and self.low != 0:
            self.low -= 0.03 * spread
        self.high += (0.14 if panel.numbers else 0.04) * spread
        told = [number(tick) for tick in self.ticks]
        longest = max(self.font.getlength(text) for text in (self.labels if lying else told))
        self.left, self.right = 22 * unit + longest, self.width - 8 * unit
        room = self.right - self.left
        turned = (
            panel.kind != "scatter"
            and not lying
            and any(self.font.getlength(text) + 4 * unit > room / len(self.labels) for text in self.labels)
        )
        below = max(self.font.getlength(text) for text in self.labels) if turned else 10 * unit
        self.bottom = self.height - (24 if turned else 20) * unit - below
        self._value_axis(told, lying)
        self._label_axis(turned, lying)
        across, up = (panel.y, panel.x) if lying else (panel.x, panel.y)
        middle = (self.left + self.right) / 2
        self.text(middle, self.height - 3 * unit, cut(across, int(room / (6 * unit))), "md")
        up = cut(up, int((self.bottom - self.top) / (6 * unit)))
        self.upright(8 * unit, (self.top + self.bottom - self.font.getlength(up)) / 2, up)
        self.pen.line((self.left, self.top, self.left, self.bottom, self.right, self.bottom), fill=self.grey)
        if self.style.framed:
            self.pen.line((self.left, self.top, self.right, self.top, self.right, self.bottom), fill=self.grey)

    def _value_axis(self, told: Sequence[str], lying: bool) -> None:
        mark = 3 * self.unit if self.style.ticks else 0
        for tick, text in zip(self.ticks, told, strict=True):
            at = self.place(tick)
            if lying:
                if self.panel.grid:
                    self.pen.line((at, self.top, at, self.bottom), fill=self.pale)
                self.pen.line((at, self.bottom, at, self.bottom + mark), fill=self.grey)
                self.text(at, self.bottom + 3 * self.unit, text, "ma")
            else:
                if self.panel.grid:
                    self.pen.line((self.left, at, self.right, at), fill=self.pale)
                self.pen.line((self.left - mark, at, self.left, at), fill=self.grey)
                self.text(self.left - 4 * self.unit, at, text, "rm")

    def _label_axis(self, turned: bool, lying: bool) -> None:
        below = self.bottom + 3 * self.unit
        if self.panel.kind == "scatter":
            numbers = [float(label) for label in self.panel.labels]
            self.across = round_ticks(min(numbers), max(numbers), 4)
            self.begin, self.end = min(*numbers, self.across[0]), max(*numbers, self.across[-1])
            for tick in self.across:
                self.text(self.along(tick), below, number(tick), "ma")
            return
        every = max(1, math.ceil(12 * self.unit * len(self.labels) / (self.right - self.left))) if turned else 1
        for n in range(0, len(self.labels), every):
            if lying:
                self.text(self.left - 4 * self.unit, self.slot(n), self.labels[n], "rm")
            elif turned:
                self.upright(self.slot(n), below, self.labels[n])
            else:
                self.text(self.slot(n), below, self.labels[n], "ma")

    def place(self, value: float) -> float:
        """Where a value lies on its axis."""
        part = (value - self.low) / (self.high - self.low)
        if self.panel.kind == "barh":
            return self.left + part * (self.right - self.left)
        return self.bottom - part * (self.bottom - self.top)

    def along(self, value: float) -> float:
        """Where a number lies on the lower axis of a scatter."""
        part = (value - self.begin) / ((self.end - self.begin) or 1.0)
        return self.left + 4 * self.unit + part * (self.right - self.left - 8 * self.unit)

    def slot(self, n: float) -> float:
        """The middle of the place of label n."""
        if self.panel.kind == "barh":
            return self.top + (n + 0.5) * (self.bottom - self.top) / len(self.labels)
        return self.left + (n + 0.5) * (self.right - self.left) / len(self.labels)

    def marks(self) -> None:
        values, base = self.panel.values, self.place(max(self.low, 0.0))
        points = [(self.slot(n), self.place(value)) for n, value in enumerate(values)]
        match self.panel.kind:
            case "line":
                self.pen.line(points, fill=self.colour, width=self.thick, joint="curve")
                for x, y in points:
                    self._dot(x, y)
            case "area":
                light = _between(self.style.paper, self.colour, 0.55)
                self.pen.polygon([(points[0][0], base), *points, (points[-1][0], base)], fill=tuple(light))
                self.pen.line(points, fill=self.colour, width=max(1, round(self.unit)))
            case "scatter":
                for n, value in enumerate(values):
                    self._dot(self.along(float(self.panel.labels[n])), self.place(value))
            case _:
                half = self.style.broad / 2 * abs(self.slot(1) - self.slot(0))
                for n, value in enumerate(values):
                    own = ImageColor.getrgb(SLICES[n % len(SLICES)]) if self.style.varied else self.colour
                    self._bar(self.slot(n), self.place(value), base, half, number(value), own)

    def _dot(self, x: float, y: float) -> None:
        wide = 2 * self.unit
        self.pen.ellipse((x - wide, y - wide, x + wide, y + wide), fill=self.colour)

    def _bar(self, middle: float, end: float, base: float, half: float, told: str, fill: tuple[int, ...]) -> None:
        near, far = sorted((base, end))
        if self.panel.kind == "barh":
            self.pen.rectangle((near, middle - half, far, middle + half), fill=fill)
            if self.panel.numbers:
                self.text(min(far + 3 * self.unit, self.width - self.font.getlength(told)), middle, told, "lm")
        else:
            self.pen.rectangle((middle - half, near, middle + half, far), fill=fill)
            if self.panel.numbers:
                self.text(middle, near - 2 * self.unit, told, "md")

    def pie(self) -> None:
        """A disc of slices, each with its label and value beside it."""
        unit = self.unit
        radius = 0.5 * min(self.height - self.top - 40 * unit, self.width - 140 * unit)
        x, y = self.width / 2, (self.top + self.height) / 2
        whole, begin = sum(self.panel.values), -90.0
        for n, value in enumerate(self.panel.values):
            end = begin + 360 * value / whole
            fill = SLICES[n % len(SLICES)]
            self.pen.pieslice((x - radius, y - radius, x + radius, y + radius), begin, end, fill=fill, outline="white")
            turn = math.radians((begin + end) / 2)
            told = f"{self.labels[n]}: {number(value)}"
            length = self.font.getlength(told)
            left = x + (radius + 6 * unit) * math.cos(turn) - (0 if math.cos(turn) >= 0 else length)
            left = min(max(left, 2), self.width - length - 2)  # within the picture, over a slice if need be
            self.text(left, y + (radius + 10 * unit) * math.sin(turn), told, "lm")
            begin = end

    def _on_paper(self, colour: tuple[int, ...]) -> tuple[int, ...]:
        """A colour as it is, or lighter where the ground is dark."""
        return colour if sum(self.style.paper) > 382 else tuple(_between(colour, (255, 255, 255), 0.35))


def _between(first: Sequence[int], second: Sequence[int], part: float) -> list[int]:
    return [round((1 - part) * a + part * b) for a, b in zip(first, second, strict=True)]


def round_ticks(low: float, high: float, most: int) -> list[float]:
    """At most about `most` round numbers that span from low to high."""
    if high <= low:
        low, high = low - 0.5, high + 0.5
    rough = (high - low) / max(most, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    ticks = [round(n * step, 12) for n in range(first, last + 1)]
    return ticks if len(ticks) > 1 else [round(step * (first - 1), 12), round(step * max(first, last), 12)]


@functools.cache
def _font(name: str, size: int) -> ImageFont.FreeTypeFont:
    import matplotlib

    return ImageFont.truetype(str(Path(matplotlib.get_data_path(), "fonts", "ttf", f"{name}.ttf")), size)
