"""Pictures to scenes, on the device: scaled, shifted, mirrored, turned, in other colours, on grounds, several together.

A picture lies in device memory as bytes, channels between rows and columns: scaling is then two products with the
weights of a triangle filter, as `jax.image.scale_and_translate` has them, and no axis is moved in between.
"""

import functools
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, UInt8

_GREY = (0.299, 0.587, 0.114)  # what red, green and blue add to brightness (ITU-R BT.601)


@dataclass(frozen=True)
class Laying:
    """How pictures of a kind lie in scenes. Shares are of the scenes.

    Attributes:
      scale: of their side, at least and at most times the shorter side of the scene; above 1, a part is cut out.
      stretched: by up to how much more one side is scaled than the other: 0.2 is a fifth.
      mirrored: half of them, left to right.
      turned: share turned by a quarter.
      recoloured: share with another hue, saturation, brightness; some without colour, some in the negative.
      several: share with another, smaller picture of the kind over them.
      inked: share with outlines drawn in, half of these with nothing else but white between the lines.
      white: share of grounds that are white; the others have a colour or go from one into another.
    """

    scale: tuple[float, float] = (0.6, 1.1)
    stretched: float = 0.0
    mirrored: bool = True
    turned: float = 0.0
    recoloured: float = 0.0
    several: float = 0.0
    inked: float = 0.0
    white: float = 0.6


class Scenes(NamedTuple):
    """What a tokenizer is trained on: scenes, how far each pixel is of a thing and not of its ground, and the number of
    the picture that was laid first."""

    pixels: Float[Array, "n H W 3"]
    inside: Float[Array, "n H W"]
    chosen: Int[Array, " n"]


def store(pictures: UInt8[np.ndarray, "n S T 4"]) -> UInt8[np.ndarray, "n S 4 T"]:
    """Pictures as `scenes` takes them."""
    return np.ascontiguousarray(pictures.transpose(0, 1, 3, 2))


def scenes(
    laying: Laying,
    pictures: UInt8[Array, "n S 4 T"],
    key: Array,
    count: int,
    height: int,
    width: int,
    upright: Bool[Array, ""] | bool = False,
) -> Scenes:
    """Scenes of pictures chosen at random. `upright`: rows are columns and columns rows, in scenes and pictures."""
    keys = jax.random.split(key, 5)
    lay = functools.partial(_laid, laying, pictures, height=height, width=width, upright=upright)
    laid, chosen = lay(keys[0], count, scale=laying.scale)
    over = round(laying.several * count)
    if over:
        smaller, _ = lay(keys[1], over, scale=tuple(0.6 * bound for bound in laying.scale))
        laid = laid.at[:over].set(smaller + (1 - smaller[:, :, 3:]) * laid[:over])
    if laying.recoloured:
        laid = _recoloured(laid, keys[2], laying.recoloured)
    inked = round(laying.inked * count)
    if inked:  # the last ones, so that not always the same are inked and several
        laid = laid.at[count - inked :].set(_inked(laid[count - inked :], keys[3]))
    ground = _grounds(keys[4], count, height, width, laying.white)
    pixels = laid[:, :, :3] + (1 - laid[:, :, 3:]) * ground
    return Scenes(pixels.swapaxes(2, 3), laid[:, :, 3], chosen)


def weights(
    inputs: int,
    outputs: int,
    scale: Float[Array, " n"],
    shift: Float[Array, " n"],
    mirrored: Bool[Array, " n"] | bool = False,
) -> Float[Array, "n outputs inputs"]:
    """What each input adds to each output where a line of inputs is scaled, then shifted, in pixels of the output.

    A triangle filter, wider where the line shrinks so that nothing is passed over; outputs outside of it are zero.
    """
    at = (jnp.arange(outputs) + 0.5 - shift[:, None]) / scale[:, None] - 0.5
    place = jnp.arange(inputs, dtype=jnp.float32)
    place = jnp.where(jnp.reshape(mirrored, (-1, 1)), inputs - 1 - place, place)
    reach = jnp.maximum(1 / scale, 1)[:, None, None]
    found = jnp.maximum(0, 1 - jnp.abs(at[:, :, None] - place[:, None, :]) / reach)
    within = (at > -0.5) & (at < inputs - 0.5)
    return jnp.where(within[:, :, None], found / jnp.maximum(found.sum(-1, keepdims=True), 1e-6), 0)


