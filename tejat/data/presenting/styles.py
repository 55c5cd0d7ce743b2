"""A drawing as other hands would have made it, so that a thing is known in styles that were never seen.

Families of drawings differ by their shades, their outlines, their proportions and by how plain they are. What is done
here is a part of each: a thing keeps what it is called by, so colours only go to their neighbours ("green book"), but
for things that are made in any colour, and little is mirrored (flags, letters, arrows). Flags are cut round at times:
some families have them so, and none that is trained on.
"""

import functools
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image as pillow
from PIL import ImageDraw

SHARES = {
    **{"recoloured": 0.45, "inked": 0.25, "bent": 0.3, "mirrored": 0.15, "stretched": 0.5},
    **{"warped": 0.3, "flattened": 0.2, "shaded": 0.2, "cut": 0.06},
}
"""Of drawings to which each is done; several may be."""

ROUND = 0.35
"""The share of flags that are cut round, beside the others' `SHARES`."""

MADE = ("activities", "objects", "travel-places")
"""Groups of Unicode's list whose things people make, in whatever colour."""


class Thing(NamedTuple):
    """What may be done to a drawing, for what it shows."""

    any_hue: bool = False
    flag: bool = False

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> "Thing":
        """Of an item's fields."""
        name = fields.get("names", {}).get("en", "")
        return cls(fields.get("list") in MADE and not _COLOURED.search(name), fields.get("list") == "flags")


SOME = Thing()
"""Of which nothing is known."""

_COLOURED = re.compile("red|orange|yellow|green|blue|purple|pink|brown|black|white|gold|silver|bronze|grey|light|fire")

_GREY = np.float32((0.299, 0.587, 0.114))  # what red, green and blue add to brightness (ITU-R BT.601)
_ACROSS = np.float32(((0, -1, 1), (1, 0, -1), (-1, 1, 0))) / np.float32(3**0.5)


def restyled(sprite: pillow.Image, random: np.random.Generator, thing: Thing = SOME) -> pillow.Image:
    """The drawing in RGBA, redrawn: each of `SHARES` by chance."""
    done = {name: random.random() < share for name, share in SHARES.items()}
    if done["cut"] or (thing.flag and random.random() < ROUND):
        sprite = _cut(sprite, random, thing.flag)
    done["inked"] &= not thing.flag  # lines alone tell no flag from another, and grey hardly
    if done["mirrored"]:
        sprite = sprite.transpose(pillow.Transpose.FLIP_LEFT_RIGHT)
    if done["stretched"]:
        down, across = np.exp(random.uniform(-0.15, 0.15, 2))
        size = max(1, round(sprite.width * across)), max(1, round(sprite.height * down))
        sprite = sprite.resize(size, pillow.Resampling.BILINEAR)
    if done["bent"]:
        sprite = _bent(sprite, random)
    if done["warped"]:
        sprite = _warped(sprite, random)
    if done["flattened"]:
        sprite = _flattened(sprite, random)
    if done["recoloured"]:
        sprite = _recoloured(sprite, random, thing)
    if done["shaded"]:
        sprite = _shaded(sprite, random)
    return _inked(sprite, random) if done["inked"] else sprite


def _bent(sprite: pillow.Image, random: np.random.Generator) -> pillow.Image:
    """Its corners moved by up to a tenth of its sides, and all between them with them."""
    sides = np.array(sprite.size, np.float64)
    corners = np.array(((0, 0), (0, 1), (1, 1), (1, 0)))  # as Pillow has them: from the upper left, by the lower left
    moved = (corners + random.uniform(-0.1, 0.1, (4, 2))) * sides
    return sprite.transform(sprite.size, pillow.Transform.QUAD, tuple(moved.ravel()), pillow.Resampling.BILINEAR)


def _warped(sprite: pillow.Image, random: np.random.Generator) -> pillow.Image:
    """Nine fields of it, each larger or smaller and aslant, as proportions differ from hand to hand."""
    across, down = (np.linspace(0, side, 4) for side in sprite.size)
    nodes = np.stack(np.meshgrid(across, down), -1)  # (row, column, x and y)
    moved = nodes + random.uniform(-0.06, 0.06, nodes.shape) * max(sprite.size)
    mesh = []
    for row in range(3):
        for column in range(3):
            box = (across[column], down[row], across[column + 1], down[row + 1])
            corners = [moved[row + y, column + x] for x, y in ((0, 0), (0, 1), (1, 1), (1, 0))]
            mesh.append((tuple(round(edge) for edge in box), tuple(np.ravel(corners).tolist())))
    return sprite.transform(sprite.size, pillow.Transform.MESH, mesh, pillow.Resampling.BILINEAR)


def _flattened(sprite: pillow.Image, random: np.random.Generator) -> pillow.Image:
    """In a few colours without shades, as flat styles are."""
    few = sprite.convert("RGB").quantize(int(random.integers(3, 9)), pillow.Quantize.FASTOCTREE).convert("RGBA")
    few.putalpha(sprite.getchannel("A"))
    return few


