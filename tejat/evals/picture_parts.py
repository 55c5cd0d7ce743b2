"""Drawings taken apart: the ground, the separate things on it, each by itself, their colours and their places.

Nothing is compared with another picture, and nothing is learnt. The numbers below were chosen on right pictures, never
on what a model drew.
"""

from collections.abc import Mapping
from functools import cache
from math import prod

import numpy as np
from jaxtyping import Bool, Float, UInt8
from scipy import ndimage
from scipy.spatial import KDTree

from tejat.data.presenting import edits, sprites
from tejat.evals.picture_material import Pixels

SEEN = 0.08  # distance in OKLab from which something is not the ground; black and white are 1 apart
RIM = 2  # pixels of a picture's border, by which its ground is known
SPECK = 4  # pixels of the longer side of what is not even a loose part of a thing
SHORT = 0.5  # of the longest thing's longer side: what is shorter is a loose part of another thing, or nothing
GAP = 0.03  # of the longest part's longer side, within which parts are one; drawings in rows are 0.06 apart
OVER = 0.25  # of the smaller part's box, from which parts whose boxes overlap are one
LOOSE = 0.3  # of the longest thing's longer side, within which loose parts belong to it
FILLED = 0.94  # of a picture's side that its thing takes, as in the drawings that the judge knows
SHADES = 9  # of a colour towards black, and as many towards white

COLOURS = tuple(edits.WORDS["colours"]["en"])  # as requests have them
SEVERAL = "several colours"
UNASKED = {"white": ((255, 255, 255),), "black": ((0, 0, 0), (24, 24, 24))}

Below = Float[np.ndarray, "H W 3"]  # a ground
Mask = Bool[np.ndarray, "H W"]
Box = tuple[slice, slice]
_EIGHT = np.ones((3, 3), bool)  # neighbours, the diagonal ones too

# Linear light to cones, and their cube roots to lightness and two opponent colours (Ottosson 2020, "A perceptual color
# space for image processing").
_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_OPPONENTS = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def oklab(colours: Float[np.ndarray, "... 3"] | UInt8[np.ndarray, "... 3"]) -> Float[np.ndarray, "... 3"]:
    """sRGB, from 0 to 255, in a space where distances are about as large as they look."""
    shares = np.clip(np.asarray(colours, np.float64) / 255, 0, 1)
    light = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    return np.cbrt(light @ _CONES.T) @ _OPPONENTS.T


def ground(pixels: Pixels) -> Below:
    """The ground as it would be with nothing on it: one colour, or one that goes evenly into another.

    A plane through the colours of the border, with the least sum of absolute distances (by reweighted least squares),
    so that a thing which touches the border does not tilt it.
    """
    height, width = pixels.shape[:2]
    y, x = np.mgrid[:height, :width]
    at = np.stack([np.ones((height, width)), x / width - 0.5, y / height - 0.5], -1)
    border = np.ones((height, width), bool)
    border[RIM:-RIM, RIM:-RIM] = False
    places, colours = at[border], pixels[border].astype(np.float64)
    weights = np.ones((len(places), 1))
    for _ in range(12):
        plane = np.linalg.lstsq(places * weights, colours * weights, rcond=None)[0]
        off = np.linalg.norm(colours - places @ plane, axis=1, keepdims=True)
        weights = 1 / np.sqrt(np.maximum(off, 0.5))
    return np.clip(at @ plane, 0, 255)


def things(pixels: Pixels, below: Below) -> list[Mask]:
    """The separate things on a ground, each with its loose parts; none where there is nothing on it."""
    apart = _apart(pixels, below)
    # Opened, for what lies side by side is joined by a line of pixels where an image tokenizer has had it.
    core = ndimage.binary_opening(np.pad(apart > SEEN, 1))[1:-1, 1:-1]
    labels, _ = ndimage.label(core, _EIGHT)
    reach = GAP * max((_side(box) for box in ndimage.find_objects(labels)), default=0) / 2
    if reach >= 1:
        labels, _ = ndimage.label(ndimage.distance_transform_edt(~core) <= reach, _EIGHT)
        labels = labels * core
    groups = _grouped({n + 1: box for n, box in enumerate(ndimage.find_objects(labels)) if _side(box) >= SPECK})
    longest = max((_side(box) for box in groups.values()), default=0)
    kept = [
        numbers for numbers, box in groups.items() if _side(box) >= max(SHORT * longest, min(pixels.shape[:2]) / 16)
    ]
    if not kept:
        return []
    numbered = sum((n + 1) * np.isin(labels, numbers) for n, numbers in enumerate(kept))
    distance, nearest = ndimage.distance_transform_edt(numbered == 0, return_indices=True)
    # What is nearly the ground is of a thing too where it is beside it: its rim, a snowman's body.
    mine = numbered[tuple(nearest)] * ((apart > SEEN / 2) & (distance <= LOOSE * longest))
    return [mine == n + 1 for n in range(len(kept))]