def _laid(laying: Laying, pictures, key, count: int, *, scale, height: int, width: int, upright):
    """(Chosen pictures where they lie [count, H, 4, W], their numbers).

    Colours are times alpha: so no dark rims come of scaling.
    """
    keys = jax.random.split(key, 6)
    numbers = jax.random.randint(keys[0], (count,), 0, pictures.shape[0])
    chosen = pictures[numbers].astype(jnp.float32) / 255
    turned = jax.random.bernoulli(keys[1], laying.turned, (count, 1, 1, 1)) ^ upright
    chosen = jnp.where(turned, chosen.swapaxes(1, 3), chosen)
    chosen = jnp.concatenate([chosen[:, :, :3] * chosen[:, :, 3:], chosen[:, :, 3:]], axis=2)
    side = chosen.shape[1]
    mirrored = jax.random.bernoulli(keys[2], 0.5, (count,)) & laying.mirrored
    size = jnp.exp(jax.random.uniform(keys[3], (count,), minval=jnp.log(scale[0]), maxval=jnp.log(scale[1])))
    size = size * min(height, width) / side
    stretch = 1 + laying.stretched * jax.random.uniform(keys[4], (2, count), minval=-0.5, maxval=0.5)
    down, across = size * stretch[0], size * stretch[1]
    spread = jax.random.uniform(keys[5], (2, count), minval=-0.5, maxval=0.5)
    room_down, room_across = height - down * side, width - across * side
    rows = weights(side, height, down, room_down / 2 + jnp.abs(room_down) * spread[0], mirrored & upright)
    across_shift = room_across / 2 + jnp.abs(room_across) * spread[1]
    columns = weights(side, width, across, across_shift, mirrored & jnp.logical_not(upright))
    found = jnp.einsum("nhs,nsk->nhk", rows, chosen.reshape(count, side, -1)).reshape(count, height * 4, side)
    return jnp.einsum("nkt,nwt->nkw", found, columns).reshape(count, height, 4, width), numbers


def _recoloured(laid: Float[Array, "n H 4 W"], key: Array, share: float) -> Float[Array, "n H 4 W"]:
    """Colours turned about the axis of greys, more or less saturated, darker or lighter; a tenth in the negative."""
    count = laid.shape[0]
    keys = jax.random.split(key, 5)
    angle = jax.random.uniform(keys[0], (count, 1, 1), maxval=2 * jnp.pi)
    saturation = jax.random.uniform(keys[1], (count, 1, 1), minval=-0.3, maxval=1.3).clip(0)
    gain = jax.random.uniform(keys[2], (count, 1, 1), minval=0.6, maxval=1.2)
    one, third = jnp.eye(3), jnp.full((3, 3), 1 / 3)
    across = jnp.asarray([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]) / 3**0.5
    hue = jnp.cos(angle) * (one - third) + jnp.sin(angle) * across + third
    mixed = gain * ((1 - saturation) * jnp.broadcast_to(jnp.asarray(_GREY), (3, 3)) + saturation * hue)
    negative = jax.random.bernoulli(keys[3], 0.1, (count, 1, 1))
    changed = jax.random.bernoulli(keys[4], share, (count, 1, 1))
    mixed = jnp.where(changed, jnp.where(negative, -mixed, mixed), one)
    base = jnp.where(changed & negative, 1.0, 0.0)[:, None]
    alpha = laid[:, :, 3:]
    # Sums written out: a product of three with three would be a matrix product of its own for every picture.
    colours = sum(mixed[:, None, :, k, None] * laid[:, :, k : k + 1] for k in range(3)) + base * alpha
    return jnp.concatenate([jnp.clip(colours, 0, alpha), alpha], axis=2)


def _inked(laid: Float[Array, "n H 4 W"], key: Array) -> Float[Array, "n H 4 W"]:
    """Dark lines where colours change; of half of them the lines alone, on white."""
    first, second, third = jax.random.split(key, 3)
    count = laid.shape[0]
    wide = jax.random.bernoulli(first, 0.5, (count, 1, 1, 1))
    high, low = _spread(laid, jnp.maximum), _spread(laid, jnp.minimum)
    high, low = (jnp.where(wide, _spread(x, f), x) for x, f in ((high, jnp.maximum), (low, jnp.minimum)))
    ink = jnp.clip(4 * (high - low).max(2, keepdims=True) - 0.4, 0, 1)
    alpha = jnp.maximum(laid[:, :, 3:], ink)
    filled = jax.random.bernoulli(second, 0.5, (count, 1, 1, 1))
    colour = jax.random.uniform(third, (count, 1, 3, 1), maxval=0.3)
    colours = jnp.where(filled, laid[:, :, :3], alpha) * (1 - ink) + colour * ink
    return jnp.concatenate([jnp.minimum(colours, alpha), alpha], axis=2)


def _spread(x: Float[Array, "n H 4 W"], choose) -> Float[Array, "n H 4 W"]:
    """The largest or smallest of a pixel and its neighbours above, below, left and right."""
    padded = jnp.pad(x, ((0, 0), (1, 1), (0, 0), (1, 1)), mode="edge")
    found = choose(choose(padded[:, :-2, :, 1:-1], padded[:, 2:, :, 1:-1]), x)
    return choose(choose(padded[:, 1:-1, :, :-2], padded[:, 1:-1, :, 2:]), found)


def _grounds(key: Array, count: int, height: int, width: int, white: float) -> Float[Array, "n H 3 W"]:
    """White, of one colour, or from one colour into another."""
    keys = jax.random.split(key, 4)
    one, other = jax.random.uniform(keys[0], (2, count, 1, 3, 1))
    other = jnp.where(jax.random.bernoulli(keys[1], 0.5, (count, 1, 1, 1)), one, other)
    angle = jax.random.uniform(keys[2], (count, 1, 1, 1), maxval=2 * jnp.pi)
    y, x = jnp.linspace(-0.5, 0.5, height)[:, None, None], jnp.linspace(-0.5, 0.5, width)
    way = jnp.clip(0.5 + (jnp.cos(angle) * x + jnp.sin(angle) * y) / 2**0.5, 0, 1)
    ground = one + (other - one) * way
    return jnp.where(jax.random.bernoulli(keys[3], white, (count, 1, 1, 1)), 1.0, ground)
