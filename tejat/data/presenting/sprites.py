"""Drawings laid on grounds: what pictures, scenes and clips are composed of."""

import io
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from jaxtyping import UInt8
from PIL import Image as pillow
from PIL import ImageOps

from tejat.data import drawing
from tejat.data.presenting import styles
from tejat.data.presenting.wording import one
from tejat.data.shards import Item
from tejat.parts import Image

SIDE = 128  # pixels of a picture that is drawn by codes: what 256 codes of 8 x 8 hold
SIDES = (96, 112, 128, 144, 192)  # of a picture that is looked at
RESTYLED = 0.75  # of pictures that are looked at
WORN = 0.2  # of them, out of focus or as a JPEG file has them
WHITE = (255, 255, 255)

DRAWN = ("noto", "twemoji", "fluent-emoji-flat")
"""The style that a thing is drawn in when none is asked for is the first of these that it has: with several at random
every picture would be a mean of them."""

Colour = tuple[int, int, int]

COLOURS: tuple[Colour, ...] = (
    (220, 30, 40),
    (245, 140, 30),
    (245, 205, 40),
    (45, 160, 65),
    (60, 200, 210),
    (45, 85, 220),
    (135, 60, 190),
    (250, 140, 190),
    (130, 80, 45),
    (140, 140, 140),
)
"""Colours that are asked for by name, in the order of the wordings' "colours"."""
Laid = tuple[pillow.Image, int, int]
"""A sprite, and its left and top edges."""


def drawings(blobs: Mapping[str, bytes]) -> dict[str, bytes]:
    """The drawings of an item by style: blobs are named STYLE.svg or STYLE.webp."""
    return {name.rpartition(".")[0]: data for name, data in blobs.items()}


def some_sprite(blobs: Mapping[str, bytes], random: np.random.Generator) -> pillow.Image:
    """A drawing of an item in one of its styles, cut to the thing."""
    return drawing.sprite(one([*blobs.values()], random))


def usual_style(drawings: Mapping[str, bytes], random: np.random.Generator) -> str:
    """The style to draw in where none is asked for."""
    return next((style for style in DRAWN if style in drawings), None) or one([*drawings], random)


def tinted(sprite: pillow.Image, colour: int) -> pillow.Image:
    """The sprite in shades of one of `COLOURS`."""
    red, green, blue = COLOURS[colour]
    dark, light = (red // 4, green // 4, blue // 4), tuple(value + (255 - value) * 4 // 5 for value in COLOURS[colour])
    # What is drawn in one dark colour would else be black in all.
    grey = ImageOps.autocontrast(sprite.convert("L"), mask=sprite.getchannel("A").point(lambda a: 255 * (a > 127)))
    found = ImageOps.colorize(grey, dark, light, mid=COLOURS[colour])
    found.putalpha(sprite.getchannel("A"))
    return found


def coloured_ground(colour: int | None, width: int, height: int) -> pillow.Image:
    """White, or one of `COLOURS` so light that what is drawn in it is seen."""
    chosen = WHITE if colour is None else tuple(255 - (255 - value) * 3 // 5 for value in COLOURS[colour])
    return pillow.new("RGB", (width, height), chosen)


def scaled(sprite: pillow.Image, side: float) -> pillow.Image:
    """The sprite with its longer side of that many pixels."""
    scale = side / max(sprite.size)
    width, height = (max(1, round(length * scale)) for length in sprite.size)
    return sprite.resize((width, height), pillow.Resampling.BILINEAR, reducing_gap=2.0)


def picture(
    data: bytes, random: np.random.Generator | None, side: int = SIDE, thing: styles.Thing = styles.SOME
) -> UInt8[np.ndarray, "S S 3"]:
    """A drawing on white, as large as fits; with `random`, of another size, at another place, on some ground, and
    mostly in a style that is nobody's, as `thing` allows."""
    sprite = drawing.sprite(data)
    if random is None:
        fitting = scaled(sprite, 0.94 * side)
        return laid(ground(None, side, side), [(fitting, (side - fitting.width) // 2, (side - fitting.height) // 2)])
    if random.random() < RESTYLED:
        sprite = styles.restyled(sprite, random, thing)
    sprite = scaled(sprite, side * random.uniform(0.6, 0.98))
    if random.random() < 0.3:
        sprite = sprite.rotate(random.uniform(-15, 15), pillow.Resampling.BILINEAR, expand=True)
    left, top = (int(random.integers(min(0, side - n), max(1, side - n + 1))) for n in sprite.size)
    found = laid(ground(random, side, side), [(sprite, left, top)])
    return _worn(found, random) if random.random() < WORN else found


def _worn(pixels: UInt8[np.ndarray, "H W 3"], random: np.random.Generator) -> UInt8[np.ndarray, "H W 3"]:
    """Out of focus, or packed as a JPEG file of poor quality."""
    whole = pillow.fromarray(pixels)
    if random.random() < 0.5:
        small = tuple(max(1, round(side * random.uniform(0.35, 0.7))) for side in whole.size)
        return np.asarray(whole.resize(small, pillow.Resampling.BOX).resize(whole.size, pillow.Resampling.BILINEAR))
    packed = io.BytesIO()
    whole.save(packed, "JPEG", quality=int(random.integers(15, 60)))
    return np.asarray(pillow.open(packed))


def seen(item: Item, random: np.random.Generator) -> Image:
    """A drawing of an item to be looked at: in some style, size and place, on some ground."""
    side = one(SIDES, random)
    return Image(picture(one([*item.blobs.values()], random), random, side, styles.Thing.of(item.fields)))


def ground(random: np.random.Generator | None, width: int, height: int) -> pillow.Image:
    """White, a light colour, a darker one on which black is still seen, or two that run into each other."""
    kind = 0.0 if random is None else random.random()
    if random is None or kind < 0.45:
        return pillow.new("RGB", (width, height), WHITE)
    if kind < 0.75:
        return pillow.new("RGB", (width, height), _colour(random, 185, 256))
    if kind < 0.85:
        return pillow.new("RGB", (width, height), _colour(random, 110, 180))
    ends = np.array([_colour(random, 150, 256), _colour(random, 150, 256)], np.float32)
    along = np.linspace(0, 1, height if random.random() < 0.6 else width)[:, None]
    ramp = (ends[0] * (1 - along) + ends[1] * along).astype(np.uint8)
    rows = np.repeat(ramp[:, None], width, 1) if len(ramp) == height else np.repeat(ramp[None], height, 0)
    return pillow.fromarray(np.ascontiguousarray(rows))


def laid(ground: pillow.Image, sprites: Iterable[Laid]) -> UInt8[np.ndarray, "H W 3"]:
    """Sprites pasted onto a copy of the ground, the later ones over the earlier."""
    canvas = ground.copy()
    for sprite, left, top in sprites:
        canvas.paste(sprite, (left, top), sprite)
    return np.asarray(canvas)


def _colour(random: np.random.Generator, low: int, high: int) -> Colour:
    red, green, blue = (int(value) for value in random.integers(low, high, 3))
    return red, green, blue


def others(items: Sequence, k: int, count: int, random: np.random.Generator) -> list[int]:
    """`count` numbers of items other than k, all different; fewer where there are no more."""
    found: list[int] = []
    count = min(count, len(items) - 1)
    while len(found) < count:
        n = int(random.integers(len(items)))
        if n != k and n not in found:
            found.append(n)
    return found
