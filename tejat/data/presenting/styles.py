"""A drawing as other hands would have made it, so that a thing is known in styles that were never seen.

Families of drawings differ by their shades, their outlines, their proportions and by how plain they are. What is done
here is a part of each: a thing keeps what it is called by, so colours only go to their neighbours ("green book"), and
little is mirrored (flags, letters, arrows).
"""

import functools

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image as pillow

SHARES = {"recoloured": 0.4, "inked": 0.25, "bent": 0.35, "mirrored": 0.15, "stretched": 0.5}
"""Of drawings to which each is done; several may be."""

_GREY = np.float32((0.299, 0.587, 0.114))  # what red, green and blue add to brightness (ITU-R BT.601)
_ACROSS = np.float32(((0, -1, 1), (1, 0, -1), (-1, 1, 0))) / np.float32(3**0.5)


def restyled(sprite: pillow.Image, random: np.random.Generator) -> pillow.Image:
    """The drawing in RGBA, redrawn: each of `SHARES` by chance."""
    done = {name: random.random() < share for name, share in SHARES.items()}
    if done["mirrored"]:
        sprite = sprite.transpose(pillow.Transpose.FLIP_LEFT_RIGHT)
    if done["stretched"]:
        down, across = np.exp(random.uniform(-0.15, 0.15, 2))
        sprite = sprite.resize((max(1, round(sprite.width * across)), max(1, round(sprite.height * down))))
    if done["bent"]:
        sprite = _bent(sprite, random)
    if done["recoloured"]:
        sprite = _recoloured(sprite, random)
    return _inked(sprite, random) if done["inked"] else sprite


def _bent(sprite: pillow.Image, random: np.random.Generator) -> pillow.Image:
    """Its corners moved by up to a tenth of its sides, and all between them with them."""
    sides = np.array(sprite.size, np.float64)
    corners = np.array(((0, 0), (0, 1), (1, 1), (1, 0)))  # as Pillow has them: from the upper left, by the lower left
    moved = (corners + random.uniform(-0.1, 0.1, (4, 2))) * sides
    return sprite.transform(sprite.size, pillow.Transform.QUAD, tuple(moved.ravel()), pillow.Resampling.BILINEAR)


def _recoloured(sprite: pillow.Image, random: np.random.Generator) -> pillow.Image:
    """Hue turned by up to a twelfth of the circle, other saturation, brightness, contrast; a sixth without colour."""
    pixels = np.asarray(sprite, np.float32)
    angle = np.float32(random.uniform(-np.pi / 6, np.pi / 6))
    saturation = np.float32(0 if random.random() < 1 / 6 else random.uniform(0.5, 1.4))
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
