"""Charts drawn by Pillow in a few milliseconds, where matplotlib takes fifty: most charts that are trained on.

They have axes with round numbers, labels, titles and grids as those of matplotlib have, in sizes and colours of their
own.
"""

import functools
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image as pillow
from PIL import ImageColor, ImageDraw, ImageFont

from tejat.data.presenting.panel import Panel, cut, number, plain, wrapped

FONTS = ("DejaVuSans", "DejaVuSans", "DejaVuSerif", "DejaVuSansMono")
GREY, PALE, INK = (120, 120, 120), (222, 222, 222), (25, 25, 25)
SLICES = ("#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#b07aa1", "#9c755f", "#edc948")
_TABLEAU = {
    **{"tab:blue": "#1f77b4", "tab:orange": "#ff7f0e", "tab:green": "#2ca02c", "tab:red": "#d62728"},
    **{"tab:purple": "#9467bd", "tab:brown": "#8c564b"},
}


def drawn(panel: Panel, size: tuple[int, int], font: str = "DejaVuSans") -> UInt8[np.ndarray, "H W 3"]:
    """A chart of that width and height."""
    plot = _Plot(panel, size, _font(font, 10))
    if panel.kind == "pie":
        plot.pie()
    else:
        plot.axes()
        plot.marks()
    return np.asarray(plot.canvas)


