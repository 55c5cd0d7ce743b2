"""The size of a picture that is asked for: "16:9", "96x64", or so many pixels.

A model draws as many codes as it was trained to, whatever the size: the grid that is nearest to the shape asked for
within its budget. A shape alone ("16:9") comes out as drawn, a code `patch` pixels wide; pixels ("96x64", width x
height) come out as exactly so many, resized (bicubic) from what was drawn.
"""

import math
import re
from typing import NamedTuple

from tejat.codecs.image import fitted
from tejat.codecs.vocabulary import LARGEST_SIDE
from tejat.errors import BadInput
from tejat.model.picture import PictureConfig

LONGEST = 4_096
"""Pixels along a side, at most."""

MOST = 2_048 * 2_048
"""Pixels in all, at most."""

_SHAPE = re.compile(r"\s*([0-9]{1,12})\s*:\s*([0-9]{1,12})\s*")
_PIXELS = re.compile(r"\s*([0-9]{1,12})\s*[xX×*]\s*([0-9]{1,12})\s*")


class PictureSize(NamedTuple):
    """What is asked for: a shape, or with `exact` pixels."""

    width: int
    height: int
    exact: bool = True

    @property
    def pixels(self) -> tuple[int, int] | None:
        """(height, width) that a picture is resized to; None: it stays as drawn."""
        return (self.height, self.width) if self.exact else None

    def grid(self, picture: PictureConfig) -> tuple[int, int]:
        """(rows, columns) of codes that the model draws for it: of the grids just within the budget the one nearest to
        the shape, which is what training draws where it is asked for (`presenting.concepts.SHAPES`)."""
        scale = math.gcd(self.width, self.height)
        longest = min(LARGEST_SIDE, picture.table)
        rows, columns = fitted(self.height // scale, self.width // scale, 1, picture.budget, longest)
        grids = [(rows + down, columns + across) for down in (0, 1) for across in (0, 1)]
        within = [grid for grid in grids if max(grid) <= longest and math.prod(grid) <= picture.budget]
        return min(within, key=lambda grid: abs(math.log(grid[1] * self.height / (grid[0] * self.width))))


def checked(size: PictureSize) -> PictureSize:
    """The same. Raises BadInput for no size at all, or one that no picture has here."""
    width, height, exact = size
    said = f"{width:,} x {height:,} pixels" if exact else f"{width}:{height}"
    if width < 1 or height < 1:
        raise BadInput(f"a picture of {said} is asked for, which has no content; give sides of at least 1")
    if exact and (max(width, height) > LONGEST or width * height > MOST):
        raise BadInput(
            f"a picture of {said} is asked for; the most are {LONGEST:,} along a side and {MOST:,} in all: ask for less"
        )
    if not exact and max(width, height) > LONGEST:
        raise BadInput(f"a picture of the shape {said} is asked for; give small numbers, as in 16:9")
    return size


def read(text: str) -> PictureSize:
    """ "16:9" or "96x64". Raises BadInput for what is neither, and as `checked`."""
    if (found := _SHAPE.fullmatch(text)) is not None:
        return checked(PictureSize(int(found[1]), int(found[2]), exact=False))
    if (found := _PIXELS.fullmatch(text)) is not None:
        return checked(PictureSize(int(found[1]), int(found[2])))
    raise BadInput(f"the size of a picture is {text[:40]!r}; give a shape as 16:9, or width x height as 96x64")