def _shaded(sprite: pillow.Image, random: np.random.Generator) -> pillow.Image:
    """Lighter toward one side and darker toward the other, as if it were round and lit."""
    pixels, turn = np.asarray(sprite, np.float32), random.uniform(0, 2 * np.pi)
    down, across = np.ogrid[-1 : 1 : sprite.height * 1j, -1 : 1 : sprite.width * 1j]
    light = 1 + random.uniform(0.1, 0.35) * (np.cos(turn) * across + np.sin(turn) * down)
    return _joined(pixels[..., :3] / 255 * light[..., None].astype(np.float32), pixels[..., 3])


def _cut(sprite: pillow.Image, random: np.random.Generator, round_: bool) -> pillow.Image:
    """A disc of its middle; or, of what is no flag, all but a strip at one side."""
    side = min(sprite.size)
    if round_:
        left, top = (sprite.width - side) // 2, (sprite.height - side) // 2
        disc = sprite.crop((left, top, left + side, top + side))
        mask = pillow.new("L", (4 * side, 4 * side))
        ImageDraw.Draw(mask).ellipse((0, 0, 4 * side - 1, 4 * side - 1), fill=255)
        inside = np.asarray(mask.resize((side, side), pillow.Resampling.BOX), np.uint16)
        alpha = np.asarray(disc.getchannel("A"), np.uint16) * inside // 255
        disc.putalpha(pillow.fromarray(alpha.astype(np.uint8)))
        return disc
    box = [0, 0, *sprite.size]
    edge = int(random.integers(4))
    part = round(random.uniform(0.05, 0.2) * sprite.size[edge % 2])
    box[edge] += part if edge < 2 else -part
    return sprite.crop(tuple(box))


def _recoloured(sprite: pillow.Image, random: np.random.Generator, thing: Thing) -> pillow.Image:
    """Hue turned by up to a twelfth of the circle, or by any angle; other saturation, brightness, contrast; a sixth
    without colour."""
    pixels = np.asarray(sprite, np.float32)
    most = np.pi if thing.any_hue and random.random() < 0.6 else np.pi / 6
    angle = np.float32(random.uniform(-most, most))
    saturation = np.float32(0 if random.random() < 1 / 6 and not thing.flag else random.uniform(0.5, 1.4))
    gain, power = np.float32(random.uniform(0.75, 1.15)), np.float32(np.exp(random.uniform(-0.35, 0.35)))
    third = np.full((3, 3), 1 / 3, np.float32)
    hue = np.cos(angle) * (np.eye(3, dtype=np.float32) - third) + np.sin(angle) * _ACROSS + third
    mixed = (1 - saturation) * np.broadcast_to(_GREY, (3, 3)) + saturation * hue
    colours = (np.clip(pixels[..., :3] @ mixed.T, 0, 255) / 255) ** power * gain
    return _joined(colours, pixels[..., 3])


def _inked(sprite: pillow.Image, random: np.random.Generator) -> pillow.Image:
    """Dark lines where colours change; of half of them the lines alone, on white, and of some nothing between."""
    bordered = pillow.new("RGBA", (sprite.width + 4, sprite.height + 4))
    bordered.paste(sprite, (2, 2))
    wide = 5 if random.random() < 0.5 else 3
    # Where nothing is, the colour is white: the rim of a dark thing is a change as that of a light one is by alpha.
    flat = pillow.new("RGBA", bordered.size, (255, 255, 255, 0))
    flat.paste(bordered, (0, 0), bordered.getchannel("A"))
    change = _span(np.asarray(flat), wide).max(-1, keepdims=True) / np.float32(255)
    ink = np.clip(4 * change - np.float32(random.uniform(0.3, 0.8)), 0, 1)
    pixels = np.asarray(bordered, np.float32)
    line = random.uniform(0, 0.25, 3).astype(np.float32)
    way = random.random()
    filling = pixels[..., :3] / 255 if way < 0.5 else np.ones(3, np.float32)
    alpha = np.maximum(pixels[..., 3:] if way < 0.8 else 0, 255 * ink)
    return _joined(filling * (1 - ink) + line * ink, alpha[..., 0])


def _span(pixels: UInt8[np.ndarray, "h w c"], wide: int) -> UInt8[np.ndarray, "h w c"]:
    """The largest value less the smallest in the square of that odd width around each pixel. Rows first, then columns:
    a twentieth of the time of Pillow's rank filters, or less."""
    high = low = np.pad(pixels, ((wide // 2,) * 2, (wide // 2,) * 2, (0, 0)), "edge")
    for axis in (0, 1):
        most = high.shape[axis] - wide + 1
        cut = [(slice(None),) * axis + (slice(at, at + most),) for at in range(wide)]
        high, low = (functools.reduce(of, (x[at] for at in cut)) for of, x in ((np.maximum, high), (np.minimum, low)))
    return high - low


def _joined(colours: Float[np.ndarray, "h w 3"], alpha: Float[np.ndarray, "h w"]) -> pillow.Image:
    """`colours` from 0 to 1, `alpha` from 0 to 255."""
    found: UInt8[np.ndarray, "h w 4"] = np.empty((*alpha.shape, 4), np.uint8)
    found[..., :3] = np.clip(255 * colours + 0.5, 0, 255)
    found[..., 3] = alpha
    return pillow.fromarray(found)