def alone(pixels: Pixels, below: Below, thing: Mask) -> Pixels:
    """A thing by itself in the middle of a square of its ground, as large as the judge is used to.

    On its ground and not on white: of a thing that has the ground's colour in places, holes would be left.
    """
    rows, columns = (np.flatnonzero(thing.any(axis)) for axis in (1, 0))
    side = round(max(np.ptp(rows), np.ptp(columns)) / FILLED) + 1
    at = [(line[0] + line[-1] + 1 - side) // 2 + np.arange(side) for line in (rows, columns)]
    window = np.ix_(*(np.clip(places, 0, length - 1) for places, length in zip(at, thing.shape, strict=True)))
    within = np.outer(*((places >= 0) & (places < length) for places, length in zip(at, thing.shape, strict=True)))
    other = (_apart(pixels[window], below[window]) > SEEN / 2) & ~thing[window]
    shown = np.where((within & ~other)[..., None], pixels[window], below[window])
    return shown.round().astype(np.uint8)


def colour(pixels: UInt8[np.ndarray, "n 3"] | Float[np.ndarray, "n 3"]) -> str:
    """The colour that more than half of the pixels are a shade of, "white" and "black" among them; SEVERAL where there
    is none.

    By shades, because a drawing in orange has light and dark places, and the dark ones alone are brown.
    """
    names, shades, of = _shades()
    _, nearest = shades.query(oklab(pixels))
    counts = np.bincount(of[nearest], minlength=len(names))
    return names[int(counts.argmax())] if 2 * counts.max() > counts.sum() else SEVERAL


def field(thing: Mask) -> int:
    """Which of nine fields the middle of a thing's box lies in, row by row."""
    (top, bottom), (left, right) = (np.flatnonzero(thing.any(axis))[[0, -1]] for axis in (1, 0))
    height, width = thing.shape
    return int(3 * (top + bottom + 1) / (2 * height)) * 3 + int(3 * (left + right + 1) / (2 * width))


def _apart(pixels: Pixels, below: Below) -> Float[np.ndarray, "H W"]:
    """How far each pixel is from the ground, as it looks."""
    return np.linalg.norm(oklab(pixels) - oklab(below), axis=-1)


@cache
def _shades() -> tuple[tuple[str, ...], KDTree, np.ndarray]:
    """(names, shades of all colours in OKLab, the number of each shade's name).

    From a quarter of a colour to four fifths of the way to white: beyond that all are black or white.
    """
    dark, light = np.linspace(0.25, 1, SHADES)[:, None], np.linspace(0, 0.8, SHADES)[:, None]
    each = [np.concatenate([asked * dark, asked + (255 - asked) * light]) for asked in np.array(sprites.COLOURS)]
    each += [np.array(shades) for shades in UNASKED.values()]
    of = np.repeat(np.arange(len(each)), [len(shades) for shades in each])
    return (*COLOURS, *UNASKED), KDTree(oklab(np.concatenate(each))), of


def _side(box: Box | None) -> int:
    """The longer side of a box; None is that of a number which is nowhere."""
    return 0 if box is None else max(length.stop - length.start for length in box)


def _grouped(boxes: Mapping[int, Box]) -> dict[tuple[int, ...], Box]:
    """Parts, by number, whose boxes lie over each other, as a ring's and what is within it, as one."""
    groups: dict[tuple[int, ...], Box] = {(number,): box for number, box in boxes.items()}
    while pair := next(((a, b) for a in groups for b in groups if a < b and _over(groups[a], groups[b])), None):
        a, b = pair
        pairs = zip(groups.pop(a), groups.pop(b), strict=True)
        rows, columns = (slice(min(p.start, q.start), max(p.stop, q.stop)) for p, q in pairs)
        groups[a + b] = rows, columns
    return groups


def _over(one: Box, other: Box) -> bool:
    shared = [max(0, min(p.stop, q.stop) - max(p.start, q.start)) for p, q in zip(one, other, strict=True)]
    smaller = min(prod(length.stop - length.start for length in box) for box in (one, other))
    return prod(shared) > OVER * smaller