class _Plot:
    """A canvas on which a panel is being drawn, and where in it the axes lie."""

    def __init__(self, panel: Panel, size: tuple[int, int], font: ImageFont.FreeTypeFont):
        self.panel, self.font = panel, font
        self.width, self.height = size
        self.canvas = pillow.new("RGB", size, (255, 255, 255))
        self.pen = ImageDraw.Draw(self.canvas)
        self.colour = ImageColor.getrgb(_TABLEAU.get(panel.colour, panel.colour))
        title = wrapped(panel.title, int(self.width / 6.4)).split("\n")
        for n, line in enumerate(title):
            self.text(self.width / 2, 4 + 12 * n, line, "ma")
        self.top = 8 + 12 * len(title)
        self.labels = [cut(plain(label), 14) for label in panel.labels]

    def text(self, x: float, y: float, text: str, anchor: str, fill: tuple[int, int, int] = INK) -> None:
        self.pen.text((x, y), text, fill=fill, font=self.font, anchor=anchor)

    def upright(self, x: float, y: float, text: str) -> None:
        """Text that reads from below, its right end at the top (x, y)."""
        length = math.ceil(self.font.getlength(text)) + 2
        strip = pillow.new("L", (length, 14))
        ImageDraw.Draw(strip).text((0, 1), text, fill=255, font=self.font)
        turned = strip.transpose(pillow.Transpose.ROTATE_90)
        self.canvas.paste(INK, (round(x - 7), round(y)), turned)

    def axes(self) -> None:
        """Finds room for labels and draws what the marks stand on."""
        panel, lying = self.panel, self.panel.kind == "barh"
        low, high = min(panel.values), max(panel.values)
        if panel.kind in ("bar", "barh", "area"):
            low, high = min(low, 0.0), max(high, 0.0)
        self.ticks = round_ticks(low, high, 4 if lying else max(3, (self.height - self.top) // 34))
        self.low, self.high = min(low, self.ticks[0]), max(high, self.ticks[-1])
        spread = (self.high - self.low) or 1.0
        if panel.kind in ("line", "scatter") and self.low != 0:
            self.low -= 0.03 * spread
        self.high += (0.14 if panel.numbers else 0.04) * spread
        told = [number(tick) for tick in self.ticks]
        longest = max(self.font.getlength(text) for text in (self.labels if lying else told))
        self.left, self.right = 18 + longest + 4, self.width - 8
        room = self.right - self.left
        turned = (
            panel.kind != "scatter"
            and not lying
            and any(self.font.getlength(text) + 4 > room / len(self.labels) for text in self.labels)
        )
        below = max(self.font.getlength(text) for text in self.labels) if turned else 10
        self.bottom = self.height - (24 if turned else 20) - below
        self._value_axis(told, lying)
        self._label_axis(turned, lying)
        across, up = (panel.y, panel.x) if lying else (panel.x, panel.y)
        self.text((self.left + self.right) / 2, self.height - 3, cut(across, int(room / 6)), "md")
        up = cut(up, int((self.bottom - self.top) / 6))
        self.upright(8, (self.top + self.bottom - self.font.getlength(up)) / 2, up)
        self.pen.line((self.left, self.top, self.left, self.bottom, self.right, self.bottom), fill=GREY)

    def _value_axis(self, told: Sequence[str], lying: bool) -> None:
        for tick, text in zip(self.ticks, told, strict=True):
            at = self.place(tick)
            if lying:
                if self.panel.grid:
                    self.pen.line((at, self.top, at, self.bottom), fill=PALE)
                self.text(at, self.bottom + 3, text, "ma")
            else:
                if self.panel.grid:
                    self.pen.line((self.left, at, self.right, at), fill=PALE)
                self.text(self.left - 4, at, text, "rm")

    def _label_axis(self, turned: bool, lying: bool) -> None:
        if self.panel.kind == "scatter":
            numbers = [float(label) for label in self.panel.labels]
            self.across = round_ticks(min(numbers), max(numbers), 4)
            self.begin, self.end = min(*numbers, self.across[0]), max(*numbers, self.across[-1])
            for tick in self.across:
                self.text(self.along(tick), self.bottom + 3, number(tick), "ma")
            return
        every = max(1, math.ceil(12 * len(self.labels) / (self.right - self.left))) if turned else 1
        for n in range(0, len(self.labels), every):
            if lying:
                self.text(self.left - 4, self.slot(n), self.labels[n], "rm")
            elif turned:
                self.upright(self.slot(n), self.bottom + 3, self.labels[n])
            else:
                self.text(self.slot(n), self.bottom + 3, self.labels[n], "ma")

    def place(self, value: float) -> float:
        """Where a value lies on its axis."""
        part = (value - self.low) / (self.high - self.low)
        if self.panel.kind == "barh":
            return self.left + part * (self.right - self.left)
        return self.bottom - part * (self.bottom - self.top)

    def along(self, value: float) -> float:
        """Where a number lies on the lower axis of a scatter."""
        part = (value - self.begin) / ((self.end - self.begin) or 1.0)
        return self.left + 4 + part * (self.right - self.left - 8)

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
                self.pen.line(points, fill=self.colour, width=2, joint="curve")
                for x, y in points:
                    self.pen.ellipse((x - 2, y - 2, x + 2, y + 2), fill=self.colour)
            case "area":
                light = tuple(round(0.55 * c + 0.45 * 255) for c in self.colour)
                self.pen.polygon([(points[0][0], base), *points, (points[-1][0], base)], fill=light)
                self.pen.line(points, fill=self.colour, width=1)
            case "scatter":
                for n, value in enumerate(values):
                    x, y = self.along(float(self.panel.labels[n])), self.place(value)
                    self.pen.ellipse((x - 2, y - 2, x + 2, y + 2), fill=self.colour)
            case _:
                half = 0.38 * abs(self.slot(1) - self.slot(0))
                for n, value in enumerate(values):
                    self._bar(self.slot(n), self.place(value), base, half, number(value))

    def _bar(self, middle: float, end: float, base: float, half: float, told: str) -> None:
        near, far = sorted((base, end))
        if self.panel.kind == "barh":
            self.pen.rectangle((near, middle - half, far, middle + half), fill=self.colour)
            if self.panel.numbers:
                self.text(min(far + 3, self.width - self.font.getlength(told)), middle, told, "lm")
        else:
            self.pen.rectangle((middle - half, near, middle + half, far), fill=self.colour)
            if self.panel.numbers:
                self.text(middle, near - 2, told, "md")

    def pie(self) -> None:
        """A disc of slices, each with its label and value beside it."""
        radius = 0.5 * min(self.height - self.top - 40, self.width - 140)
        x, y = self.width / 2, (self.top + self.height) / 2
        whole, begin = sum(self.panel.values), -90.0
        for n, value in enumerate(self.panel.values):
            end = begin + 360 * value / whole
            fill = SLICES[n % len(SLICES)]
            self.pen.pieslice((x - radius, y - radius, x + radius, y + radius), begin, end, fill=fill, outline="white")
            turn = math.radians((begin + end) / 2)
            told = f"{self.labels[n]}: {number(value)}"
            length = self.font.getlength(told)
            left = x + (radius + 6) * math.cos(turn) - (0 if math.cos(turn) >= 0 else length)
            left = min(max(left, 2), self.width - length - 2)  # within the picture, over a slice if need be
            self.text(left, y + (radius + 10) * math.sin(turn), told, "lm")
            begin = end


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
